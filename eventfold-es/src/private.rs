//! What generated code names. Not part of the public interface: it changes without notice.

pub use core::convert::Into;
pub use serde;
pub use std::vec;

pub use crate::aggregate::{Aggregate, Decide, Evolve};
pub use crate::bus::CommandRoutes;
pub use crate::event::{
    DecodeError, Decoded, DomainEvent, EncodeError, EventName, Recorded, StoredEvent, UnknownEvents,
};

#[path = "private/command.rs"]
mod command;
#[path = "private/event.rs"]
mod event;
#[path = "private/example.rs"]
pub mod example;
#[path = "private/names.rs"]
mod names;

pub use command::{CommandPayload, CommandSet};
pub use event::{EventPayload, deserialize_event, serialize_event};
pub use names::{Events, assert_names_are_new, concat_names, count_names};
