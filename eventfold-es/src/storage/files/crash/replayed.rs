//! What opening a store writes: nothing after it was closed in order, and after a crash the lines that the
//! streams' files lack.

use std::path::Path;

use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{
    Account, EIO, builder, check, id, large, note, open, runtime, temp_dir, wait_for_upkeep,
};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::trouble::Trouble;

const COMMANDS: u64 = 12;

fn is_noted_as_closed(dir: &Path) -> bool {
    let read = RedoPoint::read(&dir.join("journal")).expect("it can be read");
    read.expect("it is there").clean
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a directory");
    for entry in std::fs::read_dir(from).expect("it can be listed") {
        let entry = entry.expect("it can be listed");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("its type").is_dir() {
            copy(&entry.path(), &to);
        } else {
            std::fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

/// A store as a kill leaves it: its last redo point is at the beginning, and all lines are in the files.
fn killed() -> tempfile::TempDir {
    let (dir, left) = (temp_dir(), temp_dir());
    let redo_point = |dir: &Path| dir.join("journal/checkpoint.json");
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let first = std::fs::read(redo_point(dir.path())).expect("it is there");
        for number in 0..COMMANDS {
            let account = store.get::<Account>(&id(number)).await.expect("it is open");
            account.send(note(number)).await.expect("the disk works");
        }
        store.inner.storage.files().flush_streams();
        copy(dir.path(), left.path());
        // A later one may have been written meanwhile, and its marks.
        std::fs::write(redo_point(left.path()), first).expect("there is space");
        store.shutdown().await.expect("the disk works");
    });
    assert!(!is_noted_as_closed(left.path()));
    left
}

#[test]
fn a_store_that_was_closed_in_order_is_read_without_a_sync_and_noted_as_open_before_it_is_written()
{
    let dir = killed();
    let open = async || open(dir.path()).await.expect("it is whole");
    runtime().block_on(async {
        open().await.shutdown().await.expect("in order");
        let watch = Watch::resume(dir.path());
        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        let store = open().await;
        for number in 0..COMMANDS {
            let account = store.get::<Account>(&id(number)).await.expect("it is open");
            let state = account.state().await.expect("reading needs no sync");
            assert!(state.numbers.contains(&number));
        }
        assert!(is_noted_as_closed(dir.path()));
        store.shutdown().await.expect("nothing was written");
        assert!(watch.clear_fault().is_empty(), "something was synced");
        watch.stop();

        let store = open().await;
        let account = store.get::<Account>("a0").await.expect("it is open");
        account.send(note(COMMANDS)).await.expect("the disk works");
        assert!(!is_noted_as_closed(dir.path()));
        store.shutdown().await.expect("in order");
        assert!(is_noted_as_closed(dir.path()));
    });
}

/// A store as it is left when it is closed in order.
fn closed() -> tempfile::TempDir {
    let dir = killed();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("it is whole");
        store.shutdown().await.expect("in order");
    });
    assert!(is_noted_as_closed(dir.path()));
    dir
}

/// What a store does to the disk that is opened in `dir`, has commands at once and later, and is closed.
fn reopened(dir: &Path) -> Log {
    let watch = Watch::resume(dir);
    runtime().block_on(async {
        let store = open(dir).await.expect("it is whole");
        for number in COMMANDS..3 * COMMANDS {
            let account = store.get::<Account>(&id(number)).await.expect("it is open");
            account.send(note(number)).await.expect("the disk works");
            watch.mark(number);
            if number == 2 * COMMANDS {
                wait_for_upkeep(&store);
                // The redo point moves once more.
                let next = account.send(large(number)).await;
                next.expect("the disk works");
            }
        }
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn a_power_failure_at_any_moment_after_opening_loses_nothing_whether_the_store_was_closed_or_killed()
 {
    for dir in [closed(), killed()] {
        let log = reopened(dir.path());
        in_parallel(600, |seed| {
            rebuilt(&log, seed, |dir, answered| {
                let answered: Vec<u64> = (0..COMMANDS).chain(answered.iter().copied()).collect();
                runtime().block_on(check(dir, &answered))
            })
        });
    }
}

#[test]
fn after_a_failed_sync_of_the_note_that_the_store_is_open_nothing_is_built_on_it() {
    // Of a new segment, of the note's file, of its directory, of the batch. What is a new file each time
    // may be tried again.
    for number in 1..=4 {
        let dir = closed();
        let watch = Watch::resume(dir.path());
        let mut answered: Vec<u64> = (0..COMMANDS).collect();
        runtime().block_on(async {
            // No sync of a snapshot is to fail.
            let store = builder(dir.path()).snapshot_every(1_000).open().await;
            let store = store.expect("it is whole");
            let account = store.get::<Account>("a0").await.expect("it is open");
            watch.set_fault(Fault {
                number,
                ..Fault::lasting(Call::Sync, EIO)
            });
            let sent = account.send(note(COMMANDS)).await;
            sent.expect_err("a sync fails");
            watch.clear_fault();
            let sent = account.send(note(COMMANDS + 4)).await;
            assert_eq!(sent.is_ok(), number <= 2, "{number}: {sent:?}");
            answered.extend(sent.map(|_| COMMANDS + 4));
            let _ = store.shutdown().await;
        });
        let log = watch.stop();
        failed_syncs::forget(dir.path());
        for seed in 0..20 {
            let left = temp_dir();
            log.image(log.end(), &mut Choices::new(seed), left.path())
                .expect("there is space");
            let checked = runtime().block_on(check(left.path(), &answered));
            checked.unwrap_or_else(|error| panic!("sync {number}, seed {seed}: {error}"));
        }
        let checked = runtime().block_on(check(dir.path(), &answered));
        checked.unwrap_or_else(|error| panic!("sync {number}: {error}"));
    }
}

#[test]
fn the_lines_of_many_commits_replace_a_torn_write_wherever_it_is_in_a_streams_file() {
    let left = killed();
    let file = left.path().join("streams/account/a0/app.jsonl");
    let whole = std::fs::read(&file).expect("it is there");
    let answered: Vec<u64> = (0..COMMANDS).collect();
    for torn in 0..12 {
        let dir = temp_dir();
        copy(left.path(), dir.path());
        let mut bytes = whole.clone();
        let at = whole.len() * torn / 12;
        bytes[at..].fill(0);
        let file = dir.path().join("streams/account/a0/app.jsonl");
        std::fs::write(&file, bytes).expect("it is there");
        let checked = runtime().block_on(check(dir.path(), &answered));
        checked.unwrap_or_else(|error| panic!("torn at {at}: {error}"));
        let now = std::fs::read(&file).expect("it is there");
        assert!(now.starts_with(&whole), "torn at {at}");
    }
}

#[test]
fn a_line_of_others_among_the_lines_of_many_commits_is_left_alone_and_the_stream_is_read_from_memory()
 {
    let dir = killed();
    let file = dir.path().join("streams/account/a0/app.jsonl");
    let whole = std::fs::read(&file).expect("it is there");
    let first = whole
        .iter()
        .position(|byte| *byte == b'\n')
        .expect("a line")
        + 1;
    let others = b"{\"type\":\"Noted\",\"data\":{\"number\":99,\"padding\":\"\"},\"ts\":1}\n";
    let bytes = [&whole[..first], others].concat();
    std::fs::write(&file, &bytes).expect("it is there");
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the others are whole");
        let account = store.get::<Account>("a0").await.expect("it is open");
        let numbers = account.state().await.expect("the journal has it").numbers;
        for number in (0..COMMANDS).filter(|number| id(*number) == "a0") {
            assert!(numbers.contains(&number), "{numbers:?}");
        }
        account
            .send(note(COMMANDS))
            .await
            .expect_err("the file has other lines");
        let _ = store.shutdown().await;
    });
    assert_eq!(std::fs::read(&file).expect("it is there"), bytes);
}

/// A store as a kill leaves it after a close in order and one more command to each account.
fn killed_later() -> tempfile::TempDir {
    let (dir, left) = (closed(), temp_dir());
    let redo_point = |dir: &Path| dir.join("journal/checkpoint.json");
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("it is whole");
        let mut first = None;
        for number in 0..3 {
            let account = store.get::<Account>(&id(number)).await.expect("it is open");
            account.send(note(number)).await.expect("the disk works");
            first
                .get_or_insert_with(|| std::fs::read(redo_point(dir.path())).expect("it is there"));
        }
        store.inner.storage.files().flush_streams();
        copy(dir.path(), left.path());
        let first = first.expect("there were commands");
        std::fs::write(redo_point(left.path()), first).expect("there is space");
        store.shutdown().await.expect("the disk works");
    });
    assert!(!is_noted_as_closed(left.path()));
    left
}

#[test]
fn after_a_crash_a_stream_whose_file_lost_durable_lines_is_refused_and_the_others_are_not() {
    let dir = killed_later();
    let file = dir.path().join("streams/account/a0/app.jsonl");
    let whole = std::fs::read(&file).expect("it is there");
    std::fs::write(&file, b"").expect("there is space");
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the other streams are whole");
        let account = store.get::<Account>("a0").await.expect("it is open");
        for _ in 0..2 {
            let error = account.state().await.expect_err("it lacks lines");
            let error = error.to_string();
            assert!(error.contains("in the journal begins at byte"), "{error}");
            account.send(note(0)).await.expect_err("it lacks lines");
        }
        let other = store.get::<Account>("a1").await.expect("it is open");
        other.send(note(1)).await.expect("it lacks nothing");
        let files = store.inner.storage.files();
        files.flush_streams();
        let troubles = files.troubles();
        assert!(
            matches!(&troubles[..], [Trouble::Unwritable(streams)] if streams[0].id() == "a0"),
            "{troubles:?}"
        );
        let _ = store.shutdown().await;
        assert!(!is_noted_as_closed(dir.path()));

        std::fs::write(&file, whole).expect("there is space");
        let store = open(dir.path()).await.expect("it is whole");
        let account = store.get::<Account>("a0").await.expect("it is open");
        let before = account.state().await.expect("it is whole").numbers;
        account.send(note(0)).await.expect("it lacks nothing");
        let after = account.state().await.expect("it is whole").numbers;
        assert!(after.len() > before.len());
        store.shutdown().await.expect("in order");
        assert!(is_noted_as_closed(dir.path()));
    });
}
