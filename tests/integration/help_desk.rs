//! What a help desk asks of the crate: tickets, queues and deadlines, on the public interface alone.

use std::time::{Duration, SystemTime};

use eventfold_es::prelude::*;
use eventfold_es::{Call, CommandContext, DecisionContext, Layer, ManualClock, Refused, Version};
use serde::{Deserialize, Serialize};

use crate::support::{DEADLINE, builder, temp_dir};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Open, Assign, Return),
    events(Opened, Assigned, Returned),
    error = NotOpen
)]
struct Ticket {
    queue: Option<String>,
    agent: Option<String>,
    opened_ms: u64,
    returned: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open {
    queue: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Assign {
    agent: String,
}

/// The queue did not take the ticket.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Return;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Opened {
    queue: String,
    by: String,
    ms: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Assigned {
    agent: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Returned;

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the ticket is not open")]
struct NotOpen;

#[aggregate_impl]
impl Ticket {
    fn open(&self, command: Open, context: &DecisionContext<'_>) -> Decision<Self> {
        let Open { queue } = command;
        let by = context.actor().unwrap_or("nobody").to_owned();
        let ms = context.unix_millis();
        Ok(events![Opened { queue, by, ms }])
    }

    fn assign(&self, command: Assign) -> Decision<Self> {
        if self.queue.is_none() {
            return Err(NotOpen);
        }
        let Assign { agent } = command;
        Ok(events![Assigned { agent }])
    }

    fn give_back(&self, _: Return) -> Decision<Self> {
        Ok(events![Returned])
    }

    fn opened(&mut self, event: &Opened) {
        self.queue = Some(event.queue.clone());
        self.opened_ms = event.ms;
    }

    fn assigned(&mut self, event: &Assigned) {
        self.agent = Some(event.agent.clone());
    }

    fn returned(&mut self, _: &Returned) {
        self.returned += 1;
    }
}

/// A queue that has room for two tickets.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Enqueue), events(Enqueued), error = IsFull)]
struct Queue {
    tickets: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Enqueue {
    ticket: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Enqueued {
    ticket: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the queue is full")]
struct IsFull;

#[aggregate_impl]
impl Queue {
    fn enqueue(&self, command: Enqueue) -> Decision<Self> {
        if self.tickets.len() >= 2 {
            return Err(IsFull);
        }
        let Enqueue { ticket } = command;
        Ok(events![Enqueued { ticket }])
    }

    fn enqueued(&mut self, event: &Enqueued) {
        self.tickets.push(event.ticket.clone());
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "routing", aggregates(Ticket), dispatches(Ticket, Queue))]
struct Routing;

impl React<Ticket> for Routing {
    fn react_to(&mut self, event: &TicketEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let TicketEvent::Opened(opened) = event {
            let ticket = record.id().to_owned();
            out.send::<Queue>(&opened.queue, Enqueue { ticket })
                .or_send::<Ticket>(record.id(), Return);
        }
    }
}

/// Nobody may send commands without a name.
struct Named;

impl Layer for Named {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let is_named = call.context().actor.is_some() || call.process_manager().is_some();
        if is_named {
            Ok(())
        } else {
            Err(Refused::new(Anonymous))
        }
    }
}

#[derive(Debug, thiserror::Error)]
#[error("say who you are")]
struct Anonymous;

fn by(actor: &str) -> CommandContext {
    CommandContext::default().with_actor(actor)
}

fn to(queue: &str) -> Open {
    Open {
        queue: queue.to_owned(),
    }
}

async fn help_desk(dir: &crate::support::TempDir) -> AggregateStore {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(7));
    let builder = builder(dir).clock(clock).layer(Named);
    let builder = builder.process_manager::<Routing>().live();
    builder.open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_a_full_queue_refuses_is_returned_at_once_and_leaves_no_dead_letter() {
    let dir = temp_dir();
    let desk = help_desk(&dir).await;
    for ticket in ["t-1", "t-2", "t-3"] {
        let ticket = desk.get::<Ticket>(ticket).await.unwrap();
        let done = ticket.send_with(to("mail"), by("ann")).await.unwrap();
        desk.wait_until_settled(done.position, DEADLINE)
            .await
            .unwrap();
    }
    let returned = desk.wait_until::<Ticket>("t-3", |ticket| ticket.returned > 0, DEADLINE);
    assert_eq!(returned.await.unwrap().version, 2);
    let queue = desk
        .get::<Queue>("mail")
        .await
        .unwrap()
        .state()
        .await
        .unwrap();
    assert_eq!(queue.tickets, ["t-1", "t-2"]);
    let letters = desk.dead_letters("routing").unwrap().list().await.unwrap();
    assert!(letters.is_empty(), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_states_who_opened_the_ticket_and_when_by_the_clock_of_the_store() {
    let dir = temp_dir();
    let desk = help_desk(&dir).await;
    let ticket = desk.get::<Ticket>("t-1").await.unwrap();
    ticket.send_with(to("mail"), by("ann")).await.unwrap();
    assert_eq!(ticket.state().await.unwrap().opened_ms, 7_000);
    let newest = desk.backwards().event::<Opened>().next().await;
    let opened = newest.unwrap().unwrap().decode_as::<Opened>().unwrap();
    let [opened] = opened.as_slice() else {
        panic!("{opened:?}");
    };
    assert_eq!((&*opened.by, opened.ms), ("ann", 7_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_was_loaded_before_another_change_is_refused_with_both_versions() {
    let dir = temp_dir();
    let desk = help_desk(&dir).await;
    let ticket = desk.get::<Ticket>("t-1").await.unwrap();
    ticket.send_with(to("mail"), by("ann")).await.unwrap();
    let etag = ticket.load().await.unwrap().version.to_string();
    let to_bob = Assign {
        agent: "bob".to_owned(),
    };
    ticket.send_with(to_bob.clone(), by("ann")).await.unwrap();

    let if_match = by("cid").with_expected_version(etag.parse::<Version>().unwrap());
    match ticket.send_with(to_bob, if_match).await {
        Err(ExecuteError::ExpectedVersion { expected, actual }) => {
            assert_eq!(expected.to_string(), etag);
            assert_eq!(actual, ticket.version().await.unwrap());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_is_repeated_under_its_key_is_answered_alike_and_another_is_refused() {
    let dir = temp_dir();
    let desk = help_desk(&dir).await;
    let ticket = desk.get::<Ticket>("t-1").await.unwrap();
    let context = by("ann").with_idempotency_key("request-1");
    let first = ticket.send_with(to("mail"), context.clone()).await.unwrap();
    let again = ticket.send_with(to("mail"), context.clone()).await.unwrap();
    assert!(again.repeated && again.version == first.version);
    let other = ticket.send_with(to("phone"), context).await;
    assert!(matches!(other, Err(ExecuteError::KeyReused { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_without_a_name_is_refused_by_the_layer_and_looking_for_no_ticket_stores_none() {
    let dir = temp_dir();
    let desk = help_desk(&dir).await;
    let ticket = desk.get::<Ticket>("t-1").await.unwrap();
    match ticket.send(to("mail")).await {
        Err(ExecuteError::Refused(refused)) => assert!(refused.is::<Anonymous>()),
        other => panic!("{other:?}"),
    }
    assert!(desk.find::<Ticket>("t-1").await.unwrap().is_none());
    let preview = ticket.preview_with(to("mail"), by("ann")).await.unwrap();
    assert_eq!(preview.version, 1);
    assert!(desk.find::<Ticket>("t-1").await.unwrap().is_none());
    ticket.send_with(to("mail"), by("ann")).await.unwrap();
    assert!(desk.find::<Ticket>("t-1").await.unwrap().is_some());
}
