//! Sending the commands of process managers.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::domain::command::StoredCommand;
use crate::following::managing::{CommandFailure, Outcome};
use crate::following::spans;
use crate::ids::Position;
use crate::runtime::aggregates::Hold;
use crate::runtime::dispatch::{Dispatchers, Effect, Failed, send};

/// Sends a command of the process manager `manager`, within a span that says so.
pub(crate) async fn send_as(
    manager: &'static str,
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
) -> Result<Position, Failed> {
    let span = spans::sending(manager, &envelope);
    let sending = async {
        let (target, id) = envelope.first_target();
        let (target, id) = (target.to_owned(), id.to_owned());
        let sent = send(store, dispatchers, envelope, Some(manager)).await;
        if sent.is_ok() {
            tracing::info!(target_type = %target, target_id = %id, "command dispatched");
        }
        sent
    };
    sending.instrument(span).await
}

/// Sends a command of the process manager `manager` and returns its outcome.
pub(crate) async fn dispatch(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    manager: &'static str,
    envelope: StoredCommand,
) -> Outcome {
    match send_as(manager, store, dispatchers, envelope).await {
        Ok(position) => Outcome::Succeeded(position.get()),
        // The store failed, not the command.
        Err(_) if store.check_usable().is_err() => Outcome::Undecided,
        Err(failed) if failed.effect == Effect::UnknownUntilOpened => Outcome::Undecided,
        Err(failed) => Outcome::Failed(CommandFailure::from(&failed)),
    }
}
