//! Embedded event sourcing over plain append-only files.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod actor;
mod aggregate;
mod bus;
mod command;
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
pub use error::{DispatchError, ExecuteError, Panic, StateError};
pub use event::{DecodeError, DomainEvent, EncodeError, EventName, StoredEvent, UnknownEvents};
pub use handle::{AggregateHandle, Committed};
pub use layout::StreamLayout;
pub use process_manager::{ProcessManager, ProcessManagerReport};
pub use projection::Projection;
pub use store::{AggregateStore, AggregateStoreBuilder, InjectOptions, spawn_actor};
pub use stream::{InvalidStreamId, Position, StreamId, Version};

/// What a program with aggregates usually needs.
pub mod prelude {
    pub use crate::{
        Aggregate, AggregateHandle, AggregateStore, CommandContext, Decide, Decision, DomainEvent,
        Evolve, events,
    };
}
