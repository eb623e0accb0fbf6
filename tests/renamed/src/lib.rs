//! The derives where the runtime has another name, nothing is imported by itself and the edition is
//! older.
//!
//! It compiles, which is the test: generated code names nothing that is not the runtime's, the
//! standard library's or the user's own.
#![no_implicit_prelude]

use ::es::{
    aggregate_impl, Aggregate, Decide, Decision, DecisionContext, DecisionModel, DomainEvent,
    Evolve, Outbox, ProcessManager, Project, Projection, React, Recorded,
};
use ::serde::{Deserialize, Serialize};

/// A thing that counts.
#[derive(
    ::std::fmt::Debug,
    ::std::clone::Clone,
    ::std::default::Default,
    Serialize,
    Deserialize,
    Aggregate,
)]
#[aggregate(
    crate = ::es,
    commands(Add, Reset = "back-to-zero"),
    events(Added, WasReset, gen::Begun),
    snapshot(every = 10, version = 2),
)]
pub struct Counter {
    value: u64,
}

/// Adds.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
pub struct Add(pub u64);

/// Goes back to 0.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
pub struct Reset;

/// Something was added.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = ::es, name = "added")]
pub struct Added {
    amount: u64,
}

/// Called as it may be in this edition.
pub mod gen {
    use ::es::DomainEvent;
    use ::serde::{Deserialize, Serialize};

    /// A new generation began.
    #[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
    #[event(crate = ::es, version = 2, upcast(1 = super::gen::begun))]
    pub struct Begun;

    pub(crate) fn begun((): ()) -> Begun {
        Begun
    }
}

#[aggregate_impl(crate = ::es)]
impl Counter {
    fn begun(&mut self, _: &gen::Begun) {}

    fn gen(&self, _: Reset, _: &DecisionContext<'_>) -> Decision<Self> {
        ::std::result::Result::Ok(::es::events![WasReset::ByHand])
    }
}

/// It went back to 0.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = ::es, rename_all = "kebab-case")]
pub enum WasReset {
    /// Because somebody wanted it.
    ByHand,
    /// Because it was full.
    ByOverflow {
        /// What it held.
        value: u64,
    },
}

impl Decide<Add> for Counter {
    fn decide(&self, Add(amount): Add) -> Decision<Self> {
        match self.value.checked_add(amount) {
            ::std::option::Option::Some(_) => {
                ::std::result::Result::Ok(::es::events![Added { amount }])
            }
            ::std::option::Option::None => ::std::result::Result::Ok(::es::events![
                WasReset::ByOverflow { value: self.value },
                Added { amount },
            ]),
        }
    }
}

impl Evolve<Added> for Counter {
    fn evolve(&mut self, event: &Added) {
        self.value += event.amount;
    }
}

impl Evolve<WasReset> for Counter {
    fn evolve(&mut self, _: &WasReset) {
        self.value = 0;
    }
}

/// What all counters hold.
#[derive(
    ::std::fmt::Debug,
    ::std::clone::Clone,
    ::std::default::Default,
    Serialize,
    Deserialize,
    Projection,
)]
#[projection(crate = ::es, aggregates(Counter), version = 2)]
pub struct Sum {
    value: u64,
}

impl Project<Counter> for Sum {
    fn project(&mut self, event: &CounterEvent, _: &Recorded<'_>) {
        if let CounterEvent::Added(added) = event {
            self.value += added.amount;
        }
    }
}

/// Starts a counter again that has overflowed.
#[derive(::std::fmt::Debug, ::std::default::Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(crate = ::es, aggregates(Counter), dispatches(Counter))]
pub struct StartAgain;

impl React<Counter> for StartAgain {
    fn react_to(&mut self, event: &CounterEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let CounterEvent::WasReset(WasReset::ByOverflow { .. }) = event {
            out.send::<Counter>(record.id(), Reset);
        }
    }
}

/// A step that was taken by one of a generation.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = ::es)]
pub struct Stepped {
    #[tag]
    gen: u8,
}

/// The steps of a generation.
#[derive(::std::fmt::Debug, ::std::default::Default, DecisionModel)]
#[decision_model(crate = ::es, tag = "gen", events(Stepped))]
pub struct Steps(u64);

impl Evolve<Stepped> for Steps {
    fn evolve(&mut self, _: &Stepped) {
        self.0 += 1;
    }
}

/// Takes a step.
#[derive(::std::fmt::Debug, ::std::clone::Clone, Serialize, Deserialize)]
pub struct Step {
    gen: u8,
}

/// Each generation takes three steps at most.
#[derive(::std::fmt::Debug, Decision)]
#[decision(crate = ::es, command = Step, events(Stepped))]
pub struct Stepping {
    #[model(gen)]
    gen: Steps,
}

impl Decide<Step> for Stepping {
    fn decide(&self, command: Step) -> Decision<Self> {
        ::std::result::Result::Ok(if self.gen.0 < 3 {
            ::es::events![Stepped { gen: command.gen }]
        } else {
            ::es::events![]
        })
    }
}
