//! A small shop, whose events the tests look at.

use std::path::Path;
use std::time::Duration;

use eventfold_es::prelude::*;
use eventfold_es::{AggregateStoreBuilder, CommandEnvelope};
use serde::{Deserialize, Serialize};
use serde_json::json;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Place, Ship), events(Placed, Shipped), error = Refused)]
pub(crate) struct Order {
    shipped: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Place {
    pub(crate) customer: String,
    pub(crate) amount: u64,
    pub(crate) note: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ship;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Placed {
    #[tag]
    customer: String,
    amount: u64,
    note: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Shipped {
    number: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct Refused;

#[aggregate_impl]
impl Order {
    fn place(&self, command: Place) -> Decision<Self> {
        let Place {
            customer,
            amount,
            note,
        } = command;
        Ok(events![Placed {
            customer,
            amount,
            note
        }])
    }

    fn ship(&self, _: Ship) -> Decision<Self> {
        Ok(events![Shipped {
            number: self.shipped + 1
        }])
    }

    fn placed(&mut self, _: &Placed) {}

    fn shipped(&mut self, event: &Shipped) {
        self.shipped = event.number;
    }
}

/// How many events there were.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Count(u64);

impl eventfold_es::Projection for Count {
    const NAME: &'static str = "count";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.0 += 1;
    }
}

/// Ships what is placed, and tells a courier, of whom nobody knows.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Fulfilment;

impl eventfold_es::ProcessManager for Fulfilment {
    const NAME: &'static str = "fulfilment";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order"]
    }

    fn react(&mut self, _: &str, id: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        if event.event_type != "Placed" {
            return Vec::new();
        }
        let command = |aggregate_type: &str, command| CommandEnvelope {
            aggregate_type: aggregate_type.to_owned(),
            instance_id: id.to_owned(),
            command,
            context: CommandContext::default(),
        };
        let ship = serde_json::to_value(<Order as Aggregate>::Command::from(Ship)).unwrap();
        vec![command("order", ship), command("courier", json!("come"))]
    }
}

/// Reminds of each order in a year.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "reminders", aggregates(Order), dispatches(Order))]
pub(crate) struct Reminders {}

impl React<Order> for Reminders {
    fn react_to(&mut self, event: &OrderEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let OrderEvent::Placed(_) = event {
            let due = Duration::from_secs(365 * 86_400);
            let key = format!("remind {}", record.id());
            out.schedule_as::<Order>(&key, due, record.id(), Ship);
        }
    }
}

pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

pub(crate) async fn open(dir: &Path) -> AggregateStore {
    AggregateStore::builder(dir).open().await.unwrap()
}

pub(crate) fn with_managers(builder: AggregateStoreBuilder) -> AggregateStoreBuilder {
    builder
        .projection::<Count>()
        .process_manager::<Fulfilment>()
        .process_manager::<Reminders>()
        .aggregate_type::<Order>()
}

pub(crate) fn place(customer: &str, amount: u64) -> Place {
    Place {
        customer: customer.to_owned(),
        amount,
        note: String::new(),
    }
}

pub(crate) fn context(i: u64) -> CommandContext {
    CommandContext::default()
        .with_actor("ann")
        .with_correlation_id(format!("request-{i}"))
        .with_idempotency_key(format!("key-{i}"))
}

/// A closed store with a few orders of all kinds.
pub(crate) fn closed(dir: &Path) {
    runtime().block_on(async {
        let store = open(dir).await;
        for i in 0..30 {
            let order = store.get::<Order>(&format!("o-{}", i % 7)).await.unwrap();
            let customer = format!("c-{}", i % 3);
            order
                .send_with(place(&customer, i * 10), context(i))
                .await
                .unwrap();
            if i % 2 == 0 {
                order.send(Ship).await.unwrap();
            }
        }
        store.shutdown().await.unwrap();
    });
}

/// A closed store with orders of all kinds, to which its process managers have reacted.
#[cfg(feature = "postgres")]
pub(crate) fn full(dir: &Path) {
    closed(dir);
    react_to(AggregateStore::builder(dir), 99);
}

/// A closed store whose process managers have reacted to one order.
pub(crate) fn reacted(dir: &Path) {
    react(AggregateStore::builder(dir));
}

/// Lets the process managers of a store react to one order, which is there once, and closes it.
pub(crate) fn react(builder: AggregateStoreBuilder) {
    react_to(builder, 1);
}

fn react_to(builder: AggregateStoreBuilder, number: u64) {
    runtime().block_on(async {
        let store = with_managers(builder).open().await.unwrap();
        let order = store.get::<Order>(&format!("o-{number}")).await.unwrap();
        order
            .send_with(place("c-1", 5), context(number))
            .await
            .unwrap();
        store.run_process_managers().await.unwrap();
        store.read(|_: &Count| ()).await.unwrap();
        store.shutdown().await.unwrap();
    });
}
