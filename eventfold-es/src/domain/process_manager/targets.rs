//! The aggregates and decisions that a process manager sends commands to: [`Targets`].

use serde::de::DeserializeOwned;

use crate::domain::aggregate::Aggregate;
use crate::domain::decider::Decider;

/// Takes the aggregates and the decisions that a process manager sends commands to, one after the other.
pub trait Targets {
    /// Takes commands for aggregates of type `A`.
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned;

    /// Takes commands for the decision `D`.
    fn add_decision<D>(&mut self)
    where
        D: Decider,
        D::Command: DeserializeOwned;
}
