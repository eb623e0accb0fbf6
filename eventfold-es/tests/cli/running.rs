//! Beside a store that is written at full speed, and after the end of a process that did not close it.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::shop::{self, Order};
use crate::{call, command, json};

/// Runs `look` while a store in `dir` is written by several tasks.
pub(crate) fn while_written(dir: &std::path::Path, look: impl FnOnce()) {
    let is_done = AtomicBool::new(false);
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            shop::runtime().block_on(async {
                let store = shop::open(dir).await;
                let mut i = 0;
                while !is_done.load(Ordering::Acquire) {
                    let sent = (0..8).map(|n| {
                        let store = store.clone();
                        tokio::spawn(async move {
                            let order = store.get::<Order>(&format!("o-{n}")).await.unwrap();
                            order.send(shop::place(&"c".repeat(500), i)).await.unwrap();
                        })
                    });
                    for sent in sent.collect::<Vec<_>>() {
                        sent.await.unwrap();
                    }
                    i += 1;
                    let _ = ready.send(());
                }
                store.shutdown().await.unwrap();
            });
        });
        started.recv().unwrap();
        // The writer ends also if the test fails.
        let _done = Done(&is_done);
        look();
    });
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

fn segments(dir: &std::path::Path) -> usize {
    let names = std::fs::read_dir(dir.join("journal")).unwrap();
    names
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "jsonl")
        })
        .count()
}

#[test]
fn looks_beside_a_busy_store_are_whole_and_agree_with_each_other() {
    let dir = tempfile::tempdir().unwrap();
    while_written(dir.path(), || {
        let mut before = 0;
        let mut looks = 0;
        while looks < 5 || segments(dir.path()) < 3 {
            let log = json(dir.path(), &["log"]);
            let positions = log.iter().map(|line| line["position"].as_u64().unwrap());
            assert!(positions.eq(1..=log.len() as u64));
            assert!(log.len() >= before);
            before = log.len();
            let listed = json(dir.path(), &["ls"]);
            let listed: u64 = listed
                .iter()
                .map(|stream| stream["events"].as_u64().unwrap())
                .sum();
            assert!(listed >= before as u64);
            let stats = json(dir.path(), &["stats"]).pop().unwrap();
            assert_eq!(stats["head"], stats["events"]);
            assert!(stats["events"].as_u64().unwrap() >= listed);
            looks += 1;
        }
    });
}

#[test]
fn a_follower_prints_each_event_once_while_segments_change() {
    let dir = tempfile::tempdir().unwrap();
    while_written(dir.path(), || {
        let mut child = command(dir.path(), &["log", "-f", "--json", "--from", "0"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        for (line, position) in lines.zip(1_u64..) {
            let line: Value = serde_json::from_str(&line.unwrap()).unwrap();
            if line["position"] != position {
                child.kill().unwrap();
                panic!("{position} is expected, not {line}");
            }
            if position > 600 && segments(dir.path()) > 2 && position % 100 == 0 {
                break;
            }
        }
        child.kill().unwrap();
        child.wait().unwrap();
    });
}

#[test]
fn what_a_process_left_that_did_not_close_the_store_is_shown_and_stays_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let left = tempfile::tempdir().unwrap();
    while_written(dir.path(), || {
        // As a killed process leaves it: the journal, without the redo point of a closed store.
        std::fs::create_dir(left.path().join("journal")).unwrap();
        let segments = std::fs::read_dir(dir.path().join("journal")).unwrap();
        let mut paths: Vec<_> = segments.map(|entry| entry.unwrap().path()).collect();
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "jsonl")
        });
        paths.sort();
        std::fs::copy(
            &paths[0],
            left.path()
                .join("journal")
                .join(paths[0].file_name().unwrap()),
        )
        .unwrap();
    });
    let content = || std::fs::read(left.path().join("journal/00000000000000000001.jsonl")).unwrap();
    let before = content();
    let stats = json(left.path(), &["stats"]).pop().unwrap();
    assert_eq!(stats["closed"], false);
    assert!(stats["events"].as_u64().unwrap() > 0);
    assert_eq!(call(left.path(), &["ls"]).code, 0);
    assert!(content() == before);
    let entries = std::fs::read_dir(left.path()).unwrap();
    assert_eq!(entries.count(), 1, "looking has created something");
}
