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
)]
struct Account;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
struct Open;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
struct Close;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "AccountOpened")]
struct Opened;

#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(rename_all = "kebab-case")]
enum Ended {
    Closed { reason: ::std::string::String },
    Merged(u64),
    Lost,
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

fn main() {}
