//! An order: placed, paid in time, shipped; or cancelled.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Status {
    #[default]
    Unknown,
    Placed,
    AwaitsPayment,
    Paid,
    Shipped,
    Cancelled,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Place, RequestPayment, Pay, Ship, Cancel),
    events(OrderPlaced, PaymentRequested, OrderPaid, OrderShipped, OrderCancelled),
    error = OrderError,
)]
pub(crate) struct Order {
    pub(crate) status: Status,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) article: String,
    pub(crate) quantity: u32,
    pub(crate) pay_within_seconds: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RequestPayment;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Pay;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ship;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Cancel {
    pub(crate) reason: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct OrderPlaced {
    pub(crate) article: String,
    pub(crate) quantity: u32,
    pub(crate) pay_within_seconds: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct PaymentRequested;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct OrderPaid;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct OrderShipped;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct OrderCancelled {
    pub(crate) reason: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum OrderError {
    #[error("the order cannot do that: it is {0:?}")]
    NotNow(Status),
}

impl Order {
    fn expect(&self, status: Status) -> Result<(), OrderError> {
        if self.status == status {
            Ok(())
        } else {
            Err(OrderError::NotNow(self.status))
        }
    }
}

impl Decide<Place> for Order {
    fn decide(&self, command: Place) -> Decision<Self> {
        self.expect(Status::Unknown)?;
        Ok(events![OrderPlaced {
            article: command.article,
            quantity: command.quantity,
            pay_within_seconds: command.pay_within_seconds,
        }])
    }
}

impl Decide<RequestPayment> for Order {
    fn decide(&self, _: RequestPayment) -> Decision<Self> {
        self.expect(Status::Placed)?;
        Ok(events![PaymentRequested])
    }
}

impl Decide<Pay> for Order {
    fn decide(&self, _: Pay) -> Decision<Self> {
        self.expect(Status::AwaitsPayment)?;
        Ok(events![OrderPaid])
    }
}

impl Decide<Ship> for Order {
    fn decide(&self, _: Ship) -> Decision<Self> {
        self.expect(Status::Paid)?;
        Ok(events![OrderShipped])
    }
}

impl Decide<Cancel> for Order {
    /// The order has the last word: a deadline that comes when it is paid changes nothing.
    fn decide(&self, command: Cancel) -> Decision<Self> {
        match self.status {
            Status::Placed | Status::AwaitsPayment => Ok(events![OrderCancelled {
                reason: command.reason
            }]),
            _ => Ok(Vec::new()),
        }
    }
}

impl Evolve<OrderPlaced> for Order {
    fn evolve(&mut self, _: &OrderPlaced) {
        self.status = Status::Placed;
    }
}

impl Evolve<PaymentRequested> for Order {
    fn evolve(&mut self, _: &PaymentRequested) {
        self.status = Status::AwaitsPayment;
    }
}

impl Evolve<OrderPaid> for Order {
    fn evolve(&mut self, _: &OrderPaid) {
        self.status = Status::Paid;
    }
}

impl Evolve<OrderShipped> for Order {
    fn evolve(&mut self, _: &OrderShipped) {
        self.status = Status::Shipped;
    }
}

impl Evolve<OrderCancelled> for Order {
    fn evolve(&mut self, _: &OrderCancelled) {
        self.status = Status::Cancelled;
    }
}
