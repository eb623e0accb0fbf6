//! Embedded event sourcing over plain append-only files.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod aggregate;
mod bus;
mod derive;
mod event;

pub use aggregate::{Aggregate, Decide, Decision, Evolve, reducer};
pub use derive::{Aggregate, DomainEvent};
pub use event::{DecodeError, DomainEvent, EncodeError, EventName, StoredEvent, UnknownEvents};

/// What a program with aggregates usually needs.
pub mod prelude {
    pub use crate::{Aggregate, Decide, Decision, DomainEvent, Evolve, events};
}
