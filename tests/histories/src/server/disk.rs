//! A small disk: a file system in memory that only the processes of one server see.

use std::fs::File;
use std::io::{BufRead as _, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::ids;

/// A mounted disk. It is gone with the value, or with this process.
#[derive(Debug)]
pub(super) struct Disk {
    /// Keeps the mount, which nobody else sees.
    holder: Child,
    dir: PathBuf,
}

impl Disk {
    /// Mounts a disk of so many MiB. `None` if the system does not let us.
    pub(super) fn mount(dir: &Path, mebibytes: u64) -> Option<Self> {
        let (user, group) = ids()?;
        let options = format!("size={mebibytes}m,mode=700,uid={user},gid={group}");
        let mut holder = Command::new("unshare")
            .args(["--mount", "--propagation", "private", "/bin/sh", "-c"])
            .arg("mount -t tmpfs -o \"$0\" tmpfs \"$1\" && echo mounted && read end")
            .arg(options)
            .arg(dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let mut said = String::new();
        let mut out = BufReader::new(holder.stdout.take()?);
        let _ = out.read_line(&mut said);
        let disk = Self {
            holder,
            dir: dir.to_owned(),
        };
        (said == "mounted\n").then_some(disk)
    }

    /// The words before a command that sees the disk.
    pub(super) fn enter(&self) -> Vec<String> {
        let process = self.holder.id().to_string();
        ["nsenter", "--target", &process, "--mount", "--"]
            .map(str::to_owned)
            .to_vec()
    }

    /// The path by which a process that does not see the disk reaches a file on it.
    pub(super) fn outside(&self, path: &Path) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn filler(&self) -> PathBuf {
        self.outside(&self.dir).join("filler")
    }

    /// Fills the disk.
    pub(super) fn fill(&self) {
        let mut filler = File::create(self.filler()).unwrap();
        let full = std::io::copy(&mut std::io::repeat(0), &mut filler).unwrap_err();
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
    }

    /// Makes room again.
    pub(super) fn empty(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}
