//! Sending the commands of process managers.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::task::Poll;

use tracing::Instrument as _;

use crate::domain::command::StoredCommand;
use crate::error::{guarded, panic_message};
use crate::following::outgoing::Outgoing;
use crate::following::reacting::{CommandFailure, Outcome};
use crate::following::spans;
use crate::ids::Position;
use crate::runtime::aggregates::{Aggregates, Hold};
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

/// Sends the commands of `row`, which have one target, one after the other, and returns their outcomes.
/// After one that did not take effect, and once `is_stopped`, no other is sent.
pub(crate) async fn dispatch_row(
    store: &Weak<Aggregates>,
    dispatchers: &Dispatchers,
    sender: &Sender,
    row: Vec<Outgoing>,
    is_stopped: impl Fn() -> bool,
) -> Vec<(u64, Outcome)> {
    let mut outcomes = Vec::with_capacity(row.len());
    let mut goes_on = true;
    for outgoing in row {
        let outcome = if !goes_on {
            Outcome::Unsent
        } else if let Some(store) = store.upgrade() {
            let hold = Hold::of_command(store);
            caught(dispatch(&hold, dispatchers, sender, outgoing.envelope)).await
        } else {
            Outcome::Undecided
        };
        goes_on = matches!(outcome, Outcome::Succeeded(_)) && !is_stopped();
        outcomes.push((outgoing.number, outcome));
    }
    outcomes
}

/// Waits for `sending`. A panic in it is a failure of the command.
async fn caught(sending: impl Future<Output = Outcome>) -> Outcome {
    let mut sending = pin!(sending);
    poll_fn(|context| {
        guarded(|| sending.as_mut().poll(context)).unwrap_or_else(|panic| {
            let error = format!("sending the command panicked: {}", panic_message(&*panic));
            Poll::Ready(Outcome::Failed(CommandFailure::unclear(error)))
        })
    })
    .await
}
