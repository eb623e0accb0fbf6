//! Stores whose oldest segments are being dropped when the power fails at each moment, and when each call to
//! the disk fails.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::storage::files::crash::power_loss::in_parallel;
use crate::storage::files::crash::{
    ACCOUNTS, Account, Everything, builder, fail_all_kinds, id, is_whole_after, large, note,
    runtime, temp_dir, wait_for_upkeep,
};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Choices, Fault, Log, Watch};
use crate::storage::files::journal::beginning::Beginning;
use crate::storage::files::journal::paths::{checkpoint, list_segments, stream_ends};
use crate::{
    AggregateStore, CommandContext, DroppedJournal, JournalDropped, Position, Severity, WhyKept,
};

/// How many commands the stores have.
pub(super) const COMMANDS: u64 = 12;
/// Whatever is stored is older.
pub(super) const ANY_AGE: Duration = Duration::ZERO;

pub(super) async fn open(dir: &Path) -> std::io::Result<AggregateStore> {
    builder(dir).compress_journal(false).open().await
}

pub(super) async fn send(store: &AggregateStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let account = store.get::<Account>(&id(number)).await.unwrap();
        let command = if number % 3 == 0 {
            large(number)
        } else {
            note(number)
        };
        let context = CommandContext::default();
        account.execute(command, context).await.unwrap();
    }
}

/// Makes a store of several segments in `dir`, whose projection has saved everything. It is closed.
pub(super) async fn make(dir: &Path) {
    let store = open(dir).await.unwrap();
    send(&store, 0..COMMANDS).await;
    let _: Everything = store.projection().unwrap();
    store.shutdown().await.unwrap();
}

fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

fn dropped(dir: &Path) -> u64 {
    Beginning::read(&journal(dir)).unwrap().dropped
}

/// Drops what can be dropped of the closed store in `dir`.
async fn drop_all(dir: &Path) -> DroppedJournal {
    let store = open(dir).await.unwrap();
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    store.shutdown().await.unwrap();
    report
}

/// The numbers of the commands of each account.
async fn numbers(store: &AggregateStore) -> Result<Vec<Vec<u64>>, String> {
    let mut all = Vec::new();
    for account in 0..ACCOUNTS {
        let handle = store.get::<Account>(&id(account)).await;
        let state = handle.map_err(|e| e.to_string())?.state().await;
        all.push(state.map_err(|e| e.to_string())?.numbers.clone());
    }
    Ok(all)
}

/// The numbers that the accounts have after the commands before `until`.
fn expected(until: u64) -> Vec<Vec<u64>> {
    let of = |account| {
        let numbers = (0..until).filter(move |number| number % ACCOUNTS == account);
        let events = numbers.flat_map(|number| vec![number; note(number).count]);
        events.collect()
    };
    (0..ACCOUNTS).map(of).collect()
}

/// Nothing of the store in `dir` is lost that is promised, with the commands before `until`, and the next
/// attempt drops everything that can be dropped.
async fn is_whole(dir: &Path, until: u64) -> Result<(), String> {
    let report = AggregateStore::verify(dir).await;
    let report = report.map_err(|e| e.to_string())?;
    let is_harmless = |finding: &crate::Finding| finding.severity == Severity::Harmless;
    if !report.findings.iter().all(is_harmless) {
        return Err(report.to_string());
    }
    let store = open(dir).await.map_err(|e| format!("open: {e}"))?;
    if numbers(&store).await? != expected(until) {
        return Err(format!("the accounts have {:?}", numbers(&store).await));
    }
    let projected: Everything = store.projection().map_err(|e| format!("projection: {e}"))?;
    let counts = |all: Vec<Vec<u64>>| all.into_iter().map(|of| of.len()).sum::<usize>();
    if projected.numbers.values().map(Vec::len).sum::<usize>() != counts(expected(until)) {
        return Err(format!("the projection has {projected:?}"));
    }
    let before = store.inner.storage.dropped();
    let segments = list_segments(&journal(dir)).map_err(|e| e.to_string())?;
    if segments[0] != before + 1 {
        return Err(format!("after {before} there is {segments:?}"));
    }
    if before > 0 {
        let mut events = store.subscribe(Position::default());
        let error = events.next().await.expect("an error").unwrap_err();
        let told = JournalDropped::of(&error).ok_or_else(|| error.to_string())?;
        if told.begins_after != Position::new(before) {
            return Err(error.to_string());
        }
    }
    let mut events = store.subscribe(Position::new(before));
    for position in before + 1..=store.inner.storage.head() {
        let event = events.next().await.expect("an error comes before the end");
        let event = event.map_err(|e| format!("at {position}: {e}"))?;
        if event.position() != Position::new(position) {
            return Err(format!("{} is delivered as {position}", event.position()));
        }
    }
    drop(events);
    store.shutdown().await.map_err(|e| e.to_string())?;

    let store = open(dir).await.map_err(|e| format!("open again: {e}"))?;
    let report = store.drop_old_journal(ANY_AGE).await;
    let report = report.map_err(|e| format!("dropping again: {e}"))?;
    if report
        .kept
        .iter()
        .any(|file| file.why != WhyKept::StillOpen && file.why != WhyKept::NeededToOpen)
    {
        return Err(format!("{report:?}"));
    }
    if report.begins_after == Position::default() {
        return Err(format!("nothing is dropped: {report:?}"));
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    let report = AggregateStore::verify(dir).await;
    let report = report.map_err(|e| e.to_string())?;
    let is_of_journal = |finding: &crate::Finding| {
        let of = |part: &str| finding.file.components().any(|c| c.as_os_str() == part);
        of("journal") || of("meta")
    };
    if report.findings.iter().any(is_of_journal) || report.dropped == 0 {
        return Err(report.to_string());
    }
    Ok(())
}

/// A store whose oldest segments are dropped, and what that did to the disk.
fn recorded() -> Log {
    let dir = temp_dir();
    let runtime = runtime();
    runtime.block_on(make(dir.path()));
    let before = list_segments(&journal(dir.path())).unwrap();
    assert!(before.len() > 4);
    let watch = Watch::resume(dir.path());
    runtime.block_on(async {
        let store = open(dir.path()).await.unwrap();
        let report = store.drop_old_journal(ANY_AGE).await.unwrap();
        assert!(report.files > 2 && report.bytes > 0, "{report:?}");
        assert_eq!(report.begins_after, Position::new(report.events));
        let again = store.drop_old_journal(ANY_AGE).await.unwrap();
        assert_eq!((again.files, again.begins_after), (0, report.begins_after));
        store.shutdown().await.unwrap();
        let left = list_segments(&journal(dir.path())).unwrap();
        assert_eq!(left.len() as u64, before.len() as u64 - report.files);
    });
    watch.stop()
}

#[test]
fn a_power_failure_at_each_moment_of_dropping_loses_nothing_that_is_promised() {
    let log = recorded();
    let points: Vec<usize> = log.points().collect();
    println!("{} points, each with 3 images", points.len());
    in_parallel(points.len() as u64 * 3, |seed| {
        let point = points[usize::try_from(seed / 3).expect("few points")];
        let dir = temp_dir();
        log.image(point, &mut Choices::new(seed), dir.path())
            .map_err(|e| e.to_string())?;
        runtime()
            .block_on(is_whole(dir.path(), COMMANDS))
            .map_err(|e| format!("at point {point}: {e}"))
    });
}

/// Drops segments while a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    make(dir.path()).await;
    let store = open(dir.path()).await.unwrap();
    let watch = Watch::resume(dir.path());
    watch.set_fault(fault);
    let report = store.drop_old_journal(ANY_AGE).await;
    let failed = watch.clear_fault();
    if report.is_ok() && !failed.is_empty() {
        return Err(format!("a failure was not told: {failed:?}"));
    }
    send(&store, COMMANDS..COMMANDS + 2).await;
    let is_in_doubt = failed_syncs::is_remembered(&journal(dir.path()));
    let again = store.drop_old_journal(ANY_AGE).await;
    if again.is_err() != is_in_doubt {
        return Err(format!("in doubt: {is_in_doubt}, but {again:?}"));
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    let is_whole = async |dir: &Path| is_whole(dir, COMMANDS + 2).await;
    is_whole_after(fault, &watch.stop(), dir.path(), is_whole).await?;
    Ok(!failed.is_empty())
}

#[test]
fn a_failing_call_is_told_and_the_next_attempt_finishes() {
    fail_all_kinds(try_fault);
}

#[test]
fn the_streams_are_known_without_high_water_marks_and_without_a_redo_point() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        assert!(drop_all(dir.path()).await.events > 0);
        for files in [
            &[stream_ends as fn(&Path) -> PathBuf][..],
            &[checkpoint],
            &[stream_ends, checkpoint],
        ] {
            for file in files {
                std::fs::remove_file(file(&journal(dir.path()))).unwrap();
            }
            is_whole(dir.path(), COMMANDS).await.unwrap();
        }
        // A file that lacks its last event is not taken for whole.
        let file = dir.path().join("streams/account/a1/app.jsonl");
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        std::fs::write(&file, lines[..lines.len() - 1].concat()).unwrap();
        std::fs::remove_file(stream_ends(&journal(dir.path()))).unwrap();
        let store = open(dir.path()).await.unwrap();
        assert!(numbers(&store).await.is_err());
        store.shutdown().await.unwrap();
    });
}

#[test]
fn a_first_segment_that_is_missing_without_the_record_stays_damage() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let report = drop_all(dir.path()).await;
        let record = dir.path().join("meta/journal_begins.json");
        let content = std::fs::read(&record).unwrap();
        std::fs::remove_file(&record).unwrap();
        let error = open(dir.path()).await.unwrap_err();
        assert!(
            error.to_string().contains("00000000000000000001.jsonl"),
            "{error}"
        );
        let verified = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(!verified.is_clean(), "{verified}");

        let mut flipped = content.clone();
        flipped[20] ^= 1;
        std::fs::write(&record, flipped).unwrap();
        let error = open(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains("journal_begins.json"), "{error}");
        let verified = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(!verified.is_clean(), "{verified}");
        let repaired = AggregateStore::repair(dir.path()).await.unwrap();
        assert!(
            !repaired.is_success() && repaired.repaired.is_empty(),
            "{repaired}"
        );

        std::fs::write(&record, content).unwrap();
        is_whole(dir.path(), COMMANDS).await.unwrap();
        // One more is missing than the record says.
        let first = report.begins_after.get() + 1;
        let segments = list_segments(&journal(dir.path())).unwrap();
        assert_eq!(segments[0], first);
        std::fs::remove_file(journal(dir.path()).join(format!("{first:020}.jsonl"))).unwrap();
        let error = open(dir.path()).await.unwrap_err();
        assert!(
            error.to_string().contains(&format!("{first:020}")),
            "{error}"
        );
    });
}

#[test]
fn a_damaged_segment_is_not_dropped() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let damaged = journal(dir.path()).join("00000000000000000001.jsonl");
        let mut bytes = std::fs::read(&damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, &bytes).unwrap();
        let store = open(dir.path()).await.unwrap();
        let error = store.drop_old_journal(ANY_AGE).await.unwrap_err();
        assert!(
            error.to_string().contains("00000000000000000001"),
            "{error}"
        );
        store.shutdown().await.unwrap();
        assert_eq!(
            (dropped(dir.path()), std::fs::read(&damaged).unwrap()),
            (0, bytes)
        );
    });
}

#[test]
fn what_is_damaged_before_the_beginning_is_told_and_left_as_it_is() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        drop_all(dir.path()).await;
        let file = dir.path().join("streams/account/a0/app.jsonl");
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[40] ^= 1;
        let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
        for (what, content) in [
            ("damaged", Some(&damaged[..])),
            ("cut", Some(&whole[..first_line])),
            ("a line is missing", Some(&whole[first_line..])),
            ("missing", None),
        ] {
            match content {
                Some(content) => std::fs::write(&file, content).unwrap(),
                None => std::fs::remove_file(&file).unwrap(),
            }
            let report = AggregateStore::verify(dir.path()).await.unwrap();
            let canonical = dir.path().canonicalize().unwrap();
            let file = canonical.join("streams/account/a0/app.jsonl");
            let tells = |finding: &crate::Finding| {
                finding.severity == Severity::Lost && finding.file == file
            };
            assert!(report.findings.iter().any(tells), "{what}: {report}");
            let repaired = AggregateStore::repair(dir.path()).await.unwrap();
            assert!(!repaired.is_success(), "{what}: {repaired}");
            assert_eq!(std::fs::read(&file).ok().as_deref(), content, "{what}");
        }
        std::fs::write(&file, &whole).unwrap();
        is_whole(dir.path(), COMMANDS).await.unwrap();
    });
}

#[test]
fn what_the_journal_has_is_written_again_behind_what_was_dropped() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        drop_all(dir.path()).await;
        let file = dir.path().join("streams/account/a0/app.jsonl");
        let before = std::fs::metadata(&file).unwrap().len();
        let store = open(dir.path()).await.unwrap();
        send(&store, COMMANDS..COMMANDS + 4).await;
        store.shutdown().await.unwrap();
        let whole = std::fs::read(&file).unwrap();
        let mut damaged = whole.clone();
        damaged[usize::try_from(before).unwrap() + 40] ^= 1;
        std::fs::write(&file, damaged).unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        assert!(!report.is_clean(), "{report}");
        let repaired = AggregateStore::repair(dir.path()).await.unwrap();
        assert!(repaired.is_success(), "{repaired}");
        assert_eq!(std::fs::read(&file).unwrap(), whole);
        is_whole(dir.path(), COMMANDS + 4).await.unwrap();
    });
}

/// A store without a projection.
pub(super) async fn open_plain(dir: &Path) -> AggregateStore {
    let builder = AggregateStore::builder(dir).compress_journal(false);
    builder.snapshot_every(3).open().await.unwrap()
}

#[test]
fn what_only_the_journal_has_durably_is_not_dropped() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open_plain(dir.path()).await;
        for round in 0..4 {
            send(&store, round * COMMANDS..(round + 1) * COMMANDS).await;
            let report = store.drop_old_journal(ANY_AGE).await.unwrap();
            let why = |file: &crate::KeptFile| {
                matches!(file.why, WhyKept::NeededToOpen | WhyKept::StillOpen)
            };
            assert!(report.kept.iter().all(why), "{report:?}");
        }
    });
    let log = watch.stop();
    in_parallel(64, |seed| {
        let dir = temp_dir();
        log.image(log.end(), &mut Choices::new(seed), dir.path())
            .map_err(|e| e.to_string())?;
        runtime().block_on(async {
            let store = open_plain(dir.path()).await;
            let all = numbers(&store).await?;
            if all != expected(4 * COMMANDS) {
                return Err(format!("the accounts have {all:?}"));
            }
            store.shutdown().await.map_err(|e| e.to_string())
        })
    });
}

#[test]
fn segments_are_dropped_in_the_background_once_they_are_old_enough() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let clock = crate::ManualClock::new(std::time::SystemTime::now());
        let keep = Duration::from_secs(3600);
        let builder = || {
            builder(dir.path())
                .compress_journal(false)
                .clock(clock.clone())
        };
        let store = builder().keep_journal_for(keep).open().await.unwrap();
        wait_for_upkeep(&store);
        assert_eq!(dropped(dir.path()), 0);
        store.shutdown().await.unwrap();
        clock.advance(keep * 2);
        let store = builder().keep_journal_for(keep).open().await.unwrap();
        wait_for_upkeep(&store);
        wait_for_upkeep(&store);
        assert!(dropped(dir.path()) > 0);
        store.shutdown().await.unwrap();
        is_whole(dir.path(), COMMANDS).await.unwrap();
    });
}
