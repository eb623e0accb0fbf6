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
