//! The read side: what follows the journal, projections and process managers.

pub(crate) mod audit;
mod checkpoint;
mod dead_letters;
mod exclusive;
mod follower;
mod lines;
mod live;
mod manager;
mod outbox;
mod projecting;
mod reacting;
mod registered;
mod sending;
mod skipped;
mod status;
mod timeline;
mod unusable;

pub(crate) use exclusive::Exclusive;
pub(crate) use manager::Manager;
#[cfg(feature = "testing")]
pub(crate) use outbox::read_back;
pub(crate) use projecting::{Projecting, Registered};
pub(crate) use reacting::{AnyReacting, Outcome};
pub(crate) use registered::ReadSide;
pub(crate) use sending::dispatch;
pub use skipped::SkippedEvent;
pub use status::{FollowerStatus, ProcessManagerStatus, ReadSideStatus, Running};
