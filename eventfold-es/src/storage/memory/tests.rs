use super::*;
use crate::storage::encoding::event_line::Common;
use crate::storage::error::StorageErrorKind;

/// Stores one commit of these events in the stream `counter/<id>`.
fn commit(storage: &Arc<MemoryStorage>, id: &str, payloads: &[&str]) {
    let stream = storage.stream(&StreamId::new("counter", id).unwrap());
    let mut events = EncodedEvents::new(stream.seed());
    for (payload, version) in payloads.iter().zip(stream.durable().0 + 1..) {
        let common = Common::default();
        events.push("Added", payload.as_bytes(), "e-1", version, &common);
    }
    storage
        .store(
            &stream.stream,
            (stream.epoch(), stream.durable().0),
            &events,
            None,
        )
        .unwrap();
}

fn open() -> Arc<MemoryStorage> {
    MemoryStorage::open(&Memory::default(), Clock::System, &Patience::default()).unwrap()
}

/// The checksums of the histories up to each event.
fn histories(storage: &MemoryStorage) -> Vec<u64> {
    let log = lock(&storage.content.log);
    let events = log.commits.iter().flat_map(|commit| &commit.events);
    events
        .map(|event| log.history_at(event.position).unwrap())
        .collect()
}

#[test]
fn histories_have_one_checksum_as_long_as_they_are_the_same_and_never_again() {
    let (one, other) = (open(), open());
    for storage in [&one, &other] {
        assert_eq!(storage.history_at(0).unwrap(), 0);
        commit(storage, "a", &["1", "2"]);
        commit(storage, "b", &["3"]);
    }
    commit(&one, "a", &["4"]);
    commit(&other, "b", &["4"]);
    for storage in [&one, &other] {
        commit(storage, "a", &["5"]);
    }
    let (one, other) = (histories(&one), histories(&other));
    // Both events of a commit have its checksum.
    assert_eq!(one[0], one[1]);
    assert_eq!(one[..3], other[..3]);
    for (one, other) in one[3..].iter().zip(&other[3..]) {
        assert_ne!(one, other);
    }
    let distinct: BTreeSet<u64> = one[1..].iter().chain(&other[3..]).copied().collect();
    assert_eq!(distinct.len(), 6);
}

#[test]
fn a_reader_has_the_checksum_of_what_it_read() {
    let storage = open();
    for payload in ["1", "2", "3"] {
        commit(&storage, "a", &[payload]);
    }
    let mut reader = storage.log().reader(0);
    assert_eq!(reader.history().unwrap(), 0);
    let mut read = 0;
    reader
        .read_to(storage.head(), |_| {
            read += 1;
            StorageResult::Ok(if read == 2 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            })
        })
        .unwrap();
    assert_eq!(reader.history().unwrap(), histories(&storage)[1]);
}

#[test]
fn the_history_at_a_position_that_is_not_there_is_an_error() {
    let storage = open();
    commit(&storage, "a", &["1"]);
    let error = storage.history_at(storage.head() + 1).unwrap_err();
    assert_eq!(error.kind(), StorageErrorKind::Damaged);
}
