//! What everyone decides on tagged events: bookings of the seats of shows. A show is a boundary: its
//! seats are counted in events with its tag, and one more is stored if a seat is left. State, event and
//! rule are the same code for all; only what plugs them into a store differs.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use eventfold_es::{Decide, Decision, DecisionModel, DomainEvent, Evolve};
use serde::{Deserialize, Serialize};

pub(crate) mod eventfold;
pub(crate) mod sqlite;
pub(crate) mod tephra;
pub(crate) mod umadb;

/// The stored name of the one event.
pub(crate) const BOOKED: &str = "Booked";

/// A seat of a show is taken. As large as the usual event of an account.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Booked {
    #[tag]
    pub(crate) show: String,
    pub(crate) reference: String,
}

impl Booked {
    pub(crate) fn of(show: &str, reference: &str) -> Self {
        Self {
            show: show.to_owned(),
            reference: reference.to_owned(),
        }
    }

    /// The payload, for the stores of bytes and of text.
    pub(crate) fn payload(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an event as JSON")
    }

    pub(crate) fn read(payload: &[u8]) -> Self {
        serde_json::from_slice(payload).expect("an event")
    }
}

/// The tag of the events of a show, as the derive makes it.
pub(crate) fn tag_of(show: &str) -> String {
    format!("show:{show}")
}

/// How many seats of a show are taken.
#[derive(Debug, Clone, Default, DecisionModel)]
#[decision_model(tag = "show", events(Booked))]
pub(crate) struct Seats {
    pub(crate) taken: u64,
}

impl Evolve<Booked> for Seats {
    fn evolve(&mut self, _: &Booked) {
        self.taken += 1;
    }
}

/// How often the rule was applied by anyone.
static DECIDED: AtomicU64 = AtomicU64::new(0);

/// How often the rule was applied since this was asked last.
pub(crate) fn take_decided() -> u64 {
    DECIDED.swap(0, Ordering::Relaxed)
}

impl Seats {
    /// The rule: a booking if a seat is left.
    pub(crate) fn book(&self, show: &str, capacity: u64) -> Result<Booked, Full> {
        DECIDED.fetch_add(1, Ordering::Relaxed);
        if self.taken < capacity {
            Ok(Booked::of(show, "invoice 2026-000417, by card"))
        } else {
            Err(Full)
        }
    }
}

/// The show has no seat left.
#[derive(Debug)]
pub(crate) struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the show is full")
    }
}

impl std::error::Error for Full {}

impl From<Infallible> for Full {
    fn from(never: Infallible) -> Self {
        match never {}
    }
}

/// The decision of this crate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Book {
    pub(crate) show: String,
    pub(crate) capacity: u64,
}

#[derive(Decision)]
#[decision(command = Book, events(Booked), error = Full)]
pub(crate) struct Booking {
    #[model(show)]
    seats: Seats,
}

impl Decide<Book> for Booking {
    fn decide(&self, command: Book) -> Decision<Self> {
        let booked = self.seats.book(&command.show, command.capacity)?;
        Ok(vec![BookingEvent::Booked(booked)])
    }
}

/// An open store of tagged events, with its default settings. Each answered booking is durable.
pub(crate) trait Tagged: Clone + Send + Sync + 'static {
    type Client: Client;

    fn open(base: &Path) -> impl Future<Output = Self> + Send;

    /// A client that books seats of one show.
    fn client(&self, show: &Arc<str>) -> Self::Client;

    /// The bookings of a show, read from what is stored.
    fn read(&self, show: &str) -> impl Future<Output = Vec<Booked>> + Send;

    /// Stores bookings to fill a store, so many in one commit if that matters to it.
    fn append(&self, bookings: Vec<Booked>, at_once: usize) -> impl Future<Output = ()> + Send;

    /// Ends the store.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// One client.
pub(crate) trait Client: Send + 'static {
    /// Takes a seat, unless `capacity` are taken. Returns whether it did when the booking is durable.
    fn book(&mut self, capacity: u64) -> impl Future<Output = bool> + Send;
}

/// The name of a show.
pub(crate) fn show(number: usize) -> String {
    format!("show-{number}")
}
