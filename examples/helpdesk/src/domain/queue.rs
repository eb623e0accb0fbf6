//! A queue: it has room for some tickets, and somebody may be on call for it.

use std::collections::BTreeSet;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(SetUp, Enter, Leave, PutOnCall, CallOut),
    events(QueueSetUp, TicketEntered, TicketLeft, OnCallChanged, CalledOut),
    error = QueueError,
)]
pub(crate) struct Queue {
    /// None before it is set up.
    pub(crate) room: Option<u32>,
    pub(crate) tickets: BTreeSet<String>,
    pub(crate) on_call: Option<String>,
}

/// Sets the queue up, or gives it more or less room. The tickets in it stay.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SetUp {
    pub(crate) room: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Enter {
    pub(crate) ticket: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Leave {
    pub(crate) ticket: String,
}

/// Nobody, if the name is empty.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PutOnCall {
    pub(crate) agent: String,
}

/// Calls out whoever is on call, for an escalated ticket.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CallOut {
    pub(crate) ticket: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct QueueSetUp {
    pub(crate) room: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct TicketEntered {
    pub(crate) ticket: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct TicketLeft {
    pub(crate) ticket: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct OnCallChanged {
    pub(crate) agent: Option<String>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct CalledOut {
    pub(crate) ticket: String,
    pub(crate) agent: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum QueueError {
    #[error("there is no such queue")]
    NotSetUp,
    #[error("the queue is full: it has room for {0} tickets")]
    Full(u32),
    #[error("the ticket is not in this queue any more")]
    NotHere,
    #[error("nobody is on call for this queue: put somebody on call, and replay the dead letter")]
    NobodyOnCall,
}

#[aggregate_impl]
impl Queue {
    fn set_up(&self, command: SetUp) -> Decision<Self> {
        let SetUp { room } = command;
        if self.room == Some(room) {
            return Ok(events![]);
        }
        Ok(events![QueueSetUp { room }])
    }

    fn enter(&self, command: Enter) -> Decision<Self> {
        let room = self.room.ok_or(QueueError::NotSetUp)?;
        if self.tickets.len() >= room as usize {
            return Err(QueueError::Full(room));
        }
        let ticket = command.ticket;
        Ok(events![TicketEntered { ticket }])
    }

    fn leave(&self, command: Leave) -> Decision<Self> {
        let ticket = command.ticket;
        if !self.tickets.contains(&ticket) {
            return Err(QueueError::NotHere);
        }
        Ok(events![TicketLeft { ticket }])
    }

    fn put_on_call(&self, command: PutOnCall) -> Decision<Self> {
        self.room.ok_or(QueueError::NotSetUp)?;
        let agent = Some(command.agent).filter(|agent| !agent.trim().is_empty());
        Ok(events![OnCallChanged { agent }])
    }

    /// Nobody is called out for a ticket that was closed or moved meanwhile.
    fn call_out(&self, command: CallOut) -> Decision<Self> {
        let ticket = command.ticket;
        if !self.tickets.contains(&ticket) {
            return Ok(events![]);
        }
        let agent = self.on_call.clone().ok_or(QueueError::NobodyOnCall)?;
        Ok(events![CalledOut { ticket, agent }])
    }

    fn queue_set_up(&mut self, event: &QueueSetUp) {
        self.room = Some(event.room);
    }

    fn ticket_entered(&mut self, event: &TicketEntered) {
        self.tickets.insert(event.ticket.clone());
    }

    fn ticket_left(&mut self, event: &TicketLeft) {
        self.tickets.remove(&event.ticket);
    }

    fn on_call_changed(&mut self, event: &OnCallChanged) {
        self.on_call.clone_from(&event.agent);
    }

    fn called_out(&mut self, _: &CalledOut) {}
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::{given, laws};

    use super::*;

    fn enter(ticket: &str) -> Enter {
        let ticket = ticket.to_owned();
        Enter { ticket }
    }

    fn entered(ticket: &str) -> TicketEntered {
        let ticket = ticket.to_owned();
        TicketEntered { ticket }
    }

    fn leave(ticket: &str) -> Leave {
        let ticket = ticket.to_owned();
        Leave { ticket }
    }

    fn left(ticket: &str) -> TicketLeft {
        let ticket = ticket.to_owned();
        TicketLeft { ticket }
    }

    fn on_call(agent: &str) -> OnCallChanged {
        let agent = Some(agent.to_owned());
        OnCallChanged { agent }
    }

    fn call_out(ticket: &str) -> CallOut {
        let ticket = ticket.to_owned();
        CallOut { ticket }
    }

    #[test]
    fn a_queue_takes_as_many_tickets_as_it_has_room_for() {
        given::<Queue>(events![QueueSetUp { room: 2 }, entered("t-1")])
            .when(enter("t-2"))
            .then(events![entered("t-2")])
            .when(enter("t-3"))
            .then_error(|error| *error == QueueError::Full(2));
        given::<Queue>(events![QueueSetUp { room: 1 }, entered("t-1"), left("t-1")])
            .when(enter("t-2"))
            .then(events![entered("t-2")]);
    }

    #[test]
    fn a_queue_that_was_not_set_up_takes_no_ticket() {
        given::<Queue>(events![])
            .when(enter("t-1"))
            .then_error(|error| *error == QueueError::NotSetUp);
    }

    #[test]
    fn a_ticket_leaves_the_queue_that_it_is_in() {
        given::<Queue>(events![QueueSetUp { room: 1 }, entered("t-1")])
            .when(leave("t-1"))
            .then(events![left("t-1")])
            .when(leave("t-1"))
            .then_error(|error| *error == QueueError::NotHere);
    }

    #[test]
    fn whoever_is_on_call_is_called_out() {
        let (ticket, agent) = ("t-1".to_owned(), "ben".to_owned());
        given::<Queue>(events![
            QueueSetUp { room: 1 },
            entered("t-1"),
            on_call("ben")
        ])
        .when(call_out("t-1"))
        .then(events![CalledOut { ticket, agent }]);
    }

    #[test]
    fn somebody_must_be_on_call() {
        let nobody = OnCallChanged { agent: None };
        given::<Queue>(events![QueueSetUp { room: 1 }, entered("t-1")])
            .and(events![on_call("ben"), nobody])
            .when(call_out("t-1"))
            .then_error(|error| *error == QueueError::NobodyOnCall);
    }

    #[test]
    fn nobody_is_called_out_for_a_ticket_that_is_gone() {
        given::<Queue>(events![QueueSetUp { room: 1 }, entered("t-1"), left("t-1")])
            .when(call_out("t-1"))
            .then_nothing();
    }

    #[test]
    fn the_laws_of_aggregates_hold() {
        let agent = "ben".to_owned();
        laws::<Queue>()
            .command(SetUp { room: 2 })
            .command(enter("t-1"))
            .command(enter("t-2"))
            .command(leave("t-1"))
            .command(PutOnCall { agent })
            .command(call_out("t-2"))
            .check();
    }
}
