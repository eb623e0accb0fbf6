//! The domain of the examples in the documentation: a counter, a projection and a process manager.
//!
//! With it, an example shows only the call that it is about. Without it, each example would repeat
//! an aggregate in hidden lines. It is not part of the public interface.

use serde::{Deserialize, Serialize};

use crate::{
    Aggregate, CommandContext, CommandEnvelope, DecisionTypes, ProcessManager, Projection,
};

/// An aggregate that adds, written by hand.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counter {
    /// The sum of all amounts.
    pub value: u64,
}

/// The only command of a [`Counter`]: adds this amount.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Add(pub u64);

/// The events of a [`Counter`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
pub enum CounterEvent {
    /// An amount was added.
    Added {
        /// The amount.
        amount: u64,
    },
}

/// Why a [`Counter`] refuses a command: it would add 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("nothing to add")]
pub struct NothingToAdd;

#[cfg(feature = "axum")]
#[diagnostic::do_not_recommend]
impl crate::http::Refusal for NothingToAdd {}

#[diagnostic::do_not_recommend]
impl Aggregate for Counter {
    const AGGREGATE_TYPE: &'static str = "counter";
    type Command = Add;
    type DomainEvent = CounterEvent;
    type Error = NothingToAdd;

    fn handle(&self, Add(amount): Add) -> Result<Vec<CounterEvent>, NothingToAdd> {
        if amount == 0 {
            return Err(NothingToAdd);
        }
        Ok(vec![CounterEvent::Added { amount }])
    }

    fn apply(mut self, event: &CounterEvent) -> Self {
        let CounterEvent::Added { amount } = event;
        self.value += amount;
        self
    }
}

#[diagnostic::do_not_recommend]
impl DecisionTypes for Counter {
    type DomainEvent = CounterEvent;
    type Error = NothingToAdd;
}

/// The sum over all counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// The sum of the amounts of all counters.
    pub value: u64,
}

#[diagnostic::do_not_recommend]
impl Projection for Total {
    const NAME: &'static str = "total";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.value += event.data["amount"].as_u64().unwrap_or_default();
    }
}

/// Adds to the counter `all` each amount that is added to another counter.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forward;

#[diagnostic::do_not_recommend]
impl ProcessManager for Forward {
    const NAME: &'static str = "forward";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn react(&mut self, _: &str, id: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        if id == "all" {
            return Vec::new();
        }
        vec![CommandEnvelope {
            aggregate_type: Counter::AGGREGATE_TYPE.to_owned(),
            instance_id: "all".to_owned(),
            command: event.data["amount"].clone(),
            context: CommandContext::default(),
        }]
    }
}

/// The domain of the examples about decisions: courses with a limit, and students who subscribe to at
/// most two of them.
///
/// A macro, since derived impls in this crate would be listed in the errors of a program that lacks
/// one.
#[doc(hidden)]
#[macro_export]
macro_rules! __courses {
    () => {
        #[allow(unused_imports)]
        use eventfold_es::prelude::*;

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, DomainEvent)]
        pub struct CourseDefined {
            #[tag]
            pub course: String,
            pub capacity: u32,
        }

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize, DomainEvent)]
        pub struct Subscribed {
            #[tag]
            pub course: String,
            #[tag]
            pub student: String,
        }

        #[derive(Debug, Default, DecisionModel)]
        #[decision_model(tag = "course", events(CourseDefined, Subscribed))]
        pub struct Seats {
            pub capacity: u32,
            pub taken: u32,
        }

        impl Evolve<CourseDefined> for Seats {
            fn evolve(&mut self, event: &CourseDefined) {
                self.capacity = event.capacity;
            }
        }

        impl Evolve<Subscribed> for Seats {
            fn evolve(&mut self, _: &Subscribed) {
                self.taken += 1;
            }
        }

        #[derive(Debug, Default, DecisionModel)]
        #[decision_model(tag = "student", events(Subscribed))]
        pub struct Load {
            pub courses: u32,
        }

        impl Evolve<Subscribed> for Load {
            fn evolve(&mut self, _: &Subscribed) {
                self.courses += 1;
            }
        }

        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct Subscribe {
            pub course: String,
            pub student: String,
        }

        #[derive(Debug, PartialEq, thiserror::Error)]
        pub enum SubscribeError {
            #[error("the course is full")]
            Full,
            #[error("the student has enough courses")]
            Busy,
        }

        #[derive(Decision)]
        #[decision(command = Subscribe, events(Subscribed), error = SubscribeError)]
        pub struct Subscribing {
            #[model(course)]
            seats: Seats,
            #[model(student)]
            load: Load,
        }

        impl Decide<Subscribe> for Subscribing {
            fn decide(&self, command: Subscribe) -> Decision<Self> {
                if self.seats.taken >= self.seats.capacity {
                    return Err(SubscribeError::Full);
                }
                if self.load.courses >= 2 {
                    return Err(SubscribeError::Busy);
                }
                let Subscribe { course, student } = command;
                Ok(events![Subscribed { course, student }])
            }
        }
    };
}
