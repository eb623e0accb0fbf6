//! The live aggregates of an open store: handles, actors, and the sending of commands in JSON.
//!
//! Start with [`actor`]: it decides one command after the other, and passes the events of each
//! command to the storage as one commit.

pub(crate) mod actor;
pub(crate) mod aggregates;
pub(crate) mod background;
pub(crate) mod committed;
pub(crate) mod decisions;
pub(crate) mod delivery;
pub(crate) mod dispatch;
pub(crate) mod handle;
pub(crate) mod inside;
pub(crate) mod layers;
pub(crate) mod passivation;
pub(crate) mod past;
pub(crate) mod running;
pub(crate) mod sender;
pub(crate) mod spans;
pub(crate) mod together;
