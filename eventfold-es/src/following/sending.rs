//! Sending the commands of process managers.

use std::sync::Arc;

use tracing::Instrument as _;

use crate::domain::command::StoredCommand;
use crate::following::reacting::{CommandFailure, Outcome};
use crate::following::spans;
use crate::ids::Position;
use crate::runtime::aggregates::Hold;
use crate::runtime::dispatch::{Dispatchers, Effect, Failed, send};
use crate::runtime::sender::Sender;

/// Sends a command of a process manager, within a span that says so.
pub(crate) async fn send_as(
    sender: &Sender,
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
) -> Result<Position, Failed> {
    let span = spans::sending(sender.name, &envelope);
    let sending = async {
        let (target, id) = envelope.first_target();
        let (target, id) = (target.to_owned(), id.to_owned());
        let sent = send(store, dispatchers, envelope, Some(sender)).await;
        if sent.is_ok() {
            tracing::info!(target_type = %target, target_id = %id, "command dispatched");
        }
        sent
    };
    sending.instrument(span).await
}

/// Sends a command of a process manager and returns its outcome.
pub(crate) async fn dispatch(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    sender: &Sender,
    envelope: StoredCommand,
) -> Outcome {
    match send_as(sender, store, dispatchers, envelope).await {
        Ok(position) => Outcome::Succeeded(position.get()),
        // The store failed, not the command.
        Err(_) if store.check_usable().is_err() => Outcome::Undecided,
        // Another process sends it.
        Err(_) if sender.is_replaced() => Outcome::Undecided,
        Err(failed) if failed.effect == Effect::UnknownUntilOpened => Outcome::Undecided,
        Err(failed) => Outcome::Failed(CommandFailure::from(&failed)),
    }
}
