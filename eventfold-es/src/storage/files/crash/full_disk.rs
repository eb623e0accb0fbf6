//! Stores that are opened when there is no space.

use std::path::Path;
use std::sync::Arc;

use crate::storage::files::crash::{Account, check, id, note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Choices, Watch};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::{AggregateStore, Position};

/// A directory that a store has left, and what was answered.
struct Left {
    dir: tempfile::TempDir,
    answered: Vec<u64>,
}

/// One that was closed in order.
fn closed() -> Left {
    let dir = temp_dir();
    let answered: Vec<u64> = (0..12).collect();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        send(&store, 0..12).await;
        crate::storage::files::crash::wait_for_upkeep(&store);
        store.shutdown().await.expect("the disk works");
    });
    Left { dir, answered }
}

/// One whose power failed, and whose streams' files may be behind the journal.
fn interrupted(seed: u64) -> Left {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let log = runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        send(&store, 0..12).await;
        crate::storage::files::crash::wait_for_upkeep(&store);
        let log = watch.stop();
        store.shutdown().await.expect("the disk works");
        log
    });
    let left = temp_dir();
    log.image(log.end(), &mut Choices::new(seed), left.path())
        .expect("there is space");
    Left {
        dir: left,
        answered: (0..12).collect(),
    }
}

async fn send(store: &AggregateStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let account = store.get::<Account>(&id(number)).await.expect("it is open");
        account.send(note(number)).await.expect("the disk works");
    }
}

fn remove_spares(dir: &Path) {
    let files = std::fs::read_dir(dir.join("journal")).expect("it is there");
    for file in files.map(|file| file.expect("it can be listed").path()) {
        let name = file.file_name().expect("a name").to_string_lossy();
        if name.starts_with("spare-") {
            std::fs::remove_file(&file).expect("it is there");
        }
    }
}

fn without_space(dir: &Path) -> Arc<Watch> {
    let watch = Watch::resume(dir);
    watch.fill_up();
    watch
}

/// Reads all that was answered.
async fn reads_all(store: &AggregateStore, answered: &[u64]) {
    for number in answered {
        let account = store
            .get::<Account>(&id(*number))
            .await
            .expect("it is open");
        let state = account.state().await.expect("reading needs no space");
        assert!(state.numbers.contains(number), "{number}: {state:?}");
    }
    let mut events = store.subscribe(Position::default());
    while events
        .next()
        .await
        .expect("an event")
        .expect("an event")
        .position()
        < store.head()
    {}
}

#[test]
fn a_store_with_a_spare_segment_opens_on_a_full_disk_and_accepts_commands() {
    let left = closed();
    let watch = without_space(left.dir.path());
    runtime().block_on(async {
        let store = open(left.dir.path()).await.expect("a spare makes room");
        let is_noted_open = || {
            let checkpoint = RedoPoint::read(&left.dir.path().join("journal"));
            checkpoint
                .expect("it is there")
                .is_some_and(|checkpoint| !checkpoint.clean)
        };
        reads_all(&store, &left.answered).await;
        assert!(!is_noted_open(), "nothing was written yet");
        send(&store, 12..13).await;
        assert!(is_noted_open());
        // Its stream's file may not have found any.
        let _ = store.shutdown().await;
    });
    watch.stop();
    let answered = [left.answered, vec![12]].concat();
    let checked = runtime().block_on(check(left.dir.path(), &answered));
    checked.expect("nothing is lost");
}

#[test]
fn a_store_on_a_full_disk_can_be_read_and_refuses_commands_with_the_cause_until_there_is_space() {
    for (i, left) in [closed(), interrupted(1), interrupted(2), interrupted(3)]
        .into_iter()
        .enumerate()
    {
        remove_spares(left.dir.path());
        let watch = without_space(left.dir.path());
        let mut answered = left.answered;
        let answered = runtime().block_on(async {
            let store = open(left.dir.path()).await.expect("reading needs no space");
            reads_all(&store, &answered).await;
            let head = store.head();
            let account = store.get::<Account>("a0").await.expect("it is open");
            match account.send(note(12)).await {
                Err(refused) => {
                    let refused = refused.to_string();
                    assert!(refused.contains("No space left on device"), "{refused}");
                    assert_eq!(store.head(), head);
                }
                // What an interruption left has made room.
                Ok(_) => answered.push(12),
            }
            assert!(i > 0 || answered.len() == 12, "{answered:?}");

            watch.give_space();
            account.send(note(16)).await.expect("there is space");
            let _ = store.layout();
            drop(account);
            store.shutdown().await.expect("there is space");
            answered.push(16);
            answered
        });
        let log = watch.stop();
        let after = temp_dir();
        log.image(log.end(), &mut Choices::new(i as u64), after.path())
            .expect("there is space");
        for dir in [left.dir.path(), after.path()] {
            let checked = runtime().block_on(check(dir, &answered));
            checked.expect("nothing is lost");
        }
    }
}

#[test]
fn creating_a_store_on_a_full_disk_fails_with_the_cause() {
    let dir = temp_dir();
    let watch = without_space(dir.path());
    let error = runtime()
        .block_on(open(dir.path()))
        .expect_err("there is no space");
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    assert!(
        error.to_string().contains("opens when there is space"),
        "{error}"
    );
    watch.give_space();
    runtime()
        .block_on(check(dir.path(), &[]))
        .expect("there is space");
    watch.stop();
}

#[test]
fn a_torn_line_for_which_there_was_no_space_is_written_once_there_is_some() {
    let dir = temp_dir();
    let redo_point = dir.path().join("journal/checkpoint.json");
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let first = std::fs::read(&redo_point).expect("it is there");
        send(&store, 0..12).await;
        store.shutdown().await.expect("the disk works");
        // The power failed before it moved.
        std::fs::write(&redo_point, first).expect("there is space");
    });
    let file = dir.path().join("streams/account/a1/app.jsonl");
    let mut bytes = std::fs::read(&file).expect("it is there");
    let last = bytes[..bytes.len() - 1].iter().rposition(|b| *b == b'\n');
    let last = last.expect("there are several") + 1;
    bytes.truncate(last + 24);
    bytes[last..].fill(0);
    std::fs::write(&file, bytes).expect("there is space");

    remove_spares(dir.path());
    let watch = without_space(dir.path());
    let mut answered: Vec<u64> = (0..12).collect();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("reading needs no space");
        reads_all(&store, &answered).await;
        assert_eq!(std::fs::read(&file).expect("it is there").len(), last);
        watch.give_space();
        send(&store, 13..14).await;
        answered.push(13);
        store.shutdown().await.expect("there is space");
    });
    watch.stop();
    let checked = runtime().block_on(check(dir.path(), &answered));
    checked.expect("nothing is lost");
}
