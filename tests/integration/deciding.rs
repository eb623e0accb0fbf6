//! What a decision learns besides the state and the command: time, place and origin.

use std::time::{Duration, SystemTime};

use eventfold_es::prelude::*;
use eventfold_es::{CommandBus, CommandEnvelope, ManualClock, RecordedEvent, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{TempDir, builder, in_time, temp_dir};

/// What a decision learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Seen {
    aggregate_type: String,
    id: String,
    version: u64,
    ms: u64,
    actor: Option<String>,
    correlation_id: Option<String>,
    causation_id: Option<String>,
    metadata: Option<serde_json::Value>,
}

impl Seen {
    fn of(context: &DecisionContext<'_>) -> Self {
        assert_eq!(
            context.time(),
            SystemTime::UNIX_EPOCH + Duration::from_millis(context.unix_millis())
        );
        Self {
            aggregate_type: context.aggregate_type().to_owned(),
            id: context.id().to_owned(),
            version: context.version().into(),
            ms: context.unix_millis(),
            actor: context.actor().map(str::to_owned),
            correlation_id: context.correlation_id().map(str::to_owned),
            causation_id: context.causation_id().map(str::to_owned),
            metadata: context.metadata().cloned(),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Look, Note), events(Looked, Noted), error = Refused)]
struct Log {
    events: u64,
}

/// Stores as many events as this with what the decision learned.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Look(u64);

/// Decided without a context.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Looked(Seen);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Noted;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("refused at {ms}")]
struct Refused {
    ms: u64,
}

impl DecideWith<Look> for Log {
    fn decide_with(&self, Look(count): Look, context: &DecisionContext<'_>) -> Decision<Self> {
        if count == 0 {
            let ms = context.unix_millis();
            return Err(Refused { ms });
        }
        let looked = || Looked(Seen::of(context)).into();
        Ok((0..count).map(|_| looked()).collect())
    }
}

impl Decide<Note> for Log {
    fn decide(&self, _: Note) -> Decision<Self> {
        Ok(events![Noted])
    }
}

impl Evolve<Looked> for Log {
    fn evolve(&mut self, _: &Looked) {
        self.events += 1;
    }
}

impl Evolve<Noted> for Log {
    fn evolve(&mut self, _: &Noted) {
        self.events += 1;
    }
}

fn seen(event: &LogEvent) -> &Seen {
    let LogEvent::Looked(Looked(seen)) = event else {
        panic!("no look: {event:?}")
    };
    seen
}

/// A time with milliseconds.
const MS: u64 = 1_700_000_000_123;

fn clock() -> ManualClock {
    ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(MS))
}

async fn open_at(dir: &TempDir, clock: &ManualClock) -> AggregateStore {
    let builder = builder(dir).clock(clock.clone());
    builder.aggregate_type::<Log>().open().await.unwrap()
}

/// The first events of a store.
async fn recorded(store: &AggregateStore, count: usize) -> Vec<RecordedEvent> {
    let mut events = store.subscribe(Position::default());
    let mut recorded = Vec::new();
    while recorded.len() < count {
        let event = in_time("an event", events.next()).await;
        recorded.push(event.expect("not the end").unwrap());
    }
    recorded
}

#[tokio::test]
async fn the_events_of_a_decision_are_recorded_with_the_time_that_it_saw() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_at(&dir, &clock).await;
    let log = store.get::<Log>("a").await.unwrap();
    let first = log.send(Look(2)).await.unwrap();
    assert!(first.events.iter().all(|event| seen(event).ms == MS));
    clock.advance(Duration::from_millis(77));
    let second = log.send(Look(1)).await.unwrap();
    assert_eq!(seen(&second.events[0]).ms, MS + 77);
    let refused = log.send(Look(0)).await.unwrap_err();
    assert!(matches!(refused, ExecuteError::Domain(Refused { ms }) if ms == MS + 77));
    for event in recorded(&store, 3).await {
        let decoded = event.decode::<Log>().unwrap();
        assert_eq!(seen(&decoded.as_slice()[0]).ms, event.unix_millis());
    }
}

#[tokio::test]
async fn the_time_of_a_decision_is_that_of_the_system_unless_a_clock_is_set() {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    let log = store.get::<Log>("a").await.unwrap();
    let before = SystemTime::now() - Duration::from_millis(1);
    let done = log.send(Look(1)).await.unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_millis(seen(&done.events[0]).ms);
    assert!(before <= time && time <= SystemTime::now());
    let event = &recorded(&store, 1).await[0];
    assert_eq!(event.unix_millis(), seen(&done.events[0]).ms);
}

#[tokio::test]
async fn a_decision_knows_its_aggregate_and_the_version_before_it() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_at(&dir, &clock).await;
    let log = store.get::<Log>("a/b").await.unwrap();
    for (version, count) in [(0, 3), (3, 1)] {
        let done = log.send(Look(count)).await.unwrap();
        for event in &done.events {
            let seen = seen(event);
            assert_eq!(
                (&*seen.aggregate_type, &*seen.id, seen.version),
                ("log", "a/b", version)
            );
        }
    }
    drop(log);
    store.shutdown().await.unwrap();
    let store = open_at(&dir, &clock).await;
    let log = store.get::<Log>("a/b").await.unwrap();
    let done = log.send(Look(1)).await.unwrap();
    assert_eq!(seen(&done.events[0]).version, 4);
}

#[tokio::test]
async fn a_decision_knows_the_context_of_its_command_however_it_was_sent() {
    let dir = temp_dir();
    let store = open_at(&dir, &clock()).await;
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1")
        .with_causation_id("e-1")
        .with_metadata(json!({ "role": "agent" }));
    let log = store.get::<Log>("a").await.unwrap();
    log.send(Look(1)).await.unwrap();
    log.send_with(Look(1), context.clone()).await.unwrap();
    let mut bus = CommandBus::new(store.clone());
    bus.register::<Log>();
    bus.dispatch("a", Look(1), context.clone()).await.unwrap();
    let envelope = CommandEnvelope {
        aggregate_type: "log".to_owned(),
        instance_id: "a".to_owned(),
        command: serde_json::to_value(LogCommand::from(Look(1))).unwrap(),
        context,
    };
    bus.dispatch_envelope(envelope).await.unwrap();

    let events = recorded(&store, 4).await;
    let all: Vec<Seen> = events
        .iter()
        .map(|event| seen(&event.decode::<Log>().unwrap().as_slice()[0]).clone())
        .collect();
    let origin = |seen: &Seen| {
        let seen = seen.clone();
        (
            seen.actor,
            seen.correlation_id,
            seen.causation_id,
            seen.metadata,
        )
    };
    assert_eq!(origin(&all[0]), (None, None, None, None));
    let told = |text: &str| Some(text.to_owned());
    for seen in &all[1..] {
        let role = Some(json!({ "role": "agent" }));
        assert_eq!(origin(seen), (told("ann"), told("r-1"), told("e-1"), role));
    }
}

#[tokio::test]
async fn commands_of_one_aggregate_are_decided_with_a_context_and_without() {
    let dir = temp_dir();
    let store = open_at(&dir, &clock()).await;
    let log = store.get::<Log>("a").await.unwrap();
    let noted = log.send(Note).await.unwrap();
    assert!(matches!(&noted.events[..], [LogEvent::Noted(Noted)]));
    let looked = log.send(Look(1)).await.unwrap();
    assert_eq!(seen(&looked.events[0]).version, 1);
}

#[test]
fn a_command_that_is_handled_outside_of_a_store_has_an_empty_context() {
    let events = Log::default().handle(Look(1).into()).unwrap();
    let nowhere = Seen::of(&DecisionContext::default());
    assert_eq!(seen(&events[0]), &nowhere);
    assert_eq!((nowhere.ms, nowhere.version, &*nowhere.id), (0, 0, ""));
    assert_eq!(nowhere.actor, None);
    // What is decided without a context is the same in any.
    let log = Log::default();
    let context = DecisionContext::default();
    assert_eq!(log.decide(Note).unwrap().len(), 1);
    assert_eq!(log.decide_with(Note, &context).unwrap().len(), 1);
}

/// Written by hand, with and without a context.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct ByHand<const WITH_CONTEXT: bool>;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Handled {
    Plainly,
    With { actor: String },
}

impl Aggregate for ByHand<false> {
    const AGGREGATE_TYPE: &'static str = "plain";
    type Command = ();
    type DomainEvent = Handled;
    type Error = Refused;

    fn handle(&self, (): ()) -> Result<Vec<Handled>, Refused> {
        Ok(vec![Handled::Plainly])
    }

    fn apply(self, _: &Handled) -> Self {
        self
    }
}

impl Aggregate for ByHand<true> {
    const AGGREGATE_TYPE: &'static str = "by-hand";
    type Command = ();
    type DomainEvent = Handled;
    type Error = Refused;

    fn handle(&self, (): ()) -> Result<Vec<Handled>, Refused> {
        self.handle_with((), &DecisionContext::default())
    }

    fn handle_with(&self, (): (), context: &DecisionContext<'_>) -> Result<Vec<Handled>, Refused> {
        let actor = context.actor().unwrap_or("nobody").to_owned();
        Ok(vec![Handled::With { actor }])
    }

    fn apply(self, _: &Handled) -> Self {
        self
    }
}

#[tokio::test]
async fn an_aggregate_written_by_hand_decides_with_a_context_if_it_wants_to() {
    let dir = temp_dir();
    let store = open_at(&dir, &clock()).await;
    let context = CommandContext::default().with_actor("ann");
    let plain = store.get::<ByHand<false>>("a").await.unwrap();
    let done = plain.send_with((), context.clone()).await.unwrap();
    assert_eq!(done.events, [Handled::Plainly]);
    let by_hand = store.get::<ByHand<true>>("a").await.unwrap();
    let done = by_hand.send_with((), context).await.unwrap();
    let actor = "ann".to_owned();
    assert_eq!(done.events, [Handled::With { actor }]);
}

/// An aggregate whose enums are its own.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(command = Do, event = Was)]
struct Own;

enum Do {
    Sign,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
enum Was {
    Signed { id: String },
}

impl DecideWith<Do> for Own {
    fn decide_with(&self, Do::Sign: Do, context: &DecisionContext<'_>) -> Decision<Self> {
        let id = context.id().to_owned();
        Ok(vec![Was::Signed { id }])
    }
}

impl Evolve<Was> for Own {
    fn evolve(&mut self, _: &Was) {}
}

#[tokio::test]
async fn a_command_enum_of_ones_own_is_decided_with_a_context() {
    let dir = temp_dir();
    let store = open_at(&dir, &clock()).await;
    let own = store.get::<Own>("o-1").await.unwrap();
    let done = own.send(Do::Sign).await.unwrap();
    let id = "o-1".to_owned();
    assert_eq!(done.events, [Was::Signed { id }]);
}

/// Reads its events only if they are recorded with the time that is in them.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Punctual;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Happened {
    At(u64),
}

impl Aggregate for Punctual {
    const AGGREGATE_TYPE: &'static str = "punctual";
    type Command = ();
    type DomainEvent = Happened;
    type Error = Refused;

    fn handle(&self, (): ()) -> Result<Vec<Happened>, Refused> {
        Ok(Vec::new())
    }

    fn handle_with(&self, (): (), context: &DecisionContext<'_>) -> Result<Vec<Happened>, Refused> {
        Ok(vec![Happened::At(context.unix_millis()); 2])
    }

    fn apply(self, _: &Happened) -> Self {
        self
    }

    fn decode_event(
        stored: StoredEvent<'_>,
    ) -> Result<eventfold_es::Decoded<Happened>, eventfold_es::DecodeError> {
        let ms: u64 = stored.payload()?;
        if stored.record().unix_millis() != ms {
            return Err(stored.unknown());
        }
        Ok(eventfold_es::Decoded::one(Happened::At(ms)))
    }
}

#[tokio::test]
async fn an_event_is_read_back_with_the_time_that_its_decision_saw() {
    let dir = temp_dir();
    let store = open_at(&dir, &clock()).await;
    let punctual = store.get::<Punctual>("p").await.unwrap();
    assert_eq!(punctual.send(()).await.unwrap().events.len(), 2);

    let later = SystemTime::UNIX_EPOCH + Duration::from_millis(5);
    let kit = eventfold_es::testing::given::<Punctual>(vec![]).when(());
    let events = |ms| vec![Happened::At(ms); 2];
    kit.at(later).when(()).then(events(5));
}
