//! Sending the commands of process managers.

use std::sync::Arc;

use crate::domain::command::StoredCommand;
use crate::following::managing::Outcome;
use crate::runtime::aggregates::Hold;
use crate::runtime::dispatch::{Dispatchers, send};

/// Sends a command of the process manager `manager` and returns its outcome.
pub(crate) async fn dispatch(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    manager: &'static str,
    envelope: StoredCommand,
) -> Outcome {
    let target = envelope.aggregate_type.clone();
    let id = envelope.instance_id.clone();
    match send(store, dispatchers, envelope, Some(manager)).await {
        Ok(()) => {
            tracing::info!(target_type = %target, target_id = %id, "command dispatched");
            Outcome::Succeeded
        }
        // The store failed, not the command.
        Err(_) if store.check_usable().is_err() => Outcome::Undecided,
        Err(failed) => Outcome::Failed {
            error: failed.error.to_string(),
            may_retry: failed.may_retry,
        },
    }
}
