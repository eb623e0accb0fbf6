//! What becomes of a command: stored whole, or not at all.

use std::path::Path;
use std::sync::mpsc;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerError, LedgerEvent, abandon, check, copy, eventually,
    in_time, journal, notes, open, poll_once, stall, stored, stream_file, temp_dir, verify,
};

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

/// The streams that have a commit in the journal.
fn commits(base: &Path) -> usize {
    journal(base).len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rejected_command_stores_nothing_and_leaves_state_and_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(5)).await.unwrap();

    let refused = ledger.send(Do::Refuse).await.unwrap_err();
    assert!(
        matches!(
            &refused,
            ExecuteError::Domain(LedgerError::Refused { total: 5 })
        ),
        "{refused:?}"
    );
    assert_eq!(ledger.version().await.unwrap(), 1);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([5]));

    assert_eq!(ledger.send(Do::Add(6)).await.unwrap().version, 2);
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_decide_is_the_commands_answer_and_stores_nothing() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(5)).await.unwrap();

    let panicked = ledger
        .send(Do::decide(|_| panic!("no decision")))
        .await
        .unwrap_err();
    let ExecuteError::Panicked(panic) = &panicked else {
        panic!("{panicked:?}");
    };
    assert_eq!(
        (panic.function(), panic.message()),
        ("decide", "no decision")
    );
    assert!(panicked.to_string().contains("ledger/a"), "{panicked}");
    assert_eq!(ledger.version().await.unwrap(), 1);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([5]));

    ledger.send(Do::Add(6)).await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([5, 6]));
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_evolve_stores_nothing_and_the_aggregate_reloads() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let other = store.get::<Ledger>("b").await.unwrap();
    ledger.send(Do::Add(5)).await.unwrap();
    other.send(Do::Add(1)).await.unwrap();

    // Its first event is folded before the second one panics.
    let panicked = ledger.send(Do::Explode).await.unwrap_err();
    let ExecuteError::Panicked(panic) = &panicked else {
        panic!("{panicked:?}");
    };
    assert_eq!(panic.function(), "evolve");
    assert_eq!(panic.message(), "this event explodes");

    assert_eq!(ledger.state().await.unwrap(), Ledger::of([5]));
    assert_eq!(ledger.send(Do::Add(6)).await.unwrap().version, 2);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([5, 6]));
    assert_eq!(other.state().await.unwrap(), Ledger::of([1]));
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 2);
    assert_eq!(stored(&dir, "b").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_is_answered_after_the_commands_before_it_and_fails_none_of_them() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();

    let stalled = stall(&store).await;
    let mut before = Box::pin(ledger.send(Do::Add(2)));
    let mut panicked = Box::pin(ledger.send(Do::Explode));
    let mut after = Box::pin(ledger.send(Do::Add(3)));
    for call in [&mut before, &mut panicked, &mut after] {
        assert!(poll_once(call).await.is_none());
    }
    drop(stalled);
    assert_eq!(before.await.unwrap().version, 2);
    assert!(matches!(panicked.await, Err(ExecuteError::Panicked(_))));
    assert_eq!(after.await.unwrap().version, 3);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_events_succeeds_and_creates_no_stream() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();

    let done = ledger.send(Do::Nothing).await.unwrap();
    assert!(done.events.is_empty());
    assert_eq!(done.version, 0);
    assert_eq!(done.position, store.head());
    ledger.send(Do::Refuse).await.unwrap_err();
    assert!(ledger.is_alive());

    assert!(store.list::<Ledger>().await.unwrap().is_empty());
    assert!(store.list_streams(None).await.unwrap().is_empty());
    if let Some(base) = dir.on_disk() {
        assert!(!base.join("streams/ledger").exists());
    }
    // In memory without an event it reads as empty; an id that nobody knows does not exist.
    assert!(store.read_events("ledger", "a").await.unwrap().is_empty());
    let unknown = store.read_events("ledger", "b").await.unwrap_err();
    assert_eq!(unknown.kind(), std::io::ErrorKind::NotFound);

    ledger.send(Do::Add(1)).await.unwrap();
    assert_eq!(store.list::<Ledger>().await.unwrap(), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_events_of_one_command_are_one_commit() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let done = ledger.send(Do::AddAll(vec![1, 2, 3])).await.unwrap();
    assert_eq!(done.events, [added(1), added(2), added(3)]);
    assert_eq!(done.version, 3);
    assert_eq!(done.position, store.head());

    store.shutdown().await.unwrap();
    if let Some(base) = dir.on_disk() {
        let journal = journal(base);
        assert_eq!(journal.len(), 1, "one line of the journal");
        assert_eq!(journal[0].events().len(), 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_cannot_be_encoded_stores_nothing_and_the_next_command_is_clean() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let before = store.head();

    // The first event of the command could be encoded.
    let command = Do::decide(|_| Ok(vec![added(2), LedgerEvent::unencodable()]));
    let error = ledger.send(command).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Io(_)), "{error:?}");
    assert!(
        error.to_string().contains("cannot be written as JSON"),
        "{error}"
    );
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    assert_eq!(store.head(), before);

    assert_eq!(ledger.send(Do::Add(3)).await.unwrap().version, 2);
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "a").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_run_in_arrival_order_on_a_head_that_is_not_durable_yet() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let stalled = stall(&store).await;
    let durable = commits(dir.path());

    let (seen, decided) = notes();
    let mut calls: Vec<_> = (1..=20_u64)
        .map(|amount| {
            let seen = seen.clone();
            Box::pin(ledger.send(Do::decide(move |ledger| {
                seen.send(ledger.clone()).unwrap();
                Ok(vec![added(amount)])
            })))
        })
        .collect();
    for call in &mut calls {
        assert!(poll_once(call).await.is_none());
    }
    // All are decided while none of them is durable.
    for amount in 1..=20 {
        let ledger = receive(&decided).await;
        assert_eq!(ledger, Ledger::of(1..amount));
    }
    assert_eq!(commits(dir.path()), durable);

    drop(stalled);
    for (call, version) in calls.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().version, version);
    }
    // The batch did hold them all.
    let batch: Vec<u64> = journal(dir.path())[durable..]
        .iter()
        .map(|line| line.number("durable"))
        .collect();
    assert_eq!(batch, [1; 20]);
}

async fn receive<T>(notes: &mpsc::Receiver<T>) -> T {
    let mut note = None;
    eventually("a note", || {
        note = notes.try_recv().ok();
        note.is_some()
    })
    .await;
    note.unwrap()
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Measure), events(Measured))]
struct Gauge {
    values: Vec<f64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measure(f64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Measured {
    value: f64,
    unit: Option<String>,
}

impl Decide<Measure> for Gauge {
    fn decide(&self, Measure(value): Measure) -> Decision<Self> {
        Ok(events![Measured { value, unit: None }])
    }
}

impl Evolve<Measured> for Gauge {
    fn evolve(&mut self, event: &Measured) {
        self.values.push(event.value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_could_not_be_read_again_is_refused_and_stores_nothing() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let gauge = store.get::<Gauge>("a").await.unwrap();
    for value in [f64::NAN, f64::INFINITY] {
        let Err(ExecuteError::Io(error)) = gauge.send(Measure(value)).await else {
            panic!("{value} was stored");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(error.to_string().contains("`Measured`"), "{error}");
    }
    gauge.send(Measure(1.5)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((gauge, store));
    let gauge = open(&dir).await.get::<Gauge>("a").await.unwrap();
    assert_eq!(gauge.state().await.unwrap().values, [1.5]);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_precedes_the_durability_of_what_it_depends_on() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let stalled = stall(&store).await;

    let decided = Door::default();
    let (door, waiting) = (decided.clone(), Door::default());
    let inspected = waiting.clone();
    let mut command = Box::pin(ledger.send(Do::decide(move |_| {
        door.open();
        Ok(vec![added(2)])
    })));
    let mut state = Box::pin(ledger.state());
    let mut version = Box::pin(ledger.version());
    let mut no_op = Box::pin(ledger.send(Do::Nothing));
    let mut refused = Box::pin(ledger.send(Do::Refuse));
    let expected = CommandContext::default().with_expected_version(1);
    let mut conflict = Box::pin(ledger.send_with(Do::Add(3), expected));
    let mut inspect = Box::pin(ledger.inspect(move |ledger| {
        inspected.open();
        ledger.total
    }));
    assert!(poll_once(&mut command).await.is_none());
    assert!(poll_once(&mut state).await.is_none());
    assert!(poll_once(&mut version).await.is_none());
    assert!(poll_once(&mut no_op).await.is_none());
    assert!(poll_once(&mut refused).await.is_none());
    assert!(poll_once(&mut conflict).await.is_none());
    assert!(poll_once(&mut inspect).await.is_none());
    // The last of them has been looked at, and everyone still waits.
    eventually("the head was inspected", || waiting.is_open()).await;
    assert!(decided.is_open());
    crate::support::written(&store);
    let disk = copy(dir.path());
    assert!(poll_once(&mut command).await.is_none());
    assert!(poll_once(&mut state).await.is_none());
    assert!(poll_once(&mut version).await.is_none());
    assert!(poll_once(&mut no_op).await.is_none());
    assert!(poll_once(&mut refused).await.is_none());
    assert!(poll_once(&mut conflict).await.is_none());
    assert!(poll_once(&mut inspect).await.is_none());
    assert_eq!(verify(disk.path())[&("ledger".into(), "a".into())].len(), 1);

    drop(stalled);
    assert_eq!(command.await.unwrap().version, 2);
    assert_eq!(state.await.unwrap(), Ledger::of([1, 2]));
    assert_eq!(version.await.unwrap(), 2);
    assert_eq!(no_op.await.unwrap().version, 2);
    assert!(matches!(
        refused.await,
        Err(ExecuteError::Domain(LedgerError::Refused { total: 3 }))
    ));
    assert!(matches!(
        conflict.await,
        Err(ExecuteError::ExpectedVersion { .. })
    ));
    assert_eq!(inspect.await.unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_from_the_durable_state_does_not_wait_for_other_commits() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let stalled = stall(&store).await;
    let state = in_time("reading a durable state", ledger.state()).await;
    assert_eq!(state.unwrap(), Ledger::of([1]));
    let refused = in_time("refusing on a durable state", ledger.send(Do::Refuse)).await;
    refused.unwrap_err();
    drop(stalled);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_does_not_stop_its_command() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let gone = Door::default();
    for amount in 1..=50 {
        let gone = gone.clone();
        let command = Do::decide(move |_| {
            gone.pass();
            Ok(vec![added(amount)])
        });
        abandon(ledger.send(command)).await;
    }
    gone.open();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=50));

    // Nor do handles and stores that go away with it.
    let gone = Door::default();
    let passed = gone.clone();
    let command = Do::decide(move |_| {
        passed.pass();
        Ok(vec![added(51)])
    });
    abandon(ledger.send(command)).await;
    drop((ledger, store));
    gone.open();
    // The next store waits for it.
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=51));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_in_inspect_fails_only_its_caller() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let error = ledger.inspect(|_| panic!("do not look")).await;
    let error: eventfold_es::StateError = error.unwrap_err();
    assert!(error.to_string().contains("do not look"), "{error}");
    assert_eq!(ledger.send(Do::Add(2)).await.unwrap().version, 2);
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_causation_actor_and_metadata_are_stored_with_every_event() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1")
        .with_causation_id("e-1")
        .with_source_device("phone")
        .with_metadata(serde_json::json!({ "tenant": "t-1", "correlation_id": "overruled" }));
    let command = Do::AddAll(vec![1, 2]);
    ledger.send_with(command, context).await.unwrap();
    for event in store.read_events("ledger", "a").await.unwrap() {
        assert_eq!(event.actor.as_deref(), Some("ann"));
        let meta = event.meta.unwrap();
        assert_eq!(meta["correlation_id"], "r-1");
        assert_eq!(meta["causation_id"], "e-1");
        assert_eq!(meta["source_device"], "phone");
        assert_eq!(meta["tenant"], "t-1");
    }
}

/// An event that the newer program does not know any more.
mod forgetful {
    use eventfold_es::Aggregate;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub(super) enum Older {
        Kept(u64),
        Gone(u64),
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub(super) enum Newer {
        Kept(u64),
    }

    macro_rules! program {
        ($name:ident, $event:ident, $n:ident => $events:expr) => {
            #[derive(Debug, Clone, Default, Serialize, Deserialize)]
            pub(super) struct $name;

            impl Aggregate for $name {
                const AGGREGATE_TYPE: &'static str = "forgetful";
                type Command = u64;
                type DomainEvent = $event;
                type Error = std::convert::Infallible;

                fn handle(&self, $n: u64) -> Result<Vec<$event>, Self::Error> {
                    Ok($events)
                }

                fn apply(self, _: &$event) -> Self {
                    self
                }
            }
        };
    }
    program!(Before, Older, n => vec![Older::Gone(n), Older::Kept(n)]);
    program!(After, Newer, n => vec![Newer::Kept(n)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_to_a_repeated_command_leaves_out_events_that_are_no_longer_known() {
    let dir = temp_dir();
    let once = || CommandContext::default().with_idempotency_key("once");
    let store = open(&dir).await;
    let before = store.get::<forgetful::Before>("a").await.unwrap();
    let first = before.send_with(7_u64, once()).await.unwrap();
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let after = store.get::<forgetful::After>("a").await.unwrap();
    let repeated = after.send_with(7_u64, once()).await.unwrap();
    assert_eq!(repeated.events, [forgetful::Newer::Kept(7)]);
    assert_eq!(repeated.version, first.version);
}

#[tokio::test(flavor = "multi_thread")]
async fn injections_between_commands_read_the_stream_once() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let inject = async |id: &str| {
        let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 1 }));
        let options = eventfold_es::InjectOptions::default();
        store
            .inject_event::<Ledger>("a", event.with_id(id), options)
            .await
    };
    ledger.send(Do::Add(1)).await.unwrap();
    inject("e-1").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let events = store.read_events("ledger", "a").await.unwrap();
    let of_command = events[2].id.clone().unwrap();
    // Whoever reads it now finds it damaged.
    let _ = store.layout();
    crate::support::files::edit(&stream_file(dir.path(), "a"), |bytes| {
        bytes[10] ^= 1;
    });
    for id in ["e-1", of_command.as_str(), "e-2", "e-1"] {
        inject(id).await.unwrap();
    }
    assert_eq!(ledger.version().await.unwrap(), 4_u64);
}
