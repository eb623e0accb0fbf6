//! What a store of this crate costs as it grows: time and memory against the number of its live
//! aggregates. It runs in a process of its own, so that memory is that of the store alone.

use std::path::Path;
use std::process::{Command as Process, Stdio};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::commands::{Shape, run_clients, send_first};
use super::{read_idly, runtime, send_to_each};
use crate::domain::Command;
use crate::store::Store;

/// The argument that makes this program the process that is measured.
pub(crate) const ARGUMENT: &str = "--grow-in-this-process";
/// How many aggregates at the end of each step get their first command from one client, timed.
const TIMED: usize = 1_000;

/// A store with so many live aggregates.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Size {
    pub(crate) aggregates: usize,
    /// First commands a second by one client, the last ones of this size.
    pub(crate) first_commands: f64,
    /// Resident memory more than before the store was opened, in MiB.
    pub(crate) memory: f64,
    pub(crate) threads: usize,
    pub(crate) descriptors: usize,
    /// Microseconds to read a projection when nothing is new.
    pub(crate) idle_read: f64,
    /// Commands a second by 64 clients that go through all the aggregates.
    pub(crate) commands: f64,
}

/// Measures stores of these sizes; empty where the system does not tell a process's memory.
pub(crate) fn measure(base: &Path, sizes: &[usize]) -> Vec<Size> {
    if resident_mib().is_none() {
        return Vec::new();
    }
    let program = std::env::current_exe().expect("this program");
    let output = Process::new(program)
        .arg(ARGUMENT)
        .arg(base)
        .args(sizes.iter().map(ToString::to_string))
        .stderr(Stdio::inherit())
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "the process that is measured");
    serde_json::from_slice(&output.stdout).expect("what it measured")
}

/// The process that is measured.
pub(crate) fn grow<S: Store>(base: &Path, sizes: &[usize]) {
    let runtime = runtime();
    let grown = runtime.block_on(async {
        // What the first store of a process costs anyway is not the aggregates'.
        let store = S::open(base);
        send_first(&store, 0..1).await;
        store.total();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let empty = resident_mib().expect("it was there before");

        let mut accounts = vec![store.account(&crate::store::id(0)).await];
        let mut deposits = 1;
        let mut grown = Vec::new();
        for size in sizes {
            let started = Instant::now();
            let timed_from = size.saturating_sub(TIMED).max(accounts.len());
            let command = Command::Deposit { bytes: 0 };
            accounts.extend(send_to_each(&store, accounts.len()..timed_from, command).await);
            let first_commands = send_first(&store, timed_from..*size).await;
            for number in timed_from..*size {
                accounts.push(store.account(&crate::store::id(number)).await);
            }
            deposits += size - (grown.last().map_or(1, |last: &Size| last.aggregates));
            let measured = measure_size(&store, &accounts, &mut deposits, empty).await;
            grown.push(Size {
                aggregates: *size,
                first_commands,
                ..measured
            });
            eprintln!(
                "{size} aggregates after {:.1} s",
                started.elapsed().as_secs_f64()
            );
        }
        drop(accounts);
        store.close().await;
        grown
    });
    println!("{}", serde_json::to_string(&grown).expect("numbers"));
}

async fn measure_size<S: Store>(
    store: &S,
    accounts: &[S::Handle],
    deposits: &mut usize,
    empty: f64,
) -> Size {
    // Lets what runs beside the commands come to rest: snapshots, segments, checkpoints.
    store.total();
    tokio::time::sleep(Duration::from_millis(300)).await;
    let memory = resident_mib().unwrap_or_default() - empty;
    let entries = |path: &str| std::fs::read_dir(path).map_or(0, Iterator::count);
    let threads = entries("/proc/self/task");
    let descriptors = entries("/proc/self/fd");
    let idle_read = read_idly(store, *deposits, Duration::from_millis(100)) * 1e6;
    let shape = Shape::new(64, accounts.len());
    let (commands, answered) = run_clients(accounts, shape, Duration::from_millis(600)).await;
    let answered: u64 = answered.iter().map(|(_, commands)| commands).sum();
    *deposits += usize::try_from(answered).expect("it was counted here");
    Size {
        aggregates: accounts.len(),
        first_commands: 0.0,
        memory,
        threads,
        descriptors,
        idle_read,
        commands,
    }
}

fn resident_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024.0)
}
