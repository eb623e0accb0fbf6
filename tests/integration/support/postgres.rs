//! A server of PostgreSQL for tests: [`Server`].

use std::io::{BufRead as _, BufReader, Read as _};
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStderr, Command, Stdio};

/// A server that only this test uses. It ends with the value, or with the process.
pub(crate) struct Server {
    pub(crate) bin: PathBuf,
    pub(crate) dir: tempfile::TempDir,
    pub(crate) process: Option<Child>,
}

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

/// `program` as the user of the server.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some((user, group)) = ids() {
        command.uid(user).gid(group);
    }
    command
}

/// A directory for a server's data and its socket.
pub(crate) fn directory() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for part in ["data", "socket"] {
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
    pub(crate) fn start(settings: &[&str]) -> Option<Self> {
        let Some(bin) = installed() else {
            eprintln!("skipped: PostgreSQL is not installed");
            return None;
        };
        let dir = directory();
        let made = command(&bin.join("initdb"))
            .args(["--auth=trust", "--username=postgres", "--encoding=UTF8"])
            .args(["--locale=C", "--no-sync", "--pgdata"])
            .arg(dir.path().join("data"))
            .current_dir(dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&made.stderr);
        assert!(made.status.success(), "{text}");
        let mut server = Self {
            bin,
            dir,
            process: None,
        };
        server.run(settings);
        Some(server)
    }

    /// Runs the server until it is ready.
    pub(crate) fn run(&mut self, settings: &[&str]) {
        // The shell ends the server when its input ends, so also if this process is killed.
        // Only the server has the log, so that the log ends if the server does.
        let script = "\"$@\" & server=$!; exec 2>&-; read end; kill -QUIT $server; wait $server";
        let mut shell = command(Path::new("/bin/sh"));
        shell.args(["-c", script, "sh"]);
        shell.arg(self.bin.join("postgres"));
        shell.arg("-D").arg(self.dir.path().join("data"));
        shell.arg("-k").arg(self.dir.path().join("socket"));
        // No port, and no other server, is in the way of a socket in a directory of its own.
        for setting in ["listen_addresses=", "max_connections=300"]
            .iter()
            .chain(settings)
        {
            shell.args(["-c", setting]);
        }
        let shell = shell
            .current_dir(self.dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = shell.spawn().unwrap();
        let log = BufReader::new(process.stderr.take().unwrap());
        wait_until_ready(log);
        self.process = Some(process);
    }

    /// Ends the server as a crash does.
    pub(crate) fn crash(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.stdin.take());
            process.wait().unwrap();
        }
    }

    /// The URL of its database.
    pub(crate) fn url(&self) -> String {
        let socket = self.dir.path().join("socket");
        let host = socket.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{host}/postgres")
    }

    /// Runs a statement, and returns what `psql` prints.
    pub(crate) fn sql(&self, statement: &str) -> String {
        let output = command(&self.bin.join("psql"))
            .args(["--no-psqlrc", "--tuples-only", "--no-align", "--quiet"])
            .args(["--username=postgres", "--dbname=postgres", "--host"])
            .arg(self.dir.path().join("socket"))
            .args(["--command", statement])
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

/// Waits until the server says that it is ready. The rest of its log is read and dropped, so that it
/// never waits for a reader.
fn wait_until_ready(mut log: BufReader<ChildStderr>) {
    let mut text = String::new();
    // A standby accepts "read-only connections".
    while !text.contains("ready to accept") {
        let length = log.read_line(&mut text).unwrap();
        assert!(length > 0, "the server ended:\n{text}");
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
