//! Programs with projections and process managers.

use std::convert::Infallible;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::es::{
    Aggregate, AggregateStore, AggregateStoreBuilder, CommandContext, CommandEnvelope,
    InjectOptions, ProcessManager, ProcessManagerReport, Projection,
};
use super::tools::wait_until_released;
use super::unlocked;

// Orders are placed; a process manager has them shipped, and told to a customer.

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Order {
    items: Vec<String>,
}

struct Place(&'static str);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OrderEvent {
    Placed { item: String },
}

impl Aggregate for Order {
    const AGGREGATE_TYPE: &'static str = "order";
    type Command = Place;
    type DomainEvent = OrderEvent;
    type Error = Infallible;

    fn handle(&self, cmd: Place) -> Result<Vec<OrderEvent>, Infallible> {
        let item = cmd.0.to_owned();
        Ok(vec![OrderEvent::Placed { item }])
    }

    fn apply(mut self, event: &OrderEvent) -> Self {
        let OrderEvent::Placed { item } = event;
        self.items.push(item.clone());
        self
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Shipping {
    shipped: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
enum ShippingCommand {
    Ship { item: String },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum ShippingEvent {
    Shipped { item: String },
}

#[derive(Debug, thiserror::Error)]
#[error("no ship for {0}")]
struct NoShip(String);

impl Aggregate for Shipping {
    const AGGREGATE_TYPE: &'static str = "shipping";
    type Command = ShippingCommand;
    type DomainEvent = ShippingEvent;
    type Error = NoShip;

    fn handle(&self, cmd: ShippingCommand) -> Result<Vec<ShippingEvent>, NoShip> {
        let ShippingCommand::Ship { item } = cmd;
        if item == "elephant" {
            return Err(NoShip(item));
        }
        Ok(vec![ShippingEvent::Shipped { item }])
    }

    fn apply(mut self, event: &ShippingEvent) -> Self {
        let ShippingEvent::Shipped { item } = event;
        self.shipped.push(item.clone());
        self
    }
}

/// Everything that happened, in its order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Log(Vec<String>);

impl Projection for Log {
    const NAME: &'static str = "log";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order", "shipping"]
    }

    fn apply(&mut self, aggregate_type: &str, stream_id: &str, event: &eventfold::Event) {
        let (name, item) = (&event.event_type, &event.data["item"]);
        self.0
            .push(format!("{aggregate_type}/{stream_id} {name} {item}"));
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Unregistered;

impl Projection for Unregistered {
    const NAME: &'static str = "unregistered";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Fulfilment {
    seen: u32,
}

impl ProcessManager for Fulfilment {
    const NAME: &'static str = "fulfilment";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order"]
    }

    fn react(
        &mut self,
        aggregate_type: &str,
        stream_id: &str,
        event: &eventfold::Event,
    ) -> Vec<CommandEnvelope> {
        assert_eq!(aggregate_type, "order");
        self.seen += 1;
        let to = |aggregate_type: &str, command: Value| CommandEnvelope {
            aggregate_type: aggregate_type.to_owned(),
            instance_id: stream_id.to_owned(),
            command,
            context: CommandContext::default()
                .with_actor("fulfilment")
                .with_metadata(json!({ "number": self.seen })),
        };
        match event.data["item"].as_str() {
            Some("nothing") => Vec::new(),
            Some("riddle") => vec![to("shipping", json!({ "Guess": 1 }))],
            Some("letter") => vec![to("post", json!({ "Send": event.data }))],
            _ => vec![to("shipping", json!({ "Ship": event.data }))],
        }
    }
}

fn builder(base: &Path) -> AggregateStoreBuilder {
    AggregateStore::builder(base)
        .projection::<Log>()
        .process_manager::<Fulfilment>()
        .aggregate_type::<Shipping>()
}

async fn place(store: &AggregateStore, id: &str, item: &'static str) {
    let order = store.get::<Order>(id).await.unwrap();
    order
        .execute(Place(item), CommandContext::default())
        .await
        .unwrap();
}

async fn run(store: &AggregateStore) -> (usize, usize) {
    let ProcessManagerReport {
        dispatched,
        dead_lettered,
    } = store.run_process_managers().await.unwrap();
    (dispatched, dead_lettered)
}

#[tokio::test]
async fn a_projection_includes_every_answered_command() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    assert_eq!(store.projection::<Log>().unwrap(), Log::default());
    place(&store, "o-1", "nails").await;
    place(&store, "o-1", "paint").await;
    let log = store.projection::<Log>().unwrap();
    let expected = [r#"order/o-1 Placed "nails""#, r#"order/o-1 Placed "paint""#];
    assert_eq!(log.0, expected);
    place(&store, "o-1", "brush").await;
    assert_eq!(store.projection::<Log>().unwrap().0.len(), 3);
    assert_eq!(store.clone().projection::<Log>().unwrap().0.len(), 3);
}

#[tokio::test]
async fn a_projection_resumes_when_the_store_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    for round in 1..=3 {
        let store = builder(dir.path()).open().await.unwrap();
        place(&store, "o-1", "nails").await;
        assert_eq!(store.projection::<Log>().unwrap().0.len(), round);
        drop(store);
        wait_until_released(dir.path());
    }
}

#[tokio::test]
async fn a_projection_added_later_includes_earlier_events() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    place(&store, "o-1", "nails").await;
    drop(store);
    wait_until_released(dir.path());
    let store = builder(dir.path()).open().await.unwrap();
    assert_eq!(store.projection::<Log>().unwrap().0.len(), 1);
}

#[tokio::test]
async fn a_projection_that_is_not_registered_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    let error = store.projection::<Unregistered>().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    assert_eq!(
        error.to_string(),
        "projection 'unregistered' not registered"
    );
    let error = store.rebuild_projection::<Unregistered>().unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[tokio::test]
async fn a_rebuilt_projection_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    place(&store, "o-1", "nails").await;
    place(&store, "o-1", "paint").await;
    let before = store.projection::<Log>().unwrap();
    store.rebuild_projection::<Log>().unwrap();
    store.rebuild_projection::<Log>().unwrap();
    assert_eq!(store.projection::<Log>().unwrap(), before);
    place(&store, "o-1", "brush").await;
    assert_eq!(store.projection::<Log>().unwrap().0.len(), 3);
}

#[tokio::test]
async fn a_process_manager_sends_commands_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    assert_eq!(run(&store).await, (0, 0));
    place(&store, "o-1", "nails").await;
    place(&store, "o-1", "nothing").await;
    place(&store, "o-2", "paint").await;
    assert_eq!(run(&store).await, (2, 0));
    assert_eq!(run(&store).await, (0, 0));
    drop(store);
    wait_until_released(dir.path());

    let store = builder(dir.path()).open().await.unwrap();
    assert_eq!(run(&store).await, (0, 0));
    place(&store, "o-1", "brush").await;
    assert_eq!(run(&store).await, (1, 0));
    let shipping = store.get::<Shipping>("o-1").await.unwrap();
    assert_eq!(shipping.state().await.unwrap().shipped, ["nails", "brush"]);

    let events = store.read_events("shipping", "o-1").await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].actor.as_deref(), Some("fulfilment"));
    let log = store.projection::<Log>().unwrap();
    assert_eq!(log.0.len(), 7);
}

#[tokio::test]
async fn commands_that_fail_are_written_to_the_dead_letters() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    for item in ["nails", "elephant", "riddle", "letter"] {
        place(&store, "o-1", item).await;
    }
    assert_eq!(run(&store).await, (1, 3));
    assert_eq!(run(&store).await, (0, 0));

    let path = store.layout().process_managers_dir();
    let letters = std::fs::read_to_string(path.join("fulfilment/dead_letters.jsonl")).unwrap();
    let letters: Vec<Value> = letters
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let target = |i: usize| letters[i]["envelope"]["aggregate_type"].as_str();
    let error = |i: usize| letters[i]["error"].as_str().unwrap();
    assert_eq!(letters.len(), 3);
    assert_eq!(target(0), Some("shipping"));
    assert_eq!(error(0), "command execution failed: no ship for elephant");
    assert_eq!(
        letters[0]["envelope"]["command"],
        json!({ "Ship": { "item": "elephant" } })
    );
    assert_eq!(letters[0]["envelope"]["instance_id"], "o-1");
    assert_eq!(letters[0]["envelope"]["context"]["actor"], "fulfilment");
    assert_eq!(
        letters[0]["envelope"]["context"]["metadata"],
        json!({ "number": 2 })
    );
    assert!(letters[0]["ts"].is_u64());
    assert!(error(1).starts_with("command deserialization failed: unknown variant `Guess`"));
    assert_eq!(target(2), Some("post"));
    assert!(error(2).starts_with("unknown aggregate type: post"));

    let shipping = store.get::<Shipping>("o-1").await.unwrap();
    assert_eq!(shipping.state().await.unwrap().shipped, ["nails"]);
}

#[tokio::test]
async fn an_injected_event_reaches_projections_and_if_asked_process_managers() {
    let dir = tempfile::tempdir().unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    let placed = || eventfold::Event::new("Placed", json!({ "item": "nails" }));
    let inject = async |run_process_managers| {
        let options = || InjectOptions {
            run_process_managers,
        };
        unlocked(async || {
            store
                .inject_event::<Order>("o-1", placed(), options())
                .await
        })
        .await;
    };
    inject(false).await;
    assert_eq!(store.projection::<Log>().unwrap().0.len(), 1);
    assert_eq!(store.list_streams(Some("shipping")).await.unwrap(), []);

    inject(true).await;
    let shipping = store.get::<Shipping>("o-1").await.unwrap();
    assert_eq!(shipping.state().await.unwrap().shipped, ["nails", "nails"]);
    assert_eq!(run(&store).await, (0, 0));
}

// A process manager that reacts to what its own commands lead to.

#[derive(Debug, Default, Serialize, Deserialize)]
struct Reorder;

impl ProcessManager for Reorder {
    const NAME: &'static str = "reorder";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["shipping"]
    }

    fn react(
        &mut self,
        _: &str,
        stream_id: &str,
        event: &eventfold::Event,
    ) -> Vec<CommandEnvelope> {
        let item = event.data["item"].as_str().unwrap_or_default();
        if item.len() >= 8 {
            return Vec::new();
        }
        let command = json!({ "Ship": { "item": format!("{item}!") } });
        let context = CommandContext::default();
        let (aggregate_type, instance_id) = ("shipping".to_owned(), stream_id.to_owned());
        vec![CommandEnvelope {
            aggregate_type,
            instance_id,
            command,
            context,
        }]
    }
}

#[tokio::test]
async fn a_process_manager_reacts_to_the_events_of_its_own_commands_in_its_next_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::builder(dir.path())
        .process_manager::<Reorder>()
        .aggregate_type::<Shipping>()
        .open()
        .await
        .unwrap();
    let shipping = store.get::<Shipping>("s").await.unwrap();
    let ship = ShippingCommand::Ship {
        item: "nails".to_owned(),
    };
    shipping
        .execute(ship, CommandContext::default())
        .await
        .unwrap();
    for dispatched in [1, 1, 1, 0] {
        assert_eq!(run(&store).await, (dispatched, 0));
    }
    let shipped = shipping.state().await.unwrap().shipped;
    assert_eq!(shipped, ["nails", "nails!", "nails!!", "nails!!!"]);
}
