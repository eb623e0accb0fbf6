//! A crate without prelude, with names of ours for something else, where every lint is an error.
#![no_implicit_prelude]
#![deny(
    missing_docs,
    warnings,
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

use ::eventfold_es::{Aggregate, Decision, DecisionContext, DomainEvent, aggregate_impl};
use ::serde::{Deserialize, Serialize};

/// Taken.
pub mod core {}
/// Taken.
pub mod std {}
/// Taken.
#[derive(::std::fmt::Debug, ::std::clone::Clone, ::std::marker::Copy)]
pub struct Decide;
/// Taken.
#[derive(::std::fmt::Debug, ::std::clone::Clone, ::std::marker::Copy)]
pub struct Evolve;

/// A switch.
#[derive(
    ::std::fmt::Debug,
    ::std::clone::Clone,
    ::std::default::Default,
    Serialize,
    Deserialize,
    Aggregate,
)]
#[aggregate(commands(Turn, Look), events(Turned))]
pub struct Switch {
    is_on: bool,
}

/// Turns it.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
pub struct Turn;

/// Looks at it.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
pub struct Look;

/// It was turned.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
pub struct Turned;

#[aggregate_impl]
impl Switch {
    fn decided(&self, _: Turn) -> Decision<Self> {
        ::std::result::Result::Ok(::eventfold_es::events![Turned])
    }

    /// Nothing comes of it.
    pub fn r#decide(&self, _: Look, __command: &DecisionContext<'_>) -> Decision<Self> {
        ::std::result::Result::Ok(::eventfold_es::events![])
    }

    fn evolved(&mut self, _: &Turned) {
        self.is_on = !self.is_on;
    }
}

pub(super) fn main() {
    let events = Switch::default().handle(Turn.into()).unwrap();
    ::std::assert!(Switch::default().apply(&events[0]).is_on);
}

use ::std::convert::Into as _;
use ::std::default::Default as _;
