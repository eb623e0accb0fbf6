//! How long a store takes to open after the process that used it was killed at full speed.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use super::commands::{Shape, run_clients};
use super::{runtime, send_to_each};
use crate::contender::Contender;
use crate::domain::Command;
use crate::store::Store;

/// The argument that makes this program the process that is killed. Behind it are the name of whose store
/// it is, the directory and the number of aggregates.
pub(crate) const ARGUMENT: &str = "--work-until-killed";
/// How long the process works at least after each aggregate had a command. Then this crate has written tens of
/// MiB since it last noted how far the files of its streams are durable.
const WORK: Duration = Duration::from_secs(2);
const CLIENTS: usize = 64;

/// Lets a process work on the empty directory `base` and kills it; seconds until the store is open again.
pub(crate) fn measure<S: Store>(
    who: Contender,
    base: &Path,
    aggregates: usize,
    time: Duration,
) -> f64 {
    let program = std::env::current_exe().expect("this program");
    let mut process = Process::new(program)
        .args([ARGUMENT, who.name()])
        .arg(base)
        .arg(aggregates.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .expect("this program runs");
    let mut said = String::new();
    let stdout = process.stdout.take().expect("it is piped");
    BufReader::new(stdout)
        .read_line(&mut said)
        .expect("what it says");
    assert_eq!(said, "working\n", "what the process says");
    std::thread::sleep(WORK.max(time));
    process.kill().expect("it is there");
    process.wait().expect("it is killed");
    runtime().block_on(async {
        let started = Instant::now();
        let store = S::open(base);
        let elapsed = started.elapsed();
        assert!(store.total().deposits >= aggregates as u64);
        store.close().await;
        elapsed.as_secs_f64()
    })
}

/// The process that is killed.
pub(crate) fn work<S: Store>(base: &Path, aggregates: usize) {
    runtime().block_on(async {
        let store = S::open(base);
        let command = Command::Deposit { bytes: 0 };
        let accounts = send_to_each(&store, 0..aggregates, command).await;
        println!("working");
        let shape = Shape::new(CLIENTS, aggregates);
        run_clients(&accounts, shape, Duration::MAX).await;
    });
}
