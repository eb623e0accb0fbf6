//! Decisions on events that are not durable yet: nobody is answered before them, and if the disk fails
//! they count for nobody.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::Poll;

use eventfold_es_derive::{Decision, DecisionModel, DomainEvent};
use serde::{Deserialize, Serialize};

use crate::storage::files::crash::answers::block_committer;
use crate::storage::files::crash::{ENOSPC, open, runtime, temp_dir};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::{AggregateStore, Decide, Decided, Evolve, ExecuteError, NewEvent};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = crate)]
struct Taken {
    #[tag]
    room: u64,
    #[tag]
    guest: u64,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "room", events(Taken), crate = crate)]
struct Room {
    guests: Vec<u64>,
}

impl Evolve<Taken> for Room {
    fn evolve(&mut self, event: &Taken) {
        self.guests.push(event.guest);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Take {
    guest: u64,
    room: u64,
    beds: usize,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it has the guests {0:?}")]
struct Full(Vec<u64>);

#[derive(Decision)]
#[decision(command = Take, events(Taken), error = Full, crate = crate)]
struct Taking {
    #[model(room)]
    room: Room,
}

impl Decide<Take> for Taking {
    fn decide(&self, command: Take) -> crate::Decision<Self> {
        DECIDED.set(DECIDED.get() + 1);
        let Take { guest, room, beds } = command;
        if self.room.guests.len() >= beds {
            return Err(Full(self.room.guests.clone()));
        }
        Ok(vec![Taken { room, guest }.into()])
    }
}

thread_local! {
    /// How often [`Taking`] was decided on this thread.
    static DECIDED: Cell<u32> = const { Cell::new(0) };
}

/// The rooms of one guest.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "guest", events(Taken), crate = crate)]
struct Guest {
    rooms: Vec<u64>,
}

impl Evolve<Taken> for Guest {
    fn evolve(&mut self, event: &Taken) {
        self.rooms.push(event.room);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Move {
    guest: u64,
    room: u64,
}

/// Moves a guest without a look at the room.
#[derive(Decision)]
#[decision(command = Move, events(Taken), crate = crate)]
struct Moving {
    #[model(guest)]
    guest: Guest,
}

impl Decide<Move> for Moving {
    fn decide(&self, command: Move) -> crate::Decision<Self> {
        let Move { guest, room } = command;
        assert_eq!(self.guest.rooms, [0; 0]);
        Ok(vec![Taken { room, guest }.into()])
    }
}

type Answer = Result<Decided<Taking>, ExecuteError<Full>>;

/// Lets a guest take one of so many beds.
async fn take(store: &AggregateStore, guest: u64, beds: usize) -> Answer {
    let room = 1;
    store.decide::<Taking>(Take { guest, room, beds }).await
}

/// Polls a call once: it is decided, and waits for the disk.
async fn begin(mut call: Pin<&mut impl Future>) {
    std::future::poll_fn(|context| {
        assert!(call.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// Makes two decisions, the second one on the first, before the disk refuses the first. Tests the answers.
fn on_a_full_disk(beds: usize, test: impl AsyncFnOnce(&AggregateStore, Answer, Answer)) {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let held = block_committer(store.inner.storage.files());
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        let mut first = pin!(take(&store, 1, beds));
        begin(first.as_mut()).await;
        let mut second = pin!(take(&store, 2, beds));
        begin(second.as_mut()).await;
        drop(held);
        let first = first.await;
        watch.clear_fault();
        let second = second.await;
        test(&store, first, second).await;
        store.shutdown().await.unwrap();
    });
    watch.stop();
}

fn is_not_stored(answer: &Answer) -> bool {
    matches!(answer, Err(ExecuteError::Io(_)))
}

fn is_refused(answer: &Answer, expected: &[u64]) -> bool {
    matches!(answer, Err(ExecuteError::Domain(Full(guests))) if guests == expected)
}

#[test]
fn a_command_that_was_refused_because_of_an_event_that_is_not_stored_after_all_is_decided_again() {
    on_a_full_disk(1, async |store, first, second| {
        assert!(is_not_stored(&first), "{first:?}");
        assert!(second.is_ok(), "{second:?}");
        let third = take(store, 3, 1).await;
        assert!(is_refused(&third, &[2]), "{third:?}");
    });
}

#[test]
fn no_decision_is_made_on_events_of_earlier_decisions_that_were_not_stored() {
    on_a_full_disk(5, async |store, first, second| {
        assert!(is_not_stored(&first), "{first:?}");
        assert!(is_not_stored(&second), "{second:?}");
        let third = take(store, 3, 1).await;
        assert!(third.is_ok(), "{third:?}");
        let fourth = take(store, 4, 1).await;
        assert!(is_refused(&fourth, &[3]), "{fourth:?}");
    });
}

#[test]
fn a_refusal_is_answered_once_the_events_that_it_is_based_on_are_durable() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let held = block_committer(store.inner.storage.files());
        let mut first = pin!(take(&store, 1, 1));
        begin(first.as_mut()).await;
        let mut second = pin!(take(&store, 2, 1));
        begin(second.as_mut()).await;
        assert_eq!(DECIDED.get(), 2);
        drop(held);
        let second = second.await;
        assert!(is_refused(&second, &[1]), "{second:?}");
        first.await.unwrap();
        store.shutdown().await.unwrap();
    });
}

#[test]
fn decisions_are_made_again_if_an_event_before_them_in_their_batch_excludes_them() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let held = block_committer(store.inner.storage.files());
        let taken = NewEvent::of(&Taken { room: 1, guest: 9 }).unwrap();
        let mut append = pin!(store.append([taken], None));
        begin(append.as_mut()).await;
        let mut first = pin!(take(&store, 1, 2));
        begin(first.as_mut()).await;
        let mut second = pin!(take(&store, 2, 2));
        begin(second.as_mut()).await;
        assert_eq!(DECIDED.get(), 2);
        drop(held);
        append.await.unwrap();
        first.await.unwrap();
        let second = second.await;
        assert!(is_refused(&second, &[9, 1]), "{second:?}");
        store.shutdown().await.unwrap();
    });
}

#[test]
fn a_decision_waits_until_events_that_others_store_with_its_tags_are_durable() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let none = take(&store, 0, 0).await;
        assert!(is_refused(&none, &[]), "{none:?}");
        let held = block_committer(store.inner.storage.files());
        // It does not lock the room.
        let mut moves = pin!(store.decide::<Moving>(Move { guest: 1, room: 1 }));
        begin(moves.as_mut()).await;
        let mut takes = pin!(take(&store, 2, 1));
        begin(takes.as_mut()).await;
        drop(held);
        moves.await.unwrap();
        let takes = takes.await;
        assert!(is_refused(&takes, &[1]), "{takes:?}");
        // Once each: the second was not decided before the first was durable.
        assert_eq!(DECIDED.get(), 2);
        store.shutdown().await.unwrap();
    });
}
