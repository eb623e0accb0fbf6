//! Decisions with and without a context, effects, helpers, and what else an impl block may have.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

mod commands {
    use serde::{Deserialize, Serialize};

    #[derive(Debug, Clone, Serialize, Deserialize)]
    pub struct Close {
        pub reason: String,
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, commands::Close, Reopen, Archive, Count),
    events(Opened, Closed, Archived),
    error = IsClosed,
)]
pub struct Ticket {
    is_closed: bool,
    log: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reopen;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Archive;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Count {
    to: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Closed {
    reason: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Archived;

#[derive(Debug, PartialEq)]
pub struct IsClosed;

impl std::fmt::Display for IsClosed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("closed")
    }
}

impl std::error::Error for IsClosed {}

/// What a ticket does.
#[aggregate_impl]
#[allow(clippy::needless_pass_by_value)]
impl Ticket {
    const LIMIT: u64 = { 3 };

    /// Opens it.
    pub fn open(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }

    pub(crate) fn opened<'a>(&'a mut self, _: &'a Opened) {
        self.is_closed = false;
    }

    fn close(
        &self,
        commands::Close { reason }: commands::Close,
        context: &DecisionContext<'_>,
    ) -> Result<Vec<TicketEvent>, IsClosed> {
        self.check_open()?;
        let by = context.actor().unwrap_or("nobody");
        Ok(events![Closed {
            reason: format!("{reason} by {by}")
        }])
    }

    fn closed(self: &mut Self, Closed { reason }: &Closed) {
        self.is_closed = true;
        self.note(reason);
    }

    /// Another method's decision is one call away.
    #[inline]
    #[must_use = "a decision changes nothing"]
    fn reopen(&self, _: Reopen) -> Decision<Self> {
        self.open(Open)
    }

    const fn count(&self, Count { to }: Count) -> Decision<Self> {
        if to > Self::LIMIT {
            Err(IsClosed)
        } else {
            Ok(Vec::new())
        }
    }

    #[helper]
    pub fn check_open(&self) -> Result<(), IsClosed> {
        if self.is_closed {
            Err(IsClosed)
        } else {
            Ok(())
        }
    }

    #[helper]
    fn note<T: Into<String> + Clone>(&mut self, text: &T) {
        self.log.push(text.clone().into());
    }

    #[helper]
    async fn nothing(self) {}

    #[helper]
    fn new() -> Self {
        Self::default()
    }
}

/// A second block, with one method or the other.
#[aggregate_impl()]
impl Ticket {
    #[cfg(unix)]
    fn archive(&self, _: Archive) -> Decision<Self> {
        Ok(events![Archived])
    }

    #[cfg(not(unix))]
    fn archive_elsewhere(&self, _: Archive, _: &DecisionContext<'_>) -> Decision<Self> {
        Ok(events![Archived])
    }
}

/// What is not there.
#[aggregate_impl]
#[cfg(any())]
impl Ticket {
    fn archive(&self, _: Archive) -> Decision<Self> {
        Ok(events![Archived])
    }
}

impl Evolve<Archived> for Ticket {
    fn evolve(&mut self, _: &Archived) {
        self.is_closed = true;
    }
}

pub(super) fn main() {
    let mut ticket = Ticket::new();
    drop(ticket.clone().nothing());
    assert_eq!(ticket.open(Open).unwrap().len(), 1);
    let close = commands::Close {
        reason: "done".to_owned(),
    };
    for event in ticket.handle(close.clone().into()).unwrap() {
        ticket = ticket.apply(&event);
    }
    assert_eq!(ticket.log, ["done by nobody"]);
    assert_eq!(ticket.handle(close.into()).unwrap_err(), IsClosed);
    assert_eq!(ticket.handle(Reopen.into()).unwrap().len(), 1);
    assert_eq!(ticket.handle(Archive.into()).unwrap().len(), 1);
    assert!(ticket.handle(Count { to: 3 }.into()).unwrap().is_empty());
    assert!(ticket.handle(Count { to: 4 }.into()).is_err());
}
