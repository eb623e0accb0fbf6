//! A ticket: a conversation with a customer, in which each question is answered in time, or escalated.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) enum Status {
    #[default]
    NotOpened,
    /// For an answer, which is due.
    Waiting,
    /// It was not answered in time, or somebody did not want to wait that long.
    Escalated,
    Answered,
    Closed,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, Ask, Answer, Assign, MoveTo, Escalate, Close),
    events(Opened, Asked, AnswerDue, Answered, Assigned, Moved, Escalated, Closed),
    error = TicketError,
)]
pub(crate) struct Ticket {
    pub(crate) status: Status,
    pub(crate) queue: String,
    pub(crate) agent: Option<String>,
    pub(crate) answer_within_minutes: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) customer: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) queue: String,
    pub(crate) answer_within_minutes: u32,
}

/// A further question of the customer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Ask {
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Answer {
    pub(crate) text: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Assign {
    pub(crate) agent: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MoveTo {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Escalate {}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Close {}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Opened {
    pub(crate) customer: String,
    pub(crate) subject: String,
    pub(crate) text: String,
    pub(crate) queue: String,
    pub(crate) answer_within_minutes: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Asked {
    pub(crate) text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct AnswerDue {
    pub(crate) within_minutes: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Answered {
    pub(crate) text: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Assigned {
    pub(crate) agent: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Moved {
    pub(crate) from: String,
    pub(crate) to: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Escalated {
    pub(crate) queue: String,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Closed {}

#[derive(Debug, PartialEq, thiserror::Error)]
pub(crate) enum TicketError {
    #[error("there is a ticket with this id")]
    AlreadyOpened,
    #[error("there is no such ticket")]
    NotOpened,
    #[error("the ticket is closed")]
    Closed,
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("nobody answers in less than a minute")]
    TooSoon,
    #[error("the ticket is in the queue {0}")]
    IsIn(String),
}

#[aggregate_impl]
impl Ticket {
    fn open(&self, command: Open) -> Decision<Self> {
        if self.status != Status::NotOpened {
            return Err(TicketError::AlreadyOpened);
        }
        if command.answer_within_minutes == 0 {
            return Err(TicketError::TooSoon);
        }
        let opened = Opened {
            customer: command.customer,
            subject: said(command.subject, "the subject")?,
            text: said(command.text, "the question")?,
            queue: command.queue,
            answer_within_minutes: command.answer_within_minutes,
        };
        let within_minutes = command.answer_within_minutes;
        Ok(events![opened, AnswerDue { within_minutes }])
    }

    /// What the customer adds before there was an answer does not put the answer off.
    fn ask(&self, command: Ask) -> Decision<Self> {
        self.is_open()?;
        let text = said(command.text, "the question")?;
        let within_minutes = self.answer_within_minutes;
        Ok(match self.status {
            Status::Answered => events![Asked { text }, AnswerDue { within_minutes }],
            _ => events![Asked { text }],
        })
    }

    fn answer(&self, command: Answer) -> Decision<Self> {
        self.is_open()?;
        let text = said(command.text, "the answer")?;
        Ok(events![Answered { text }])
    }

    fn assign(&self, command: Assign) -> Decision<Self> {
        self.is_open()?;
        let agent = said(command.agent, "the agent")?;
        if self.agent.as_ref() == Some(&agent) {
            return Ok(events![]);
        }
        Ok(events![Assigned { agent }])
    }

    /// Whoever is on call for the other queue is to know of an escalated ticket too.
    fn move_to(&self, command: MoveTo) -> Decision<Self> {
        self.is_open()?;
        let MoveTo { from, to } = command;
        if from != self.queue || to == self.queue {
            return Err(TicketError::IsIn(self.queue.clone()));
        }
        let queue = to.clone();
        Ok(match self.status {
            Status::Escalated => events![Moved { from, to }, Escalated { queue }],
            _ => events![Moved { from, to }],
        })
    }

    /// The ticket has the last word: a deadline that comes when it is answered changes nothing.
    fn escalate(&self, _: Escalate) -> Decision<Self> {
        let queue = self.queue.clone();
        Ok(match self.status {
            Status::Waiting => events![Escalated { queue }],
            _ => events![],
        })
    }

    fn close(&self, _: Close) -> Decision<Self> {
        self.is_open()?;
        Ok(events![Closed {}])
    }

    fn opened(&mut self, event: &Opened) {
        self.queue.clone_from(&event.queue);
        self.answer_within_minutes = event.answer_within_minutes;
    }

    fn asked(&mut self, _: &Asked) {}

    fn answer_due(&mut self, _: &AnswerDue) {
        self.status = Status::Waiting;
    }

    fn answered(&mut self, _: &Answered) {
        self.status = Status::Answered;
    }

    fn assigned(&mut self, event: &Assigned) {
        self.agent = Some(event.agent.clone());
    }

    fn moved(&mut self, event: &Moved) {
        self.queue.clone_from(&event.to);
    }

    fn escalated(&mut self, _: &Escalated) {
        self.status = Status::Escalated;
    }

    fn closed(&mut self, _: &Closed) {
        self.status = Status::Closed;
    }
}

impl Ticket {
    fn is_open(&self) -> Result<(), TicketError> {
        match self.status {
            Status::NotOpened => Err(TicketError::NotOpened),
            Status::Closed => Err(TicketError::Closed),
            _ => Ok(()),
        }
    }
}

fn said(text: String, what: &'static str) -> Result<String, TicketError> {
    if text.trim().is_empty() {
        return Err(TicketError::Missing(what));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::{given, laws};

    use super::*;

    fn open() -> Open {
        Open {
            customer: "ann".to_owned(),
            subject: "The printer is on fire".to_owned(),
            text: "What now?".to_owned(),
            queue: "support".to_owned(),
            answer_within_minutes: 30,
        }
    }

    fn opened() -> Opened {
        Opened {
            customer: "ann".to_owned(),
            subject: "The printer is on fire".to_owned(),
            text: "What now?".to_owned(),
            queue: "support".to_owned(),
            answer_within_minutes: 30,
        }
    }

    fn due() -> AnswerDue {
        AnswerDue { within_minutes: 30 }
    }

    fn answered() -> Answered {
        let text = "Run.".to_owned();
        Answered { text }
    }

    fn ask() -> Ask {
        let text = "And then?".to_owned();
        Ask { text }
    }

    fn asked() -> Asked {
        let text = "And then?".to_owned();
        Asked { text }
    }

    fn escalated(queue: &str) -> Escalated {
        let queue = queue.to_owned();
        Escalated { queue }
    }

    fn move_to(from: &str, to: &str) -> MoveTo {
        let (from, to) = (from.to_owned(), to.to_owned());
        MoveTo { from, to }
    }

    fn moved(from: &str, to: &str) -> Moved {
        let (from, to) = (from.to_owned(), to.to_owned());
        Moved { from, to }
    }

    #[test]
    fn a_ticket_is_opened_once_and_waits_for_an_answer_from_then_on() {
        given::<Ticket>(events![])
            .when(open())
            .then(events![opened(), due()])
            .when(open())
            .then_error(|error| *error == TicketError::AlreadyOpened);
    }

    #[test]
    fn a_ticket_says_something_and_leaves_time_for_an_answer() {
        let subject = " ".to_owned();
        given::<Ticket>(events![])
            .when(Open { subject, ..open() })
            .then_error(|error| *error == TicketError::Missing("the subject"));
        let answer_within_minutes = 0;
        given::<Ticket>(events![])
            .when(Open {
                answer_within_minutes,
                ..open()
            })
            .then_error(|error| *error == TicketError::TooSoon);
    }

    #[test]
    fn a_question_after_an_answer_is_due_again() {
        given::<Ticket>(events![opened(), due(), answered()])
            .when(ask())
            .then(events![asked(), due()]);
    }

    #[test]
    fn a_question_before_the_answer_does_not_put_it_off() {
        given::<Ticket>(events![opened(), due()])
            .when(ask())
            .then(events![asked()]);
        given::<Ticket>(events![opened(), due(), escalated("support")])
            .when(ask())
            .then(events![asked()])
            .then_state(|ticket| ticket.status == Status::Escalated);
    }

    #[test]
    fn a_ticket_that_waits_is_escalated_once() {
        given::<Ticket>(events![opened(), due()])
            .when(Escalate {})
            .then(events![escalated("support")])
            .when(Escalate {})
            .then_nothing();
    }

    #[test]
    fn a_ticket_that_is_answered_or_closed_is_not_escalated() {
        given::<Ticket>(events![opened(), due(), answered()])
            .when(Escalate {})
            .then_nothing();
        given::<Ticket>(events![opened(), due(), Closed {}])
            .when(Escalate {})
            .then_nothing();
    }

    #[test]
    fn a_ticket_moves_to_another_queue() {
        given::<Ticket>(events![opened(), due()])
            .when(move_to("support", "billing"))
            .then(events![moved("support", "billing")])
            .when(move_to("support", "sales"))
            .then_error(|error| *error == TicketError::IsIn("billing".to_owned()))
            .when(move_to("billing", "billing"))
            .then_error(|error| *error == TicketError::IsIn("billing".to_owned()));
    }

    #[test]
    fn an_escalated_ticket_is_escalated_in_the_queue_that_it_moves_to() {
        given::<Ticket>(events![opened(), due(), escalated("support")])
            .when(move_to("support", "billing"))
            .then(events![moved("support", "billing"), escalated("billing")]);
    }

    #[test]
    fn a_ticket_that_is_closed_or_was_never_opened_takes_nothing() {
        given::<Ticket>(events![opened(), due(), Closed {}])
            .when(ask())
            .then_error(|error| *error == TicketError::Closed);
        given::<Ticket>(events![])
            .when(Close {})
            .then_error(|error| *error == TicketError::NotOpened);
    }

    #[test]
    fn the_laws_of_aggregates_hold() {
        let agent = "ben".to_owned();
        let text = "Run.".to_owned();
        laws::<Ticket>()
            .command(open())
            .command(ask())
            .command(Answer { text })
            .command(Assign { agent })
            .command(move_to("support", "billing"))
            .command(move_to("billing", "support"))
            .command(Escalate {})
            .command(Close {})
            .check();
    }
}
