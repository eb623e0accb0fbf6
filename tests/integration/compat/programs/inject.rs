//! Programs that enter events from elsewhere, and read streams as they are.

use std::convert::Infallible;
use std::io;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::es::{Aggregate, AggregateHandle, AggregateStore, CommandContext, InjectOptions};
use super::unlocked;

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Shelf {
    books: Vec<String>,
}

struct Put(&'static str);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum ShelfEvent {
    Put { book: String },
    Emptied,
}

impl Aggregate for Shelf {
    const AGGREGATE_TYPE: &'static str = "shelf";
    type Command = Put;
    type DomainEvent = ShelfEvent;
    type Error = Infallible;

    fn handle(&self, cmd: Put) -> Result<Vec<ShelfEvent>, Infallible> {
        let book = cmd.0.to_owned();
        Ok(vec![ShelfEvent::Put { book }])
    }

    fn apply(mut self, event: &ShelfEvent) -> Self {
        match event {
            ShelfEvent::Put { book } => self.books.push(book.clone()),
            ShelfEvent::Emptied => self.books.clear(),
        }
        self
    }
}

fn put(book: &str) -> eventfold::Event {
    eventfold::Event::new("Put", json!({ "book": book }))
}

async fn inject(store: &AggregateStore, event: eventfold::Event) {
    let options = InjectOptions::default;
    unlocked(async || {
        store
            .inject_event::<Shelf>("s", event.clone(), options())
            .await
    })
    .await;
}

async fn shelf(store: &AggregateStore) -> AggregateHandle<Shelf> {
    unlocked(async || store.get::<Shelf>("s").await).await
}

#[tokio::test]
async fn an_injected_event_is_stored_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let mut event = put("atlas")
        .with_id("from-afar-1")
        .with_actor("bob")
        .with_meta(json!({ "device": 7 }));
    event.ts = 1_234_567;
    inject(&store, event.clone()).await;
    assert_eq!(
        store.read_events("shelf", "s").await.unwrap(),
        [event.clone()]
    );
    let shelf = shelf(&store).await;
    assert_eq!(shelf.state().await.unwrap().books, ["atlas"]);

    // Now the aggregate is in memory.
    assert!(shelf.is_alive());
    let emptied = eventfold::Event::new("Emptied", json!(null));
    inject(&store, emptied.clone()).await;
    assert_eq!(shelf.state().await.unwrap().books, [""; 0]);
    shelf
        .execute(Put("novel"), CommandContext::default())
        .await
        .unwrap();
    assert_eq!(shelf.state().await.unwrap().books, ["novel"]);
    let events = store.read_events("shelf", "s").await.unwrap();
    assert_eq!(events[..2], [event, emptied]);
    assert_eq!(events.len(), 3);
}

#[tokio::test]
async fn an_injected_event_is_in_the_streams_file_when_the_call_returns() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let file = dir.path().join("streams/shelf/s/app.jsonl");
    for count in 1..=20 {
        inject(&store, put("atlas")).await;
        let lines = std::fs::read_to_string(&file).unwrap();
        assert_eq!(lines.lines().count(), count);
    }
}

#[tokio::test]
async fn an_event_with_a_known_id_is_stored_once_and_one_without_id_always() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let inject = async |event| inject(&store, event).await;
    inject(put("atlas").with_id("e-1")).await;
    inject(put("atlas").with_id("e-1")).await;
    inject(put("novel").with_id("e-2")).await;
    inject(put("poems")).await;
    inject(put("poems")).await;
    let shelf = shelf(&store).await;
    inject(put("atlas").with_id("e-1")).await;
    let books = shelf.state().await.unwrap().books;
    assert_eq!(books, ["atlas", "novel", "poems", "poems"]);
}

#[tokio::test]
async fn an_unknown_injected_event_is_stored_and_left_out_of_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let painted = eventfold::Event::new("Painted", json!({ "colour": "red" }));
    inject(&store, painted).await;
    let shelf = shelf(&store).await;
    shelf
        .execute(Put("atlas"), CommandContext::default())
        .await
        .unwrap();
    assert_eq!(shelf.state().await.unwrap().books, ["atlas"]);
    assert_eq!(store.read_events("shelf", "s").await.unwrap().len(), 2);
}

#[tokio::test]
async fn streams_are_listed_by_type_and_id_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    assert_eq!(store.list_streams(None).await.unwrap(), []);
    assert_eq!(store.list::<Shelf>().await.unwrap(), Vec::<String>::new());
    for id in ["b", "a", "c d"] {
        let shelf = store.get::<Shelf>(id).await.unwrap();
        shelf
            .execute(Put("atlas"), CommandContext::default())
            .await
            .unwrap();
    }
    store.layout().ensure_stream("attic", "z").unwrap();
    assert_eq!(store.list::<Shelf>().await.unwrap(), ["a", "b", "c d"]);
    let pair = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
    let shelves = [pair("shelf", "a"), pair("shelf", "b"), pair("shelf", "c d")];
    assert_eq!(store.list_streams(Some("shelf")).await.unwrap(), shelves);
    let mut all = vec![pair("attic", "z")];
    all.extend(shelves);
    assert_eq!(store.list_streams(None).await.unwrap(), all);
    assert_eq!(store.list_streams(Some("none")).await.unwrap(), []);

    assert_eq!(store.read_events("shelf", "a").await.unwrap().len(), 1);
    // A stream that has a directory only.
    assert_eq!(store.read_events("attic", "z").await.unwrap(), []);
    let missing = store.read_events("shelf", "x").await.unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn an_aggregate_that_is_only_in_memory_reads_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let shelf = shelf(&store).await;
    assert_eq!(shelf.state().await.unwrap().books, [""; 0]);
    assert_eq!(store.read_events("shelf", "s").await.unwrap(), []);
}
