//! The read side: projections, process managers and followers, which follow the journal.

mod again;
pub(crate) mod audit;
pub(crate) mod backwards;
pub(crate) mod beside;
mod chain;
mod checkpoint;
mod dead_letters;
#[cfg(feature = "personal")]
pub(crate) mod erase;
mod exclusive;
mod failure;
mod feeding;
mod follower;
mod history;
mod lease;
mod leased;
mod lines;
mod live;
mod manager;
pub(crate) mod managing;
pub(crate) mod moved;
mod needs;
mod outgoing;
mod outside;
mod past;
pub(crate) mod pending;
mod projecting;
pub(crate) mod reacting;
mod read_model_files;
pub(crate) mod read_side;
mod resolving;
pub(crate) mod saved;
pub(crate) mod saved_tables;
mod sending;
pub(crate) mod skipped;
mod spans;
#[cfg(feature = "sqlite")]
mod sql;
mod status;
pub(crate) mod subscription;
mod trace;
mod turn;
mod unusable;

pub(crate) use exclusive::Exclusive;
pub(crate) use feeding::Feeding;
pub(crate) use lease::Candidate;
pub(crate) use manager::Manager;
pub(crate) use needs::needs;
pub(crate) use outside::Outside;
pub use past::PastProjection;
pub(crate) use past::state_at;
#[cfg(feature = "testing")]
pub(crate) use pending::read_back;
pub(crate) use projecting::{AnyProjecting, Projecting, Registered};
pub(crate) use reacting::{AnyReacting, CommandFailure, Outcome};
pub(crate) use read_side::ReadSide;
pub(crate) use sending::{dispatch, send_as};
pub use skipped::SkippedEvent;
#[cfg(all(feature = "personal", feature = "sqlite"))]
pub(crate) use sql::remove_read_models;
#[cfg(feature = "sqlite")]
pub(crate) use sql::{Generation, Sql, SqlModel};
pub use status::{FollowerStatus, ProcessManagerStatus, ReadSideStatus, Runner, Running};
pub(crate) use turn::Turn;
