//! The read side: projections and process managers, which follow the journal.

mod again;
pub(crate) mod audit;
pub(crate) mod backwards;
mod chain;
mod checkpoint;
mod dead_letters;
mod exclusive;
mod failure;
mod follower;
mod history;
mod lines;
mod live;
mod manager;
pub(crate) mod managing;
mod outgoing;
mod past;
pub(crate) mod pending;
mod projecting;
pub(crate) mod read_side;
pub(crate) mod saved;
mod sending;
pub(crate) mod skipped;
mod spans;
mod status;
pub(crate) mod subscription;
mod trace;
mod unusable;

pub(crate) use exclusive::Exclusive;
pub(crate) use manager::Manager;
pub(crate) use managing::{AnyReacting, CommandFailure, Outcome};
pub use past::PastProjection;
pub(crate) use past::state_at;
#[cfg(feature = "testing")]
pub(crate) use pending::read_back;
pub(crate) use projecting::{Projecting, Registered};
pub(crate) use read_side::ReadSide;
pub(crate) use sending::{dispatch, send_as};
pub use skipped::SkippedEvent;
pub use status::{FollowerStatus, ProcessManagerStatus, ReadSideStatus, Running};
