//! What several processes did to one store, and whether a store may have answered that.
//!
//! Every process writes its operations to a file as they begin and end ([`Recorder`]). [`check`]
//! compares them with what is stored. [`Proxy`](proxy::Proxy) is a network that fails
//! meanwhile.

#[cfg(unix)]
pub mod proxy;

mod check;
mod history;
#[cfg(unix)]
mod recorder;
mod report;
mod timeline;

pub use check::{Stored, check};
pub use history::{Call, Element, History, ListId, Operation, Outcome, Part, Seen, digest};
#[cfg(unix)]
pub use recorder::{Recorder, now};
pub use report::{Fault, Report, Violation};
