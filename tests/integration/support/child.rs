//! Parts of a test that need a process of their own: this binary is started again.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

#[cfg(target_os = "linux")]
use crate::many_aggregates;
use crate::{closing, disk, failures, limits, process_managers};

const ROLE: &str = "EVENTFOLD_ES_TEST_ROLE";
const DIR: &str = "EVENTFOLD_ES_TEST_DIR";

/// A process that plays a role.
pub(crate) struct Player {
    child: Child,
    output: BufReader<ChildStdout>,
}

/// Starts `role` on `dir`.
pub(crate) fn start(role: &str, dir: &Path) -> Player {
    play(Command::new(std::env::current_exe().unwrap()), role, dir)
}

/// Starts `role` on `dir`, where the system lets no file grow beyond one or two MiB.
#[cfg(unix)]
pub(crate) fn start_with_small_files(role: &str, dir: &Path) -> Player {
    // The unit is 512 or 1024 bytes, as the shell likes it. The signal that goes with the limit is
    // ignored, so that writing fails instead.
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    play(shell, role, dir)
}

/// Starts `role` on `dir`, with nothing taken away from the modes of files that it creates.
#[cfg(unix)]
pub(crate) fn start_without_umask(role: &str, dir: &Path) -> Player {
    let mut shell = Command::new("sh");
    shell
        .args(["-c", "umask 000; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap());
    play(shell, role, dir)
}

fn play(mut command: Command, role: &str, dir: &Path) -> Player {
    let mut child = command
        .args([
            "--exact",
            "support::child::plays_its_role",
            "--ignored",
            "--nocapture",
        ])
        .env(ROLE, role)
        .env(DIR, dir)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    Player { child, output }
}

/// Starts a process that does nothing, and waits for its end.
pub(crate) fn start_and_forget() {
    Command::new(std::env::current_exe().unwrap())
        .arg("--help")
        .stdout(Stdio::null())
        .status()
        .unwrap();
}

impl Player {
    /// The next line that the role says, `None` at the end.
    pub(crate) fn hear(&mut self) -> Option<String> {
        let mut line = String::new();
        loop {
            line.clear();
            // A line that was cut off when the process was killed says nothing.
            if self.output.read_line(&mut line).unwrap() == 0 || !line.ends_with('\n') {
                return None;
            }
            if let Some((_, said)) = line.split_once("said: ") {
                return Some(said.trim_end().to_owned());
            }
        }
    }

    /// The id of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Passes each line that the role says to `hear`, and kills it after `enough` of them. What it said
    /// before its end counts as well.
    pub(crate) fn hear_until_killed(&mut self, enough: u64, mut hear: impl FnMut(String)) {
        for heard in 0.. {
            if heard == enough {
                self.kill();
            }
            let Some(line) = self.hear() else { break };
            hear(line);
        }
    }

    /// Kills it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Tells the role to end, and waits.
    pub(crate) fn finish(mut self) {
        drop(self.child.stdin.take());
        let mut rest = String::new();
        while self.output.read_line(&mut rest).unwrap() > 0 {}
        assert!(self.child.wait().unwrap().success(), "{rest}");
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Says something to the test that started this process.
pub(crate) fn say(text: impl std::fmt::Display) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "said: {text}").unwrap();
    out.flush().unwrap();
}

/// Waits until the test says that it is enough.
pub(crate) fn wait_for_the_end() {
    let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
}

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn plays_its_role() {
    let (Ok(role), Some(dir)) = (std::env::var(ROLE), std::env::var_os(DIR)) else {
        return;
    };
    let dir = Path::new(&dir);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    match role.as_str() {
        "compress until killed" => {
            runtime.block_on(crate::compressed::compress_until_killed(dir));
        }
        "hold" => runtime.block_on(closing::hold(dir)),
        "try to open" => runtime.block_on(closing::try_to_open(dir)),
        #[cfg(unix)]
        "write everything" => runtime.block_on(crate::directory::write_everything(dir)),
        "append until killed" => runtime.block_on(crate::kill::append_until_killed(dir)),
        "work together until killed" => {
            runtime.block_on(crate::kill::work_together_until_killed(dir));
        }
        "work until killed" => runtime.block_on(crate::kill::work_until_killed(dir)),
        "work live until killed" => runtime.block_on(crate::kill::work_live_until_killed(dir)),
        "work and be told of" => runtime.block_on(crate::tracing::work_and_be_told_of(dir)),
        "write under load" => runtime.block_on(disk::write_under_load(dir)),
        "write until no file may grow" => {
            runtime.block_on(limits::write_until_no_file_may_grow(dir));
        }
        "react to very many" => {
            runtime.block_on(process_managers::react_to_very_many(dir, 10));
        }
        "react to one commit" => {
            runtime.block_on(process_managers::react_to_very_many(dir, usize::MAX));
        }
        #[cfg(all(unix, feature = "postgres"))]
        "run until replaced" => {
            runtime.block_on(crate::on_postgres::leases::run_until_replaced(dir));
        }
        "answer failures" => runtime.block_on(failures::answer_until_killed(dir)),
        #[cfg(target_os = "linux")]
        "live under a limit" => runtime.block_on(many_aggregates::live_under_a_limit(dir)),
        role => panic!("there is no role {role} on {}", dir.display()),
    }
}
