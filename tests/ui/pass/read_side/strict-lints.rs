//! A crate that is strict with itself.
#![deny(
    missing_docs,
    warnings,
    unused_qualifications,
    unused_results,
    single_use_lifetimes,
    trivial_casts,
    unreachable_pub,
    missing_debug_implementations,
    unused_lifetimes,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements
)]
#![forbid(unsafe_code)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// An account.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
pub struct Account;

/// Opens it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open;

/// It was opened.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

/// How many accounts were opened.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "opens", aggregates(Account), version = 2)]
pub struct Opens(pub u64);

impl Project<Account> for Opens {
    fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {
        self.0 += 1;
    }
}

/// Opens a second account for each.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "second", aggregates(Account), dispatches(Account))]
pub struct Second;

impl React<Account> for Second {
    fn react_to(&mut self, _: &AccountEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if !record.id().ends_with('2') {
            let _ = out.send::<Account>(format!("{}-2", record.id()), Open);
        }
    }
}

pub(super) fn main() {
    let mut opens = Opens::default();
    let opened = Opened;
    let mut data = Vec::new();
    opened.encode(&mut data).unwrap();
    assert_eq!((Opens::NAME, Opens::VERSION), ("opens", 2));
    assert_eq!(opens.subscriptions(), ["account"]);
    let stored = eventfold_es::StoredEvent::new("Opened", "null");
    opens.apply_stored(stored).unwrap();
    assert_eq!(opens.0, 0, "of no account");
    assert_eq!(Second::NAME, "second");
}
