//! The raw disk, and what keeps one measurement from paying for another.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::domain::ACCOUNT;

/// Appends of `bytes` a second that one thread makes durable one by one: what a program can do that
/// shares no sync, except by a better way to write than appending to a growing file.
pub(crate) fn durable_appends(dir: &Path, bytes: usize, time: Duration) -> f64 {
    let line = vec![b'x'; bytes];
    let path = dir.join("raw");
    let mut options = OpenOptions::new();
    let file = options.create_new(true).append(true).open(&path);
    let mut file = file.expect("a file");
    let mut appends = 0_u32;
    let started = Instant::now();
    while started.elapsed() < time {
        file.write_all(&line).expect("an append");
        file.sync_data().expect("a sync");
        appends += 1;
    }
    let rate = f64::from(appends) / started.elapsed().as_secs_f64();
    let length = file.metadata().expect("its length").len();
    assert_eq!(length, u64::from(appends) * line.len() as u64);
    rate
}

/// Waits until nobody holds a stream below `base` and nothing is left to be written.
pub(crate) fn settle(base: &Path) {
    for log in logs(base) {
        if let Ok(log) = File::open(log) {
            log.lock().expect("its lock");
        }
    }
    sync(base);
}

fn logs(base: &Path) -> Vec<PathBuf> {
    let streams = base.join("streams").join(ACCOUNT).read_dir();
    let streams = streams.into_iter().flatten().flatten();
    streams
        .map(|stream| stream.path().join("app.jsonl"))
        .collect()
}

#[cfg(target_os = "linux")]
pub(crate) fn sync(dir: &Path) {
    let dir = File::open(dir).expect("the directory");
    rustix::fs::syncfs(dir).expect("a sync of the file system");
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn sync(_: &Path) {}

/// Raises the limit on open files as far as the system allows: 0.2.0 needs one for each aggregate.
#[cfg(unix)]
pub(crate) fn allow_open_files() {
    use rustix::process::{Resource, getrlimit, setrlimit};

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // If it cannot be raised, opening the files says so.
    let _ = setrlimit(Resource::Nofile, limit);
}

#[cfg(not(unix))]
pub(crate) fn allow_open_files() {}
