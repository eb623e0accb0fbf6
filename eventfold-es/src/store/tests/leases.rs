//! Several stores on one memory, or on one schema of a server, as several processes: one of them runs a process
//! manager, and an elected projection. `end_leases` stands for a runner that slept for too long: it does not know.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::following::{Manager, Outcome, dispatch};
use crate::runtime::sender::Sender;
use crate::storage::record_name::{Follower, RecordName};
use crate::store::tests::conflicts::{Sharing, sharing};
use crate::store::tests::marks::{Mark, Marking};
use crate::{
    Aggregate, AggregateStore, AggregateStoreBuilder, Batch, CommandContext, CommandEnvelope,
    DecodeError, ManualClock, OnFailure, Outbox, Position, ProcessManager, Projection, QueryItem,
    Reads, Running, StoredEvent,
};

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(3_600);
const PATIENCE: Duration = Duration::from_secs(60);

/// A list of numbers. It knows no numbers: one that it gets twice shows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Numbers(Vec<u64>);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Note(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Event {
    Noted { number: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("too large")]
struct TooLarge;

impl Aggregate for Numbers {
    const AGGREGATE_TYPE: &'static str = "numbers";
    type Command = Note;
    type DomainEvent = Event;
    type Error = TooLarge;

    fn handle(&self, Note(number): Note) -> Result<Vec<Event>, TooLarge> {
        if number >= 1_000 {
            return Err(TooLarge);
        }
        Ok(vec![Event::Noted { number }])
    }

    fn apply(mut self, Event::Noted { number }: &Event) -> Self {
        self.0.push(*number);
        self
    }

    fn repeat(command: &Note) -> Option<Note> {
        Some(command.clone())
    }
}

/// What the relay does with a number of `source`.
const ALONE: u64 = 0;
const TOGETHER: u64 = 1;
const DECIDED: u64 = 2;
const LATER: u64 = 3;
/// Refused, so it becomes a dead letter.
const REFUSED: u64 = 1_000;

/// Notes each number of `source` elsewhere.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Relay;

impl ProcessManager for Relay {
    const NAME: &'static str = "relay";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["numbers"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        unreachable!("a store hands events over as they are stored")
    }

    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        #[derive(Deserialize)]
        struct Noted {
            number: u64,
        }
        if stored.record().id() != "source" {
            return Ok(());
        }
        let Noted { number } = stored.payload()?;
        match number {
            TOGETHER => {
                out.together(|t| {
                    t.send::<Numbers>("target", Note(number))
                        .send::<Numbers>("other", Note(number))
                });
            }
            DECIDED => {
                out.decide::<Marking>(Mark {
                    page: 1,
                    mark: number,
                });
            }
            LATER => {
                let later = Duration::from_secs(60);
                out.schedule::<Numbers>(later, "target", Note(number));
            }
            999 => drop(out.send_envelope(CommandEnvelope {
                aggregate_type: "numbers".to_owned(),
                instance_id: "target".to_owned(),
                command: REFUSED.into(),
                context: CommandContext::default(),
            })),
            _ => drop(out.send::<Numbers>("target", Note(number))),
        }
        Ok(())
    }
}

fn builder(sharing: &Sharing) -> AggregateStoreBuilder {
    sharing()
        .lease_ttl(FOREVER)
        .process_manager::<Relay>()
        .aggregate_type::<Numbers>()
        .decision::<Marking>()
}

async fn on_demand(sharing: &Sharing) -> AggregateStore {
    builder(sharing).open().await.unwrap()
}

async fn live(sharing: &Sharing) -> AggregateStore {
    builder(sharing).live().open().await.unwrap()
}

async fn note(store: &AggregateStore, id: &str, number: u64) {
    let numbers = store.get::<Numbers>(id).await.unwrap();
    numbers.send(Note(number)).await.unwrap();
}

async fn noted(store: &AggregateStore, id: &str) -> Vec<u64> {
    let numbers = store.get::<Numbers>(id).await.unwrap();
    numbers.state().await.unwrap().0
}

/// Waits until the target has so many numbers.
async fn wait_for(store: &AggregateStore, count: usize) {
    let is_so = |numbers: &Numbers| numbers.0.len() >= count;
    let waited = store.wait_until::<Numbers>("target", is_so, PATIENCE);
    waited.await.unwrap();
}

/// Ends the terms of all followers. Their runners do not notice.
fn end_leases(store: &AggregateStore) {
    let leases = store.inner.storage.leases().unwrap();
    leases.end(Follower::ProcessManager, "relay").unwrap();
    leases.end(Follower::Projection, "sum").unwrap();
    leases.end(Follower::Projection, "outside").unwrap();
}

#[cfg(all(feature = "postgres", unix))]
#[test]
fn stores_on_postgres_hand_leases_over_as_stores_on_one_memory() {
    super::conflicts::run_on_a_server("store::tests::leases::", 16);
}

fn relay(store: &AggregateStore) -> &Manager {
    &store.read_side.process_managers[0]
}

/// Lets the store take the lease, react to all events, and save the commands. It sends none.
fn react(store: &AggregateStore) {
    let head = store.inner.storage.ask_head().unwrap();
    let mut reacting = relay(store).reacting.lock().unwrap();
    while reacting.advance(head).unwrap() {}
}

/// How the store sends the commands that it has reacted with, whatever happened meanwhile.
async fn send_late(store: &AggregateStore) -> Vec<Outcome> {
    let (commands, term) = {
        let mut reacting = relay(store).reacting.lock().unwrap();
        let term = reacting.term();
        let commands: Vec<_> = std::iter::from_fn(|| reacting.take()).collect();
        (commands, term)
    };
    let sender = Sender {
        name: "relay",
        term,
    };
    let dispatchers = &store.read_side.dispatchers;
    let mut outcomes = Vec::new();
    for outgoing in commands {
        outcomes.push(dispatch(&store.inner, dispatchers, &sender, outgoing.envelope).await);
    }
    outcomes
}

#[tokio::test]
async fn a_process_manager_runs_in_one_store_and_the_others_say_which() {
    let sharing = sharing();
    let (here, there) = (live(&sharing).await, on_demand(&sharing).await);
    note(&there, "source", 7).await;
    wait_for(&there, 1).await;

    let report = there.run_process_managers().await.unwrap();
    assert_eq!(report.dispatched + report.dead_lettered, 0);
    let own = here.read_side().process_managers.remove(0);
    let other = there.read_side().process_managers.remove(0);
    assert_eq!(own.follower.running, Running::Live);
    assert_eq!(other.follower.running, Running::StandingBy);
    let (own, other) = (own.follower.runner.unwrap(), other.follower.runner.unwrap());
    assert!(own.is_here && !other.is_here);
    assert_eq!((&own.process, own.since), (&other.process, other.since));
    assert!(own.process.contains(&std::process::id().to_string()));
    assert_eq!(noted(&there, "target").await, [7]);
}

#[tokio::test]
async fn after_a_run_on_demand_another_store_may_run_the_process_manager() {
    let sharing = sharing();
    let (here, there) = (on_demand(&sharing).await, on_demand(&sharing).await);
    for number in 10..20 {
        note(&here, "source", number).await;
        let store = if number % 2 == 0 { &here } else { &there };
        let report = store.run_process_managers().await.unwrap();
        assert_eq!(report.dispatched, 1);
        let status = store.read_side().process_managers.remove(0);
        assert_eq!(status.follower.running, Running::OnDemand);
        assert_eq!(status.follower.runner, None);
    }
    assert_eq!(noted(&here, "target").await, (10..20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_that_is_shut_down_hands_its_process_managers_over_at_once() {
    let sharing = sharing();
    let here = live(&sharing).await;
    note(&here, "source", 7).await;
    wait_for(&here, 1).await;
    let there = live(&sharing).await;
    here.shutdown().await.unwrap();

    note(&there, "source", 8).await;
    wait_for(&there, 2).await;
    assert_eq!(noted(&there, "target").await, [7, 8]);
    let runner = there.read_side().process_managers.remove(0).follower.runner;
    assert!(runner.unwrap().is_here);
}

#[tokio::test]
async fn a_runner_without_a_sign_of_life_is_replaced_once_its_time_is_over() {
    let sharing = sharing();
    let here = on_demand(&sharing).await;
    note(&here, "source", 7).await;
    react(&here);
    // Its signs come once in a quarter of an hour, so it seems dead to a store with less patience. The
    // longer of both limits counts.
    let short = Duration::from_millis(100);
    let there = builder(&sharing).lease_ttl(short).open().await.unwrap();
    let started = Instant::now();
    while started.elapsed() < 3 * short {
        there.run_process_managers().await.unwrap();
        tokio::task::yield_now().await;
    }
    assert_eq!(noted(&there, "target").await, [0; 0]);

    end_leases(&here);
    there.run_process_managers().await.unwrap();
    assert_eq!(noted(&there, "target").await, [7]);
}

#[tokio::test]
async fn a_command_that_a_replaced_runner_sends_late_takes_no_effect() {
    for number in [ALONE, TOGETHER, DECIDED] {
        let sharing = sharing();
        let (here, there) = (on_demand(&sharing).await, on_demand(&sharing).await);
        note(&here, "source", number).await;
        react(&here);
        end_leases(&here);
        let late = send_late(&here).await;
        assert!(matches!(late[..], [Outcome::Undecided]), "{late:?}");
        assert_eq!(effects(&there).await, [0, 0, 0], "{number}");

        there.run_process_managers().await.unwrap();
        let once = match number {
            TOGETHER => [1, 1, 0],
            DECIDED => [0, 0, 1],
            _ => [1, 0, 0],
        };
        assert_eq!(effects(&there).await, once, "{number}");
    }
}

/// How many numbers the target and the other one have, and how many marks there are.
async fn effects(store: &AggregateStore) -> [usize; 3] {
    let marked = store.query(QueryItem::of_type("Marked")).read().await;
    [
        noted(store, "target").await.len(),
        noted(store, "other").await.len(),
        marked.unwrap().events.len(),
    ]
}

#[tokio::test]
async fn a_late_command_takes_no_effect_again_although_its_target_has_forgotten_its_key() {
    for number in [ALONE, TOGETHER] {
        let sharing = sharing();
        let (here, there) = (on_demand(&sharing).await, on_demand(&sharing).await);
        note(&here, "source", number).await;
        // The late sender has the state from before.
        noted(&here, "target").await;
        react(&here);
        end_leases(&here);
        there.run_process_managers().await.unwrap();
        // A stream remembers two keys in these tests.
        for id in ["target", "other"] {
            for key in ["a", "b", "c"] {
                let context = CommandContext::default().with_idempotency_key(key);
                let numbers = there.get::<Numbers>(id).await.unwrap();
                numbers.send_with(Note(20), context).await.unwrap();
            }
        }
        let late = send_late(&here).await;
        assert!(matches!(late[..], [Outcome::Undecided]), "{late:?}");
        let count = async |id| {
            let noted = noted(&there, id).await.into_iter();
            noted.filter(|noted| *noted == number).count()
        };
        assert_eq!(count("target").await, 1);
        assert_eq!(count("other").await, usize::from(number == TOGETHER));
    }
}

#[tokio::test]
async fn a_refused_late_command_fails_no_command_of_users() {
    let sharing = sharing();
    let (here, there) = (on_demand(&sharing).await, on_demand(&sharing).await);
    note(&here, "source", 7).await;
    react(&here);
    end_leases(&here);
    let target = here.get::<Numbers>("target").await.unwrap();
    // Both are decided before the storage refuses the first one.
    let (late, own) = tokio::join!(send_late(&here), target.send(Note(8)));
    assert!(matches!(late[..], [Outcome::Undecided]), "{late:?}");
    assert_eq!(own.unwrap().version, 1);
    there.run_process_managers().await.unwrap();
    assert_eq!(noted(&there, "target").await, [8, 7]);
}

#[tokio::test]
async fn a_replaced_runner_saves_nothing_and_stands_by() {
    let sharing = sharing();
    let (here, there) = (on_demand(&sharing).await, live(&sharing).await);
    wait_for_runner(&there).await;
    note(&here, "source", 7).await;
    wait_for(&there, 1).await;
    // It does not know that it is replaced.
    end_leases(&here);
    note(&here, "source", 8).await;
    note(&here, "source", 999).await;
    here.run_process_managers().await.unwrap();
    note(&here, "source", 9).await;
    assert_eq!(
        here.dead_letters("relay")
            .unwrap()
            .list()
            .await
            .unwrap()
            .len(),
        1
    );
    // Whoever comes next continues from what the second runner saved.
    let last = on_demand(&sharing).await;
    wait_for(&last, 3).await;
    let target = noted(&last, "target").await;
    assert_eq!(target, [7, 8, 9]);
    let letters = last.dead_letters("relay").unwrap();
    assert_eq!(letters.list().await.unwrap().len(), 1);
}

/// Waits until the store runs the process manager.
async fn wait_for_runner(store: &AggregateStore) {
    let mut steps = relay(store).steps();
    while relay(store).reacting.lock().unwrap().term().is_none() {
        steps.changed().await.unwrap();
    }
}

#[tokio::test]
async fn dead_letters_are_listed_in_every_store_and_replayed_by_the_runner() {
    let sharing = sharing();
    let (here, there) = (live(&sharing).await, on_demand(&sharing).await);
    wait_for_runner(&here).await;
    note(&there, "source", 999).await;
    note(&there, "source", 7).await;
    wait_for(&there, 1).await;
    let settled = here.wait_until_settled(here.head(), PATIENCE).await;
    settled.unwrap();

    there.run_process_managers().await.unwrap();
    let letters = there.dead_letters("relay").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    let Err(crate::ReplayError::Io(busy)) = letters.replay(&letter.id).await else {
        panic!("a store that stands by replayed");
    };
    let refused = letters.discard(&letter.id).await.unwrap_err();
    for error in [busy, refused] {
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
        assert!(error.to_string().contains("is run by process"), "{error}");
    }
    let settled = there.wait_until_settled(there.head(), PATIENCE).await;
    let Err(crate::SettleError::Io(error)) = settled else {
        panic!("{settled:?}");
    };
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);

    // Once nobody runs it, any store can.
    here.shutdown().await.unwrap();
    letters.discard(&letter.id).await.unwrap();
    assert!(letters.list().await.unwrap().is_empty());
    let settled = there.wait_until_settled(there.head(), PATIENCE).await;
    settled.unwrap();
}

#[tokio::test]
async fn clocks_that_differ_shift_a_timer_and_never_double_it() {
    let sharing = sharing();
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    let (early, late) = (ManualClock::new(at(10_000)), ManualClock::new(at(13_600)));
    let open = |clock: &ManualClock| builder(&sharing).clock(clock.clone()).open();
    let (here, there) = (open(&early).await.unwrap(), open(&late).await.unwrap());
    note(&here, "source", LATER).await;
    here.run_process_managers().await.unwrap();
    assert_eq!(noted(&here, "target").await, [0; 0]);

    // The other clock is an hour ahead, so the timer is due there. It is sent by both, one too late.
    react(&here);
    early.advance(Duration::from_secs(60));
    react(&here);
    end_leases(&here);
    there.run_process_managers().await.unwrap();
    send_late(&here).await;
    for store in [&here, &there, &here] {
        store.run_process_managers().await.unwrap();
    }
    assert_eq!(noted(&here, "target").await, [LATER]);
}

/// The sum of all numbers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sum {
    sum: u64,
}

impl Projection for Sum {
    const NAME: &'static str = "sum";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["numbers"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.sum += event.data["number"].as_u64().unwrap();
    }
}

/// The position of the checkpoint that all stores share.
fn saved(store: &AggregateStore) -> Option<u64> {
    let records = store.inner.storage.records(Follower::Projection, "sum");
    records.position(RecordName::Checkpoint(1)).unwrap()
}

async fn summing(sharing: &Sharing) -> AggregateStore {
    let builder = sharing();
    builder.projection::<Sum>().open().await.unwrap()
}

#[tokio::test]
async fn each_store_follows_a_projection_and_of_what_they_save_the_newest_stays() {
    let sharing = sharing();
    let (here, there) = (summing(&sharing).await, summing(&sharing).await);
    note(&here, "n", 1).await;
    assert_eq!(here.projection::<Sum>().unwrap().sum, 1);
    note(&here, "n", 2).await;
    assert_eq!(there.projection::<Sum>().unwrap().sum, 3);
    let head = there.head();
    there.shutdown().await.unwrap();
    // It saves an older state, which is no error and changes nothing.
    here.shutdown().await.unwrap();

    let next = summing(&sharing).await;
    let newest = saved(&next);
    assert_eq!(newest, Some(head.get()));
    let position = next.read_side().projections[0].position;
    assert_eq!(Some(position.get()), newest);
    assert_eq!(next.projection::<Sum>().unwrap().sum, 3);
}

async fn elected(sharing: &Sharing) -> AggregateStore {
    let builder = sharing();
    let builder = builder.lease_ttl(FOREVER);
    let builder = builder.projection_elected::<Sum>(OnFailure::Stop).live();
    builder.open().await.unwrap()
}

#[tokio::test]
async fn an_elected_projection_is_followed_by_one_store_and_read_by_all() {
    let sharing = sharing();
    let here = elected(&sharing).await;
    note(&here, "n", 1).await;
    here.wait_for::<Sum>(here.head()).await.unwrap();
    let there = elected(&sharing).await;
    note(&there, "n", 2).await;
    assert_eq!(here.read(|sum: &Sum| sum.sum).await.unwrap(), 3);
    // Nothing is saved so far.
    assert_eq!(there.read(|sum: &Sum| sum.sum).await.unwrap(), 0);
    let refused = there.rebuild::<Sum>().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ResourceBusy);

    here.read_side.save_projections();
    there.wait_for::<Sum>(here.head()).await.unwrap();
    assert_eq!(there.read(|sum: &Sum| sum.sum).await.unwrap(), 3);
    assert_eq!(there.projection::<Sum>().unwrap().sum, 3);
    let status = there.read_side().projections.remove(0);
    assert_eq!(status.running, Running::StandingBy);
    assert_eq!(status.lag, 0);
    here.rebuild::<Sum>().await.unwrap();

    here.shutdown().await.unwrap();
    note(&there, "n", 4).await;
    there.wait_for::<Sum>(there.head()).await.unwrap();
    assert_eq!(there.read(|sum: &Sum| sum.sum).await.unwrap(), 7);
    let status = there.read_side().projections.remove(0);
    assert_eq!(status.running, Running::Live);
    assert!(status.runner.unwrap().is_here);
}

#[tokio::test]
async fn a_store_that_was_replaced_saves_no_state_of_an_elected_projection() {
    let sharing = sharing();
    let here = elected(&sharing).await;
    note(&here, "n", 1).await;
    here.wait_for::<Sum>(here.head()).await.unwrap();
    end_leases(&here);
    let there = elected(&sharing).await;
    there.wait_for::<Sum>(there.head()).await.unwrap();
    assert_eq!(saved(&here), None);
    here.read_side.save_projections();
    assert_eq!(saved(&here), None);
    there.read_side.save_projections();
    assert_eq!(saved(&here), Some(there.head().get()));
}

#[tokio::test]
async fn an_elected_projection_needs_a_live_store() {
    let builder = AggregateStore::in_memory().projection_elected::<Sum>(OnFailure::Stop);
    let refused = builder.open().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidInput);
    assert!(refused.to_string().contains("`live()`"), "{refused}");
}

/// A place outside of the stores, which refuses a batch that does not go on where it is.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<(Position, Vec<u64>)>>);

impl crate::Follower for Outside {
    const NAME: &'static str = "outside";
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn reads(&self) -> Reads {
        Reads::nothing().aggregate::<Numbers>()
    }

    async fn position(&mut self) -> Result<Position, Self::Error> {
        Ok(self.0.lock().unwrap().0)
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), Self::Error> {
        let mut place = self.0.lock().unwrap();
        if place.0 != batch.after() {
            return Err("another process has gone on".into());
        }
        for event in batch.events() {
            for Event::Noted { number } in event.decode::<Numbers>()? {
                place.1.push(number);
            }
        }
        place.0 = batch.position();
        Ok(())
    }
}

async fn feeding(sharing: &Sharing, outside: &Outside) -> AggregateStore {
    let builder = sharing().lease_ttl(FOREVER).follower(outside.clone());
    builder.live().open().await.unwrap()
}

#[tokio::test]
async fn one_of_several_stores_feeds_a_follower_and_another_one_takes_its_place() {
    let (sharing, outside) = (sharing(), Outside::default());
    let here = feeding(&sharing, &outside).await;
    note(&here, "n", 1).await;
    here.wait_for_follower::<Outside>(here.head())
        .await
        .unwrap();
    let there = feeding(&sharing, &outside).await;
    note(&there, "n", 2).await;
    here.wait_for_follower::<Outside>(there.head())
        .await
        .unwrap();
    let until = std::time::Instant::now() + PATIENCE;
    while there.read_side().followers[0].running != Running::StandingBy {
        assert!(std::time::Instant::now() < until, "it stands by");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    here.shutdown().await.unwrap();
    note(&there, "n", 3).await;
    there
        .wait_for_follower::<Outside>(there.head())
        .await
        .unwrap();
    let status = there.read_side().followers.remove(0);
    assert_eq!(status.running, Running::Live);
    assert!(status.runner.unwrap().is_here);
    assert_eq!(outside.0.lock().unwrap().1, [1, 2, 3]);
}

#[tokio::test]
async fn a_store_that_was_replaced_feeds_nothing_twice() {
    let (sharing, outside) = (sharing(), Outside::default());
    let here = feeding(&sharing, &outside).await;
    note(&here, "n", 1).await;
    here.wait_for_follower::<Outside>(here.head())
        .await
        .unwrap();
    end_leases(&here);
    let there = feeding(&sharing, &outside).await;
    // Here it is not known yet.
    note(&here, "n", 2).await;
    note(&there, "n", 3).await;
    there
        .wait_for_follower::<Outside>(there.head())
        .await
        .unwrap();
    assert_eq!(outside.0.lock().unwrap().1, [1, 2, 3]);
    here.shutdown().await.unwrap();
    there.shutdown().await.unwrap();
    assert_eq!(outside.0.lock().unwrap().1, [1, 2, 3]);
}
