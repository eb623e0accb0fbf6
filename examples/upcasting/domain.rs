//! The domain as it is today: the members of a club.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use super::history;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "member",
    commands(Join, PayFee, ChangeAddress),
    events(MemberJoined, FeePaid, AddressChanged),
    retired("Joined" = history::joined_and_paid, "NewsletterSent"),
    error = NotAMember,
    event_enum(derive(Debug, Clone, PartialEq)),
    // Each change of the state's shape: snapshots of the shapes before are made anew.
    snapshot(version = 3),
)]
pub(crate) struct Member {
    pub(crate) name: Option<String>,
    pub(crate) paid_cents: u64,
    pub(crate) address: Option<Address>,
    /// The year of the last move.
    pub(crate) moved_in: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Address {
    pub(crate) street: String,
    /// Nothing if the old data does not tell the one from the other.
    pub(crate) city: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Join {
    pub(crate) name: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct PayFee {
    pub(crate) cents: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ChangeAddress {
    pub(crate) address: Address,
    pub(crate) year: u64,
}

/// Was a part of `Joined` once, see the `retired` of the aggregate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct MemberJoined {
    pub(crate) name: String,
}

/// Counted dollars at first, and knew one currency only.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(version = 3, upcast(1 = history::in_cents, 2 = history::in_dollars))]
pub(crate) struct FeePaid {
    pub(crate) cents: u64,
    pub(crate) currency: Currency,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) enum Currency {
    Usd,
}

/// Was called `Moved`, held a text, and did not say when.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(
    alias = "Moved",
    version = 3,
    upcast(1 = history::as_address, 2 = history::in_its_year),
)]
pub(crate) struct AddressChanged {
    pub(crate) address: Address,
    pub(crate) year: u64,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("nobody joined here")]
pub(crate) struct NotAMember;

impl Decide<Join> for Member {
    fn decide(&self, Join { name }: Join) -> Decision<Self> {
        Ok(match self.name {
            Some(_) => events![],
            None => events![MemberJoined { name }],
        })
    }
}

impl Decide<PayFee> for Member {
    fn decide(&self, PayFee { cents }: PayFee) -> Decision<Self> {
        self.name.as_ref().ok_or(NotAMember)?;
        let currency = Currency::Usd;
        Ok(events![FeePaid { cents, currency }])
    }
}

impl Decide<ChangeAddress> for Member {
    fn decide(&self, ChangeAddress { address, year }: ChangeAddress) -> Decision<Self> {
        self.name.as_ref().ok_or(NotAMember)?;
        Ok(events![AddressChanged { address, year }])
    }
}

impl Evolve<MemberJoined> for Member {
    fn evolve(&mut self, event: &MemberJoined) {
        self.name = Some(event.name.clone());
    }
}

impl Evolve<FeePaid> for Member {
    fn evolve(&mut self, event: &FeePaid) {
        let Currency::Usd = event.currency;
        self.paid_cents += event.cents;
    }
}

impl Evolve<AddressChanged> for Member {
    fn evolve(&mut self, event: &AddressChanged) {
        self.address = Some(event.address.clone());
        self.moved_in = Some(event.year);
    }
}
