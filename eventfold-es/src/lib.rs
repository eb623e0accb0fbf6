//! Embedded event sourcing over plain append-only files: aggregates, projections, process managers
//! and a command bus, with no server and no database to run.
//!
//! You write state, commands, events and the decisions between them; [`derive@Aggregate`] writes
//! the command and event enums, the stored event names and what plugs them into the store.
//!
//! ```
//! use eventfold_es::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
//! #[aggregate(commands(Deposit), events(Deposited), error = BankError)]
//! struct Account {
//!     balance: u64,
//! }
//!
//! #[derive(Debug, Clone, Serialize, Deserialize)]
//! struct Deposit {
//!     amount: u64,
//! }
//!
//! #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
//! struct Deposited {
//!     amount: u64,
//! }
//!
//! #[derive(Debug, thiserror::Error)]
//! enum BankError {
//!     #[error("nothing to deposit")]
//!     NothingToDeposit,
//! }
//!
//! impl Decide<Deposit> for Account {
//!     fn decide(&self, command: Deposit) -> Decision<Self> {
//!         if command.amount == 0 {
//!             return Err(BankError::NothingToDeposit);
//!         }
//!         Ok(events![Deposited { amount: command.amount }])
//!     }
//! }
//!
//! impl Evolve<Deposited> for Account {
//!     fn evolve(&mut self, event: &Deposited) {
//!         self.balance += event.amount;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let store = AggregateStore::open(path).await?;
//! let alice = store.get::<Account>("alice").await?;
//! alice.send(Deposit { amount: 5 }).await?; // durable when it returns
//! assert_eq!(alice.state().await?.balance, 5);
//! # Ok(())
//! # }
//! ```
//!
//! An aggregate can as well implement [`Aggregate`](trait@Aggregate) by hand, exactly as with
//! eventfold-es 0.2.0, whose API and files this version keeps usable.
//!
//! # What is promised
//!
//! * **Durability**: when a command returns `Ok`, its events survive `kill -9` and power loss.
//! * **Atomicity**: all events of a command are stored, or none, whatever happens.
//! * **Order**: per stream by version, globally by position, without gaps, for ever.
//! * **Isolation**: a command is decided on a state with every earlier command of its aggregate.
//! * **Read your writes**: a projection that is read after a command returned includes it.
//! * **Failure**: an error says what failed and where; nothing is half done.
//!
//! # Layout
//!
//! The way of a command: [`AggregateHandle`] puts it into the mailbox of its *actor* (one task per
//! live aggregate), which decides it, encodes the events and hands the commit to the *engine*. There
//! one thread per store, the committer, writes all commits that wait to the *journal* in one batch,
//! makes it durable, appends the lines to the streams' files and answers.
//!
//! * `aggregate`, `event`: the domain side, what a user implements;
//! * `handle`, `bus`, `store`: the runtime side, what a user calls;
//! * `actor`: mailbox, deciding, activation and passivation;
//! * `engine`: everything that touches the disk, behind a seam whose unit is the commit;
//! * `projection`, `process_manager`, `read_side`: what follows the journal.
//!
//! The files are described at [`StreamLayout`]. A stream is an [`eventfold`] log: `jq`, `tail -f`
//! and the `eventfold` crate read it.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod actor;
mod aggregate;
mod bus;
mod command;
mod derive;
mod engine;
mod error;
mod event;
mod handle;
mod layout;
mod process_manager;
mod projection;
mod read_side;
mod store;
mod stream;

pub use aggregate::{Aggregate, Decide, Decision, Evolve, reducer};
pub use bus::CommandBus;
pub use command::{CommandContext, CommandEnvelope, to_eventfold_event};
pub use derive::{Aggregate, DomainEvent};
pub use error::{DispatchError, ExecuteError, Panic, StateError};
pub use event::{DecodeError, DomainEvent, EncodeError, EventName, StoredEvent, UnknownEvents};
pub use handle::{AggregateHandle, Committed};
pub use layout::StreamLayout;
pub use process_manager::{ProcessManager, ProcessManagerReport};
pub use projection::Projection;
pub use store::{AggregateStore, AggregateStoreBuilder, InjectOptions, spawn_actor};
pub use stream::{InvalidStreamId, Position, StreamId, Version};

/// What a program with aggregates usually needs: `use eventfold_es::prelude::*;`.
pub mod prelude {
    pub use crate::{
        Aggregate, AggregateHandle, AggregateStore, CommandContext, Decide, Decision, DomainEvent,
        Evolve, events,
    };
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
