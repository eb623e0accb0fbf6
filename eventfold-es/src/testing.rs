//! Tests of a domain, without a runtime and without a disk. Needs the cargo feature `testing`. The guide shows
//! [what to test with what](crate::guide::testing_a_domain).
//!
//! ```toml
//! [dev-dependencies]
//! eventfold-es = { version = "0.3", features = ["testing"] }
//! ```
//!
//! A test gives the aggregate its history, sends it a command, and checks the result:
//!
//! ```
//! # use eventfold_es::prelude::*;
//! # use serde::{Deserialize, Serialize};
//! # #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
//! # #[aggregate(commands(Withdraw), events(Deposited, Withdrawn), error = TooLittle)]
//! # struct Account { balance: u64 }
//! # #[derive(Debug, Clone, Serialize, Deserialize)] struct Withdraw(u64);
//! # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Deposited { amount: u64 }
//! # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Withdrawn { amount: u64 }
//! # #[derive(Debug, thiserror::Error)]
//! # #[error("only {balance} there")]
//! # struct TooLittle { balance: u64 }
//! # impl Decide<Withdraw> for Account {
//! #     fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
//! #         if amount > self.balance { return Err(TooLittle { balance: self.balance }); }
//! #         Ok(events![Withdrawn { amount }])
//! #     }
//! # }
//! # impl Evolve<Deposited> for Account {
//! #     fn evolve(&mut self, event: &Deposited) { self.balance += event.amount; }
//! # }
//! # impl Evolve<Withdrawn> for Account {
//! #     fn evolve(&mut self, event: &Withdrawn) { self.balance -= event.amount; }
//! # }
//! use eventfold_es::testing;
//!
//! testing::given::<Account>(events![Deposited { amount: 5 }])
//!     .when(Withdraw(3))
//!     .then(events![Withdrawn { amount: 3 }])
//!     .when(Withdraw(3))
//!     .then_error(|error| error.balance == 2)
//!     .then_state(|account| account.balance == 2);
//! ```
//!
//! [`Given::at`], [`Given::with_id`] and [`Given::with_context`] set what a decision learns from its
//! [`DecisionContext`](crate::DecisionContext).
//!
//! Decisions, projections and process managers are tested in the same way, with [`decision()`],
//! [`projection`] and [`process_manager`]. [`event_history`] and [`state_history`] detect when the stored form of an
//! event or a state changes. [`model_is_in`] shows in a review what a change means for the whole program.
//!
//! # Further checks
//!
//! Every test also checks rules that are easily forgotten. Otherwise a mistake would show only in a
//! restarted program, with its users' data:
//!
//! * every event comes back unchanged from its stored form;
//! * folding the events gives the same state as replaying them from their stored form;
//! * the state comes back from its snapshot form, and then decides and evolves as before;
//! * deciding a command twice on the same state gives the same answer.
//!
//! [`laws`] checks these rules on many histories, which it makes of samples of events and commands.
//!
//! # When a test fails
//!
//! It panics at the line of the test that is not met. It shows the expected and the actual events
//! in stored form, one JSON line for each. So no type need be `PartialEq` or `Debug`. The lines are
//! coloured if they go to a terminal and `NO_COLOR` is not set.

mod decision;
mod diff;
#[cfg(feature = "personal")]
mod forgotten;
mod form;
mod given;
mod history;
mod laws;
mod model_file;
mod outcome;
mod read_side;
mod sample;
mod state_history;

pub use decision::{DecisionGiven, DecisionWhen, decision};
pub use given::{Given, When, given};
pub use history::{EventHistory, event_history};
pub use laws::{Laws, laws, laws_of};
pub use model_file::model_is_in;
pub use read_side::{
    ProcessManagerGiven, ProcessManagerWhen, ProjectionGiven, process_manager, projection,
};
pub use state_history::{StateHistory, state_history};
