//! What happens to a [`Server`]: kills, stops, backups, and a standby in its place.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use super::postgres::{Server, command, directory};

/// How long anything may take before a test calls it hung.
const DEADLINE: Duration = Duration::from_secs(60);

/// A copy of the data of a server.
#[derive(Debug)]
pub(crate) struct Copy(tempfile::TempDir);

impl Server {
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// The file of the socket that it listens on.
    pub(crate) fn socket_path(&self) -> PathBuf {
        self.socket().join(".s.PGSQL.5432")
    }

    /// The URL of whichever of both can be written to.
    pub(crate) fn url_with(&self, other: &Self) -> String {
        let hosts = [self, other].map(|server| {
            let socket = server.socket();
            socket.to_str().unwrap().replace('/', "%2F")
        });
        let hosts = hosts.join(",");
        format!("postgres://postgres@{hosts}/postgres?target_session_attrs=read-write")
    }

    /// Sets a setting, for all sessions from a moment on.
    pub(crate) fn set(&self, setting: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
    }

    /// Kills all its processes, as `kill -9` does, and waits until they are gone: a server does not start
    /// while processes of the last one share its memory.
    pub(crate) fn kill(&mut self) {
        self.stop();
        let processes = self.processes();
        send("KILL", &processes);
        self.crash();
        until("the killed processes are gone", || {
            let states = processes.iter().filter_map(|&id| state(id));
            states.into_iter().all(|(state, _)| state == 'Z')
        });
    }

    /// Stops it where it is, as if the machine stood still.
    pub(crate) fn stop(&self) {
        // Alone first: when it stands it starts no more.
        let main = self.main_process();
        send("STOP", &[main]);
        until("the server stands", || {
            state(main).is_none_or(|(state, _)| matches!(state, 'T' | 'Z'))
        });
        send("STOP", &self.processes());
    }

    /// Lets it go on.
    pub(crate) fn go_on(&self) {
        send("CONT", &self.processes());
    }

    fn main_process(&self) -> u32 {
        let text = std::fs::read_to_string(self.data().join("postmaster.pid")).unwrap();
        text.lines().next().unwrap().trim().parse().unwrap()
    }

    /// The ids of its processes.
    fn processes(&self) -> Vec<u32> {
        let main = self.main_process();
        let mut all = vec![main];
        for entry in std::fs::read_dir("/proc").unwrap().flatten() {
            let id = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            let Some(id) = id else { continue };
            if state(id).is_some_and(|(_, parent)| parent == main) {
                all.push(id);
            }
        }
        all
    }

    /// Copies its data while it runs.
    pub(crate) fn back_up(&self) -> Copy {
        self.base_backup(&[])
    }

    fn base_backup(&self, args: &[&str]) -> Copy {
        let copy = directory();
        let copied = command(&self.bin.join("pg_basebackup"))
            .args(["--username=postgres", "--checkpoint=fast", "--no-sync"])
            .args(args)
            .arg("--host")
            .arg(self.socket())
            .arg("--pgdata")
            .arg(copy.path().join("data"))
            .current_dir(copy.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&copied.stderr);
        assert!(copied.status.success(), "{text}");
        Copy(copy)
    }

    /// Puts a copy in the place of its data. It must not run.
    pub(crate) fn put_back(&mut self, copy: Copy) {
        assert!(self.process.is_none(), "the server runs");
        let data = self.data();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(copy.0.path().join("data"), data).unwrap();
    }

    /// Starts a standby of this server, which follows it.
    pub(crate) fn standby(&self, settings: &[&str]) -> Self {
        let Copy(dir) = self.base_backup(&["--write-recovery-conf"]);
        let mut standby = Self {
            bin: self.bin.clone(),
            dir,
            process: None,
        };
        standby.run(&[&["cluster_name=standby"], settings].concat());
        standby
    }

    /// Lets commits wait until the standby has them, or no longer. Returns once that is so.
    pub(crate) fn wait_for_standby(&self, wait: bool) {
        let name = if wait { "standby" } else { "" };
        self.set("synchronous_standby_names", name);
        let state = if wait { "sync" } else { "async" };
        let is_so = format!(
            "SELECT count(*) > 0 FROM pg_stat_replication \
             WHERE sync_state = '{state}' AND state = 'streaming'"
        );
        until("the standby follows", || self.sql(&is_so) == "t");
    }

    /// Lets this standby receive nothing more, although both servers run.
    pub(crate) fn stop_following(&self) {
        self.set("primary_conninfo", "");
        let has_ended = "SELECT count(*) = 0 FROM pg_stat_wal_receiver";
        until("the standby has stopped", || self.sql(has_ended) == "t");
    }

    /// Makes this standby a primary.
    pub(crate) fn promote(&self) {
        self.sql("SELECT pg_promote()");
        let is_primary = "SELECT pg_is_in_recovery()";
        until("the standby is promoted", || self.sql(is_primary) == "f");
    }
}

/// The state of a process, such as `T` for one that was stopped, and its parent. `None` if it is gone.
fn state(process: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name of the program, in brackets, may have spaces.
    let mut rest = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((rest.next()?.parse().ok()?, rest.next()?.parse().ok()?))
}

/// Sends a signal to these processes. Some may have ended meanwhile.
fn send(signal: &str, processes: &[u32]) {
    for process in processes {
        let mut kill = Command::new("kill");
        let kill = kill.arg(format!("-{signal}")).arg(process.to_string());
        kill.output().unwrap();
    }
}

/// Waits for what no call can wait for.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < DEADLINE, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
