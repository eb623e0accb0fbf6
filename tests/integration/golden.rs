//! Directories that earlier versions wrote still open.
//!
//! `EVENTFOLD_BLESS=1 cargo test -p eventfold-es-tests golden` writes that of this version, which
//! is done once, at its release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use eventfold_es::__private::example::{Add, Counter, Total};
use eventfold_es::AggregateStore;

use crate::damage::{open, sample, show};
use crate::support::files::{copy_into, journal};
use crate::support::{Ledger, LedgerCommand as Do, copy, verify};

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(version)
}

/// Writes the directory of this version.
async fn bless(dir: &Path) {
    let sample = sample(true).await;
    if dir.exists() {
        std::fs::remove_dir_all(dir).unwrap();
    }
    copy_into(sample.dir.path(), dir);
    std::fs::remove_file(dir.join("lock")).unwrap();
    for entry in std::fs::read_dir(dir.join("journal")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ext| ext == "tmp") {
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_golden_directory_of_0_3_0_opens_with_everything_in_it() {
    let golden = golden("0.3.0");
    if std::env::var_os("EVENTFOLD_BLESS").is_some() {
        bless(&golden).await;
    }
    let dir = copy(&golden);
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!((report.events, report.streams), (14, 5));

    let a = Ledger {
        text: "ünï".to_owned(),
        count: 5,
        ..Ledger::of([1, 2, 3, 4])
    };
    let states = BTreeMap::from([
        ("a", format!("5: {a:?}")),
        ("b/1", format!("2: {:?}", Ledger::of([8, 9]))),
        ("old", format!("3: {:?}", Ledger::of([1, 2, 7]))),
        ("c-1", "2: Counter { value: 11 }".to_owned()),
        ("all", "2: Counter { value: 11 }".to_owned()),
    ]);
    let shown = show(dir.path()).await.unwrap();
    let ids = shown
        .states
        .iter()
        .map(|(id, state)| (id.as_str(), state.clone()));
    assert_eq!(ids.collect::<BTreeMap<_, _>>(), states);
    assert_eq!((shown.total, shown.head.as_str()), (22, "14 + 0"));
    let positions: Vec<u64> = journal(dir.path())
        .iter()
        .map(|line| line.number("pos"))
        .collect();
    assert_eq!(positions, [1, 2, 3, 5, 7, 8, 9, 10, 11, 13, 14]);

    // It goes on from there, and everything read again from the journal is the same.
    let store = open(dir.path()).await.unwrap();
    store.rebuild_projection::<Total>().unwrap();
    assert_eq!(store.projection::<Total>().unwrap().value, 22);
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.send(Do::Add(5)).await.unwrap().version, 6);
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(1)).await.unwrap();
    assert_eq!(store.head().to_string(), "16");
    store.shutdown().await.unwrap();
    verify(dir.path());
}
