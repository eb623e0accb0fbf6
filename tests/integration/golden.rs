//! Directories that earlier versions wrote still open.
//!
//! `EVENTFOLD_BLESS=1 cargo test -p eventfold-es-tests golden` writes that of this version, which
//! is done once, at its release.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use eventfold_es::__private::example::{Add, Counter, Total};
use eventfold_es::AggregateStore;

use crate::damage::{open, sample, show, trim};
use crate::support::files::{copy_into, journal, segments};
use crate::support::scripted::{
    GateCommand, clock, command, open_live, open_on_demand, passed, run, seconds, tell,
};
use crate::support::{Ledger, LedgerCommand as Do, copy, eventually, verify};

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("golden")
        .join(version)
}

/// Leaves a process manager with a dead letter, with three commands in its outbox, one of which comes
/// from a timer, and with two timers.
async fn leave_unfinished(dir: &Path) {
    let clock = clock();
    let store = open_on_demand(dir, &clock).await;
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    assert_eq!(run(&store).await, (0, 1));
    clock.advance(Duration::from_millis(250));
    let letters = store.dead_letters("scripted").unwrap();
    let replayed = letters.replay_all().await.unwrap();
    assert_eq!(replayed.dead_lettered, 1);
    store.shutdown().await.unwrap();
    drop((letters, store));

    let store = open_live(dir, &clock).await;
    for text in [
        "send shut 2",
        "send shut 3",
        "later 1 soon shut 4",
        "later 3600 later open 5",
        "once 7200 open 6",
    ] {
        tell(&store, text).await;
    }
    run(&store).await;
    clock.advance(seconds(1));
    let status = || store.read_side().process_managers.remove(0);
    eventually("the timer fires", || status().outgoing == 3).await;
    store.shutdown().await.unwrap();
    let status = status();
    assert_eq!((status.outgoing, status.timers), (3, 2));
}

/// Checks that what was unfinished is there, and that each of it takes effect once, in order.
async fn finish(dir: &Path) {
    let clock = clock();
    let store = open_on_demand(dir, &clock).await;
    let status = store.read_side().process_managers.remove(0);
    assert_eq!((status.outgoing, status.timers), (3, 2));
    assert_eq!(status.dead_letters, Some(1));
    let letters = store.dead_letters("scripted").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    assert_eq!(letter.envelope.instance_id, "shut");
    assert_eq!((letter.id.as_str(), letter.attempts), ("0", 2));
    assert_eq!(letter.time, clock.now() + Duration::from_millis(250));
    assert!(
        letter.error.contains("1 comes to a shut gate"),
        "{letter:?}"
    );

    command(&store, "shut", GateCommand::Open).await;
    assert_eq!(run(&store).await, (3, 0));
    letters.replay(&letter.id).await.unwrap();
    assert_eq!(passed(&store, "shut").await, [2, 3, 4, 1]);
    for (wait, expected) in [(3_601, &[5][..]), (3_600, &[5, 6])] {
        clock.advance(seconds(wait));
        assert_eq!(run(&store).await, (1, 0));
        assert_eq!(passed(&store, "open").await, expected);
    }
    assert_eq!(run(&store).await, (0, 0));
    drop(letters);
    store.shutdown().await.unwrap();
    verify(dir);
}

/// Checks that timers are still known by their keys, one that has fired too.
async fn cancel(dir: &Path) {
    let clock = clock();
    let store = open_on_demand(dir, &clock).await;
    command(&store, "shut", GateCommand::Open).await;
    tell(&store, "cancel soon").await;
    tell(&store, "cancel later").await;
    assert_eq!(run(&store).await, (2, 0));
    assert_eq!(passed(&store, "shut").await, [2, 3]);
    clock.advance(seconds(7_201));
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "open").await, [6]);
    store.shutdown().await.unwrap();
}

/// Writes the directory of this version.
async fn bless(dir: &Path) {
    let sample = sample(true).await;
    leave_unfinished(sample.dir.path()).await;
    trim(sample.dir.path());
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

/// Writes the compressed segments of the journal in `golden` to `dir`.
async fn bless_compressed(golden: &Path, dir: &Path) {
    let copied = copy(golden);
    let store = open(copied.path()).await.unwrap();
    store.compress().await.unwrap();
    store.shutdown().await.unwrap();
    if dir.exists() {
        std::fs::remove_dir_all(dir).unwrap();
    }
    std::fs::create_dir_all(dir).unwrap();
    for path in segments(copied.path()) {
        let name = path.file_name().unwrap();
        let plain = Path::new(name).with_extension("");
        if golden.join("journal").join(plain).exists() {
            std::fs::copy(&path, dir.join(name)).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_compressed_segments_of_0_3_0_say_what_the_plain_ones_do() {
    let plain = golden("0.3.0");
    let compressed = golden("0.3.0-compressed");
    if std::env::var_os("EVENTFOLD_BLESS").is_some() {
        bless_compressed(&plain, &compressed).await;
    }
    let dir = copy(&plain);
    let mut replaced = 0;
    for entry in std::fs::read_dir(&compressed).unwrap() {
        let path = entry.unwrap().path();
        let name = Path::new(path.file_name().unwrap());
        let journal = dir.path().join("journal");
        std::fs::copy(&path, journal.join(name)).unwrap();
        std::fs::remove_file(journal.join(name.with_extension(""))).unwrap();
        replaced += 1;
    }
    assert_eq!(replaced, 3);
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
    let lines = |dir: &Path| journal(dir).into_iter().map(|line| line.json);
    assert!(lines(dir.path()).eq(lines(copy(&plain).path())));
    let shown = show(dir.path()).await.unwrap();
    assert_eq!(shown, show(copy(&plain).path()).await.unwrap());
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
    assert_eq!((report.events, report.streams), (21, 7));
    finish(copy(&golden).path()).await;
    cancel(copy(&golden).path()).await;

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
    assert_eq!((shown.total, shown.head.as_str()), (22, "21 + 0"));
    let positions: Vec<u64> = journal(dir.path())
        .iter()
        .map(|line| line.number("pos"))
        .collect();
    let of_the_sample = [1, 2, 3, 5, 7, 8, 9, 10, 11, 13, 14];
    let expected = of_the_sample.into_iter().chain(15..=21);
    assert!(positions.iter().copied().eq(expected), "{positions:?}");

    // It goes on from there, and everything read again from the journal is the same.
    let store = open(dir.path()).await.unwrap();
    store.rebuild_projection::<Total>().unwrap();
    assert_eq!(store.projection::<Total>().unwrap().value, 22);
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.send(Do::Add(5)).await.unwrap().version, 6);
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(1)).await.unwrap();
    assert_eq!(store.head().to_string(), "23");
    store.shutdown().await.unwrap();
    verify(dir.path());
}
