//! What changes a ticket and its queues in one commit: all of them take it, or nothing happens.

use std::io;

use eventfold_es::{AggregateHandle, AggregateStore, StateError, Together};

use crate::domain::queue::{Enter, Leave, Queue};
use crate::domain::ticket::{Close, MoveTo, Open, Ticket};

pub(crate) async fn open(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    command: Open,
) -> io::Result<Together> {
    let queue = store.get::<Queue>(&command.queue).await?;
    let opening = store.together().send(ticket, command);
    Ok(opening.send(&queue, Enter::of(ticket)))
}

pub(crate) async fn move_to(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    command: MoveTo,
) -> io::Result<Together> {
    let from = store.get::<Queue>(&command.from).await?;
    let to = store.get::<Queue>(&command.to).await?;
    let moving = store.together().send(ticket, command);
    Ok(moving
        .send(&from, Leave::of(ticket))
        .send(&to, Enter::of(ticket)))
}

/// If the ticket moves meanwhile, nothing happens.
pub(crate) async fn close(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    command: Close,
) -> Result<Together, StateError> {
    let from = store.get::<Queue>(&ticket.state().await?.queue).await?;
    let closing = store.together().send(ticket, command);
    Ok(closing.send(&from, Leave::of(ticket)))
}

impl Enter {
    fn of(ticket: &AggregateHandle<Ticket>) -> Self {
        let ticket = ticket.id().to_owned();
        Self { ticket }
    }
}

impl Leave {
    fn of(ticket: &AggregateHandle<Ticket>) -> Self {
        let ticket = ticket.id().to_owned();
        Self { ticket }
    }
}
