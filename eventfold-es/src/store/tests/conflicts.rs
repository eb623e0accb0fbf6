//! Two stores on one memory, or on one schema of a server, as two processes: their commits can conflict.

use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::__private::example::{Add, Counter};
use crate::{
    Aggregate, AggregateHandle, AggregateStore, AggregateStoreBuilder, CommandContext,
    DecisionContext, ExecuteError, ManualClock, Memory, Version,
};

/// A list of numbers, which it takes in any order but never twice.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Numbers {
    noted: Vec<u64>,
}

#[derive(Debug, Clone)]
enum Command {
    Note(u64),
    /// Changes nothing if the number is there.
    NoteOnce(u64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    Noted { number: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("it is there already")]
struct IsThere;

impl Aggregate for Numbers {
    const AGGREGATE_TYPE: &'static str = "numbers";
    type Command = Command;
    type DomainEvent = Event;
    type Error = IsThere;

    fn handle(&self, command: Command) -> Result<Vec<Event>, IsThere> {
        match command {
            Command::Note(number) if self.noted.contains(&number) => Err(IsThere),
            Command::NoteOnce(number) if self.noted.contains(&number) => Ok(Vec::new()),
            Command::Note(number) | Command::NoteOnce(number) => Ok(vec![Event::Noted { number }]),
        }
    }

    fn apply(mut self, Event::Noted { number }: &Event) -> Self {
        self.noted.push(*number);
        self
    }

    fn repeat(command: &Command) -> Option<Command> {
        Some(command.clone())
    }
}

/// Names the server that the tests run on, if it is not a memory.
#[cfg(feature = "postgres")]
const SERVER: &str = "EVENTFOLD_TEST_SERVER";

/// Sets up stores that share their events.
pub(super) type Sharing = Box<dyn Fn() -> AggregateStoreBuilder>;

pub(super) fn sharing() -> Sharing {
    #[cfg(feature = "postgres")]
    if let Ok(url) = std::env::var(SERVER) {
        let schema = format!("s{}", uuid::Uuid::new_v4().simple());
        return Box::new(move || {
            let builder = AggregateStore::postgres(&url);
            builder.schema(&schema).allow_unsynced(true)
        });
    }
    let memory = Memory::shared();
    Box::new(move || AggregateStore::in_memory().keep_in(&memory))
}

async fn two_stores() -> (AggregateStore, AggregateStore) {
    let builder = sharing();
    let (here, there) = (builder().open().await, builder().open().await);
    (here.unwrap(), there.unwrap())
}

/// A server of PostgreSQL.
#[cfg(all(feature = "postgres", unix))]
#[path = "../../../../tests/integration/support/postgres.rs"]
pub(super) mod postgres;

#[cfg(all(feature = "postgres", unix))]
#[test]
fn stores_on_postgres_conflict_as_stores_on_one_memory() {
    run_on_a_server("store::tests::conflicts::", 12);
}

/// Runs the tests with these names on a server, and looks whether there are so many.
#[cfg(all(feature = "postgres", unix))]
pub(super) fn run_on_a_server(names: &str, least: usize) {
    let settings = ["fsync=off", "full_page_writes=off"];
    let Some(server) = postgres::Server::start(&settings) else {
        return;
    };
    let mut tests = std::process::Command::new(std::env::current_exe().unwrap());
    tests.env(SERVER, server.url());
    let tests = tests.args([names, "--skip", "_on_postgres_"]);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().filter(|line| line.ends_with(" ... ok"));
    assert!(passed.count() >= least, "{text}");
}

/// The same aggregate in two stores. Both have it in memory, at version 0.
async fn two_handles<A: Aggregate>() -> (AggregateHandle<A>, AggregateHandle<A>) {
    let (here, there) = two_stores().await;
    let (here, there) = (
        here.get("n-1").await.unwrap(),
        there.get("n-1").await.unwrap(),
    );
    here.version().await.unwrap();
    there.version().await.unwrap();
    (here, there)
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_through_two_stores_are_each_stored_once_in_one_order() {
    const EACH: u64 = 200;
    let (here, there) = two_handles::<Numbers>().await;
    let start = Arc::new(tokio::sync::Barrier::new(8));
    let tasks = (0..8).map(|task| {
        let handle = if task % 2 == 0 {
            here.clone()
        } else {
            there.clone()
        };
        let start = start.clone();
        tokio::spawn(async move {
            start.wait().await;
            let mut stored = 0;
            for number in task * EACH..(task + 1) * EACH {
                match handle.send(Command::Note(number)).await {
                    Ok(done) => {
                        assert_eq!(done.events, [Event::Noted { number }]);
                        stored += 1;
                    }
                    // Another store can be first that often. Then nothing is stored.
                    Err(ExecuteError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            stored
        })
    });
    let mut stored = 0;
    for task in tasks.collect::<Vec<_>>() {
        stored += task.await.unwrap();
    }
    let (one, other) = (here.load().await.unwrap(), there.load().await.unwrap());
    assert_eq!(one.version, stored);
    assert_eq!(one.state.noted, other.state.noted);
    let mut noted = one.state.noted;
    noted.sort_unstable();
    noted.dedup();
    assert_eq!(noted.len() as u64, stored);
}

#[tokio::test]
async fn a_command_that_conflicts_is_decided_again_on_the_newer_state() {
    let (here, there) = two_handles::<Numbers>().await;
    there.send(Command::Note(1)).await.unwrap();
    let done = here.send(Command::Note(2)).await.unwrap();
    assert_eq!(done.version, 2);

    there.send(Command::Note(3)).await.unwrap();
    let refused = here.send(Command::Note(3)).await;
    assert!(matches!(refused, Err(ExecuteError::Domain(IsThere))));
}

/// Notes when and on which version each decision was made. Deciding takes a second.
#[derive(Clone)]
struct Look {
    clock: ManualClock,
    seen: Arc<Mutex<Vec<(SystemTime, Version)>>>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Watched;

impl Aggregate for Watched {
    const AGGREGATE_TYPE: &'static str = "watched";
    type Command = Look;
    type DomainEvent = Event;
    type Error = IsThere;

    fn handle(&self, _: Look) -> Result<Vec<Event>, IsThere> {
        Err(IsThere)
    }

    fn handle_with(
        &self,
        look: Look,
        context: &DecisionContext<'_>,
    ) -> Result<Vec<Event>, IsThere> {
        look.clock.advance(Duration::from_secs(1));
        let mut seen = look.seen.lock().unwrap();
        seen.push((context.time(), context.version()));
        let number = context.unix_millis();
        Ok(vec![Event::Noted { number }])
    }

    fn apply(self, _: &Event) -> Self {
        self
    }

    fn repeat(look: &Look) -> Option<Look> {
        Some(look.clone())
    }
}

#[tokio::test]
async fn a_command_that_is_decided_again_keeps_its_time_and_sees_the_newer_version() {
    let builder = sharing();
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    let open = || builder().clock(clock.clone()).open();
    let (here, there) = (open().await.unwrap(), open().await.unwrap());
    let (here, there) = (
        here.get::<Watched>("w").await.unwrap(),
        there.get::<Watched>("w").await.unwrap(),
    );
    let look = || Look {
        clock: clock.clone(),
        seen: Arc::default(),
    };
    here.version().await.unwrap();
    there.send(look()).await.unwrap();
    let late = look();
    let done = here.send(late.clone()).await.unwrap();

    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    let (first, second) = (Version::from(0), Version::from(1));
    assert_eq!(*late.seen.lock().unwrap(), [(at, first), (at, second)]);
    assert_eq!(done.events, [Event::Noted { number: 1_000 }]);
}

#[tokio::test]
async fn a_refusal_and_a_command_without_events_are_decided_on_what_another_store_answered() {
    let (here, there) = two_handles::<Numbers>().await;
    here.send(Command::Note(1)).await.unwrap();
    // Decided on version 0 it would store an event.
    assert_eq!(there.send(Command::NoteOnce(1)).await.unwrap().events, []);

    there.send(Command::Note(2)).await.unwrap();
    let same = here.send(Command::NoteOnce(1)).await.unwrap();
    assert_eq!(same.version, 2);
}

#[tokio::test]
async fn a_read_includes_what_another_store_answered() {
    let (here, there) = two_handles::<Numbers>().await;
    for number in 0..10 {
        let done = here.send(Command::Note(number)).await.unwrap();
        let loaded = there.load().await.unwrap();
        assert_eq!(loaded.state.noted.last(), Some(&number));
        assert_eq!(
            (loaded.version, loaded.position),
            (done.version, done.position)
        );
    }
}

#[tokio::test]
async fn an_expected_version_that_another_store_has_passed_is_refused() {
    let (here, there) = two_handles::<Numbers>().await;
    here.send(Command::Note(1)).await.unwrap();
    let context = CommandContext::default().with_expected_version(0);
    match there.send_with(Command::Note(2), context).await {
        Err(ExecuteError::ExpectedVersion { expected, actual }) => {
            assert_eq!((expected, actual), (Version::from(0), Version::from(1)));
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_key_that_another_store_used_stores_nothing_again() {
    let (here, there) = two_handles::<Numbers>().await;
    let context = CommandContext::default().with_idempotency_key("k");
    let first = here.send_with(Command::Note(1), context.clone()).await;
    let again = there.send_with(Command::Note(1), context).await.unwrap();
    assert_eq!(again.version, first.unwrap().version);
    assert_eq!(again.events, [Event::Noted { number: 1 }]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_of_one_caller_keep_their_order_through_a_conflict() {
    const TOGETHER: u64 = 40;
    let (here, there) = two_handles::<Numbers>().await;
    for first in (0..50).map(|round| round * TOGETHER) {
        there.send(Command::Note(first)).await.unwrap();
        // They wait in the mailbox together, on a head that another store has passed.
        let sent = (first + 1..first + TOGETHER).map(|number| here.send(Command::Note(number)));
        for done in join_in_order(sent.collect()).await {
            done.unwrap();
        }
    }
    let noted = here.load().await.unwrap().state.noted;
    assert_eq!(noted, (0..50 * TOGETHER).collect::<Vec<_>>());
}

#[tokio::test]
async fn without_a_copy_of_the_command_the_caller_gets_the_conflict() {
    let (here, there) = two_handles::<Counter>().await;
    there.send(Add(1)).await.unwrap();
    let refused = here.send(Add(2)).await;
    assert!(
        matches!(refused, Err(ExecuteError::Conflict)),
        "{refused:?}"
    );
    assert_eq!(here.send(Add(2)).await.unwrap().version, 2);
    assert_eq!(there.state().await.unwrap().value, 3);
}

/// Polls all futures in order until all are done.
async fn join_in_order<F: Future>(futures: Vec<F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    let mut done: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(move |context| {
        for (future, done) in futures.iter_mut().zip(&mut done) {
            if done.is_none()
                && let std::task::Poll::Ready(output) = future.as_mut().poll(context)
            {
                *done = Some(output);
            }
        }
        if done.iter().all(Option::is_some) {
            std::task::Poll::Ready(done.iter_mut().filter_map(Option::take).collect())
        } else {
            std::task::Poll::Pending
        }
    })
    .await
}

#[tokio::test]
async fn a_group_that_conflicts_is_decided_again_on_the_newer_states() {
    let (here, there) = two_stores().await;
    let both = async |store: &AggregateStore| {
        let one = store.get::<Numbers>("n-1").await.unwrap();
        let two = store.get::<Numbers>("n-2").await.unwrap();
        one.version().await.unwrap();
        two.version().await.unwrap();
        (one, two)
    };
    let (one, two) = both(&here).await;
    let (other_one, other_two) = both(&there).await;
    other_two.send(Command::Note(1)).await.unwrap();
    let group = here.together().send(&one, Command::Note(2));
    let done = group.send(&two, Command::Note(2)).commit().await.unwrap();
    assert_eq!(done.of(&one).unwrap().version, 1);
    assert_eq!(done.of(&two).unwrap().version, 2);

    // A refusal is decided on the newest states too, and a check by `expecting`.
    other_one.send(Command::Note(3)).await.unwrap();
    let group = here.together().send(&two, Command::Note(3));
    let refused = group
        .send(&one, Command::Note(3))
        .commit()
        .await
        .unwrap_err();
    assert!(matches!(refused.refusal::<IsThere>(), Some((1, IsThere))));
    let group = here.together().send(&two, Command::Note(4));
    let done = group.expecting(&one, 2).commit().await.unwrap();
    assert_eq!(done.of(&one).unwrap().version, 2);
}

#[tokio::test]
async fn a_group_that_cannot_be_repeated_answers_a_conflict_and_stores_nothing() {
    let (here, there) = two_stores().await;
    let counters = async |store: &AggregateStore| {
        let one = store.get::<Counter>("c-1").await.unwrap();
        let two = store.get::<Numbers>("n-1").await.unwrap();
        one.version().await.unwrap();
        two.version().await.unwrap();
        (one, two)
    };
    let (one, two) = counters(&here).await;
    let (other, _) = counters(&there).await;
    other.send(Add(1)).await.unwrap();
    let group = || {
        here.together()
            .send(&two, Command::Note(1))
            .send(&one, Add(2))
    };
    if <Counter as Aggregate>::repeat(&Add(2)).is_none() {
        let conflict = group().commit().await.unwrap_err();
        assert!(matches!(conflict, crate::TogetherError::Conflict));
        assert_eq!(two.version().await.unwrap(), 0);
    }
    let done = group().commit().await.unwrap();
    assert_eq!(done.of(&one).unwrap().version, 2);
    assert_eq!(two.version().await.unwrap(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_through_two_stores_are_each_stored_once_and_whole() {
    const EACH: u64 = 50;
    let (here, there) = two_stores().await;
    let tasks: Vec<_> = (0..4)
        .map(|task| {
            let store = if task % 2 == 0 { &here } else { &there }.clone();
            tokio::spawn(async move {
                let one = store.get::<Numbers>("n-1").await.unwrap();
                let two = store.get::<Numbers>("n-2").await.unwrap();
                let mut stored = 0;
                for number in task * EACH..(task + 1) * EACH {
                    let group = store.together().send(&one, Command::Note(number));
                    match group.send(&two, Command::Note(number)).commit().await {
                        Ok(_) => stored += 1,
                        Err(crate::TogetherError::Conflict) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for task in tasks {
        stored += task.await.unwrap();
    }
    let mut lists = Vec::new();
    for id in ["n-1", "n-2"] {
        let state = there
            .get::<Numbers>(id)
            .await
            .unwrap()
            .state()
            .await
            .unwrap();
        lists.push(state.noted);
    }
    assert_eq!(lists[0], lists[1]);
    assert_eq!(lists[0].len(), stored);
}
