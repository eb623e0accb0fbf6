//! `backup`, `restore` and `follow`.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::running::while_written;
use crate::shop;
use crate::{call, command, json, text};

/// The events of a directory, by the command.
fn log(dir: &Path) -> Vec<Value> {
    json(dir, &["log"])
}

fn position(line: &Value) -> usize {
    usize::try_from(line["position"].as_u64().unwrap()).unwrap()
}

#[test]
fn a_backup_beside_a_busy_store_is_restored_to_its_events_up_to_any_position() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup] = ["data", "backup"].map(|name| dir.path().join(name));
    let to = backup.to_str().unwrap();
    let mut reports = Vec::new();
    while_written(&data, || {
        for _ in 0..3 {
            reports.extend(json(&data, &["backup", to]));
        }
    });
    let all = log(&data);
    assert!(reports.is_sorted_by_key(position), "{reports:?}");
    let newest = position(reports.last().unwrap());
    for at in [1, newest / 2, newest] {
        let restored = dir.path().join(format!("restored-{at}"));
        let args = [
            "restore",
            restored.to_str().unwrap(),
            "--at",
            &at.to_string(),
        ];
        let report = json(&backup, &args).remove(0);
        // Each commit has one event.
        assert_eq!(position(&report), at);
        let events = log(&restored);
        assert_eq!(events, all[..at]);
    }
    assert_eq!(json(&backup, &["verify"])[0]["clean"], true);
}

#[test]
fn a_restore_asks_what_becomes_of_process_managers_that_it_has_no_checkpoint_of() {
    let dir = tempfile::tempdir().unwrap();
    let [data, backup, restored] = ["data", "backup", "to"].map(|name| dir.path().join(name));
    shop::reacted(&data);
    let printed = text(&data, &["backup", backup.to_str().unwrap()]);
    assert!(
        printed.contains("has everything up to position"),
        "{printed}"
    );
    let to = restored.to_str().unwrap();
    let refused = call(&backup, &["restore", to, "--at", "1"]);
    assert_eq!(refused.code, 2, "{}", refused.errors);
    let args = ["restore", to, "--at", "1", "--process-managers", "from-now"];
    let report = json(&backup, &args).remove(0);
    let managers = report["process_managers"].as_array().unwrap();
    assert!(managers.iter().all(|of| of["from"] == "now") && !managers.is_empty());
    assert_eq!(log(&restored).len(), 1);
}

#[test]
fn directories_that_do_not_fit_are_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let [data, other] = ["data", "other"].map(|name| dir.path().join(name));
    let missing = dir.path().join("missing");
    shop::closed(&data);
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("notes.txt"), "mine").unwrap();
    let other = other.to_str().unwrap();
    let inside = data.join("backup");
    for (from, args) in [
        (&data, ["backup", other]),
        (&data, ["backup", inside.to_str().unwrap()]),
        (&data, ["restore", "unused"]),
        (&data, ["follow", other]),
    ] {
        let called = call(from, &args);
        assert_eq!(called.code, 2, "{args:?}: {}", called.errors);
    }
    for args in [["backup", "unused"], ["follow", "unused"]] {
        let called = call(&missing, &args);
        assert_eq!(called.code, 3, "{args:?}: {}", called.errors);
    }
    assert!(!inside.exists() && !missing.exists() && !Path::new("unused").exists());
    assert_eq!(std::fs::read_dir(other).unwrap().count(), 1);
}

#[test]
fn a_copy_that_follows_a_busy_store_has_its_events_when_it_is_interrupted() {
    let dir = tempfile::tempdir().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| dir.path().join(name));
    let mut followed = 0;
    while_written(&data, || {
        let args = ["follow", copy.to_str().unwrap(), "--json"];
        let mut child = command(&data, &args)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for line in lines {
            followed = position(&serde_json::from_str(&line.unwrap()).unwrap());
            if followed > 100 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
    assert!(followed > 100);
    let copied = log(&copy);
    assert!(copied.len() >= followed);
    assert_eq!(copied, log(&data)[..copied.len()]);
}
