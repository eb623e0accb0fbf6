//! One trace shows command, event, reaction, and command, as OpenTelemetry exports it.

use std::sync::OnceLock;
use std::time::{Duration, SystemTime};

use eventfold_es::prelude::*;
use eventfold_es::{
    AggregateStore, AggregateStoreBuilder, Backoff, CommandContext, ManualClock, Memory, OnFailure,
    Retry, TraceParent,
};
use opentelemetry::trace::{SpanId, TracerProvider as _};
use opentelemetry_sdk::trace::{InMemorySpanExporter, SdkTracerProvider, SpanData};
use serde::{Deserialize, Serialize};
use tracing::Instrument as _;
use tracing_subscriber::layer::SubscriberExt as _;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit, Lock), events(Deposited, Locked), error = IsLocked)]
struct Account {
    is_locked: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lock(bool);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    #[tag]
    amount: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Locked(bool);

#[derive(Debug, thiserror::Error)]
#[error("the account is locked")]
struct IsLocked;

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        if self.is_locked {
            return Err(IsLocked);
        }
        Ok(events![Deposited { amount }])
    }
}

impl Decide<Lock> for Account {
    fn decide(&self, Lock(is_locked): Lock) -> Decision<Self> {
        Ok(events![Locked(is_locked)])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, _: &Deposited) {}
}

impl Evolve<Locked> for Account {
    fn evolve(&mut self, event: &Locked) {
        self.is_locked = event.0;
    }
}

/// Deposits what others deposit into the bank too; 13 a minute later.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "bank", aggregates(Account), dispatches(Account))]
struct Bank;

impl React<Account> for Bank {
    fn react_to(&mut self, event: &AccountEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let (AccountEvent::Deposited(event), true) = (event, record.id() != "bank") {
            if event.amount == 13 {
                out.schedule::<Account>(Duration::from_secs(60), "bank", Deposit(13));
            } else {
                out.send::<Account>("bank", Deposit(event.amount));
            }
        }
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "amount", events(Deposited))]
struct Times(u64);

impl Evolve<Deposited> for Times {
    fn evolve(&mut self, _: &Deposited) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Once {
    amount: u64,
}

#[derive(Decision)]
#[decision(name = "once", command = Once, events(Deposited))]
struct DepositOnce {
    #[model(amount)]
    times: Times,
}

impl Decide<Once> for DepositOnce {
    fn decide(&self, Once { amount }: Once) -> Decision<Self> {
        assert_eq!(self.times.0, 0);
        Ok(events![Deposited { amount }])
    }
}

/// Exports all spans of this process into memory. Each test looks at its own trace.
fn exporter() -> &'static InMemorySpanExporter {
    static EXPORTER: OnceLock<InMemorySpanExporter> = OnceLock::new();
    EXPORTER.get_or_init(|| {
        let exporter = InMemorySpanExporter::default();
        let provider = SdkTracerProvider::builder()
            .with_simple_exporter(exporter.clone())
            .build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::set_global_default(subscriber).unwrap();
        exporter
    })
}

/// A trace of its own, and its caller's span.
fn caller(number: u8) -> TraceParent {
    exporter();
    TraceParent::new([number; 16], [number; 8], 1).unwrap()
}

fn id_of(parent: TraceParent) -> SpanId {
    SpanId::from_bytes(parent.parent_id())
}

/// The spans of a trace that have ended, by their start.
fn spans(trace: TraceParent) -> Vec<SpanData> {
    let all = exporter().get_finished_spans().unwrap().into_iter();
    let trace_id = trace.trace_id();
    let mut own: Vec<_> = all
        .filter(|span| span.span_context.trace_id().to_bytes() == trace_id)
        .collect();
    own.sort_by_key(|span| span.start_time);
    own
}

/// The only span of this name with this parent.
#[track_caller]
fn child(spans: &[SpanData], name: &str, parent: SpanId) -> SpanId {
    let mut children = children(spans, name, parent);
    assert_eq!(children.len(), 1, "{name} in {parent}: {spans:#?}");
    children.remove(0)
}

fn children(spans: &[SpanData], name: &str, parent: SpanId) -> Vec<SpanId> {
    let spans = spans.iter();
    let children = spans.filter(|span| span.name == name && span.parent_span_id == parent);
    children.map(|span| span.span_context.span_id()).collect()
}

fn builder(memory: &Memory) -> AggregateStoreBuilder {
    let builder = AggregateStore::in_memory().keep_in(memory);
    builder.process_manager::<Bank>()
}

async fn account(store: &AggregateStore, id: &str) -> AggregateHandle<Account> {
    store.get::<Account>(id).await.unwrap()
}

/// The span that each event of an account names, in order.
async fn traceparents(store: &AggregateStore, id: &str) -> Vec<Option<TraceParent>> {
    let events = store.read_events("account", id).await.unwrap();
    let of = |event: &eventfold::Event| {
        let record = Recorded::of_eventfold(event, "account", id);
        record.traceparent()
    };
    events.iter().map(of).collect()
}

/// Checks that everything from the caller to the bank's event is in one trace. The command was sent as
/// often as `attempts` says.
async fn check_chain(store: &AggregateStore, caller: TraceParent, first: SpanId, attempts: usize) {
    let spans = spans(caller);
    let execute = child(&spans, "execute", first);
    let react = child(&spans, "react", execute);
    let sent = children(&spans, "send", react);
    assert_eq!(sent.len(), attempts, "{spans:#?}");
    let executed = sent.iter().map(|send| child(&spans, "execute", *send));
    let executed: Vec<_> = executed.collect();
    // The bank's own event is reacted to, without a command.
    let last = *executed.last().unwrap();
    child(&spans, "react", last);
    let named =
        |parents: Vec<Option<TraceParent>>| parents.into_iter().flatten().next_back().unwrap();
    let of_alice = named(traceparents(store, "alice").await);
    assert_eq!(of_alice.trace_id(), caller.trace_id());
    assert_eq!(id_of(of_alice), execute);
    let of_bank = named(traceparents(store, "bank").await);
    assert_eq!(of_bank.trace_id(), caller.trace_id());
    assert_eq!(id_of(of_bank), last);
}

#[tokio::test]
async fn from_a_header_to_the_event_of_a_process_managers_command_all_is_one_trace() {
    let (caller, memory) = (caller(1), Memory::default());
    let store = builder(&memory).open().await.unwrap();
    let context = CommandContext::default().with_traceparent(caller);
    let sent = account(&store, "alice").await;
    sent.send_with(Deposit(5), context).await.unwrap();
    store.run_process_managers().await.unwrap();
    store.run_process_managers().await.unwrap();
    check_chain(&store, caller, id_of(caller), 1).await;
}

#[tokio::test]
async fn a_command_in_a_span_of_the_caller_is_a_child_of_that_span_with_and_without_the_header() {
    use tracing_opentelemetry::OpenTelemetrySpanExt as _;

    for (number, has_header) in [(2, false), (3, true)] {
        let (caller, memory) = (caller(number), Memory::default());
        let store = builder(&memory).open().await.unwrap();
        // As the middleware of a web server does.
        let request = tracing::info_span!("request");
        let remote = opentelemetry::trace::SpanContext::new(
            opentelemetry::trace::TraceId::from_bytes(caller.trace_id()),
            id_of(caller),
            opentelemetry::trace::TraceFlags::SAMPLED,
            true,
            opentelemetry::trace::TraceState::default(),
        );
        let remote = opentelemetry::trace::TraceContextExt::with_remote_span_context(
            &opentelemetry::Context::new(),
            remote,
        );
        request.set_parent(remote).unwrap();
        let context = CommandContext {
            traceparent: has_header.then_some(caller),
            ..CommandContext::default()
        };
        let alice = account(&store, "alice").await;
        let sent = alice.send_with(Deposit(5), context);
        sent.instrument(request).await.unwrap();
        store.run_process_managers().await.unwrap();
        store.run_process_managers().await.unwrap();
        let request = child(&spans(caller), "request", id_of(caller));
        check_chain(&store, caller, request, 1).await;
    }
}

#[tokio::test]
async fn a_restart_between_event_and_reaction_does_not_break_the_trace() {
    let (caller, memory) = (caller(4), Memory::default());
    let store = builder(&memory).open().await.unwrap();
    let context = CommandContext::default().with_traceparent(caller);
    let sent = account(&store, "alice").await;
    sent.send_with(Deposit(5), context).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, sent));

    let store = builder(&memory).open().await.unwrap();
    store.run_process_managers().await.unwrap();
    store.run_process_managers().await.unwrap();
    check_chain(&store, caller, id_of(caller), 1).await;
}

#[tokio::test]
async fn a_restart_between_reaction_and_command_does_not_break_the_trace() {
    let (caller, memory) = (caller(5), Memory::default());
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    let open = async || builder(&memory).clock(clock.clone()).open().await.unwrap();
    let store = open().await;
    let context = CommandContext::default().with_traceparent(caller);
    let sent = account(&store, "alice").await;
    sent.send_with(Deposit(13), context).await.unwrap();
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, sent));

    clock.advance(Duration::from_secs(60));
    let store = open().await;
    store.run_process_managers().await.unwrap();
    store.run_process_managers().await.unwrap();
    check_chain(&store, caller, id_of(caller), 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_attempt_at_a_command_is_a_child_of_the_reaction() {
    let (caller, memory) = (caller(6), Memory::default());
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    let backoff = Backoff::attempts(9).first(Duration::from_secs(1));
    let store = AggregateStore::in_memory()
        .keep_in(&memory)
        .clock(clock.clone())
        .process_manager_with::<Bank>(OnFailure::Stop, Retry::all(backoff))
        .live();
    let store = store.open().await.unwrap();
    let bank = account(&store, "bank").await;
    bank.send(Lock(true)).await.unwrap();
    let context = CommandContext::default().with_traceparent(caller);
    let alice = account(&store, "alice").await;
    let done = alice.send_with(Deposit(5), context).await.unwrap();
    let until = |what: &'static str, is_so: &(dyn Fn() -> bool + Sync)| {
        let start = std::time::Instant::now();
        while !is_so() {
            assert!(
                start.elapsed() < Duration::from_secs(60),
                "never happened: {what}"
            );
            std::thread::yield_now();
        }
    };
    let retried = || store.metrics().process_managers[0].retried == 1;
    tokio::task::block_in_place(|| until("a failed attempt", &retried));
    bank.send(Lock(false)).await.unwrap();
    let sent = || {
        clock.advance(Duration::from_secs(1));
        store.metrics().process_managers[0].sent == 1
    };
    tokio::task::block_in_place(|| until("another attempt", &sent));
    let deadline = Duration::from_secs(60);
    let settled = store.wait_until_settled(done.position, deadline);
    settled.await.unwrap();
    let reacted = || store.metrics().process_managers[0].follower.lag == 0;
    tokio::task::block_in_place(|| until("the last reaction", &reacted));
    store.shutdown().await.unwrap();
    drop((bank, alice, store));
    let store = builder(&memory).open().await.unwrap();
    check_chain(&store, caller, id_of(caller), 2).await;
}

#[tokio::test]
async fn groups_and_decisions_belong_to_the_trace_of_their_caller() {
    let (caller, memory) = (caller(7), Memory::default());
    let store = builder(&memory).open().await.unwrap();
    let context = CommandContext::default().with_traceparent(caller);
    let (alice, bob) = (account(&store, "alice").await, account(&store, "bob").await);
    let group = store
        .together()
        .send(&alice, Deposit(1))
        .send(&bob, Deposit(2));
    group.commit_with(context.clone()).await.unwrap();
    let once = Once { amount: 7 };
    let decided = store
        .decide_with::<DepositOnce>(once, context)
        .await
        .unwrap();

    let spans = spans(caller);
    let together = child(&spans, "together", id_of(caller));
    let executed = children(&spans, "execute", together);
    let of_alice = traceparents(&store, "alice").await[0].unwrap();
    let of_bob = traceparents(&store, "bob").await[0].unwrap();
    assert_eq!([id_of(of_alice), id_of(of_bob)], executed[..]);
    let decide = child(&spans, "decide", id_of(caller));
    let mut events = store.subscribe(eventfold_es::Position::default());
    let last = loop {
        let event = events.next().await.unwrap().unwrap();
        if event.position() == decided.position {
            break event;
        }
    };
    assert_eq!(id_of(last.traceparent().unwrap()), decide);
}

#[tokio::test]
async fn a_trace_that_is_not_sampled_is_carried_and_not_exported() {
    let memory = Memory::default();
    exporter();
    let caller = TraceParent::new([8; 16], [8; 8], 0).unwrap();
    let store = builder(&memory).open().await.unwrap();
    let context = CommandContext::default().with_traceparent(caller);
    let alice = account(&store, "alice").await;
    alice.send_with(Deposit(5), context).await.unwrap();
    store.run_process_managers().await.unwrap();
    assert!(spans(caller).is_empty());
    let of_bank = traceparents(&store, "bank").await[0].unwrap();
    assert_eq!(
        (of_bank.trace_id(), of_bank.is_sampled()),
        (caller.trace_id(), false)
    );
}
