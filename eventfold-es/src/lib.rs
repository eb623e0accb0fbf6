//! Embedded event sourcing over plain append-only files.

mod aggregate;
mod bus;
mod event;
#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;

pub use aggregate::{Aggregate, Decide, Decision, Evolve, reducer};
pub use event::{DecodeError, DomainEvent, EncodeError, EventName, StoredEvent, UnknownEvents};

/// What a program with aggregates usually needs.
pub mod prelude {
    pub use crate::{Aggregate, Decide, Decision, DomainEvent, Evolve, events};
}
