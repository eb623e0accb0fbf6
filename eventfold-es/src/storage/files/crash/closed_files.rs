//! Streams whose files were closed in favour of others, while the store is open and other programs
//! come to them.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use crate::ids::StreamId;
use crate::storage::files::crash::{
    Account, ENOSPC, large, note, open, runtime, temp_dir, wait_for_upkeep,
};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::{AggregateHandle, AggregateStore};

/// More streams than files are kept open.
const OTHERS: u64 = 300;

async fn account(store: &AggregateStore, id: &str) -> AggregateHandle<Account> {
    store.get::<Account>(id).await.expect("it can be had")
}

/// A stream that was written and whose file was closed since: the live aggregate, and the file.
async fn with_a_closed_file(store: &AggregateStore) -> (AggregateHandle<Account>, File) {
    let first = account(store, "first").await;
    first.send(note(0)).await.expect("the disk works");
    for number in 0..OTHERS {
        let other = account(store, &format!("other-{number}")).await;
        other.send(note(number)).await.expect("the disk works");
    }
    let file = store.layout().stream_dir("account", "first");
    let mut options = File::options();
    let file = options.append(true).open(file.join("app.jsonl"));
    let file = file.expect("it is there");
    file.try_lock().expect("the store does not have it open");
    (first, file)
}

async fn finish(store: AggregateStore, dir: &Path) {
    store.shutdown().await.expect("in order");
    let report = AggregateStore::verify(dir).await.expect("a report");
    assert!(report.is_clean(), "{report}");
}

#[test]
fn a_line_that_another_program_adds_to_a_closed_file_is_noticed_before_anything_is_stored() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let (first, mut theirs) = with_a_closed_file(&store).await;
        let before = first.state().await.expect("a state").numbers.len();
        let line = b"{\"type\":\"Noted\",\"data\":{\"number\":9,\"padding\":\"\"},\"ts\":1}\n";
        theirs.write_all(line).expect("it is written");
        drop(theirs);

        let head = store.head();
        let refused = first.send(note(1)).await.expect_err("the file is longer");
        let refused = refused.to_string();
        assert!(refused.contains("changed by another program"), "{refused}");
        assert_eq!(store.head(), head, "something of it is in the journal");
        for _ in 0..2 {
            let refused = first.send(note(2)).await.expect_err("it is still there");
            assert!(refused.to_string().contains("AggregateStore::repair"));
            assert_eq!(store.head(), head);
        }
        store.shutdown().await.expect("in order");
        let report = AggregateStore::repair(dir.path()).await.expect("a report");
        assert!(report.is_success(), "{report}");

        let store = open(dir.path()).await.expect("the disk works");
        let first = account(&store, "first").await;
        first.send(note(2)).await.expect("their line is entered");
        let state = first.state().await.expect("a state");
        assert_eq!(state.numbers[before..][..2], [9, 2]);
        finish(store, dir.path()).await;
    });
}

#[test]
fn a_closed_file_is_opened_after_the_answer_and_a_foreign_lock_on_it_blocks_only_its_stream() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let (first, theirs) = with_a_closed_file(&store).await;
        let length = || theirs.metadata().expect("it is there").len();
        let before = length();

        let done = first.send(note(1)).await.expect("the journal has it");
        let _ = store.layout();
        assert_eq!(length(), before, "a file that another program has locked");
        let refused = first.send(note(2)).await.expect_err("it is locked");
        let refused = refused.to_string();
        assert!(refused.contains("locked by another program"), "{refused}");
        assert_eq!(first.version().await.expect("a version"), done.version);
        let other = account(&store, "other-0").await;
        other.send(note(3)).await.expect("it is not concerned");

        drop(theirs);
        let next = first.send(note(4)).await.expect("it is free");
        assert!(next.version > done.version);
        finish(store, dir.path()).await;
    });
}

#[test]
fn a_command_for_a_locked_stream_that_was_not_written_yet_is_refused_before_anything_is_stored() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let first = account(&store, "first").await;
        first.send(note(0)).await.expect("the disk works");
        let file = store.layout().stream_dir("account", "first");
        store.shutdown().await.expect("in order");

        let store = open(dir.path()).await.expect("the disk works");
        let first = account(&store, "first").await;
        first.state().await.expect("a state");
        let theirs = File::open(file.join("app.jsonl")).expect("it is there");
        theirs.try_lock().expect("the store has not opened it");
        let head = store.head();
        let refused = first.send(note(1)).await.expect_err("it is locked");
        let refused = refused.to_string();
        assert!(refused.contains("locked by another program"), "{refused}");
        assert_eq!(store.head(), head, "something of it is in the journal");
        drop(theirs);
        first.send(note(2)).await.expect("it is free");
        finish(store, dir.path()).await;
    });
}

#[test]
fn the_redo_point_does_not_move_past_a_stream_whose_file_cannot_be_written() {
    let dir = temp_dir();
    let version = runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let (first, theirs) = with_a_closed_file(&store).await;
        // The checkpoint is asked for before the file is tried.
        let done = first.send(large(1)).await.expect("the journal has it");
        drop(first);
        store.shutdown().await.expect_err("the file lacks it");
        drop(theirs);
        done.version
    });
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the journal has it all");
        let first = account(&store, "first").await;
        assert_eq!(first.version().await.expect("a version"), version);
        finish(store, dir.path()).await;
    });
}

#[test]
fn a_stream_that_one_checkpoint_had_to_leave_out_is_made_durable_by_the_next() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let (first, theirs) = with_a_closed_file(&store).await;
        first.send(large(1)).await.expect("the journal has it");
        let _ = store.layout();
        wait_for_upkeep(&store);
        let version: u64 = first.version().await.expect("a version").into();
        let noted = || {
            let id = StreamId::new("account", "first").expect("a name");
            let stream = store.inner.storage.files().stream(&id);
            let marks =
                HighWaterMarks::read(&dir.path().join("journal"), false).expect("it can be read");
            marks.of(stream.hash()).version
        };
        assert!(noted() < version, "its file lacks it");
        theirs.unlock().expect("it is locked");

        let other = account(&store, "other-0").await;
        other.send(large(1)).await.expect("the disk works");
        other.send(note(2)).await.expect("the disk works");
        wait_for_upkeep(&store);
        assert_eq!(noted(), version);
        finish(store, dir.path()).await;
    });
}

#[test]
fn a_file_replaced_after_a_failed_write_receives_the_lines() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let first = account(&store, "first").await;
        first.send(note(0)).await.expect("the disk works");
        let file = store.layout().stream_dir("account", "first");
        let file = file.join("app.jsonl");
        // The journal's write is the first, unless a segment is being prepared meanwhile.
        loop {
            watch.set_fault(Fault {
                number: 2,
                ..Fault::lasting(Call::Write, ENOSPC)
            });
            if first.send(note(1)).await.is_ok() {
                break;
            }
            watch.clear_fault();
        }
        let _ = store.layout();
        assert!(!watch.clear_fault().is_empty());
        let copy = dir.path().join("copy");
        std::fs::copy(&file, &copy).expect("it is there");
        std::fs::rename(&copy, &file).expect("it is there");
        first.send(note(2)).await.expect("the disk works");
        finish(store, dir.path()).await;
    });
    watch.stop();
}
