//! What a reader beside the store shows survives a power failure right after.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::inspect::StoreReader;
use crate::storage::files::crash::power_loss::{failures, rebuilt};
use crate::storage::files::crash::{Account, id, note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};

/// A run of a store, with the heads that a reader showed meanwhile as its answers.
fn recorded() -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let is_done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !is_done.load(Ordering::Acquire) {
                if dir
                    .path()
                    .join("journal/00000000000000000001.jsonl")
                    .exists()
                {
                    let reader = StoreReader::open(dir.path()).expect("it is whole");
                    watch.mark(reader.head().get());
                }
                std::thread::yield_now();
            }
        });
        runtime().block_on(async {
            let store = open(dir.path()).await.expect("the disk works");
            for number in 0..60 {
                let account = store.get::<Account>(&id(number)).await;
                let account = account.expect("it is open");
                account.send(note(number)).await.expect("the disk works");
            }
            store.shutdown().await.expect("the disk works");
        });
        is_done.store(true, Ordering::Release);
        reader.join().expect("no panic");
    });
    watch.stop()
}

#[test]
fn what_a_reader_shows_is_there_after_a_power_failure() {
    let log = recorded();
    let has_all = |dir: &Path, heads: &[u64]| -> Result<(), String> {
        let newest = heads.iter().max().copied().unwrap_or(0);
        if newest == 0 {
            return Ok(());
        }
        let reader = StoreReader::open(dir).map_err(|e| e.to_string())?;
        let head = reader.head().get();
        let store = runtime().block_on(open(dir)).map_err(|e| e.to_string())?;
        let opened = store.head().get();
        runtime()
            .block_on(store.shutdown())
            .map_err(|e| e.to_string())?;
        if head < newest || opened != head {
            return Err(format!(
                "{newest} was shown, {head} is, the store has {opened}"
            ));
        }
        Ok(())
    };
    let failed = failures(300, |seed| rebuilt(&log, seed, has_all));
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn the_newest_commit_is_not_shown_if_it_cannot_be_synced_or_if_a_sync_has_failed() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let runtime = runtime();
    let store = runtime.block_on(open(dir.path())).expect("the disk works");
    let account = runtime
        .block_on(store.get::<Account>("a0"))
        .expect("it is open");
    for number in [1, 2] {
        runtime
            .block_on(account.send(note(number)))
            .expect("the disk works");
    }
    let head = || {
        StoreReader::open(dir.path())
            .expect("it is whole")
            .head()
            .get()
    };
    let all = store.head().get();
    let newest = note(2).count as u64;
    assert_eq!(head(), all);

    watch.set_fault(Fault::lasting(Call::Sync, 5));
    assert_eq!(head(), all - newest);
    watch.clear_fault();
    assert_eq!(head(), all);

    let note = dir.path().join("journal/sync_failed");
    std::fs::write(&note, "").expect("it can be written");
    assert_eq!(head(), all - newest);
    std::fs::remove_file(&note).expect("it is there");
    runtime.block_on(store.shutdown()).expect("the disk works");
    // The redo point proves it.
    watch.set_fault(Fault::lasting(Call::Sync, 5));
    assert_eq!(head(), all);
    watch.stop();
}
