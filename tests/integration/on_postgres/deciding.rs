//! Decisions in several stores on one schema.

use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, CommandContext, Decided, ExecuteError, Query};
use serde::{Deserialize, Serialize};

use super::{FAST, orders};
use crate::support::postgres::Server;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Seated {
    #[tag]
    show: String,
    guest: u64,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "show", events(Seated))]
struct Seats {
    guests: Vec<u64>,
}

impl Evolve<Seated> for Seats {
    fn evolve(&mut self, event: &Seated) {
        self.guests.push(event.guest);
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum ShowError {
    #[error("no seat is free: {taken} are taken")]
    Full { taken: usize },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Seat {
    show: String,
    guest: u64,
}

const SEATS: usize = 40;

#[derive(Decision)]
#[decision(command = Seat, events(Seated), error = ShowError)]
struct Seating {
    #[model(show)]
    seats: Seats,
}

impl Decide<Seat> for Seating {
    fn decide(&self, Seat { show, guest }: Seat) -> Decision<Self> {
        let taken = self.seats.guests.len();
        if self.seats.guests.contains(&guest) {
            return Ok(events![]);
        }
        if taken >= SEATS {
            return Err(ShowError::Full { taken });
        }
        Ok(events![Seated { show, guest }])
    }
}

async fn seat(
    store: &AggregateStore,
    guest: u64,
) -> Result<Decided<Seating>, ExecuteError<ShowError>> {
    let show = "s-1".to_owned();
    store.decide::<Seating>(Seat { show, guest }).await
}

async fn two_stores(server: &Server) -> [AggregateStore; 2] {
    let open = || orders(server).allow_unsynced(true).open();
    [open().await.unwrap(), open().await.unwrap()]
}

/// How many seats are taken.
async fn taken(store: &AggregateStore) -> usize {
    store.query(Query::all()).read().await.unwrap().events.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_in_two_stores_never_break_their_rule() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let stores = two_stores(&server).await;
    let guests = (0..8).map(|client| {
        let store = stores[client % 2].clone();
        tokio::spawn(async move {
            let mut seated = 0;
            for guest in 0..20 {
                match seat(&store, client as u64 * 100 + guest).await {
                    Ok(_) => seated += 1,
                    Err(ExecuteError::Domain(ShowError::Full { taken })) => {
                        assert_eq!(taken, SEATS);
                    }
                    Err(ExecuteError::Conflict) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            seated
        })
    });
    let mut seated = 0;
    for guest in guests.collect::<Vec<_>>() {
        seated += guest.await.unwrap();
    }
    assert_eq!(seated, SEATS);
    assert_eq!(taken(&stores[0]).await, SEATS);
}

#[tokio::test]
async fn a_decision_that_stores_nothing_is_made_on_what_another_store_answered() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let [here, there] = two_stores(&server).await;
    // Both have the state in memory.
    seat(&here, 0).await.unwrap();
    seat(&there, 0).await.unwrap();
    for guest in 1..SEATS as u64 {
        let [first, second] = if guest % 2 == 0 {
            [&here, &there]
        } else {
            [&there, &here]
        };
        let stored = seat(first, guest).await.unwrap();
        assert_eq!(stored.events.len(), 1);
        let known = seat(second, guest).await.unwrap();
        assert_eq!(known.events.len(), 0, "guest {guest} is seated");
        assert!(known.position >= stored.position);
    }
    let full = seat(&here, 1000).await.unwrap_err();
    let taken = ShowError::Full { taken: SEATS };
    assert!(matches!(full, ExecuteError::Domain(error) if error == taken));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_decision_with_one_key_in_two_stores_at_once_is_stored_once() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let stores = two_stores(&server).await;
    for round in 0..20 {
        let context = || CommandContext::default().with_idempotency_key(format!("k-{round}"));
        let sent = stores.clone().map(|store| {
            let context = context();
            // The shows differ, so only the key lets one of them find the other.
            tokio::spawn(async move {
                let show = format!("show of {:?}", std::ptr::from_ref(&store));
                let command = Seat { show, guest: round };
                store.decide_with::<Seating>(command, context).await
            })
        });
        let mut new = 0;
        for sent in sent {
            match sent.await.unwrap() {
                Ok(decided) if !decided.repeated => new += 1,
                // Another command has the key.
                Ok(_) | Err(ExecuteError::KeyReused { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(new, 1, "in round {round}");
    }
    assert_eq!(taken(&stores[0]).await, 20);
}
