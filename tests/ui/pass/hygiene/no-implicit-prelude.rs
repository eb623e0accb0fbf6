#![no_implicit_prelude]

use ::eventfold_es::{Aggregate, Decide, Decision, DomainEvent, Evolve};
use ::serde::{Deserialize, Serialize};

#[derive(
    ::std::fmt::Debug,
    ::std::clone::Clone,
    ::std::default::Default,
    Serialize,
    Deserialize,
    Aggregate,
)]
#[aggregate(
    commands(Open, Close = "close"),
    events(Opened, Ended),
    snapshot(every = 10, version = 2),
    unknown_events = "skip",
    retired("Suspended", "Reopened" = reopened, Left = left),
)]
struct Account;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
struct Open;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
struct Close;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "AccountOpened", version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
struct Opened;

fn v1_to_v2(old: u64) -> ::std::result::Result<u64, ::std::string::String> {
    ::std::result::Result::Ok(old)
}

fn v2_to_v3(_: u64) -> Opened {
    Opened
}

fn reopened((): ()) -> AccountEvent {
    ::std::convert::Into::into(Opened)
}

#[derive(Serialize, Deserialize, DomainEvent)]
struct Moved;

#[derive(Serialize, Deserialize, DomainEvent)]
struct Left;

fn left(_: Left) -> ::std::option::Option<AccountEvent> {
    ::std::option::Option::None
}

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(rename_all = "kebab-case", retired("sold", Moved = Ended::moved))]
enum Ended {
    #[event(version = 2, upcast(1 = Ended::closed))]
    Closed {
        reason: ::std::string::String,
    },
    Merged(u64),
    Lost,
}

impl Ended {
    fn closed((): ()) -> Self {
        Self::Lost
    }

    fn moved(_: Moved) -> Self {
        Self::Lost
    }
}

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        ::std::result::Result::Ok(::eventfold_es::events![Opened])
    }
}

impl Decide<Close> for Account {
    fn decide(&self, _: Close) -> Decision<Self> {
        ::std::result::Result::Ok(::eventfold_es::events![Ended::Lost])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

impl Evolve<Ended> for Account {
    fn evolve(&mut self, _: &Ended) {}
}

pub(super) fn main() {}
