//! Whether a position that a client names can be one of this store.

use std::io;

use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::Position;
use crate::store::AggregateStore;

/// Fails unless some store has stored an event at `position`. This one has read it when the call returns.
///
/// `name` says where the position comes from.
pub(crate) async fn check_stored(
    store: &AggregateStore,
    position: Position,
    name: &str,
) -> Result<(), ProblemDetails> {
    if position <= store.head() {
        return Ok(());
    }
    let storage = &store.inner.storage;
    let head = storage.current_head().await.map_err(io::Error::from)?;
    if position.get() > head {
        let detail = format!(
            "{name}: position {position} is ahead of the newest event, which is at {head}. It is of another \
             store, or this one was restored from a backup."
        );
        return Err(ProblemDetails::of(ProblemType::Malformed).with_detail(detail));
    }
    // Another process stored it.
    let reached = storage.log().reached(position.get()).await;
    reached.map_err(io::Error::from)?;
    Ok(())
}
