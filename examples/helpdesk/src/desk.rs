//! What changes a ticket and its queues in one commit.

use std::io;

use eventfold_es::{AggregateHandle, AggregateStore, Together};

use crate::domain::queue::{Enter, Leave, Queue};
use crate::domain::ticket::{Close, MoveTo, Open, Ticket};

pub(crate) async fn open(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    command: Open,
) -> io::Result<Together> {
    let queue = store.get::<Queue>(&command.queue).await?;
    let enter = Enter {
        ticket: ticket.id().to_owned(),
    };
    let opening = store.together().send(ticket, command);
    Ok(opening.send(&queue, enter))
}

/// The ticket leaves `from` and enters the other queue, or stays where it is.
pub(crate) async fn move_to(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    from: &str,
    command: MoveTo,
) -> io::Result<Together> {
    let from = store.get::<Queue>(from).await?;
    let to = store.get::<Queue>(&command.queue).await?;
    let id = ticket.id().to_owned();
    let (leave, enter) = (Leave { ticket: id.clone() }, Enter { ticket: id });
    let moving = store.together().send(ticket, command);
    Ok(moving.send(&from, leave).send(&to, enter))
}

pub(crate) async fn close(
    store: &AggregateStore,
    ticket: &AggregateHandle<Ticket>,
    from: &str,
    command: Close,
) -> io::Result<Together> {
    let from = store.get::<Queue>(from).await?;
    let leave = Leave {
        ticket: ticket.id().to_owned(),
    };
    Ok(store.together().send(ticket, command).send(&from, leave))
}
