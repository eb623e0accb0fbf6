//! The command `eventfold`: what it prints, its exit codes, and what it leaves alone.
//!
//! `cargo test -p eventfold-es --features cli --test cli`, and with `--features cli,postgres` also on stores in
//! PostgreSQL.

mod backups;
mod big;
mod codes;
mod dropped;
mod hostile;
mod lifecycles;
mod moving;
mod numbers;
#[cfg(feature = "postgres")]
mod on_postgres;
#[cfg(feature = "postgres")]
#[path = "../../../tests/integration/support/postgres.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod postgres;
mod read_side;
mod running;
mod shop;
mod terminal;
mod ui;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

/// What a call of the command led to.
struct Called {
    code: i32,
    out: String,
    errors: String,
}

fn command(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_eventfold"));
    match args {
        [
            name @ ("backup" | "restore" | "follow" | "compare"),
            rest @ ..,
        ] => {
            command.arg(name).arg(dir).args(rest);
        }
        _ => {
            command.arg("--dir").arg(dir).args(args);
        }
    }
    command.env_remove("EVENTFOLD_DIR").stdin(Stdio::null());
    command
}

fn call(dir: &Path, args: &[&str]) -> Called {
    let done = command(dir, args).output().unwrap();
    Called {
        code: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        errors: String::from_utf8(done.stderr).unwrap(),
    }
}

/// What the command prints, which succeeds.
fn text(dir: &Path, args: &[&str]) -> String {
    let called = call(dir, args);
    assert_eq!((called.code, called.errors.as_str()), (0, ""), "{args:?}");
    called.out
}

/// The lines of JSON that the command prints.
fn json(dir: &Path, args: &[&str]) -> Vec<Value> {
    let out = text(dir, &[args, &["--json"]].concat());
    out.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What `jq` makes of the store's journal, `None` if there is no `jq`. The test says so.
fn jq(dir: &Path, filter: &str) -> Option<Value> {
    let lines = commits(dir)
        .iter()
        .map(Value::to_string)
        .collect::<Vec<_>>();
    let lines = lines.join("\n");
    jq_of(&lines, filter)
}

/// What `jq` makes of `lines`, as [`jq`].
fn jq_of(lines: &str, filter: &str) -> Option<Value> {
    let spawned = Command::new("jq")
        .args(["-c", "-s", filter])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let Ok(mut jq) = spawned else {
        println!("skipped: the comparison with jq, which is not installed");
        return None;
    };
    let mut input = jq.stdin.take().unwrap();
    let lines = lines.as_bytes().to_vec();
    let writing = std::thread::spawn(move || input.write_all(&lines).unwrap());
    let done = jq.wait_with_output().unwrap();
    writing.join().unwrap();
    Some(serde_json::from_slice(&done.stdout).unwrap())
}

/// The commits in the journal's files.
fn commits(dir: &Path) -> Vec<Value> {
    let mut paths: Vec<_> = std::fs::read_dir(dir.join("journal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        })
        .collect();
    paths.sort();
    let mut commits = Vec::new();
    for path in paths {
        let bytes = std::fs::read(path).unwrap();
        let lines = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| line.starts_with(b"{"));
        let lines = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
        commits.extend(lines.filter(|line| line.get("journal").is_none()));
    }
    commits
}

/// Each event in the journal's files, with the type and the id of its stream.
fn journaled(dir: &Path) -> Vec<(String, String, Value)> {
    let mut events = Vec::new();
    for commit in commits(dir) {
        let mut rest = commit["events"].as_array().unwrap().iter();
        for stream in commit["streams"].as_array().unwrap() {
            let text = |key: &str| stream[key].as_str().unwrap().to_owned();
            let count = usize::try_from(stream["count"].as_u64().unwrap()).unwrap();
            let own = rest.by_ref().take(count);
            events.extend(own.map(|event| (text("type"), text("id"), event.clone())));
        }
        events.extend(rest.map(|event| (String::new(), String::new(), event.clone())));
    }
    events
}
