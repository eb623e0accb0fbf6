//! On a terminal: the width of tables, and Ctrl-C.

#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::running::while_written;
use crate::{command, json, shop, text};

/// What the command prints on a terminal of this width; `None` if there is no `script` to make one.
fn on_terminal(dir: &Path, columns: usize, args: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_eventfold");
    let line = format!(
        "stty rows 24 cols {columns}; {program} --dir {} {args}",
        dir.display()
    );
    let made = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env("TERM", "xterm")
        .env_remove("NO_COLOR")
        .stdin(Stdio::null())
        .output();
    if made.is_err() {
        eprintln!("skipped: `script` is not there, which makes a terminal");
    }
    let printed = made.ok()?.stdout;
    Some(String::from_utf8(printed).unwrap())
}

/// The text without what colours it and moves the cursor.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text.chars();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => {
                // `[`, numbers, and a letter that ends it.
                rest.by_ref().skip(1).find(char::is_ascii_alphabetic);
            }
            '\r' => {}
            c => plain.push(c),
        }
    }
    plain
}

#[test]
fn a_table_fits_the_terminal_and_has_colours_only_there() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    for columns in [60, 200] {
        for args in ["ls", "stats", "process-managers"] {
            let Some(printed) = on_terminal(dir.path(), columns, args) else {
                return;
            };
            let printed = plain(&printed);
            assert!(
                printed.contains("o-1") || args == "process-managers",
                "{printed}"
            );
            for line in printed.lines() {
                assert!(
                    line.chars().count() <= columns,
                    "{args} at {columns}: {line}"
                );
            }
        }
    }
    let coloured = on_terminal(dir.path(), 100, "log").unwrap();
    assert!(coloured.contains("\u{1b}["));
    assert!(!text(dir.path(), &["log"]).contains('\u{1b}'));
}

fn interrupt(child: &Child) {
    let sent = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(sent.unwrap().success());
}

#[test]
fn ctrl_c_ends_a_backup_with_a_message_and_the_next_one_completes_it() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup] = ["data", "backup"].map(|name| dir.path().join(name));
    while_written(&data, || {
        while json(&data, &["log", "--last", "1"]).is_empty() {}
    });
    let to = backup.to_str().unwrap();
    // So slow that it cannot be done before it is interrupted.
    let slow = ["backup", to, "--bytes-per-second", "1"];
    let child = command(&data, &slow)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    while !backup.join("journal").exists() {
        std::thread::yield_now();
    }
    interrupt(&child);
    let done = child.wait_with_output().unwrap();
    let said = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(130), "{said}");
    assert!(said.contains("interrupted"), "{said}");
    // It is recognised as no backup yet.
    let unfinished = crate::call(
        &backup,
        &["restore", dir.path().join("to").to_str().unwrap()],
    );
    assert_ne!(unfinished.code, 0);
    let report = json(&data, &["backup", to]).remove(0);
    assert_eq!(json(&backup, &["verify"])[0]["clean"], true);
    let newest = json(&data, &["log", "--last", "1"]).remove(0);
    assert_eq!(report["position"], newest["position"]);
}

/// Whether whoever started the tests ignores Ctrl-C, as a shell does for what it puts into the background. Then
/// every process that they start ignores it.
fn is_interrupt_ignored() -> bool {
    const SIGINT: u64 = 2;
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    ignored.is_some_and(|mask| mask >> (SIGINT - 1) & 1 == 1)
}

#[test]
fn ctrl_c_ends_a_following_log_with_code_130() {
    if is_interrupt_ignored() {
        eprintln!("skipped: whoever started the tests ignores Ctrl-C");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let mut child = command(dir.path(), &["log", "-f", "--from", "0"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    let mut out = std::io::BufReader::new(child.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut out, &mut first).unwrap();
    assert!(!first.is_empty());
    interrupt(&child);
    let status = child.wait().unwrap();
    let signal = std::os::unix::process::ExitStatusExt::signal(&status);
    // As any program that waits: a shell says 130.
    assert_eq!((status.code(), signal), (None, Some(2)));
}
