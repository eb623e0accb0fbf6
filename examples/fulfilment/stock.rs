//! The stock of one article: what is free, and what is reserved for which order.

use std::collections::BTreeMap;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Receive, Reserve, Release, TakeOut),
    events(Received, Reserved, SoldOut, Released, TakenOut),
    error = NothingOrdered,
)]
pub(crate) struct Stock {
    pub(crate) free: u32,
    pub(crate) reserved: BTreeMap<String, u32>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Receive {
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Reserve {
    pub(crate) order: String,
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Release {
    pub(crate) order: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct TakeOut {
    pub(crate) order: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Received {
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Reserved {
    pub(crate) order: String,
    pub(crate) quantity: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct SoldOut {
    pub(crate) order: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Released {
    pub(crate) order: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct TakenOut {
    pub(crate) order: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("an order of nothing")]
pub(crate) struct NothingOrdered;

// `&self` decides a command, `&mut self` evolves by an event. `order.rs` has the other form, an impl of
// a trait for each.
#[aggregate_impl]
impl Stock {
    fn receive(&self, command: Receive) -> Decision<Self> {
        let Receive { quantity } = command;
        Ok(events![Received { quantity }])
    }

    fn received(&mut self, event: &Received) {
        self.free += event.quantity;
    }

    /// That there is too little is no error: it is what happened, and the order has to know.
    fn reserve(&self, command: Reserve) -> Decision<Self> {
        let Reserve { order, quantity } = command;
        if quantity == 0 {
            return Err(NothingOrdered);
        }
        if quantity > self.free {
            return Ok(events![SoldOut { order }]);
        }
        Ok(events![Reserved { order, quantity }])
    }

    fn reserved(&mut self, event: &Reserved) {
        self.free -= event.quantity;
        self.reserved.insert(event.order.clone(), event.quantity);
    }

    fn sold_out(&mut self, _: &SoldOut) {}

    fn release(&self, command: Release) -> Decision<Self> {
        let Release { order } = command;
        if !self.has_reserved_for(&order) {
            return Ok(events![]);
        }
        Ok(events![Released { order }])
    }

    fn released(&mut self, event: &Released) {
        self.free += self.reserved.remove(&event.order).unwrap_or(0);
    }

    fn take_out(&self, command: TakeOut) -> Decision<Self> {
        let TakeOut { order } = command;
        if !self.has_reserved_for(&order) {
            return Ok(events![]);
        }
        Ok(events![TakenOut { order }])
    }

    fn taken_out(&mut self, event: &TakenOut) {
        self.reserved.remove(&event.order);
    }

    #[helper]
    fn has_reserved_for(&self, order: &str) -> bool {
        self.reserved.contains_key(order)
    }
}
