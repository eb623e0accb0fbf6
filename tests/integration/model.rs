//! Random sequences of store operations against a model in memory.
//!
//! Each case opens a store with random options, runs up to forty operations on three streams, and
//! compares every answer with the model's; at its end, states, versions, stored events, the
//! projection and the files are compared as a whole. Concurrent clients are brought into the order
//! that the positions of their answers state, which the model then must agree with.
//!
//! The default is two hundred cases from a fixed seed. For more, or others:
//!
//! ```sh
//! EVENTFOLD_ES_MODEL_CASES=100000 EVENTFOLD_ES_MODEL_SEED=7 \
//!     cargo test --release -p eventfold-es-tests --test integration model -- --nocapture
//! ```
//!
//! A failure prints the shortest sequence of operations that was found to fail.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use eventfold_es::{
    Aggregate, AggregateHandle, AggregateStore, CommandContext, Committed, ExecuteError,
    InjectOptions, Position, Projection, StateError,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerError, LedgerEvent, copy, eventually, fast_temp_dir,
    in_time, journal, poll_once, verify,
};

/// The streams of a case; the second one's id is encoded on disk.
const IDS: [&str; 3] = ["a", "b/ö", "c"];

/// How a store is opened.
#[derive(Debug, Clone)]
struct Options {
    snapshot_every: u64,
    idle: Duration,
}

/// What a command does.
#[derive(Debug, Clone)]
enum Kind {
    /// That many events, each with an amount of its own.
    Add(usize),
    Write(String),
    /// One event that says how many the state had folded.
    Count,
    Refuse,
    Panic,
    /// `apply` panics on its second event.
    Explode,
    Unencodable,
}

#[derive(Debug, Clone)]
enum Expected {
    No,
    Right,
    Off(i64),
}

#[derive(Debug, Clone)]
struct Send {
    stream: usize,
    kind: Kind,
    expected: Expected,
    key: Option<u8>,
    /// Through a handle that is fetched for it, not through the one that is kept.
    fresh: bool,
}

#[derive(Debug, Clone)]
enum Read {
    State,
    Version,
    Inspect,
    PanicInInspect,
    Events,
    Projection,
    Head,
    List,
}

#[derive(Debug, Clone)]
enum Injected {
    /// An amount under one of a few ids, or none.
    Added(Option<u8>),
    /// The id of an event that is there.
    Known(prop::sample::Index),
    /// Of a name that the aggregate does not know.
    Foreign,
    Undecodable,
    Exploding,
}

/// What follows at once on callers that went away.
#[derive(Debug, Clone)]
enum Then {
    GoOn,
    Copy,
    Shutdown(Options),
    Drop(Options),
}

/// What one of several concurrent clients does.
#[derive(Debug, Clone)]
enum Step {
    Send(Send),
    Look(usize),
    Yield,
}

#[derive(Debug, Clone)]
enum Op {
    Send(Send),
    Read(usize, Read),
    Inject(usize, Injected),
    Abandon(usize, Vec<Send>, Then),
    Concurrent(Vec<Vec<Step>>),
    /// Until the aggregate has left memory, if it soon does.
    Idle(usize),
    Pause,
    DropHandles,
    Shutdown(Options),
    Drop(Options),
    /// What a process that is killed now leaves.
    Copy,
    Rebuild,
}

fn options() -> impl Strategy<Value = Options> {
    let idle = prop_oneof![
        Just(Duration::from_micros(50)),
        Just(Duration::from_millis(1)),
        Just(Duration::from_secs(300)),
    ];
    (1..=5_u64, idle).prop_map(|(snapshot_every, idle)| Options {
        snapshot_every,
        idle,
    })
}

fn send() -> impl Strategy<Value = Send> {
    let kind = prop_oneof![
        8 => (0..=3_usize).prop_map(Kind::Add),
        1 => "[\\PC\n\"\\\\]{0,20}".prop_map(Kind::Write),
        3 => Just(Kind::Count),
        1 => Just(Kind::Refuse),
        1 => Just(Kind::Panic),
        1 => Just(Kind::Explode),
        1 => Just(Kind::Unencodable),
    ];
    let expected = prop_oneof![
        4 => Just(Expected::No),
        2 => Just(Expected::Right),
        1 => prop_oneof![-3..0_i64, 1..4_i64].prop_map(Expected::Off),
    ];
    let key = prop_oneof![2 => Just(None), 1 => (0..6_u8).prop_map(Some)];
    (0..IDS.len(), kind, expected, key, any::<bool>()).prop_map(
        |(stream, kind, expected, key, fresh)| Send {
            stream,
            kind,
            expected,
            key,
            fresh,
        },
    )
}

fn op() -> impl Strategy<Value = Op> {
    let stream = || 0..IDS.len();
    let read = prop_oneof![
        3 => Just(Read::State),
        2 => Just(Read::Version),
        1 => Just(Read::Inspect),
        1 => Just(Read::PanicInInspect),
        2 => Just(Read::Events),
        2 => Just(Read::Projection),
        1 => Just(Read::Head),
        1 => Just(Read::List),
    ];
    let injected = prop_oneof![
        4 => proptest::option::of(0..4_u8).prop_map(Injected::Added),
        2 => any::<prop::sample::Index>().prop_map(Injected::Known),
        1 => Just(Injected::Foreign),
        1 => Just(Injected::Undecodable),
        1 => Just(Injected::Exploding),
    ];
    let then = prop_oneof![
        3 => Just(Then::GoOn),
        1 => Just(Then::Copy),
        1 => options().prop_map(Then::Shutdown),
        1 => options().prop_map(Then::Drop),
    ];
    let step = prop_oneof![
        5 => send().prop_map(Step::Send),
        2 => stream().prop_map(Step::Look),
        1 => Just(Step::Yield),
    ];
    let clients = prop::collection::vec(prop::collection::vec(step, 1..6), 2..5);
    prop_oneof![
        14 => send().prop_map(Op::Send),
        6 => (stream(), read).prop_map(|(stream, read)| Op::Read(stream, read)),
        4 => (stream(), injected).prop_map(|(stream, what)| Op::Inject(stream, what)),
        3 => (stream(), prop::collection::vec(send(), 1..4), then)
            .prop_map(|(stream, sends, then)| Op::Abandon(stream, sends, then)),
        4 => clients.prop_map(Op::Concurrent),
        2 => stream().prop_map(Op::Idle),
        1 => Just(Op::Pause),
        1 => Just(Op::DropHandles),
        1 => options().prop_map(Op::Shutdown),
        2 => options().prop_map(Op::Drop),
        1 => Just(Op::Copy),
        1 => Just(Op::Rebuild),
    ]
}

/// All events of the ledgers, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct History(Vec<(String, String, Value)>);

impl Projection for History {
    const NAME: &'static str = "history";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, id: &str, event: &eventfold::Event) {
        let event = (id.to_owned(), event.event_type.clone(), event.data.clone());
        self.0.push(event);
    }
}

/// An event as the model knows it.
#[derive(Debug, Clone, PartialEq)]
struct Stored {
    name: String,
    data: Value,
}

impl Stored {
    fn of(event: &LedgerEvent) -> Self {
        let json = serde_json::to_value(event).unwrap();
        Self {
            name: json["type"].as_str().unwrap().to_owned(),
            data: json["data"].clone(),
        }
    }

    fn fold(&self, ledger: Ledger) -> Ledger {
        let json = json!({ "type": self.name, "data": self.data });
        match serde_json::from_value::<LedgerEvent>(json) {
            Ok(event) => ledger.apply(&event),
            Err(_) => ledger,
        }
    }
}

/// What was answered to a command that stored something.
#[derive(Debug, Clone, PartialEq)]
struct Answer {
    events: Vec<LedgerEvent>,
    version: u64,
    position: u64,
}

impl Answer {
    fn of(committed: Committed<Ledger>) -> Self {
        Self {
            events: committed.events,
            version: committed.version.into(),
            position: number(committed.position),
        }
    }
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

#[derive(Debug, Clone, Default)]
struct Stream {
    events: Vec<Stored>,
    /// The state at each version, from 0 on.
    states: Vec<Ledger>,
    keys: BTreeMap<u8, Answer>,
    ids: BTreeSet<String>,
}

impl Stream {
    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    fn state(&self) -> Ledger {
        self.states.last().cloned().unwrap_or_default()
    }

    fn state_at(&self, version: u64) -> Ledger {
        let before = usize::try_from(version).unwrap().checked_sub(1);
        before.map_or_else(Ledger::default, |i| self.states[i].clone())
    }
}

/// What the model says that becomes of a command.
#[derive(Debug)]
enum Outcome {
    Stored(Vec<LedgerEvent>),
    Repeated(Answer),
    Nothing,
    Conflict,
    Refused(u64),
    Panicked,
    Unencodable,
}

#[derive(Debug, Default)]
struct Model {
    streams: [Stream; IDS.len()],
    log: Vec<(usize, Stored)>,
    amounts: u64,
}

impl Model {
    fn head(&self) -> u64 {
        self.log.len() as u64
    }

    fn history(&self) -> History {
        let entry = |(stream, event): &(usize, Stored)| {
            let id = IDS[*stream].to_owned();
            (id, event.name.clone(), event.data.clone())
        };
        History(self.log.iter().map(entry).collect())
    }

    fn append(&mut self, stream: usize, event: Stored) {
        self.log.push((stream, event.clone()));
        let stream = &mut self.streams[stream];
        let state = event.fold(stream.state());
        stream.states.push(state);
        stream.events.push(event);
    }

    fn store(&mut self, stream: usize, events: &[LedgerEvent], key: Option<u8>) -> Answer {
        for event in events {
            self.append(stream, Stored::of(event));
        }
        let answer = Answer {
            events: events.to_vec(),
            version: self.streams[stream].version(),
            position: self.head(),
        };
        if let Some(key) = key {
            self.streams[stream].keys.insert(key, answer.clone());
        }
        answer
    }

    fn decide(&self, call: &Call) -> Outcome {
        let stream = &self.streams[call.stream];
        if let Some(known) = call.key.and_then(|key| stream.keys.get(&key)) {
            return Outcome::Repeated(known.clone());
        }
        if call.expected.is_some_and(|v| v != stream.version()) {
            return Outcome::Conflict;
        }
        let state = stream.state();
        match &call.kind {
            Kind::Add(_) if call.amounts.is_empty() => Outcome::Nothing,
            Kind::Add(_) => Outcome::Stored(call.amounts.iter().copied().map(added).collect()),
            Kind::Write(text) => Outcome::Stored(vec![LedgerEvent::Written { text: text.clone() }]),
            Kind::Count => Outcome::Stored(vec![added(state.count)]),
            Kind::Refuse => Outcome::Refused(state.total),
            Kind::Panic | Kind::Explode => Outcome::Panicked,
            Kind::Unencodable => Outcome::Unencodable,
        }
    }

    /// A command as it is sent now.
    fn call(&mut self, send: &Send) -> Call {
        let version = self.streams[send.stream].version();
        let count = if let Kind::Add(count) = send.kind {
            count as u64
        } else {
            0
        };
        let amounts = (self.amounts + 1..=self.amounts + count).collect();
        self.amounts += count;
        Call {
            stream: send.stream,
            kind: send.kind.clone(),
            amounts,
            expected: match send.expected {
                Expected::No => None,
                Expected::Right => Some(version),
                Expected::Off(by) => Some(version.checked_add_signed(by).unwrap_or(u64::MAX)),
            },
            key: send.key,
            fresh: send.fresh,
        }
    }
}

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

/// A command with everything that it depends on.
#[derive(Debug, Clone)]
struct Call {
    stream: usize,
    kind: Kind,
    amounts: Vec<u64>,
    expected: Option<u64>,
    key: Option<u8>,
    fresh: bool,
}

type Sent = Result<Committed<Ledger>, ExecuteError<LedgerError>>;

impl Call {
    fn command(&self) -> Do {
        match &self.kind {
            Kind::Add(_) => Do::AddAll(self.amounts.clone()),
            Kind::Write(text) => Do::Write(text.clone()),
            Kind::Count => Do::decide(|ledger| Ok(vec![added(ledger.count)])),
            Kind::Refuse => Do::Refuse,
            Kind::Panic => Do::decide(|_| panic!("no decision")),
            Kind::Explode => Do::Explode,
            Kind::Unencodable => Do::decide(|_| Ok(vec![added(1), LedgerEvent::unencodable()])),
        }
    }

    fn context(&self) -> CommandContext {
        let mut context = CommandContext::default();
        if let Some(version) = self.expected {
            context = context.with_expected_version(version);
        }
        if let Some(key) = self.key {
            context = context.with_idempotency_key(format!("k{key}"));
        }
        context
    }
}

/// What happened in all cases together, so that a test of nothing is noticed.
#[derive(Debug, Default)]
struct Tally {
    operations: u64,
    events: u64,
    repeats: u64,
    conflicts: u64,
    panics: u64,
    duplicates: u64,
    reactivations: u64,
    reopened: u64,
    concurrent: u64,
    abandoned: u64,
    abandoned_and_not_accepted: u64,
}

/// A store beside its model.
struct Case<'a> {
    base: &'a Path,
    options: Options,
    store: Option<AggregateStore>,
    handles: [Option<AggregateHandle<Ledger>>; IDS.len()],
    model: Model,
    tally: &'a RefCell<Tally>,
}

async fn open(base: &Path, options: &Options) -> AggregateStore {
    AggregateStore::builder(base)
        .snapshot_every(options.snapshot_every)
        .idle_timeout(options.idle)
        .projection::<History>()
        .open()
        .await
        .unwrap()
}

impl<'a> Case<'a> {
    async fn new(base: &'a Path, options: Options, tally: &'a RefCell<Tally>) -> Self {
        Self {
            base,
            store: Some(open(base, &options).await),
            options,
            handles: [None, None, None],
            model: Model::default(),
            tally,
        }
    }

    fn store(&self) -> &AggregateStore {
        self.store.as_ref().unwrap()
    }

    async fn handle(&mut self, stream: usize, fresh: bool) -> AggregateHandle<Ledger> {
        match &self.handles[stream] {
            Some(kept) if !fresh => {
                self.tally.borrow_mut().reactivations += u64::from(!kept.is_alive());
                kept.clone()
            }
            _ => {
                let handle = self.store().get::<Ledger>(IDS[stream]).await.unwrap();
                self.handles[stream].get_or_insert(handle).clone()
            }
        }
    }

    async fn run(&mut self, op: &Op) {
        self.tally.borrow_mut().operations += 1;
        match op {
            Op::Send(send) => self.send(send).await,
            Op::Read(stream, read) => self.read(*stream, read).await,
            Op::Inject(stream, what) => self.inject(*stream, what).await,
            Op::Abandon(stream, sends, then) => self.abandon(*stream, sends, then).await,
            Op::Concurrent(clients) => self.concurrent(clients).await,
            Op::Idle(stream) => {
                if self.options.idle < Duration::from_secs(1)
                    && let Some(handle) = &self.handles[*stream]
                {
                    eventually("the aggregate leaves memory", || !handle.is_alive()).await;
                }
            }
            Op::Pause => tokio::time::sleep(Duration::from_millis(1)).await,
            Op::DropHandles => self.handles = [None, None, None],
            Op::Shutdown(options) => self.shutdown(options).await,
            Op::Drop(options) => self.reopen(options).await,
            Op::Copy => self.look_at_copy().await,
            Op::Rebuild => self.store().rebuild_projection::<History>().unwrap(),
        }
    }

    async fn shutdown(&mut self, options: &Options) {
        self.store().shutdown().await.unwrap();
        if let Some(handle) = &self.handles[0] {
            let closed = handle.send(Do::Add(1)).await;
            assert!(matches!(closed, Err(ExecuteError::Closed)), "{closed:?}");
        }
        self.reopen(options).await;
    }

    async fn reopen(&mut self, options: &Options) {
        self.handles = [None, None, None];
        self.store = None;
        self.options = options.clone();
        self.store = Some(open(self.base, options).await);
        self.tally.borrow_mut().reopened += 1;
    }

    async fn send(&mut self, send: &Send) {
        let call = self.model.call(send);
        let handle = self.handle(call.stream, call.fresh).await;
        let outcome = self.model.decide(&call);
        let result = handle.send_with(call.command(), call.context()).await;
        let mut tally = self.tally.borrow_mut();
        match (outcome, result) {
            (Outcome::Stored(events), Ok(done)) => {
                let answer = self.model.store(call.stream, &events, call.key);
                assert_eq!(Answer::of(done), answer);
            }
            (Outcome::Repeated(answer), Ok(done)) => {
                assert_eq!(Answer::of(done), answer);
                tally.repeats += 1;
            }
            (Outcome::Nothing, Ok(done)) => {
                assert!(done.events.is_empty());
                assert_eq!(done.version, self.model.streams[call.stream].version());
            }
            (Outcome::Conflict, Err(ExecuteError::Conflict)) => tally.conflicts += 1,
            (Outcome::Refused(total), Err(ExecuteError::Domain(refused))) => {
                assert_eq!(refused, LedgerError::Refused { total });
            }
            (Outcome::Panicked, Err(ExecuteError::Panicked(_))) => tally.panics += 1,
            (Outcome::Unencodable, Err(ExecuteError::Io(error))) => {
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
            }
            (outcome, result) => panic!("{outcome:?} was to be expected, not {result:?}"),
        }
        assert_eq!(number(self.store().head()), self.model.head());
    }

    async fn read(&mut self, stream: usize, read: &Read) {
        let handle = self.handle(stream, false).await;
        let model = &self.model.streams[stream];
        match read {
            Read::State => assert_eq!(handle.state().await.unwrap(), model.state()),
            Read::Version => assert_eq!(handle.version().await.unwrap(), model.version()),
            Read::Inspect => {
                let digest = handle.inspect(|ledger| ledger.digest).await.unwrap();
                assert_eq!(digest, model.state().digest);
            }
            Read::PanicInInspect => {
                let panicked = handle.inspect(|_| panic!("no look")).await;
                assert!(matches!(panicked, Err(StateError::Panicked(_))));
            }
            Read::Events => check_events(self.store(), stream, &self.model).await,
            Read::Projection => {
                let history = self.store().projection::<History>().unwrap();
                assert_eq!(history, self.model.history());
            }
            Read::Head => assert_eq!(number(self.store().head()), self.model.head()),
            Read::List => {
                let streams = IDS.iter().zip(&self.model.streams);
                let mut ids: Vec<_> = streams
                    .filter(|(_, stream)| stream.version() > 0)
                    .map(|(id, _)| *id)
                    .collect();
                ids.sort_unstable();
                let mut listed = self.store().list::<Ledger>().await.unwrap();
                listed.sort_unstable();
                assert_eq!(listed, ids);
            }
        }
    }

    async fn inject(&mut self, stream: usize, what: &Injected) {
        let amount = self.model.amounts + 1;
        self.model.amounts = amount;
        let added = eventfold::Event::new("Added", json!({ "amount": amount }));
        let event = match what {
            Injected::Added(None) => added,
            Injected::Added(Some(id)) => added.with_id(format!("i{id}")),
            Injected::Known(index) => {
                let known = self.store().read_events("ledger", IDS[stream]).await;
                let ids: Vec<_> = known.into_iter().flatten().filter_map(|e| e.id).collect();
                if ids.is_empty() {
                    return;
                }
                let id = index.get(&ids).clone();
                self.model.streams[stream].ids.insert(id.clone());
                added.with_id(id)
            }
            Injected::Foreign => eventfold::Event::new("Unheard", json!([amount])),
            Injected::Undecodable => eventfold::Event::new("Added", json!({ "amount": "many" })),
            Injected::Exploding => eventfold::Event::new("Exploded", Value::Null),
        };
        let injected = self
            .store()
            .inject_event::<Ledger>(IDS[stream], event.clone(), InjectOptions::default())
            .await;
        if matches!(what, Injected::Undecodable | Injected::Exploding) {
            assert_eq!(
                injected.unwrap_err().kind(),
                std::io::ErrorKind::InvalidData
            );
        } else {
            injected.unwrap();
            let is_new = event
                .id
                .is_none_or(|id| self.model.streams[stream].ids.insert(id));
            if is_new {
                let (name, data) = (event.event_type, event.data);
                self.model.append(stream, Stored { name, data });
            } else {
                self.tally.borrow_mut().duplicates += 1;
            }
        }
        assert_eq!(number(self.store().head()), self.model.head());
    }

    /// Commands of one stream whose callers go away. Each takes effect, whole and in order, if it
    /// had got into the mailbox.
    async fn abandon(&mut self, stream: usize, sends: &[Send], then: &Then) {
        let handle = self.handle(stream, false).await;
        let mut calls = Vec::new();
        for send in sends {
            let call = self.model.call(&Send {
                stream,
                ..send.clone()
            });
            let mut sent = Box::pin(handle.send_with(call.command(), call.context()));
            let _ = poll_once(&mut sent).await;
            calls.push(call);
        }
        drop(handle);
        match then {
            Then::GoOn => {}
            Then::Copy => drop(copy(self.base)),
            Then::Shutdown(options) => self.shutdown(options).await,
            Then::Drop(options) => self.reopen(options).await,
        }
        let handle = self.handle(stream, false).await;
        let version = handle.version().await.unwrap();
        let events = events_of(self.store(), stream).await;
        assert_eq!(version, events.len() as u64);
        for call in &calls {
            let Outcome::Stored(decided) = self.model.decide(call) else {
                continue;
            };
            let there = &events[self.model.streams[stream].events.len()..];
            let mut tally = self.tally.borrow_mut();
            if there.starts_with(&decided.iter().map(Stored::of).collect::<Vec<_>>()) {
                self.model.store(stream, &decided, call.key);
                tally.abandoned += 1;
            } else {
                tally.abandoned_and_not_accepted += 1;
            }
        }
        assert_eq!(events, self.model.streams[stream].events);
        assert_eq!(number(self.store().head()), self.model.head());
    }

    async fn concurrent(&mut self, clients: &[Vec<Step>]) {
        let before: Vec<u64> = self.model.streams.iter().map(Stream::version).collect();
        let head = self.model.head();
        let mut tasks = JoinSet::new();
        for (client, steps) in clients.iter().enumerate() {
            let mut work = Vec::new();
            for step in steps {
                work.push(match step {
                    Step::Send(send) => Work::Send(self.model.call(send)),
                    Step::Look(stream) => Work::Look(*stream),
                    Step::Yield => Work::Yield,
                });
            }
            let store = self.store().clone();
            tasks.spawn(async move { (client, play(store, work).await) });
        }
        let played = in_time("concurrent clients", tasks.join_all()).await;

        // The order is that of the positions.
        let mut stored: BTreeMap<u64, (&Call, Answer)> = BTreeMap::new();
        for (_, results) in &played {
            let mut last = head;
            for result in results {
                let Played::Sent(call, Ok(done)) = result else {
                    continue;
                };
                if done.events.is_empty() {
                    continue;
                }
                let answer = Answer::of(done.clone());
                if answer.position <= head {
                    let key = call.key.expect("only a key leads back");
                    assert_eq!(self.model.streams[call.stream].keys[&key], answer);
                    self.tally.borrow_mut().repeats += 1;
                } else if let Some((other, first)) = stored.get(&answer.position) {
                    assert_eq!((other.stream, other.key), (call.stream, call.key));
                    assert!(call.key.is_some());
                    assert_eq!(*first, answer);
                    self.tally.borrow_mut().repeats += 1;
                } else {
                    if call.key.is_none() {
                        assert!(answer.position > last, "a client's own order is not kept");
                        last = answer.position;
                    }
                    stored.insert(answer.position, (call, answer));
                }
            }
        }
        let commits: Vec<(Call, Answer)> = stored
            .into_values()
            .map(|(call, answer)| (call.clone(), answer))
            .collect();
        for (call, answer) in commits {
            // Which of those under one key came first is not known, only what it stored.
            if let (None, Outcome::Stored(events)) = (call.key, self.model.decide(&call)) {
                assert_eq!(events, answer.events);
            } else {
                assert!(call.key.is_some(), "{call:?} was answered {answer:?}");
            }
            let events = answer.events.clone();
            assert_eq!(self.model.store(call.stream, &events, call.key), answer);
        }
        assert_eq!(number(self.store().head()), self.model.head());
        for (_, results) in &played {
            self.check_client(results, &before);
        }
    }

    /// Whether what a client saw fits the order that is known now.
    fn check_client(&self, results: &[Played], before: &[u64]) {
        let mut tally = self.tally.borrow_mut();
        let mut least = before.to_vec();
        for result in results {
            tally.concurrent += 1;
            match result {
                Played::Looked(stream, ledger, version) => {
                    let model = &self.model.streams[*stream];
                    assert!((least[*stream]..=model.version()).contains(version));
                    // A state and a version that were asked for one after the other.
                    let mut versions = least[*stream]..=*version;
                    assert!(
                        versions.any(|version| model.state_at(version) == *ledger),
                        "{ledger:?} never was the state"
                    );
                    least[*stream] = *version;
                }
                Played::Sent(call, result) => {
                    let model = &self.model.streams[call.stream];
                    let least = &mut least[call.stream];
                    match result {
                        Ok(done) => {
                            let version = u64::from(done.version);
                            assert!(version <= model.version());
                            if done.events.is_empty() {
                                assert!(matches!(call.kind, Kind::Add(0)));
                                assert!(version >= *least);
                            }
                            *least = version.max(*least);
                        }
                        Err(ExecuteError::Conflict) => {
                            assert!(call.expected.is_some());
                            tally.conflicts += 1;
                        }
                        Err(ExecuteError::Domain(LedgerError::Refused { total })) => {
                            assert!(matches!(call.kind, Kind::Refuse));
                            let mut versions = *least..=model.version();
                            assert!(versions.any(|v| model.state_at(v).total == *total));
                        }
                        Err(ExecuteError::Panicked(_)) => {
                            assert!(matches!(call.kind, Kind::Panic | Kind::Explode));
                            tally.panics += 1;
                        }
                        Err(ExecuteError::Io(_)) => {
                            assert!(matches!(call.kind, Kind::Unencodable));
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
            }
        }
    }

    /// A process that is killed now leaves what was answered.
    async fn look_at_copy(&self) {
        let copied = copy(self.base);
        let store = open(copied.path(), &self.options).await;
        check(&store, &self.model).await;
        store.shutdown().await.unwrap();
        check_files(copied.path(), &self.model);
    }

    async fn finish(mut self) {
        check(self.store(), &self.model).await;
        self.store().shutdown().await.unwrap();
        check_files(self.base, &self.model);
        let options = self.options.clone();
        self.reopen(&options).await;
        check(self.store(), &self.model).await;
        self.tally.borrow_mut().events += self.model.head();
    }
}

/// A step of a concurrent client.
enum Work {
    Send(Call),
    Look(usize),
    Yield,
}

enum Played {
    Sent(Call, Sent),
    Looked(usize, Ledger, u64),
}

async fn play(store: AggregateStore, work: Vec<Work>) -> Vec<Played> {
    let mut handles: BTreeMap<usize, AggregateHandle<Ledger>> = BTreeMap::new();
    let mut results = Vec::new();
    for work in work {
        let (stream, fresh) = match &work {
            Work::Send(call) => (call.stream, call.fresh),
            Work::Look(stream) => (*stream, false),
            Work::Yield => {
                tokio::task::yield_now().await;
                continue;
            }
        };
        if fresh || !handles.contains_key(&stream) {
            let handle = store.get::<Ledger>(IDS[stream]).await.unwrap();
            handles.insert(stream, handle);
        }
        let handle = &handles[&stream];
        results.push(if let Work::Send(call) = work {
            let sent = handle.send_with(call.command(), call.context()).await;
            Played::Sent(call, sent)
        } else {
            let ledger = handle.state().await.unwrap();
            Played::Looked(stream, ledger, handle.version().await.unwrap().into())
        });
    }
    results
}

/// What the store says that a stream holds.
async fn events_of(store: &AggregateStore, stream: usize) -> Vec<Stored> {
    let events = match store.read_events("ledger", IDS[stream]).await {
        // A stream exists from its first event on.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        events => events.unwrap(),
    };
    let stored = |event: eventfold::Event| Stored {
        name: event.event_type,
        data: event.data,
    };
    events.into_iter().map(stored).collect()
}

async fn check_events(store: &AggregateStore, stream: usize, model: &Model) {
    let events = events_of(store, stream).await;
    assert_eq!(events, model.streams[stream].events);
}

/// Whether the store holds what the model does.
async fn check(store: &AggregateStore, model: &Model) {
    for (stream, expected) in model.streams.iter().enumerate() {
        check_events(store, stream, model).await;
        let handle = store.get::<Ledger>(IDS[stream]).await.unwrap();
        assert_eq!(handle.version().await.unwrap(), expected.version());
        assert_eq!(handle.state().await.unwrap(), expected.state());
        for (key, answer) in &expected.keys {
            let context = CommandContext::default().with_idempotency_key(format!("k{key}"));
            let again = handle.send_with(Do::Refuse, context).await.unwrap();
            assert_eq!(Answer::of(again), *answer);
        }
    }
    let history = store.projection::<History>().unwrap();
    assert_eq!(history, model.history());
    assert_eq!(number(store.head()), model.head());
}

/// Whether the files of a closed store hold what the model does, each event at its position.
fn check_files(base: &Path, model: &Model) {
    verify(base);
    let mut log = model.log.iter();
    for line in journal(base) {
        let (_, id) = line.stream();
        for event in line.events() {
            let (stream, expected) = log.next().expect("an event too many");
            assert_eq!(id, IDS[*stream]);
            assert_eq!(event["type"], expected.name.as_str());
            assert_eq!(event["data"], expected.data);
        }
    }
    assert!(log.next().is_none(), "an event is missing");
}

fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().expect("a number"))
}

#[test]
fn any_sequence_of_operations_does_what_the_model_does() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases = number_from("EVENTFOLD_ES_MODEL_CASES").unwrap_or(200);
    let mut seed = [0; 32];
    let number = number_from("EVENTFOLD_ES_MODEL_SEED").unwrap_or(1);
    seed[..8].copy_from_slice(&number.to_le_bytes());
    let config = Config {
        cases: u32::try_from(cases).unwrap(),
        failure_persistence: None,
        max_shrink_iters: 300,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &seed);
    let tally = RefCell::new(Tally::default());
    let sequences = (options(), prop::collection::vec(op(), 1..40));
    let result = TestRunner::new_with_rng(config, rng).run(&sequences, |(options, ops)| {
        let dir = fast_temp_dir();
        runtime.block_on(async {
            let mut case = Case::new(dir.path(), options, &tally).await;
            for op in &ops {
                in_time("an operation", case.run(op)).await;
            }
            in_time("the end", case.finish()).await;
        });
        Ok(())
    });
    let tally = tally.into_inner();
    println!("{cases} cases: {tally:?}");
    result.unwrap();
    // What the cases are for did happen.
    for (what, count) in [
        ("repeats", tally.repeats),
        ("conflicts", tally.conflicts),
        ("panics", tally.panics),
        ("duplicates", tally.duplicates),
        ("reactivations", tally.reactivations),
        ("reopened", tally.reopened),
        ("concurrent", tally.concurrent),
        ("abandoned", tally.abandoned),
    ] {
        assert!(count > cases / 10, "{what}: only {count}");
    }
}
