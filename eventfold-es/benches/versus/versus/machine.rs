//! What the numbers depend on besides the programs.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde::Serialize;

use crate::disk;

/// The machine, as far as it tells.
#[derive(Debug, Serialize)]
pub(crate) struct Machine {
    pub(crate) processors: usize,
    pub(crate) processor: String,
    pub(crate) memory_gib: f64,
    pub(crate) system: String,
    pub(crate) file_system: String,
    pub(crate) rust: String,
    /// Appends of 180 bytes that one thread makes durable in a second.
    pub(crate) durable_appends: f64,
}

impl Machine {
    pub(crate) fn look_at(dir: &Path) -> Self {
        let memory = value_in("/proc/meminfo", "MemTotal").unwrap_or_default();
        let memory: f64 = memory
            .split_whitespace()
            .next()
            .and_then(|kib| kib.parse().ok())
            .unwrap_or_default();
        Self {
            processors: std::thread::available_parallelism().map_or(0, usize::from),
            processor: value_in("/proc/cpuinfo", "model name").unwrap_or_default(),
            memory_gib: memory / 1024.0 / 1024.0,
            system: output("uname", &["-sr"]),
            file_system: file_system(dir),
            rust: output("rustc", &["--version"]),
            durable_appends: disk::durable_appends(dir, 180, Duration::from_millis(500)),
        }
    }

    /// The facts in one sentence.
    pub(crate) fn shown(&self) -> String {
        format!(
            "{} processors ({}), {:.0} GiB of memory, {}, {}, {}; the disk makes {} appends of 180 bytes durable in a second",
            self.processors,
            self.processor,
            self.memory_gib,
            self.system,
            self.file_system,
            self.rust,
            crate::stats::number(self.durable_appends),
        )
    }
}

/// The value of `key: value` in a file of such lines.
fn value_in(path: &str, key: &str) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let mut lines = text.lines().filter_map(|line| line.split_once(':'));
    let (_, value) = lines.find(|(name, _)| name.trim() == key)?;
    Some(value.trim().to_owned())
}

fn output(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output();
    let output = output.map(|output| output.stdout).unwrap_or_default();
    String::from_utf8_lossy(&output).trim().to_owned()
}

fn file_system(dir: &Path) -> String {
    let name = output("stat", &["-f", "-c", "%T", &dir.to_string_lossy()]);
    // The two share a number.
    if name == "ext2/ext3" {
        "ext4".to_owned()
    } else {
        name
    }
}
