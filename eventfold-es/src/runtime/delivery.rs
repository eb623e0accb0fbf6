//! The way of a message into the mailbox of its aggregate: [`deliver`].

use std::io;
use std::sync::Arc;

use crate::domain::aggregate::Aggregate;
use crate::error::StateError;
use crate::ids::StreamId;
use crate::runtime::actor::{Mail, Slot};
use crate::runtime::aggregates::Aggregates;
use crate::runtime::inside;

/// Puts a message into the mailbox of the aggregate in `slot`. An aggregate that is passivating
/// returns the message, and the next activation gets it.
pub(crate) async fn deliver<A: Aggregate>(
    store: &Aggregates,
    slot: &Arc<Slot<A>>,
    mut mail: Mail<A>,
) -> Result<(), StateError> {
    if inside::Aggregate::of(slot.stream().id()).is_running() {
        return Err(StateError::Io(asked_by_itself(slot.stream().id())));
    }
    store.storage.check_process()?;
    let mut failed = 0;
    loop {
        if store.is_closed() {
            return Err(StateError::Closed);
        }
        match slot.try_send(mail) {
            Ok(()) => return Ok(()),
            Err(returned) => mail = returned,
        }
        // A runtime that has ended drops new tasks at once. It takes a few attempts to tell that
        // from an aggregate that is passivating.
        let is_runtime_over = failed > 2;
        let mailbox = match slot.mailbox(&store.storage, &store.passivator, is_runtime_over) {
            Ok(mailbox) => mailbox,
            Err(_) if store.is_closed() => return Err(StateError::Closed),
            Err(error) => return Err(error.into()),
        };
        let room = {
            let _outside = store.registry.running().outside();
            mailbox.reserve().await
        };
        match room {
            Ok(_) if store.is_closed() => return Err(StateError::Closed),
            Ok(room) => {
                room.send(mail);
                return Ok(());
            }
            Err(_) => failed += 1,
        }
    }
}

fn asked_by_itself(stream: &StreamId) -> io::Error {
    inside::deadlock(&format!(
        "{stream} is called by its own code, or by a function given to `inspect`, or by another \
         aggregate that is decided together with it, so the call would wait for itself: use the state \
         that this code has"
    ))
}
