// An event that nobody writes any more is still read; that is no use to warn about.
#![deny(warnings)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod old {
    use eventfold_es::prelude::*;
    use serde::{Deserialize, Serialize};

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Reopen;

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(version = 2, upcast(1 = reopened))]
    pub struct Reopened;

    #[deprecated]
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(retired("Mislaid", "Found" = found))]
    #[allow(deprecated)]
    pub enum Lost {
        #[deprecated]
        OnTheWay(Kept),
        #[event(version = 2, upcast(1 = found))]
        AtHome { kept: Kept },
    }

    #[deprecated]
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    pub struct Kept;

    #[deprecated]
    #[derive(Debug, thiserror::Error)]
    #[error("closed")]
    pub struct Refused;

    #[deprecated]
    #[allow(deprecated)]
    pub fn reopened((): ()) -> Reopened {
        Reopened
    }

    #[deprecated]
    #[allow(deprecated)]
    pub fn found((): ()) -> Lost {
        Lost::AtHome { kept: Kept }
    }

    #[deprecated]
    #[allow(deprecated)]
    pub fn lost(_: Lost) -> Option<super::AccountEvent> {
        None
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, old::Reopen),
    events(Opened, old::Reopened, Closed),
    retired(old::Lost = old::lost),
    error = old::Refused,
)]
struct Account;

#[deprecated]
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(command = old::Reopen, event = old::Reopened)]
struct Shelf;

#[allow(deprecated)]
impl Decide<old::Reopen> for Shelf {
    fn decide(&self, _: old::Reopen) -> Decision<Self> {
        Ok(events![old::Reopened])
    }
}

#[allow(deprecated)]
impl Evolve<old::Reopened> for Shelf {
    fn evolve(&mut self, _: &old::Reopened) {}
}

#[deprecated]
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account, Shelf))]
struct Total;

#[allow(deprecated)]
impl Project<Account> for Total {
    fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {}
}

#[allow(deprecated)]
impl Project<Shelf> for Total {
    fn project(&mut self, _: &old::Reopened, _: &Recorded<'_>) {}
}

#[deprecated]
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Account, Shelf), dispatches(Shelf))]
struct Forward;

#[allow(deprecated)]
impl React<Account> for Forward {
    fn react_to(&mut self, _: &AccountEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

#[allow(deprecated)]
impl React<Shelf> for Forward {
    fn react_to(&mut self, _: &old::Reopened, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Closed {
    ByHand,
    #[deprecated]
    ByMail,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[allow(deprecated)]
impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

#[allow(deprecated)]
impl Decide<old::Reopen> for Account {
    fn decide(&self, _: old::Reopen) -> Decision<Self> {
        Ok(events![old::Reopened, Closed::ByHand, Closed::ByMail])
    }
}

#[allow(deprecated)]
impl Evolve<old::Reopened> for Account {
    fn evolve(&mut self, _: &old::Reopened) {}
}

impl Evolve<Closed> for Account {
    fn evolve(&mut self, _: &Closed) {}
}

pub(super) fn main() {
    let events = Account::default().handle(Open.into());
    assert_eq!(events.unwrap().len(), 1);
    #[allow(deprecated)]
    let _ = (Total::default(), Forward::default());
}
