//! The rules about several keys, and the rules of the stored names.

mod aggregate;
mod decision;
mod event;
mod history;
mod methods;
mod reader;
mod serde;
mod subjects;
mod tags;

pub(crate) use aggregate::aggregate;
pub(crate) use decision::{decision, decision_model};
pub(crate) use event::event;
pub(crate) use methods::aggregate_impl;
pub(crate) use reader::reader;
