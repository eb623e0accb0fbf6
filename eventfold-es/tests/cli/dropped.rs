//! A store that has dropped the oldest files of its journal, as the command shows it.

use std::path::Path;
use std::time::Duration;

use eventfold_es::__private::example::{Add, Counter};
use eventfold_es::AggregateStore;
use serde_json::Value;

use crate::{call, shop};

/// A closed store in `dir` whose journal begins later. Returns after which position, and the newest one.
fn store(dir: &Path) -> (u64, u64) {
    shop::runtime().block_on(async {
        let open = || AggregateStore::open(dir);
        let store = open().await.unwrap();
        let counter = store.get::<Counter>("c-1").await.unwrap();
        for number in 1..=3_500 {
            counter.send(Add(number)).await.unwrap();
        }
        store.shutdown().await.unwrap();
        let store = open().await.unwrap();
        let report = store.drop_old_journal(Duration::ZERO).await.unwrap();
        assert!(report.files > 0, "{report:?}");
        let head = store.head().to_string().parse().unwrap();
        store.shutdown().await.unwrap();
        (report.events, head)
    })
}

#[test]
fn what_needs_no_dropped_events_says_where_the_journal_begins_and_the_rest_fails() {
    let dir = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let dir = dir.unwrap();
    let (dropped, head) = store(dir.path());
    let note = format!("begins after position {dropped}");
    let works = |args: &[&str]| {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 0, "{args:?}: {}", called.errors);
        let is_told = called.errors.contains(&note) || called.out.contains(&note);
        assert!(is_told, "{args:?}: {} {}", called.out, called.errors);
        called.out
    };
    let lines = |out: String| out.lines().count() as u64;
    assert_eq!(lines(works(&["log", "--json"])), head - dropped);
    assert_eq!(lines(works(&["log", "--last", "5", "--json"])), 5);
    let all = head.to_string();
    assert_eq!(
        lines(works(&["log", "--last", &all, "--json"])),
        head - dropped
    );
    assert_eq!(
        lines(works(&["log", "--since", "1970-01-02", "--json"])),
        head - dropped
    );
    let from = (dropped + 10).to_string();
    assert_eq!(
        lines(works(&["log", "--from", &from, "--json"])),
        head - dropped - 10
    );
    let stats: Value = serde_json::from_str(&works(&["stats", "--json"])).unwrap();
    assert_eq!(stats["events"], head - dropped);
    assert_eq!(
        stats["begins_after"].to_string().trim_matches('"'),
        dropped.to_string()
    );
    assert!(works(&["show", "counter", "c-1"]).contains("Added"));
    works(&["verify"]);

    for args in [
        &["log", "--from", "0"][..],
        &["export"],
        &["event", "1"],
        &["event", "00000000-0000-0000-0000-000000000000"],
    ] {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 2, "{args:?}: {} {}", called.out, called.errors);
        let told = called.errors.matches(&note).count();
        assert!(told >= 1, "{args:?}: {}", called.errors);
    }
}
