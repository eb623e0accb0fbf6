//! `#[aggregate_impl]`: what its methods are to a store.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::{builder, temp_dir};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, Assign, Close),
    events(Opened, Assigned, Closed),
    error = Refused,
)]
struct Ticket {
    is_open: bool,
    agent: Option<String>,
    log: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Assign {
    agent: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Close;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Assigned {
    agent: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Closed {
    by: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the ticket is not open")]
struct Refused;

#[aggregate_impl]
impl Ticket {
    fn open(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }

    fn opened(&mut self, _: &Opened) {
        self.is_open = true;
        self.note("opened");
    }

    fn close(&self, _: Close, context: &DecisionContext<'_>) -> Decision<Self> {
        self.check_open()?;
        let by = context.actor().unwrap_or("nobody").to_owned();
        Ok(events![Closed { by }])
    }

    fn closed(&mut self, event: &Closed) {
        self.is_open = false;
        self.note(&event.by);
    }

    #[helper]
    fn check_open(&self) -> Result<(), Refused> {
        if self.is_open { Ok(()) } else { Err(Refused) }
    }

    #[helper]
    fn note(&mut self, text: &str) {
        self.log.push(text.to_owned());
    }
}

impl Decide<Assign> for Ticket {
    fn decide(&self, command: Assign) -> Decision<Self> {
        self.check_open()?;
        Ok(events![Assigned {
            agent: command.agent
        }])
    }
}

impl Evolve<Assigned> for Ticket {
    fn evolve(&mut self, event: &Assigned) {
        self.agent = Some(event.agent.clone());
    }
}

#[tokio::test]
async fn methods_decide_and_evolve_beside_impls_of_the_traits() {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    let ticket = store.get::<Ticket>("t-1").await.unwrap();
    let agent = || "ann".to_owned();
    let refused = ticket.send(Assign { agent: agent() }).await;
    assert!(matches!(refused, Err(ExecuteError::Domain(Refused))));
    ticket.send(Open).await.unwrap();
    ticket.send(Assign { agent: agent() }).await.unwrap();
    let context = CommandContext::default().with_actor("bob");
    ticket.send_with(Close, context).await.unwrap();
    let closed = ticket.state().await.unwrap();
    drop(ticket);
    store.shutdown().await.unwrap();

    let store = builder(&dir).open().await.unwrap();
    let ticket = store.get::<Ticket>("t-1").await.unwrap();
    assert_eq!(ticket.state().await.unwrap(), closed);
    assert_eq!(closed.log, ["opened", "bob"]);
    assert_eq!(closed.agent, Some(agent()));
}

#[test]
fn methods_can_be_called_and_are_the_traits_decisions() {
    let mut ticket = Ticket::default();
    assert_eq!(ticket.open(Open).unwrap().len(), 1);
    assert_eq!(ticket.decide(Open).unwrap().len(), 1);
    let context = DecisionContext::default();
    assert_eq!(ticket.close(Close, &context).unwrap_err(), Refused);
    assert_eq!(ticket.decide_with(Close, &context).unwrap_err(), Refused);
    ticket.opened(&Opened);
    ticket.evolve(&Opened);
    assert_eq!(ticket.log, ["opened", "opened"]);
}
