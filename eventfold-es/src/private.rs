//! The items that generated code names. Not part of the public interface: they change without
//! notice. Invariant R4.

pub use core::convert::Into;
pub use eventfold;
pub use serde;
pub use std::vec;

#[cfg(feature = "sqlite")]
pub use rusqlite;

pub use crate::__testing;

pub use crate::domain::aggregate::{Aggregate, Decide, Decision, DecisionTypes, Evolve};
pub use crate::domain::command::CommandEnvelope;
pub use crate::domain::decide_with::DecideWith;
pub use crate::domain::decider::{Decider, ModelOf};
pub use crate::domain::decision_context::DecisionContext;
pub use crate::domain::decision_model::{DecisionModel, ModelState};
pub use crate::domain::process_manager::{
    DeadLetter, Outbox, ProcessManager, React, ReactTo, Targets,
};
pub use crate::domain::projection::{Project, Projection};
pub use crate::domain::routes::CommandRoutes;
#[cfg(feature = "sqlite")]
pub use crate::domain::sql_projection::{SqlProjection, SqlRefusal, SqlSchema};
pub use crate::event::{
    DecodeError, Decoded, DomainEvent, EncodeError, EventName, EventSet, InvalidTag, Recorded,
    Schema, StoredEvent, Tags, UnknownEvents, about_commands, about_event, about_variant,
    add_retired, add_retired_type, fingerprint, has_tags,
};
pub use crate::model::{CommandInfo, EventInfo};

#[path = "private/command.rs"]
mod command;
#[path = "private/decision.rs"]
mod decision;
#[path = "private/early.rs"]
mod early;
#[path = "private/event.rs"]
mod event;
#[path = "private/example.rs"]
pub mod example;
#[path = "private/in_model.rs"]
mod in_model;
#[path = "private/listed.rs"]
mod listed;
#[path = "private/methods.rs"]
mod methods;
#[path = "private/names.rs"]
mod names;
#[path = "private/of_command.rs"]
mod of_command;
#[cfg(feature = "personal")]
#[path = "private/personal.rs"]
mod personal;
#[path = "private/read_side.rs"]
mod read_side;
#[path = "private/sample.rs"]
mod sample;
#[path = "private/schema.rs"]
mod schema;
#[path = "private/tags.rs"]
mod tags;
#[path = "private/upcast.rs"]
mod upcast;

pub use command::{CommandPayload, CommandSet};
pub use decision::{
    DecidesCommand, ModelValue, add_value, assert_event_has_tags, assert_event_is_of,
    assert_values_are_given,
};
pub use event::{EventPayload, deserialize_event, serialize_event};
pub use in_model::{InModel, NotInModel};
pub use listed::{ListedAggregate, ListedCommand, ListedEvent, NotListed};
pub use methods::{Methods, NotAnAggregate};
pub use names::{
    Events, Shared, aggregate_name, assert_names_are_new, assert_type_is_new, concat_names,
    count_names, retired_names, shared_names, slots,
};
pub use of_command::{OfAnyCommand, OfCommand};
#[cfg(feature = "personal")]
pub use personal::{PersonalField, Subject};
pub use read_side::{DecisionTarget, DispatchTarget, apply_eventfold, react_eventfold};
pub use sample::{MadeOfDefault, NotMade, add_samples, samples};
pub use schema::{NoSchema, SchemaOf};
pub use tags::{NotOneTag, TagOf, TagValues};
pub use upcast::{Infallible, Upcast, check_version};
