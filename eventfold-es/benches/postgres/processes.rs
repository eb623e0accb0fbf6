//! Several processes with a store each on one schema, beside one process with as many clients.
//!
//! The processes are this bench again, with [`CHILD`] in their environment. They say that they are
//! ready, run their clients each time that they read a line, and print the rate.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use eventfold_es::AggregateStore;

use crate::table::Table;
use crate::workload::Clients;
use crate::{Extent, Result};

/// The URL, the schema, the name of the aggregates, the number of clients, and the milliseconds of a
/// turn, one a line.
const CHILD: &str = "EVENTFOLD_BENCH_CHILD";
const PROCESSES: usize = 3;
const CLIENTS: usize = 64;

pub(crate) fn is_child() -> bool {
    std::env::var_os(CHILD).is_some()
}

/// The life of a process that is measured.
#[tokio::main]
pub(crate) async fn child() -> Result {
    let told = std::env::var(CHILD)?;
    let told: Vec<_> = told.lines().collect();
    let [url, schema, name, clients, turn] = told[..] else {
        return Err("not what a process is told".into());
    };
    let turn = Duration::from_millis(turn.parse()?);
    let store = AggregateStore::postgres(url).schema(schema).open().await?;
    let clients = Clients::of(&store, name, clients.parse()?).await?;
    clients.run(turn / 4).await?;
    println!("ready");
    for line in std::io::stdin().lines() {
        line?;
        println!("{}", clients.run(turn).await?);
    }
    drop(clients);
    store.shutdown().await?;
    Ok(())
}

/// A process that is measured.
struct Process {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Process {
    fn start(url: &str, schema: &str, name: &str, clients: usize, turn: Duration) -> Result<Self> {
        let told = [
            url,
            schema,
            name,
            &clients.to_string(),
            &turn.as_millis().to_string(),
        ];
        let mut process = Command::new(std::env::current_exe()?)
            .env(CHILD, told.join("\n"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let output = BufReader::new(output.ok_or("no output")?);
        Ok(Self {
            child: process,
            input,
            output,
        })
    }

    /// Its next line; empty if it has ended.
    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(line.trim().to_owned())
    }

    fn begin(&mut self) -> Result {
        let input = self.input.as_mut().ok_or("it has ended")?;
        input.write_all(b"\n")?;
        Ok(input.flush()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The end of its input ends it.
        drop(self.input.take());
        let _ = self.child.wait();
    }
}

/// Lets all run at the same time, and returns how many commits they stored in a second.
fn run(processes: &mut [Process]) -> Result<f64> {
    for process in &mut *processes {
        process.begin()?;
    }
    let mut sum = 0.0;
    for process in processes {
        sum += process.line()?.parse::<f64>()?;
    }
    Ok(sum)
}

pub(crate) fn compare(
    url: &str,
    extent: Extent,
    (name, goal): (&str, f64),
    table: &mut Table,
) -> Result {
    let start =
        |schema: &str, name: &str, clients| Process::start(url, schema, name, clients, extent.turn);
    let mut one = [start("of one process", "account", PROCESSES * CLIENTS)?];
    one[0].line()?;
    let mut several = Vec::new();
    for process in 0..PROCESSES {
        let mut process = start("of processes", &format!("account-{process}"), CLIENTS)?;
        if process.line()? != "ready" {
            println!("{name:<28} | not measured: a schema has one open store at a time");
            return Ok(());
        }
        several.push(process);
    }
    let mut pairs = Vec::new();
    for _ in 0..extent.pairs {
        pairs.push((run(&mut several)?, run(&mut one)?));
    }
    let note = "beside one process with as many clients";
    table.row(name, "commits/s", &pairs, Some(goal), None, note);
    Ok(())
}
