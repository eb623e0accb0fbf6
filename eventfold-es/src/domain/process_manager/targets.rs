//! The aggregates that a process manager sends commands to: [`Targets`].

use serde::de::DeserializeOwned;

use crate::domain::aggregate::Aggregate;

/// Takes the aggregates that a process manager sends commands to, one after the other.
pub trait Targets {
    /// Takes commands for aggregates of type `A`.
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned;
}
