//! Commits of several streams, and of events of none, through everything that reads the journal.

use std::path::Path;
use std::sync::Arc;

use crate::__private::example::{Add, Counter, Total};
use crate::ids::StreamId;
use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none};
use crate::storage::files::format::commit_line::write_parts;
use crate::storage::files::journal::Journal;
use crate::storage::files::journal::paths::list_segments;
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::stream::{Stream, Streams};
use crate::{AggregateStore, Position};

async fn open(dir: &Path) -> AggregateStore {
    let builder = AggregateStore::builder(dir).aggregate_type::<Counter>();
    builder.projection::<Total>().open().await.unwrap()
}

fn added(seed: u64, amounts: &[u64], first: u64) -> EncodedEvents {
    let mut events = EncodedEvents::new(seed);
    for (amount, version) in amounts.iter().zip(first..) {
        let data = format!("{{\"amount\":{amount}}}");
        let id = format!("e-{amount}");
        events.push("Added", data.as_bytes(), &id, version, &Common::default());
    }
    events
}

/// Appends a commit to the journal of a store that was closed: of the stream `x`, which has an event, of
/// `y`, which has none, of `z`, which gets none, and of an event of no stream.
fn append(dir: &Path) -> [Arc<Stream>; 3] {
    let journal_dir = dir.join("journal");
    let point = RedoPoint::read(&journal_dir).unwrap().unwrap();
    let goes_on = RedoPoint {
        clean: false,
        ..point
    };
    goes_on.write(&journal_dir).unwrap();
    let streams = Streams::new(StreamLayout::new(dir), HighWaterMarks::unknown());
    let of = ["x", "y", "z"].map(|id| streams.get(&StreamId::new("counter", id).unwrap()));
    let length = std::fs::metadata(of[0].file()).unwrap().len();
    let ends = [
        StreamEnd {
            version: 1,
            offset: length,
            ..StreamEnd::default()
        },
        StreamEnd::default(),
        StreamEnd::default(),
    ];
    let events = [
        added(of[0].seed(), &[2], 2),
        added(of[1].seed(), &[3, 4], 1),
        added(of[2].seed(), &[], 1),
    ];
    let parts: Vec<_> = of
        .iter()
        .zip(&ends)
        .zip(&events)
        .map(|((stream, end), events)| (stream.place(end), events.as_encoded()))
        .collect();
    let of_none = added(seed_of_none(), &[100], 0);
    let segments = list_segments(&journal_dir).unwrap();
    let mut journal = Journal::resume(&journal_dir, segments, point.end).unwrap();
    let mut batch = journal.begin_batch();
    let mut lines = Vec::new();
    write_parts(&mut batch, &parts, Some(of_none.as_encoded()), &mut lines);
    assert_eq!(lines.len(), 4);
    journal.append(&batch).unwrap();
    drop(parts);
    of
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_of_several_streams_and_an_event_of_no_stream_reaches_every_reader() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path()).await;
    let x = store.get::<Counter>("x").await.unwrap();
    x.send(Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((x, store));
    let [_, y, z] = append(dir.path());

    let store = open(dir.path()).await;
    for (id, version, value) in [("x", 2, 3), ("y", 2, 7)] {
        let counter = store.get::<Counter>(id).await.unwrap();
        assert_eq!(counter.state().await.unwrap().value, value);
        assert_eq!(counter.version().await.unwrap(), version);
    }
    assert!(!z.file().exists());
    assert_eq!(store.projection::<Total>().unwrap().value, 10);

    let mut all = store.subscribe(Position::default());
    let mut shown = Vec::new();
    for _ in 0..5 {
        let event = all.next().await.unwrap().unwrap();
        assert_eq!(event.is_of_aggregate(), !event.id().is_empty());
        let (version, position) = (event.version(), event.position());
        let name = format!("{}/{}", event.aggregate_type(), event.id());
        shown.push(format!("{position} {name} {version} {}", event.data()));
    }
    assert_eq!(
        shown,
        [
            "1 counter/x 1 {\"amount\":1}",
            "2 counter/x 2 {\"amount\":2}",
            "3 counter/y 1 {\"amount\":3}",
            "4 counter/y 2 {\"amount\":4}",
            "5 / 0 {\"amount\":100}",
        ]
    );
    // From within the commit.
    let from = |position: &str| store.subscribe(position.parse().unwrap());
    let event = from("3").next().await.unwrap().unwrap();
    assert_eq!(event.position().to_string(), "4");
    let y_only = from("1").aggregate::<Counter>().id("y").next().await;
    assert_eq!(y_only.unwrap().unwrap().position().to_string(), "3");

    let counter = store.get::<Counter>("y").await.unwrap();
    counter.send(Add(5)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((counter, all, store));
    let report = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(report.findings.is_empty(), "{report}");
    assert_eq!(report.events, 6);

    // The marks know of both streams.
    std::fs::remove_file(y.file()).unwrap();
    let store = open(dir.path()).await;
    assert!(store.get::<Counter>("x").await.is_ok());
    let lost = async { store.get::<Counter>("y").await?.state().await };
    let error = lost.await.unwrap_err();
    assert!(error.to_string().contains("counter/y"), "{error}");
    store.shutdown().await.unwrap();

    // `repair` brings the file back, with the lines of each commit at their place.
    drop(store);
    AggregateStore::repair(dir.path()).await.unwrap();
    let store = open(dir.path()).await;
    let counter = store.get::<Counter>("y").await.unwrap();
    assert_eq!(counter.state().await.unwrap().value, 12);
    store.shutdown().await.unwrap();
}
