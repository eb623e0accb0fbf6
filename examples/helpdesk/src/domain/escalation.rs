//! The process manager: a ticket that is not answered in time is escalated, and goes to whoever is on call.

use std::time::Duration;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::domain::queue::{CallOut, Queue, QueueEvent};
use crate::domain::ticket::{Assign, Escalate, Ticket, TicketEvent};

/// It keeps nothing: all that it must know is in the events.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(
    name = "escalation",
    aggregates(Ticket, Queue),
    dispatches(Ticket, Queue)
)]
pub(crate) struct Escalation {}

impl React<Ticket> for Escalation {
    fn react_to(&mut self, event: &TicketEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let ticket = record.id();
        match event {
            TicketEvent::AnswerDue(due) => {
                let within = Duration::from_secs(60 * u64::from(due.within_minutes));
                out.schedule_as::<Ticket>(ticket, within, ticket, Escalate {});
            }
            TicketEvent::Answered(_) | TicketEvent::Closed(_) => out.cancel(ticket),
            TicketEvent::Escalated(escalated) => {
                out.cancel(ticket);
                let ticket = ticket.to_owned();
                // Refused if nobody is on call. Then it is a dead letter, until somebody is.
                out.send::<Queue>(&escalated.queue, CallOut { ticket });
            }
            TicketEvent::Opened(_)
            | TicketEvent::Asked(_)
            | TicketEvent::Assigned(_)
            | TicketEvent::Moved(_) => {}
        }
    }
}

impl React<Queue> for Escalation {
    fn react_to(&mut self, event: &QueueEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let QueueEvent::CalledOut(called) = event {
            let agent = called.agent.clone();
            out.send::<Ticket>(&called.ticket, Assign { agent });
        }
    }
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::process_manager;

    use super::*;
    use crate::domain::queue::CalledOut;
    use crate::domain::ticket::{AnswerDue, Answered, Closed, Escalated};

    const HALF_AN_HOUR: Duration = Duration::from_secs(1_800);

    #[test]
    fn a_ticket_is_escalated_when_its_answer_is_due() {
        process_manager::<Escalation>()
            .when::<Ticket>("t-1", AnswerDue { within_minutes: 30 })
            .then(|out| {
                out.schedule_as::<Ticket>("t-1", HALF_AN_HOUR, "t-1", Escalate {});
            });
    }

    #[test]
    fn a_ticket_that_is_answered_or_closed_has_no_deadline() {
        let text = "Run.".to_owned();
        process_manager::<Escalation>()
            .when::<Ticket>("t-1", Answered { text })
            .then(|out| out.cancel("t-1"))
            .when::<Ticket>("t-1", Closed {})
            .then(|out| out.cancel("t-1"));
    }

    #[test]
    fn whoever_is_on_call_is_called_out_and_gets_the_ticket() {
        let (ticket, agent) = ("t-1".to_owned(), "ben".to_owned());
        let queue = "support".to_owned();
        process_manager::<Escalation>()
            .when::<Ticket>("t-1", Escalated { queue })
            .then(|out| {
                out.cancel("t-1");
                let ticket = ticket.clone();
                out.send::<Queue>("support", CallOut { ticket });
            })
            .when::<Queue>(
                "support",
                CalledOut {
                    ticket: ticket.clone(),
                    agent: agent.clone(),
                },
            )
            .then(|out| {
                let agent = agent.clone();
                out.send::<Ticket>("t-1", Assign { agent });
            });
    }
}
