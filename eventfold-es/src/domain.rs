//! The traits that users implement: aggregates, commands, projections and process managers.

pub(crate) mod about;
pub(crate) mod aggregate;
pub(crate) mod append;
pub(crate) mod command;
pub(crate) mod decide_with;
pub(crate) mod decider;
pub(crate) mod decision_context;
pub(crate) mod decision_model;
pub(crate) mod evolve_with;
pub(crate) mod follower;
pub(crate) mod layer;
pub(crate) mod process_manager;
pub(crate) mod projection;
pub(crate) mod query;
pub(crate) mod routes;
#[cfg(feature = "sqlite")]
pub(crate) mod sql_projection;
