//! Archived aggregates: they take no commands until they are unarchived, the files of their streams are
//! compressed, and everything is read as before.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use eventfold_es::inspect::StoreReader;
use eventfold_es::prelude::*;
use eventfold_es::{FailureKind, TogetherError, Version};
use serde::{Deserialize, Serialize};

use crate::support::files::edit;
use crate::support::scripted::{
    Gate, GateCommand, clock, command, open_on_demand, passed, run, tell,
};
use crate::support::{
    Ledger, LedgerCommand as Do, TempDir, builder, check_report, copy, open, stream_file, temp_dir,
};

async fn ledger(store: &AggregateStore, id: &str) -> AggregateHandle<Ledger> {
    store.get(id).await.unwrap()
}

async fn is_archived(ledger: &AggregateHandle<Ledger>) -> bool {
    let refused = ledger.send(Do::Add(1)).await;
    let is_archived = ledger.lifecycle().await.unwrap().archived.is_some();
    assert_eq!(
        matches!(refused, Err(ExecuteError::Archived { .. })),
        is_archived
    );
    is_archived
}

fn compressed_file(base: &Path, id: &str) -> PathBuf {
    stream_file(base, id).with_file_name("archive.jsonl.zst")
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

#[tokio::test]
async fn an_archived_aggregate_refuses_commands_until_it_is_unarchived() {
    let dir = temp_dir();
    let clock = clock();
    let store = builder(&dir).clock(clock.clone()).open().await.unwrap();
    let archived = ledger(&store, "a").await;
    archived.send(Do::AddAll(vec![1, 2])).await.unwrap();
    let lifecycle = store.archive::<Ledger>("a").await.unwrap();
    assert_eq!(lifecycle.archived, Some(clock.now()));
    let head = store.head();
    let refused = archived.send(Do::Add(1)).await.unwrap_err();
    assert!(
        refused
            .to_string()
            .contains("`AggregateStore::unarchive` undoes that")
    );
    assert!(matches!(refused, ExecuteError::Archived { when } if when == clock.now()));
    assert!(is_archived(&archived).await);
    assert_eq!(store.archive::<Ledger>("a").await.unwrap(), lifecycle);
    assert_eq!(store.head(), head);

    assert_eq!(archived.state().await.unwrap(), Ledger::of([1, 2]));
    assert_eq!(store.read_events("ledger", "a").await.unwrap().len(), 3);
    let past = archived.at(Version::from(1)).await;
    assert_eq!(past.unwrap().state, Ledger::of([1]));

    let open_again = store.unarchive::<Ledger>("a").await.unwrap();
    assert!(open_again.takes_commands());
    let head = store.head();
    assert_eq!(store.unarchive::<Ledger>("a").await.unwrap(), open_again);
    assert_eq!(store.head(), head);
    archived.send(Do::Add(3)).await.unwrap();
    assert_eq!(archived.state().await.unwrap(), Ledger::of([1, 2, 3]));
    let error = store.archive::<Ledger>("new").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    store.shutdown().await.unwrap();
    if dir.on_disk().is_some() {
        check_report(&dir).await;
    }
}

#[tokio::test]
async fn an_aggregate_that_is_archived_and_ended_stays_ended_when_it_is_unarchived() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for (id, archived_first) in [("a", true), ("b", false)] {
        let ledger = ledger(&store, id).await;
        ledger.send(Do::Add(1)).await.unwrap();
        if archived_first {
            store.archive::<Ledger>(id).await.unwrap();
        }
        store.end::<Ledger>(id, "over").await.unwrap();
        store.archive::<Ledger>(id).await.unwrap();
        let refused = ledger.send(Do::Add(1)).await;
        assert!(
            matches!(refused, Err(ExecuteError::Ended { .. })),
            "{refused:?}"
        );
        let left = store.unarchive::<Ledger>(id).await.unwrap();
        assert!(left.archived.is_none() && left.ended.is_some());
        let refused = ledger.send(Do::Add(1)).await;
        assert!(
            matches!(refused, Err(ExecuteError::Ended { .. })),
            "{refused:?}"
        );
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    }
    store.shutdown().await.unwrap();
    if dir.on_disk().is_some() {
        check_report(&dir).await;
    }
}

#[tokio::test]
async fn an_archive_outlives_the_memory_of_the_aggregate_its_snapshots_and_the_store() {
    for snapshot_every in [1, 2, 100] {
        let dir = temp_dir();
        let open = || builder(&dir).snapshot_every(snapshot_every).open();
        let mut amounts = Vec::new();
        for round in 1..=4 {
            let store = open().await.unwrap();
            let ledger = ledger(&store, "a").await;
            if round > 1 {
                assert_eq!(ledger.state().await.unwrap(), Ledger::of(amounts.clone()));
                assert!(is_archived(&ledger).await);
                store.unarchive::<Ledger>("a").await.unwrap();
            }
            for amount in 0..3 {
                amounts.push(round * 10 + amount);
                ledger.send(Do::Add(round * 10 + amount)).await.unwrap();
            }
            store.archive::<Ledger>("a").await.unwrap();
            store.shutdown().await.unwrap();
            check_report(&dir).await;
        }
    }
}

#[tokio::test]
async fn a_group_with_an_archived_aggregate_is_refused_whole() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (open, archived) = (ledger(&store, "a").await, ledger(&store, "b").await);
    let both = || {
        let group = store.together().send(&open, Do::Add(1));
        group.send(&archived, Do::Add(2))
    };
    both().commit().await.unwrap();
    store.archive::<Ledger>("b").await.unwrap();
    let error = both().commit().await.unwrap_err();
    assert!(
        matches!(&error, TogetherError::Archived { index: 1, .. }),
        "{error}"
    );
    assert_eq!(open.state().await.unwrap(), Ledger::of([1]));
    store.unarchive::<Ledger>("b").await.unwrap();
    both().commit().await.unwrap();
    assert_eq!(archived.state().await.unwrap(), Ledger::of([2, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_managers_command_to_an_archived_aggregate_waits_as_a_dead_letter() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "away", GateCommand::Open).await;
    store.archive::<Gate>("away").await.unwrap();
    tell(&store, "send away 1").await;
    assert_eq!(run(&store).await, (0, 1));
    let letters = store.dead_letters("scripted").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    assert_eq!(letter.kind, Some(FailureKind::Archived));
    store.unarchive::<Gate>("away").await.unwrap();
    letters.replay(&letter.id).await.unwrap();
    assert_eq!(passed(&store, "away").await, [1]);
}

/// All amounts, by their order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "amounts", aggregates(Ledger))]
struct Amounts(Vec<(String, u64)>);

impl Project<Ledger> for Amounts {
    fn project(&mut self, event: &<Ledger as Aggregate>::DomainEvent, record: &Recorded<'_>) {
        if let crate::support::LedgerEvent::Added { amount } = event {
            self.0.push((record.id().to_owned(), *amount));
        }
    }
}

/// A closed store with the archived ledger `a` and the usual ledger `b`.
async fn archived() -> TempDir {
    let dir = temp_dir();
    let open = builder(dir.path())
        .projection::<Amounts>()
        .snapshot_every(30);
    let store = open.open().await.unwrap();
    for id in ["a", "b"] {
        let ledger = ledger(&store, id).await;
        for amount in 0..100 {
            ledger.send(Do::Add(amount)).await.unwrap();
        }
    }
    store.archive::<Ledger>("a").await.unwrap();
    store.shutdown().await.unwrap();
    dir
}

#[tokio::test]
async fn the_file_of_an_archived_stream_is_compressed_and_eventfold_reads_it() {
    let dir = archived().await;
    let file = stream_file(dir.path(), "a");
    assert_eq!(length(&file), 0);
    let plain = length(&stream_file(dir.path(), "b"));
    let compressed = length(&compressed_file(dir.path(), "a"));
    assert!(
        compressed > 0 && compressed * 3 < plain,
        "{compressed} of {plain}"
    );
    let reader = eventfold::EventReader::new(file.parent().unwrap());
    let names: Vec<_> = reader
        .read_full()
        .unwrap()
        .map(|event| event.unwrap().0.event_type)
        .collect();
    assert_eq!(names.len(), 101);
    assert_eq!(names[100], "eventfold:archived");
    check_report(&dir).await;
}

#[tokio::test]
async fn everything_of_an_archived_aggregate_is_read_as_before() {
    let dir = archived().await;
    let all = Ledger::of(0..100);
    let reader = StoreReader::open(dir.path()).unwrap();
    let mut shown = 0;
    let id = eventfold_es::StreamId::new("ledger", "a").unwrap();
    reader
        .read_stream(&id, |_| {
            shown += 1;
            std::ops::ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(shown, 101);

    let store = builder(dir.path())
        .projection::<Amounts>()
        .open()
        .await
        .unwrap();
    let expected = |amounts: &Amounts| {
        let of_a = amounts.0.iter().filter(|(id, _)| id == "a");
        assert!(of_a.map(|(_, amount)| *amount).eq(0..100));
    };
    expected(&store.projection::<Amounts>().unwrap());
    store.rebuild_projection::<Amounts>().unwrap();
    expected(&store.projection::<Amounts>().unwrap());
    let archived = ledger(&store, "a").await;
    assert_eq!(archived.state().await.unwrap(), all);
    for version in [1, 50, 99, 101] {
        let past = archived.at(Version::from(version));
        let past = past.await.unwrap();
        assert_eq!(past.state, Ledger::of(0..version.min(100)));
    }
    assert_eq!(store.read_events("ledger", "a").await.unwrap().len(), 101);
    assert_eq!(store.list::<Ledger>().await.unwrap(), ["a", "b"]);
    store.shutdown().await.unwrap();
    assert_eq!(
        length(&stream_file(dir.path(), "a")),
        0,
        "reading expands nothing"
    );
}

#[tokio::test]
async fn what_comes_after_an_archive_is_appended_and_compressed_again_with_the_next_archive() {
    let dir = archived().await;
    let (file, compressed) = (
        stream_file(dir.path(), "a"),
        compressed_file(dir.path(), "a"),
    );
    let before = length(&compressed);
    let mut expected: Vec<u64> = (0..100).collect();
    for round in 0..3 {
        let store = open(dir.path()).await;
        let ledger = ledger(&store, "a").await;
        store.unarchive::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(round)).await.unwrap();
        expected.push(round);
        crate::support::written(&store);
        assert!((1..2_000).contains(&length(&file)), "{}", length(&file));
        store.archive::<Ledger>("a").await.unwrap();
        assert_eq!(length(&file), 0);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(expected.clone()));
        store.shutdown().await.unwrap();
        check_report(&dir).await;
        let store = open(dir.path()).await;
        let state = self::ledger(&store, "a").await.state().await.unwrap();
        assert_eq!(state, Ledger::of(expected.clone()));
        store.shutdown().await.unwrap();
    }
    assert!(length(&compressed) > before);
}

#[tokio::test]
async fn a_restored_store_has_the_archive_uncompressed_until_it_is_archived_again() {
    let dir = archived().await;
    let place = temp_dir();
    let (backup, restored) = (place.path().join("b"), place.path().join("r"));
    let store = open(dir.path()).await;
    store.backup(&backup).await.unwrap();
    store.shutdown().await.unwrap();
    AggregateStore::restore(&backup, &restored).await.unwrap();
    let store = open(&restored).await;
    let archived = ledger(&store, "a").await;
    assert!(is_archived(&archived).await);
    assert_eq!(archived.state().await.unwrap(), Ledger::of(0..100));
    assert!(!compressed_file(&restored, "a").exists());
    store.archive::<Ledger>("a").await.unwrap();
    assert!(length(&compressed_file(&restored, "a")) > 0);
    assert_eq!(archived.state().await.unwrap(), Ledger::of(0..100));
    store.shutdown().await.unwrap();
    assert!(AggregateStore::verify(&restored).await.unwrap().is_clean());
}

/// After the whole journal was replayed, since the redo point is lost.
#[tokio::test]
async fn an_archived_stream_stays_compressed_when_the_journal_is_replayed() {
    let dir = archived().await;
    fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
    let store = open(dir.path()).await;
    let archived = ledger(&store, "a").await;
    assert!(is_archived(&archived).await);
    assert_eq!(archived.state().await.unwrap(), Ledger::of(0..100));
    store.unarchive::<Ledger>("a").await.unwrap();
    archived.send(Do::Add(100)).await.unwrap();
    store.shutdown().await.unwrap();
    assert!(length(&stream_file(dir.path(), "a")) < 2_000);
    check_report(&dir).await;
}

#[tokio::test]
async fn a_damaged_or_lost_archive_is_told_by_name_and_mended_from_the_journal() {
    let dir = archived().await;
    let size = usize::try_from(length(&compressed_file(dir.path(), "a"))).unwrap();
    for damage in 0..6 {
        let dir = copy(dir.path());
        let file = compressed_file(dir.path(), "a");
        match damage {
            0 => fs::remove_file(&file).unwrap(),
            1 => edit(&file, |bytes| bytes.truncate(size - 1)),
            2 => edit(&file, |bytes| bytes.truncate(size / 2)),
            3 => edit(&file, |bytes| bytes[size / 2] ^= 4),
            4 => edit(&file, |bytes| bytes[0] ^= 1),
            _ => edit(&file, |bytes| bytes.extend_from_slice(b"more")),
        }
        // The snapshot must not hide it.
        let snapshot = crate::support::snapshot_file(dir.path(), "a");
        let _ = fs::remove_file(snapshot);
        let store = open(dir.path()).await;
        let error = ledger(&store, "a")
            .await
            .state()
            .await
            .unwrap_err()
            .to_string();
        let name = if damage == 0 {
            "app.jsonl"
        } else {
            "archive.jsonl.zst"
        };
        assert!(
            error.contains(name) && error.contains("repair"),
            "{damage}: {error}"
        );
        assert_eq!(
            ledger(&store, "b").await.state().await.unwrap(),
            Ledger::of(0..100)
        );
        store.shutdown().await.unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert_eq!(report.findings.len(), 1, "{damage}: {report}");
        let report = AggregateStore::repair(dir.path()).await.unwrap();
        assert!(report.is_success(), "{damage}: {report}");
        check_report(&dir).await;
        let store = open(dir.path()).await;
        let archived = ledger(&store, "a").await;
        assert!(is_archived(&archived).await);
        assert_eq!(archived.state().await.unwrap(), Ledger::of(0..100));
        store.archive::<Ledger>("a").await.unwrap();
        store.shutdown().await.unwrap();
        assert_eq!(length(&stream_file(dir.path(), "a")), 0);
        check_report(&dir).await;
    }
}

#[tokio::test]
async fn an_archive_whose_file_another_program_has_locked_says_so_and_is_compressed_later() {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    store.archive::<Ledger>("a").await.unwrap();
    store.unarchive::<Ledger>("a").await.unwrap();
    store.shutdown().await.unwrap();
    let store = open(dir.path()).await;
    let ledger = ledger(&store, "a").await;
    ledger.state().await.unwrap();
    let theirs = fs::File::open(stream_file(dir.path(), "a")).unwrap();
    theirs.try_lock().unwrap();
    let error = store.archive::<Ledger>("a").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{error}");
    drop(theirs);
    store.archive::<Ledger>("a").await.unwrap();
    assert!(is_archived(&ledger).await);
    assert_eq!(length(&stream_file(dir.path(), "a")), 0);
}
