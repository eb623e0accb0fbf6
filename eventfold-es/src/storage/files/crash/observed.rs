//! What a reader beside the store shows survives a power failure right after.

use std::path::Path;

use crate::inspect::StoreReader;
use crate::storage::files::crash::power_loss::{failures, rebuilt};
use crate::storage::files::crash::{Account, note, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::paths::{list_segments, segment_path};

/// A process has written a commit and not synced it yet when a reader comes. What the reader shows is its
/// answer.
fn recorded() -> Log {
    let source = temp_dir();
    let runtime = runtime();
    let store = runtime.block_on(open(source.path()));
    let store = store.expect("the disk works");
    let account = runtime.block_on(store.get::<Account>("a0"));
    let account = account.expect("it is open");
    for number in 0..3 {
        runtime
            .block_on(account.send(note(number)))
            .expect("the disk works");
    }
    let dir = temp_dir();
    let journal = dir.path().join("journal");
    std::fs::create_dir(&journal).expect("it is new");
    let segments = list_segments(&source.path().join("journal")).expect("it can be listed");
    for segment in &segments {
        let from = segment_path(&source.path().join("journal"), *segment);
        std::fs::copy(from, segment_path(&journal, *segment)).expect("there is space");
    }
    let newest = segments.last().expect("there is one");
    let segment = segment_path(&journal, *newest);
    let mut bytes = std::fs::read(&segment).expect("it is there");
    let is_end = |byte: &u8| *byte == b'\n';
    let end = bytes.iter().rposition(is_end).expect("it has lines") + 1;
    let start = bytes[..end - 1]
        .iter()
        .rposition(is_end)
        .expect("it has lines")
        + 1;
    let line = bytes[start..end].to_vec();
    bytes[start..end].fill(0);
    std::fs::write(&segment, bytes).expect("there is space");
    runtime.block_on(store.shutdown()).expect("the disk works");

    let watch = Watch::resume(dir.path());
    let file = File::open(&segment, Open::Existing).expect("it is there");
    file.write_at(start as u64, &line).expect("the disk works");
    let reader = StoreReader::open(dir.path()).expect("it is whole");
    assert_eq!(reader.head(), store.head());
    watch.mark(reader.head().get());
    watch.stop()
}

#[test]
fn what_a_reader_shows_is_there_after_a_power_failure() {
    let log = recorded();
    let has_all = |dir: &Path, heads: &[u64]| -> Result<(), String> {
        let newest = heads.iter().max().copied().unwrap_or(0);
        let head = StoreReader::open(dir)
            .map_err(|e| e.to_string())?
            .head()
            .get();
        if head < newest {
            return Err(format!("{newest} was shown, {head} is left"));
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
