//! Waiting for a state of an aggregate, and for the process managers to come to rest.

use std::io::ErrorKind;
use std::time::Duration;

use eventfold_es::__private::example::{Add, Counter, Forward};
use eventfold_es::{
    AggregateStore, CommandEnvelope, Outbox, Position, ProcessManager, SettleError, StoredEvent,
    WaitError,
};
use serde::{Deserialize, Serialize};

use crate::support::scripted::{
    Gate, GateCommand, Scripted, clock, command, open_live, open_on_demand, passed, run, seconds,
    tell,
};
use crate::support::{
    DEADLINE, Door, Ledger, LedgerCommand as Do, abandon, in_time, open, poll_once, stall, temp_dir,
};

async fn add(store: &AggregateStore, id: &str, amount: u64) -> Position {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.send(Add(amount)).await.unwrap().position
}

async fn open_counters(is_live: bool) -> AggregateStore {
    let builder = AggregateStore::in_memory()
        .process_manager::<Forward>()
        .aggregate_type::<Counter>();
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await.unwrap()
}

#[tokio::test]
async fn a_state_that_is_there_already_is_not_waited_for() {
    let store = open_counters(false).await;
    add(&store, "c", 5).await;
    let waited = store
        .wait_until::<Counter>("c", |c| c.value == 5, Duration::ZERO)
        .await;
    assert_eq!(waited.unwrap().state, Counter { value: 5 });
}

#[tokio::test]
async fn a_state_is_waited_for_from_commit_to_commit_and_the_predicate_may_borrow() {
    let store = open_counters(false).await;
    for _ in 0..5 {
        add(&store, "c", 1).await;
    }
    let mut seen = Vec::new();
    {
        let is_so = |counter: &Counter| {
            seen.push(counter.value);
            counter.value >= 8
        };
        let mut waiting = Box::pin(store.wait_until::<Counter>("c", is_so, DEADLINE));
        while poll_once(&mut waiting).await.is_none() {
            add(&store, "other", 1).await;
            add(&store, "c", 1).await;
            if store
                .get::<Counter>("c")
                .await
                .unwrap()
                .state()
                .await
                .unwrap()
                .value
                == 8
            {
                break;
            }
        }
        let loaded = in_time("the state", waiting).await.unwrap();
        assert_eq!((loaded.state.value, loaded.version.into()), (8, 8_u64));
        assert_eq!(loaded.position, store.head());
    }
    // It is looked at once at the beginning, and then only after its own commits.
    assert!(seen.len() <= 4, "{seen:?}");
    assert_eq!((seen.first(), seen.last()), (Some(&5), Some(&8)));
}

#[tokio::test]
async fn the_state_is_not_looked_at_after_commits_in_other_streams() {
    let store = open_counters(false).await;
    add(&store, "c", 1).await;
    let looks = std::cell::Cell::new(0);
    let is_so = |counter: &Counter| {
        looks.set(looks.get() + 1);
        counter.value == 2
    };
    let mut waiting = Box::pin(store.wait_until::<Counter>("c", is_so, DEADLINE));
    let mut others = store.subscribe(store.head());
    assert!(poll_once(&mut waiting).await.is_none());
    for _ in 0..20 {
        add(&store, "other", 1).await;
        others.next().await.unwrap().unwrap();
        for _ in 0..5 {
            assert!(poll_once(&mut waiting).await.is_none());
            tokio::task::yield_now().await;
        }
    }
    assert_eq!(looks.get(), 1);
    add(&store, "c", 1).await;
    in_time("the state", waiting).await.unwrap();
    assert_eq!(looks.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_is_waited_for_until_it_is_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 0);
    let stalled = stall(&store).await;
    abandon(ledger.send(Do::Add(1))).await;
    let is_decided = Door::default();
    let door = is_decided.clone();
    let is_so = move |ledger: &Ledger| {
        door.open();
        ledger.total == 1
    };
    let mut waiting = Box::pin(store.wait_until::<Ledger>("a", is_so, DEADLINE));
    assert!(poll_once(&mut waiting).await.is_none());
    assert!(!is_decided.is_open());
    drop(stalled);
    let loaded = in_time("the state", waiting).await.unwrap();
    assert_eq!(
        (loaded.version.into(), loaded.position),
        (1_u64, store.head())
    );
}

#[tokio::test]
async fn a_state_of_an_aggregate_that_cannot_be_is_not_waited_for() {
    let store = open_counters(false).await;
    let waited = store.wait_until::<Counter>("", |_| true, DEADLINE).await;
    let Err(WaitError::Io(error)) = waited else {
        panic!("no aggregate has that id");
    };
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}

#[tokio::test]
async fn a_state_that_does_not_come_in_time_is_an_error_with_the_last_version() {
    let store = open_counters(false).await;
    add(&store, "c", 5).await;
    add(&store, "c", 5).await;
    for timeout in [Duration::ZERO, Duration::from_millis(5)] {
        let waited = store.wait_until::<Counter>("c", |_| false, timeout).await;
        let Err(WaitError::TimedOut {
            stream,
            version,
            waited,
            ..
        }) = waited
        else {
            panic!("it never holds");
        };
        assert_eq!(stream.to_string(), "counter/c");
        assert_eq!(version, 2);
        assert_eq!(waited, timeout);
    }
}

#[tokio::test]
async fn waiting_for_a_state_ends_with_the_store() {
    let store = open_counters(false).await;
    let mut waiting = Box::pin(store.wait_until::<Counter>("c", |_| false, DEADLINE));
    assert!(poll_once(&mut waiting).await.is_none());
    let other = store.clone();
    tokio::spawn(async move { other.shutdown().await.unwrap() });
    let error = in_time("the end", waiting).await.unwrap_err();
    match error {
        WaitError::Io(error) => assert_eq!(error.kind(), ErrorKind::NotConnected),
        WaitError::State(error) => assert!(error.to_string().contains("shut down"), "{error}"),
        other => panic!("{other}"),
    }
}

#[test]
fn waiting_needs_no_runtime_with_timers() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        let store = open_counters(true).await;
        let position = add(&store, "c", 5).await;
        store.wait_until_settled(position, DEADLINE).await.unwrap();
        let all = store
            .wait_until::<Counter>("all", |all| all.value == 5, DEADLINE)
            .await;
        all.unwrap();
        let waited = store
            .wait_until::<Counter>("all", |_| false, Duration::from_millis(5))
            .await;
        assert!(matches!(waited, Err(WaitError::TimedOut { .. })));
    });
}

/// Hands a number on from counter to counter: `r-3` leads to `r-2`, and so on. `end-..` is told to the
/// next process manager.
#[derive(Default, Serialize, Deserialize)]
struct Relay;

/// Hands on what [`Relay`] does, in turn with it.
#[derive(Default, Serialize, Deserialize)]
struct Return;

fn handed_on(id: &str, is_even: bool, out: &mut Outbox<'_>) {
    let Some((name, left)) = id.split_once('-') else {
        return;
    };
    let left: u64 = left.parse().unwrap();
    if left > 0 && left.is_multiple_of(2) == is_even {
        out.send::<Counter>(format!("{name}-{}", left - 1), Add(1));
    }
}

macro_rules! hands_on {
    ($name:ident, $text:literal, $is_even:literal) => {
        impl ProcessManager for $name {
            const NAME: &'static str = $text;

            fn subscriptions(&self) -> &'static [&'static str] {
                &["counter"]
            }

            fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
                unreachable!("a store hands events over as they are stored")
            }

            fn react_stored(
                &mut self,
                stored: StoredEvent<'_>,
                out: &mut Outbox<'_>,
            ) -> Result<(), eventfold_es::DecodeError> {
                handed_on(stored.record().id(), $is_even, out);
                Ok(())
            }
        }
    };
}

hands_on!(Relay, "relay", true);
hands_on!(Return, "return", false);

async fn open_relay(is_live: bool) -> AggregateStore {
    let builder = AggregateStore::in_memory()
        .process_manager::<Relay>()
        .process_manager::<Return>()
        .aggregate_type::<Counter>();
    let builder = if is_live { builder.live() } else { builder };
    builder.open().await.unwrap()
}

async fn value(store: &AggregateStore, id: &str) -> u64 {
    let counter = store.get::<Counter>(id).await.unwrap();
    counter.state().await.unwrap().value
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_follows_from_an_event_is_waited_for_over_several_process_managers() {
    for is_live in [false, true] {
        let store = open_relay(is_live).await;
        for round in 1..=20 {
            let position = add(&store, "r-9", 1).await;
            store.wait_until_settled(position, DEADLINE).await.unwrap();
            for left in 0..9 {
                assert_eq!(value(&store, &format!("r-{left}")).await, round);
            }
        }
        let head = store.head();
        store.wait_until_settled(head, DEADLINE).await.unwrap();
        assert_eq!(store.head(), head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_rest_ends_under_traffic_that_never_ends() {
    for is_live in [false, true] {
        let store = open_relay(is_live).await;
        let others = store.clone();
        let traffic = tokio::spawn(async move {
            // One workflow begins before the other ends, so that there is always something to do.
            for n in 0_u64.. {
                add(&others, &format!("traffic{n}-20"), 1).await;
                let middle = format!("traffic{n}-10");
                let is_there = |counter: &Counter| counter.value == 1;
                let waited = others.wait_until(&middle, is_there, DEADLINE).await;
                waited.unwrap();
            }
        });
        for n in 0..5 {
            let id = format!("r{n}-9");
            let position = add(&store, &id, 1).await;
            store.wait_until_settled(position, DEADLINE).await.unwrap();
            assert_eq!(value(&store, &format!("r{n}-0")).await, 1);
        }
        traffic.abort();
        let _ = traffic.await;
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_not_stored_yet_is_waited_for() {
    let store = open_relay(true).await;
    let first = add(&store, "r-1", 1).await;
    let first: u64 = first.to_string().parse().unwrap();
    let later: Position = (first + 1_000).to_string().parse().unwrap();
    let mut waiting = Box::pin(store.wait_until_settled(later, DEADLINE));
    assert!(poll_once(&mut waiting).await.is_none());
    let timed_out = store
        .wait_until_settled(later, Duration::from_millis(5))
        .await;
    let Err(SettleError::TimedOut { position, busy, .. }) = timed_out else {
        panic!("it is not stored");
    };
    assert_eq!((position, busy), (later, vec![]));
    while store.head() < later {
        add(&store, "other", 1).await;
    }
    in_time("rest", waiting).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_answers_a_failure_is_waited_for_and_a_timer_only_once_it_is_due() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let clock = clock();
        let builder = crate::support::builder(&dir)
            .clock(clock.clone())
            .process_manager::<Scripted>()
            .aggregate_type::<Gate>();
        let builder = if is_live { builder.live() } else { builder };
        let store = builder.open().await.unwrap();
        for gate in ["shut", "answered-1"] {
            command(&store, gate, GateCommand::Shut).await;
        }
        tell(&store, "later 3600 key g 9").await;
        tell(&store, "either shut 1 g 2").await;
        tell(&store, "send answered-1 3").await;
        store
            .wait_until_settled(store.head(), DEADLINE)
            .await
            .unwrap();
        assert_eq!(passed(&store, "g").await, [2]);
        assert_eq!(passed(&store, "answers").await, [3]);
        assert_eq!(store.read_side().process_managers[0].timers, 1);
        clock.advance(seconds(3600));
        store
            .wait_until_settled(store.head(), DEADLINE)
            .await
            .unwrap();
        assert_eq!(passed(&store, "g").await, [2, 9]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_that_is_at_work_too_long_is_named() {
    let dir = temp_dir();
    let store = open_live(&dir, &clock()).await;
    command(&store, "shut", GateCommand::Shut).await;
    // It is tried again, at a time that does not come.
    tell(&store, "send shut 1").await;
    // The second time the command is there before the call, since `run` waits for its first attempt.
    for _ in 0..2 {
        let timed_out = store
            .wait_until_settled(store.head(), Duration::from_millis(50))
            .await;
        let error = timed_out.unwrap_err();
        let SettleError::TimedOut { busy, .. } = &error else {
            panic!("{error}");
        };
        assert_eq!(*busy, ["scripted"]);
        assert!(
            error
                .to_string()
                .contains("these process managers are at work: scripted")
        );
        assert_eq!(run(&store).await, (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_a_failure_is_waited_for_while_it_is_tried_again() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    for gate in ["answered-1", "answers"] {
        command(&store, gate, GateCommand::Shut).await;
    }
    tell(&store, "send answered-1 1").await;
    assert_eq!(run(&store).await, (0, 0));
    // The answer does not exist before the last attempt.
    let mut waiting = Box::pin(store.wait_until_settled(store.head(), DEADLINE));
    assert!(poll_once(&mut waiting).await.is_none());
    for _ in 0..2 {
        clock.advance(seconds(1));
        assert_eq!(run(&store).await, (0, 0));
    }
    // It is refused, and tried again later.
    for _ in 0..20 {
        assert!(poll_once(&mut waiting).await.is_none());
        tokio::task::yield_now().await;
    }
    command(&store, "answers", GateCommand::Open).await;
    // It gives up after the deadline.
    loop {
        clock.advance(seconds(1));
        let _ = run(&store).await;
        if let Some(settled) = poll_once(&mut waiting).await {
            settled.unwrap();
            break;
        }
    }
    assert_eq!(passed(&store, "answers").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn code_that_the_store_runs_cannot_wait_for_rest() {
    let store = open_counters(false).await;
    let counter = store.get::<Counter>("c").await.unwrap();
    let (inner, runtime) = (store.clone(), tokio::runtime::Handle::current());
    let waited = counter.inspect(move |_| {
        let settled = inner.wait_until_settled(Position::default(), DEADLINE);
        tokio::task::block_in_place(|| runtime.block_on(settled))
    });
    let Err(SettleError::Io(error)) = waited.await.unwrap() else {
        panic!("it would wait for itself");
    };
    assert_eq!(error.kind(), ErrorKind::Deadlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_rest_that_is_given_up_loses_nothing() {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    tell(&store, "send g 1").await;
    let settled = || Box::pin(store.wait_until_settled(store.head(), DEADLINE));
    abandon(settled()).await;
    in_time("rest", settled()).await.unwrap();
    assert_eq!(passed(&store, "g").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn waiting_for_rest_fails_with_the_error_of_a_process_manager_that_stopped() {
    for is_live in [false, true] {
        let dir = temp_dir();
        let store = if is_live {
            open_live(&dir, &clock()).await
        } else {
            open_on_demand(&dir, &clock()).await
        };
        tell(&store, "panic").await;
        let error = store
            .wait_until_settled(store.head(), DEADLINE)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("told to panic"), "{error}");
        store.shutdown().await.unwrap();
        let closed = store.wait_until_settled(store.head(), DEADLINE).await;
        let Err(SettleError::Io(error)) = closed else {
            panic!("it is shut down");
        };
        assert_eq!(error.kind(), ErrorKind::NotConnected);
    }
}
