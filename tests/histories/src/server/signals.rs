//! The processes of a server, and signals for them.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::disk::Disk;

/// How long anything may take before a test calls it hung.
const DEADLINE: Duration = Duration::from_secs(60);

/// The first process of the server with this data.
pub(super) fn main_process(data: &Path, disk: Option<&Disk>) -> u32 {
    let file = data.join("postmaster.pid");
    let file = disk.map_or(file.clone(), |disk| disk.outside(&file));
    let text = std::fs::read_to_string(file).unwrap();
    text.lines().next().unwrap().trim().parse().unwrap()
}

/// A process, and those that it started.
pub(super) fn with_children(main: u32) -> Vec<u32> {
    let mut all = vec![main];
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let id = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        let Some(id) = id else { continue };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // The name of the program, in brackets, may have spaces.
        let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let parent = rest.split_ascii_whitespace().nth(1);
        if parent.and_then(|parent| parent.parse().ok()) == Some(main) {
            all.push(id);
        }
    }
    all
}

/// Sends a signal to these processes. Some may have ended meanwhile.
pub(super) fn send(signal: &str, processes: &[u32]) {
    for process in processes {
        let mut kill = Command::new("kill");
        let kill = kill.arg(format!("-{signal}")).arg(process.to_string());
        let _ = kill.output().unwrap();
    }
}

/// Waits for what no call can wait for.
pub(super) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
