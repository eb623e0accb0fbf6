//! The stock of one article: what is free, and what is reserved for which order.

use std::collections::BTreeMap;
use std::convert::Infallible;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Receive, Reserve, Release, TakeOut),
    events(Received, Reserved, SoldOut, Released, TakenOut),
    error = Infallible,
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

impl Decide<Receive> for Stock {
    fn decide(&self, command: Receive) -> Decision<Self> {
        Ok(events![Received {
            quantity: command.quantity
        }])
    }
}

impl Decide<Reserve> for Stock {
    /// That there is too little is no error: it is what happened, and the order has to know.
    fn decide(&self, command: Reserve) -> Decision<Self> {
        let Reserve { order, quantity } = command;
        if quantity > self.free {
            return Ok(events![SoldOut { order }]);
        }
        Ok(events![Reserved { order, quantity }])
    }
}

impl Decide<Release> for Stock {
    fn decide(&self, command: Release) -> Decision<Self> {
        if !self.reserved.contains_key(&command.order) {
            return Ok(Vec::new());
        }
        Ok(events![Released {
            order: command.order
        }])
    }
}

impl Decide<TakeOut> for Stock {
    fn decide(&self, command: TakeOut) -> Decision<Self> {
        if !self.reserved.contains_key(&command.order) {
            return Ok(Vec::new());
        }
        Ok(events![TakenOut {
            order: command.order
        }])
    }
}

impl Evolve<Received> for Stock {
    fn evolve(&mut self, event: &Received) {
        self.free += event.quantity;
    }
}

impl Evolve<Reserved> for Stock {
    fn evolve(&mut self, event: &Reserved) {
        self.free -= event.quantity;
        self.reserved.insert(event.order.clone(), event.quantity);
    }
}

impl Evolve<SoldOut> for Stock {
    fn evolve(&mut self, _: &SoldOut) {}
}

impl Evolve<Released> for Stock {
    fn evolve(&mut self, event: &Released) {
        self.free += self.reserved.remove(&event.order).unwrap_or(0);
    }
}

impl Evolve<TakenOut> for Stock {
    fn evolve(&mut self, event: &TakenOut) {
        self.reserved.remove(&event.order);
    }
}
