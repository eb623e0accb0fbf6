//! Programs that hold handles to their aggregates.

use std::convert::Infallible;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::es::{
    Aggregate, AggregateHandle, AggregateStore, CommandBus, CommandContext, ExecuteError,
    Projection, reducer, spawn_actor, to_eventfold_event,
};
use super::tools::{start_and_leave, until, wait_until_released};

// A turnstile: plain commands, one event without payload.

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Turnstile {
    passed: u64,
}

enum TurnstileCommand {
    Pass,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum TurnstileEvent {
    Passed,
}

#[derive(Debug, thiserror::Error)]
enum TurnstileError {}

impl Aggregate for Turnstile {
    const AGGREGATE_TYPE: &'static str = "turnstile";
    type Command = TurnstileCommand;
    type DomainEvent = TurnstileEvent;
    type Error = TurnstileError;

    fn handle(&self, cmd: TurnstileCommand) -> Result<Vec<TurnstileEvent>, TurnstileError> {
        match cmd {
            TurnstileCommand::Pass => Ok(vec![TurnstileEvent::Passed]),
        }
    }

    fn apply(mut self, _event: &TurnstileEvent) -> Self {
        self.passed += 1;
        self
    }
}

#[tokio::test]
async fn the_quick_start_runs() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::open(dir.path()).await?;

    let north = store.get::<Turnstile>("north").await?;
    let passed = north
        .execute(TurnstileCommand::Pass, CommandContext::default())
        .await?;
    assert_eq!(passed.len(), 1);
    assert_eq!(north.state().await?.passed, 1);

    let mut bus = CommandBus::new(store.clone());
    bus.register::<Turnstile>();
    let context = CommandContext::default();
    bus.dispatch("south", TurnstileCommand::Pass, context)
        .await?;
    assert_eq!(
        store.get::<Turnstile>("south").await?.state().await?.passed,
        1
    );
    Ok(())
}

// A stock: commands that can be refused, events with payload, a read model.

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Stock {
    pieces: i64,
}

enum StockCommand {
    Add(i64),
    /// Each piece is an event.
    Take(i64),
    /// Takes everything; changes nothing if there is nothing.
    Clear,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum StockEvent {
    Added { pieces: i64 },
    Taken,
    Cleared { before: i64 },
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum StockError {
    #[error("only {0} are left")]
    TooFew(i64),
}

impl Aggregate for Stock {
    const AGGREGATE_TYPE: &'static str = "stock";
    type Command = StockCommand;
    type DomainEvent = StockEvent;
    type Error = StockError;

    fn handle(&self, cmd: StockCommand) -> Result<Vec<StockEvent>, StockError> {
        match cmd {
            StockCommand::Add(pieces) => Ok(vec![StockEvent::Added { pieces }]),
            StockCommand::Take(pieces) if pieces > self.pieces => {
                Err(StockError::TooFew(self.pieces))
            }
            StockCommand::Take(pieces) => Ok((0..pieces).map(|_| StockEvent::Taken).collect()),
            StockCommand::Clear if self.pieces == 0 => Ok(Vec::new()),
            StockCommand::Clear => Ok(vec![StockEvent::Cleared {
                before: self.pieces,
            }]),
        }
    }

    fn apply(mut self, event: &StockEvent) -> Self {
        match event {
            StockEvent::Added { pieces } => self.pieces += pieces,
            StockEvent::Taken => self.pieces -= 1,
            StockEvent::Cleared { .. } => self.pieces = 0,
        }
        self
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Movements {
    added: i64,
    taken: u64,
    cleared: u64,
}

impl Projection for Movements {
    const NAME: &'static str = "movements";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["stock"]
    }

    fn apply(&mut self, _aggregate_type: &str, _stream_id: &str, event: &eventfold::Event) {
        match event.event_type.as_str() {
            "Added" => self.added += event.data["pieces"].as_i64().unwrap_or_default(),
            "Taken" => self.taken += 1,
            "Cleared" => self.cleared += 1,
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_program_with_bus_and_projection_runs() -> Result<(), Box<dyn std::error::Error>> {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::builder(dir.path())
        .projection::<Movements>()
        .open()
        .await?;
    let mut bus = CommandBus::new(store.clone());
    bus.register::<Stock>();
    let context = CommandContext::default().with_actor("storekeeper");

    bus.dispatch("nails", StockCommand::Add(10), context.clone())
        .await?;
    bus.dispatch("nails", StockCommand::Take(3), context.clone())
        .await?;
    bus.dispatch("screws", StockCommand::Add(5), context.clone())
        .await?;
    bus.dispatch("nails", StockCommand::Clear, context).await?;

    let nails = store.get::<Stock>("nails").await?.state().await?;
    let screws = store.get::<Stock>("screws").await?.state().await?;
    assert_eq!((nails.pieces, screws.pieces), (0, 5));
    let movements = store.projection::<Movements>()?;
    assert_eq!(
        (movements.added, movements.taken, movements.cleared),
        (15, 3, 1)
    );
    assert_eq!(store.list::<Stock>().await?, ["nails", "screws"]);
    Ok(())
}

// An aggregate whose commands are plain text.

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Journal {
    lines: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum JournalEvent {
    Wrote(String),
}

impl Aggregate for Journal {
    const AGGREGATE_TYPE: &'static str = "journal";
    type Command = String;
    type DomainEvent = JournalEvent;
    type Error = Infallible;

    fn handle(&self, cmd: String) -> Result<Vec<JournalEvent>, Infallible> {
        Ok(vec![JournalEvent::Wrote(cmd)])
    }

    fn apply(mut self, event: &JournalEvent) -> Self {
        let JournalEvent::Wrote(line) = event;
        self.lines.push(line.clone());
        self
    }
}

#[tokio::test]
async fn commands_run_in_arrival_order() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let journal = store.get::<Journal>("mine").await.unwrap();
    let mut started = Vec::new();
    for i in 0..20 {
        let line = journal.execute(format!("line {i}"), CommandContext::default());
        started.push(Box::pin(line));
        // The first poll puts it into the queue.
        assert!(!start_and_leave(started.last_mut().unwrap()));
    }
    for line in started {
        line.await.unwrap();
    }
    let expected: Vec<String> = (0..20).map(|i| format!("line {i}")).collect();
    assert_eq!(journal.state().await.unwrap().lines, expected);
}

#[tokio::test]
async fn a_refused_command_is_answered_with_its_own_error_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    let context = CommandContext::default();
    stock
        .execute(StockCommand::Add(2), context.clone())
        .await
        .unwrap();
    let refused = stock.execute(StockCommand::Take(3), context.clone()).await;
    let Err(ExecuteError::Domain(error)) = refused else {
        panic!("not refused: {refused:?}");
    };
    assert_eq!(error, StockError::TooFew(2));
    assert_eq!(stock.state().await.unwrap().pieces, 2);
    assert_eq!(store.read_events("stock", "nails").await.unwrap().len(), 1);
    let taken = stock.execute(StockCommand::Take(2), context).await.unwrap();
    assert_eq!(taken, [StockEvent::Taken, StockEvent::Taken]);
}

#[tokio::test]
async fn a_command_without_events_succeeds_and_stores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    let context = CommandContext::default();
    stock
        .execute(StockCommand::Add(2), context.clone())
        .await
        .unwrap();
    let cleared = stock.execute(StockCommand::Clear, context.clone()).await;
    assert_eq!(cleared.unwrap(), [StockEvent::Cleared { before: 2 }]);
    let nothing = stock.execute(StockCommand::Clear, context).await.unwrap();
    assert_eq!(nothing, []);
    assert_eq!(store.read_events("stock", "nails").await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn handles_can_be_cloned_and_used_from_many_tasks() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let stock = stock.clone();
            tokio::spawn(async move {
                for _ in 0..5 {
                    let add = StockCommand::Add(1);
                    stock.execute(add, CommandContext::default()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(stock.state().await.unwrap().pieces, 40);
    assert_eq!(store.read_events("stock", "nails").await.unwrap().len(), 40);
}

#[tokio::test]
async fn a_caller_that_goes_away_does_not_stop_its_command() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    start_and_leave(stock.execute(StockCommand::Add(4), CommandContext::default()));
    assert_eq!(stock.state().await.unwrap().pieces, 4);
}

#[tokio::test]
async fn the_stored_events_have_the_fields_of_the_context() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1")
        .with_source_device("phone")
        .with_metadata(json!({ "reason": "count", "nested": { "a": [1, null] } }));
    stock.execute(StockCommand::Add(2), context).await.unwrap();
    stock
        .execute(StockCommand::Take(2), CommandContext::default())
        .await
        .unwrap();

    let events = store.read_events("stock", "nails").await.unwrap();
    assert_eq!(events[0].event_type, "Added");
    assert_eq!(events[0].data, json!({ "pieces": 2 }));
    assert_eq!(events[0].actor.as_deref(), Some("ann"));
    let meta = json!({
        "reason": "count",
        "nested": { "a": [1, null] },
        "correlation_id": "r-1",
        "source_device": "phone",
    });
    assert_eq!(events[0].meta, Some(meta));
    assert_eq!((&events[1].actor, &events[1].meta), (&None, &None));
    // An event without payload.
    assert_eq!(events[1].data, json!(null));
    // Each event has an id of its own.
    let mut ids: Vec<_> = events
        .iter()
        .map(|event| event.id.clone().unwrap())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
}

#[tokio::test]
async fn state_survives_reopening() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let store = AggregateStore::open(dir.path()).await.unwrap();
        let stock = store.get::<Stock>("nails").await.unwrap();
        let add = StockCommand::Add(1);
        stock.execute(add, CommandContext::default()).await.unwrap();
        assert_eq!(stock.state().await.unwrap().pieces, round);
        drop((store, stock));
        wait_until_released(dir.path());
    }
}

/// An actor of 0.2.0 is gone a moment before its lock is, so that `get` may fail in between.
async fn get_again(store: &AggregateStore) -> AggregateHandle<Stock> {
    super::unlocked(async || store.get::<Stock>("nails").await).await
}

#[tokio::test]
async fn a_passivated_aggregate_is_loaded_again_with_its_state() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::builder(dir.path())
        .idle_timeout(Duration::from_millis(20))
        .open()
        .await
        .unwrap();
    for round in 1..=2 {
        let stock = get_again(&store).await;
        let add = StockCommand::Add(1);
        stock.execute(add, CommandContext::default()).await.unwrap();
        until(|| !stock.is_alive()).await;
        let again = get_again(&store).await;
        assert_eq!(again.state().await.unwrap().pieces, round);
        until(|| !again.is_alive()).await;
    }
}

#[tokio::test]
async fn an_aggregate_without_idle_timeout_stays_in_memory() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::builder(dir.path())
        .idle_timeout(Duration::from_secs(u64::MAX / 2))
        .open()
        .await
        .unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    stock
        .execute(StockCommand::Add(1), CommandContext::default())
        .await
        .unwrap();
    assert!(stock.is_alive());
}

#[tokio::test]
async fn the_reader_of_a_handle_reads_its_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    stock
        .execute(StockCommand::Add(2), CommandContext::default())
        .await
        .unwrap();
    stock
        .execute(StockCommand::Take(2), CommandContext::default())
        .await
        .unwrap();
    let read: Vec<_> = stock.reader().read_from(0).unwrap().collect();
    let names: Vec<String> = read
        .into_iter()
        .map(|event| event.unwrap().0.event_type)
        .collect();
    assert_eq!(names, ["Added", "Taken", "Taken"]);
    let (_, after_first, _) = stock
        .reader()
        .read_from(0)
        .unwrap()
        .next()
        .unwrap()
        .unwrap();
    assert!(stock.reader().has_new_events(after_first).unwrap());
    assert_eq!(stock.reader().read_from(after_first).unwrap().count(), 2);
}

#[test]
fn a_single_aggregate_is_spawned_in_a_directory_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let stream = dir.path().join("anywhere");
    // Spawning needs no runtime.
    let stock = spawn_actor::<Stock>(&stream).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    runtime.block_on(async {
        let other = stock.clone();
        other
            .execute(StockCommand::Add(2), CommandContext::default())
            .await
            .unwrap();
        assert_eq!(stock.state().await.unwrap().pieces, 2);
        assert!(stock.is_alive());
    });
    assert_eq!(stock.reader().read_from(0).unwrap().count(), 1);
    assert!(stream.join("app.jsonl").is_file());
    drop(stock);
    wait_until_released(&stream);

    let again = spawn_actor::<Stock>(&stream).unwrap();
    let state = runtime.block_on(again.state()).unwrap();
    assert_eq!(state.pieces, 2);
}

#[tokio::test]
async fn a_stream_of_a_store_can_be_spawned_by_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    stock
        .execute(StockCommand::Add(2), CommandContext::default())
        .await
        .unwrap();
    let stream = store.layout().stream_dir("stock", "nails");
    drop((stock, store));
    wait_until_released(dir.path());

    let spawned = spawn_actor::<Stock>(&stream).unwrap();
    spawned
        .execute(StockCommand::Add(1), CommandContext::default())
        .await
        .unwrap();
    assert_eq!(spawned.state().await.unwrap().pieces, 3);
    drop(spawned);
    wait_until_released(dir.path());

    let store = AggregateStore::open(dir.path()).await.unwrap();
    let stock = store.get::<Stock>("nails").await.unwrap();
    assert_eq!(stock.state().await.unwrap().pieces, 3);
}

#[tokio::test]
async fn dropping_every_handle_ends_a_spawned_actor() {
    let dir = tempfile::tempdir().unwrap();
    let stock = spawn_actor::<Stock>(dir.path()).unwrap();
    stock
        .execute(StockCommand::Add(2), CommandContext::default())
        .await
        .unwrap();
    assert_eq!(stock.reader().read_from(0).unwrap().count(), 1);
    let other = stock.clone();
    drop(stock);
    assert!(other.is_alive());
    drop(other);
    // Whoever holds the stream's lock is gone.
    wait_until_released(dir.path());
    eventfold::EventWriter::open(dir.path()).unwrap();
}

#[test]
fn the_reducer_folds_a_log_in_a_view() {
    let dir = tempfile::tempdir().unwrap();
    let mut log = eventfold::EventLog::builder(dir.path())
        .view::<Stock>("stock", reducer::<Stock>())
        .open()
        .unwrap();
    let context = CommandContext::default().with_actor("ann");
    for event in [
        StockEvent::Added { pieces: 3 },
        StockEvent::Taken,
        StockEvent::Cleared { before: 2 },
        StockEvent::Added { pieces: 7 },
    ] {
        let event = to_eventfold_event::<Stock>(&event, &context).unwrap();
        assert_eq!(event.actor.as_deref(), Some("ann"));
        log.append(&event).unwrap();
    }
    // Neither of these is an event of a stock; both are passed over.
    log.append(&eventfold::Event::new(
        "Painted",
        json!({ "colour": "red" }),
    ))
    .unwrap();
    log.append(&eventfold::Event::new("Added", json!({ "pieces": "many" })))
        .unwrap();
    log.refresh_all().unwrap();
    assert_eq!(log.view::<Stock>("stock").unwrap().pieces, 7);

    let reader = eventfold::EventReader::new(dir.path());
    let views = dir.path().join("other views");
    std::fs::create_dir(&views).unwrap();
    let mut view = eventfold::View::new("stock", reducer::<Stock>(), &views);
    assert_eq!(view.refresh(&reader).unwrap().pieces, 7);
}

#[test]
fn an_event_is_converted_with_the_actor_and_metadata_of_its_context() {
    let added = StockEvent::Added { pieces: 3 };
    let context = CommandContext::default();
    let event = to_eventfold_event::<Stock>(&added, &context).unwrap();
    assert_eq!(event.event_type, "Added");
    assert_eq!(event.data, json!({ "pieces": 3 }));
    assert_eq!((&event.actor, &event.meta), (&None, &None));
    assert_eq!(event.id.as_deref().map(str::len), Some(36));

    let again = to_eventfold_event::<Stock>(&added, &context).unwrap();
    assert_ne!(event.id, again.id);

    // Metadata that is not an object is left out, and ids win over metadata of their name.
    let context = CommandContext::default()
        .with_metadata(json!("text"))
        .with_source_device("phone");
    let event = to_eventfold_event::<Stock>(&StockEvent::Taken, &context).unwrap();
    assert_eq!(event.data, json!(null));
    assert_eq!(event.meta, Some(json!({ "source_device": "phone" })));
    let context = CommandContext::default()
        .with_metadata(json!({ "correlation_id": "a", "more": 1 }))
        .with_correlation_id("b");
    let event = to_eventfold_event::<Stock>(&StockEvent::Taken, &context).unwrap();
    assert_eq!(
        event.meta,
        Some(json!({ "correlation_id": "b", "more": 1 }))
    );
}
