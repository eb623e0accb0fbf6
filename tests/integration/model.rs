//! Random sequences of store operations against a model in memory.
//!
//! Each case opens a store with random options, runs up to forty operations on three streams, and
//! compares every answer with the model's; at its end, states, versions, stored events, the
//! projection and the files are compared as a whole. Concurrent clients are brought into the order
//! that the positions of their answers state, which the model then must agree with.
//!
//! The default is 25 cases from a fixed seed, two hundred with `EVENTFOLD_WHOLE` set. For more, or others:
//!
//! ```sh
//! EVENTFOLD_ES_MODEL_CASES=100000 EVENTFOLD_ES_MODEL_SEED=7 \
//!     cargo test --release -p eventfold-es-tests --test integration model -- --nocapture
//! ```
//!
//! A failure prints the shortest sequence of operations that was found to fail.

use std::cell::RefCell;
use std::path::Path;
use std::time::Duration;

use eventfold_es::{
    AggregateHandle, AggregateStore, CommandContext, ExecuteError, InjectOptions, StateError,
};
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serde_json::{Value, json};

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerError, copy, eventually, fast_temp_dir, in_time, is_whole,
    journal, poll_once, verify,
};

mod clients;
mod operations;
mod reference;

use operations::{Injected, Op, Options, Read, Send, Then, op, options};
use reference::{Answer, History, Model, Outcome, Stored, number};

/// The streams of a case; the second one's id is encoded on disk.
const IDS: [&str; 3] = ["a", "b/ö", "c"];

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
    crate::support::builder(base)
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
            (Outcome::Conflict, Err(ExecuteError::ExpectedVersion { .. })) => tally.conflicts += 1,
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
fn any_sequence_of_operations_has_the_results_of_the_model() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap();
    let cases =
        number_from("EVENTFOLD_ES_MODEL_CASES").unwrap_or(if is_whole() { 200 } else { 25 });
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
