//! A server of PostgreSQL for tests: [`Server`].

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

mod disk;
mod signals;

use disk::Disk;

/// A server that only this test uses. It ends with the value, or with the process.
#[derive(Debug)]
pub struct Server {
    bin: PathBuf,
    /// Where its data is, if that is a small disk of its own.
    disk: Option<Disk>,
    dir: tempfile::TempDir,
    process: Option<Child>,
}

/// A copy of the data of a server.
#[derive(Debug)]
pub struct Copy(tempfile::TempDir);

/// The user that the server runs as. It refuses to run as root.
const USER: &str = "postgres";

/// The newest installed server, `None` if there is none.
fn installed() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok();
    let debian = versions.into_iter().flatten().flatten();
    let mut dirs: Vec<_> = debian.map(|entry| entry.path().join("bin")).collect();
    dirs.sort_by_key(|dir| {
        let version = dir.parent().and_then(Path::file_name);
        let version = version.and_then(|version| version.to_str()?.parse::<u32>().ok());
        std::cmp::Reverse(version)
    });
    dirs.extend(std::env::split_paths(&std::env::var_os("PATH")?));
    dirs.into_iter().find(|dir| dir.join("initdb").is_file())
}

/// The ids of a user and its group, `None` if this process is not root's.
fn ids() -> Option<(u32, u32)> {
    let id = |args: &[&str]| -> Option<u32> {
        let output = Command::new("id").args(args).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse().ok()
    };
    if id(&["-u"])? != 0 {
        return None;
    }
    Some((id(&["-u", USER])?, id(&["-g", USER])?))
}

/// Whether this process is root's. Some faults need that.
pub fn is_root() -> bool {
    ids().is_some()
}

/// A directory for what a server has, with these parts in it.
fn new_dir(parts: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for part in parts {
        let part = dir.path().join(part);
        std::fs::create_dir(&part).unwrap();
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o700)).unwrap();
        if let Some((user, group)) = ids() {
            chown(&part, Some(user), Some(group)).unwrap();
        }
    }
    dir
}

impl Server {
    /// Starts a server with these settings. `None` if PostgreSQL is not installed, and says so.
    pub fn start(settings: &[&str]) -> Option<Self> {
        let server = Self::new(|_| None)?;
        Some(server.init(settings))
    }

    /// Starts a server whose data is on a disk of so many MiB. `None` where that needs other rights, and
    /// says so.
    pub fn start_on_a_small_disk(mebibytes: u64, settings: &[&str]) -> Option<Self> {
        if !is_root() {
            eprintln!("skipped: a small disk needs root");
            return None;
        }
        let server = Self::new(|dir| Disk::mount(&dir.join("data"), mebibytes))?;
        if server.disk.is_none() {
            eprintln!("skipped: no small disk could be mounted");
            return None;
        }
        Some(server.init(settings))
    }

    fn new(disk: impl FnOnce(&Path) -> Option<Disk>) -> Option<Self> {
        let Some(bin) = installed() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let dir = new_dir(&["data", "socket"]);
        Some(Self {
            bin,
            disk: disk(dir.path()),
            dir,
            process: None,
        })
    }

    fn init(mut self, settings: &[&str]) -> Self {
        let data = self.data();
        let mut initdb = self.command("initdb");
        initdb
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(data);
        output(initdb);
        self.run(settings);
        self
    }

    /// Where its data is.
    fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    fn socket(&self) -> PathBuf {
        self.dir.path().join("socket")
    }

    /// A program of the server's, as its user.
    fn command(&self, program: &str) -> Command {
        self.command_of(&self.bin.join(program))
    }

    fn command_of(&self, program: &Path) -> Command {
        let mut words = Vec::new();
        if let Some(disk) = &self.disk {
            words.extend(disk.enter());
        }
        if is_root() {
            words.extend(["runuser", "-u", USER, "--"].map(str::to_owned));
        }
        words.push(program.to_str().unwrap().to_owned());
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).current_dir(self.dir.path());
        command
    }

    /// Runs the server until it is ready.
    pub fn run(&mut self, settings: &[&str]) {
        // The shell ends the server when its input ends, so also if this process is killed.
        let script = "\"$@\" & server=$!; read end; kill -QUIT $server; wait $server";
        let mut shell = self.command_of(Path::new("/bin/sh"));
        shell.args(["-c", script, "sh"]);
        shell.arg(self.bin.join("postgres"));
        shell.arg("-D").arg(self.data());
        shell.arg("-k").arg(self.socket());
        // No port, and no other server, is in the way of a socket in a directory of its own.
        for setting in ["listen_addresses=", "max_connections=300"]
            .iter()
            .chain(settings)
        {
            shell.args(["-c", setting]);
        }
        let shell = shell
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = shell.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        wait_until_ready(log);
        self.process = Some(process);
    }

    /// Ends the server as a crash does.
    pub fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// Kills all processes of the server, as `kill -9` does.
    pub fn kill(&mut self) {
        self.stop();
        signals::send("KILL", &self.processes());
        self.crash();
    }

    /// Stops the server where it is, as if the machine stood still.
    ///
    /// # Panics
    ///
    /// If it does not run.
    pub fn stop(&self) {
        let main = signals::main_process(&self.data(), self.disk.as_ref());
        // Alone first: it starts no more.
        signals::send("STOP", &[main]);
        signals::send("STOP", &self.processes());
    }

    /// Lets it go on.
    pub fn go_on(&self) {
        signals::send("CONT", &self.processes());
    }

    /// The ids of its processes.
    fn processes(&self) -> Vec<u32> {
        let main = signals::main_process(&self.data(), self.disk.as_ref());
        signals::with_children(main)
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        format!("postgres://postgres@{}/postgres", self.host())
    }

    /// The host in a URL.
    fn host(&self) -> String {
        self.socket().to_str().unwrap().replace('/', "%2F")
    }

    /// The URL of whichever of both can be written to.
    pub fn url_with(&self, other: &Self) -> String {
        let mut url = format!("postgres://postgres@{},{}", self.host(), other.host());
        url.push_str("/postgres?target_session_attrs=read-write");
        url
    }

    /// The socket that it listens on.
    pub fn socket_path(&self) -> PathBuf {
        self.socket().join(".s.PGSQL.5432")
    }

    /// Runs a statement, and returns what `psql` prints.
    pub fn sql(&self, statement: &str) -> String {
        self.try_sql(statement)
            .unwrap_or_else(|text| panic!("{text}"))
    }

    /// As [`sql`](Self::sql). Fails with what `psql` says.
    ///
    /// # Errors
    ///
    /// If the server is not reached or refuses the statement.
    pub fn try_sql(&self, statement: &str) -> Result<String, String> {
        let output = self
            .command("psql")
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--username=postgres", "--dbname=postgres", "--host"])
            .arg(self.socket())
            .args(["--command", statement])
            .output()
            .unwrap();
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        Ok(String::from_utf8(output.stdout).unwrap().trim().to_owned())
    }

    /// Sets a setting, for all sessions from a moment on.
    pub fn set(&self, setting: &str, value: &str) {
        self.sql(&format!("ALTER SYSTEM SET {setting} = '{value}'"));
        self.sql("SELECT pg_reload_conf()");
    }

    /// Copies its data while it runs.
    pub fn back_up(&self) -> Copy {
        self.base_backup(&[])
    }

    fn base_backup(&self, args: &[&str]) -> Copy {
        let copy = new_dir(&["data", "socket"]);
        let mut backup = self.command("pg_basebackup");
        backup
            .args(["--username=postgres", "--checkpoint=fast", "--no-sync"])
            .args(args)
            .arg("--host")
            .arg(self.socket())
            .arg("--pgdata")
            .arg(copy.path().join("data"));
        output(backup);
        Copy(copy)
    }

    /// Puts a copy in the place of the data of a server that does not run.
    ///
    /// # Panics
    ///
    /// If the server runs.
    pub fn put_back(&mut self, copy: Copy) {
        assert!(self.process.is_none(), "the server runs");
        let data = self.data();
        std::fs::remove_dir_all(&data).unwrap();
        std::fs::rename(copy.0.path().join("data"), data).unwrap();
    }

    /// Starts a standby of this server, which follows it under the name `standby`.
    pub fn standby(&self, settings: &[&str]) -> Self {
        let Copy(dir) = self.base_backup(&["--write-recovery-conf"]);
        let mut standby = Self {
            bin: self.bin.clone(),
            disk: None,
            dir,
            process: None,
        };
        let settings = [&["cluster_name=standby"], settings].concat();
        standby.run(&settings);
        standby
    }

    /// Lets commits wait until the standby has them, if `wait` is set, and returns once the server does
    /// so.
    pub fn wait_for_standby(&self, wait: bool) {
        let name = if wait { "standby" } else { "" };
        self.set("synchronous_standby_names", name);
        let state = if wait { "sync" } else { "async" };
        let is_so = format!(
            "SELECT count(*) > 0 FROM pg_stat_replication WHERE sync_state = '{state}' \
             AND state = 'streaming'"
        );
        signals::until("the standby follows", || self.sql(&is_so) == "t");
    }

    /// Lets this standby receive nothing more, although both servers run.
    pub fn stop_following(&self) {
        self.set("primary_conninfo", "");
        let has_ended = "SELECT count(*) = 0 FROM pg_stat_wal_receiver";
        signals::until("the standby has stopped", || self.sql(has_ended) == "t");
    }

    /// Makes this standby a primary.
    pub fn promote(&self) {
        self.sql("SELECT pg_promote()");
        signals::until("the standby is promoted", || {
            self.sql("SELECT pg_is_in_recovery()") == "f"
        });
    }

    /// Fills its small disk until the server finds no room for another page of data.
    ///
    /// # Panics
    ///
    /// If it has none.
    pub fn fill_disk(&self) {
        let disk = self.disk.as_ref().expect("a server on a small disk");
        disk.fill();
    }

    /// Makes room again.
    ///
    /// # Panics
    ///
    /// If it has no small disk.
    pub fn empty_disk(&self) {
        let disk = self.disk.as_ref().expect("a server on a small disk");
        disk.empty();
    }
}

/// Runs a program to its end.
fn output(mut command: Command) {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {text}");
}

/// Waits until the server says that it is ready. The rest of its log is read and dropped, so that it
/// never waits for a reader.
fn wait_until_ready(mut log: impl BufRead + Read + Send + 'static) {
    let mut text = String::new();
    while !text.contains("ready to accept") {
        let length = log.read_line(&mut text).unwrap();
        if length == 0 {
            let _ = write!(text, "the server ended");
            panic!("{text}");
        }
    }
    std::thread::spawn(move || {
        let mut rest = [0; 4096];
        while log.read(&mut rest).is_ok_and(|length| length > 0) {}
    });
}

impl Drop for Server {
    fn drop(&mut self) {
        self.crash();
    }
}
