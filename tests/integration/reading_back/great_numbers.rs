//! Integers that a `serde_json::Value` does not hold: right, or refused.

use std::time::Duration;

use eventfold_es::prelude::*;
use eventfold_es::{
    CommandBus, CommandEnvelope, DecodeError, DispatchError, Outbox, Position, ProcessManager,
    Projection, StoredEvent, to_eventfold_event,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::temp_dir;

const GREAT: u128 = (1 << 100) + 1;
const SMALL: i128 = -(1 << 100) - 1;

/// serde reads it by way of a buffer.
#[derive(Deserialize)]
#[serde(untagged)]
enum Buffered {
    Command(PurseCommand),
}

/// Whether some crate has told `serde_json` to keep every number in a `Value`.
fn values_hold_all() -> bool {
    serde_json::from_str::<serde_json::Value>(&GREAT.to_string())
        .is_ok_and(|value| format!("{value}") == GREAT.to_string())
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "purse", commands(Pay, Owe), events(Paid, Owed), error = Broke)]
struct Purse {
    wei: u128,
    debt: i128,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Pay {
    wei: u128,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Owe(i128);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Paid {
    wei: u128,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Owed(i128);

#[derive(Debug, thiserror::Error)]
#[error("nothing left")]
struct Broke;

impl Decide<Pay> for Purse {
    fn decide(&self, pay: Pay) -> Decision<Self> {
        if self.debt != 0 {
            return Err(Broke);
        }
        Ok(events![Paid { wei: pay.wei }])
    }
}

impl Decide<Owe> for Purse {
    fn decide(&self, Owe(debt): Owe) -> Decision<Self> {
        Ok(events![Owed(debt)])
    }
}

impl Evolve<Paid> for Purse {
    fn evolve(&mut self, paid: &Paid) {
        self.wei += paid.wei;
    }
}

impl Evolve<Owed> for Purse {
    fn evolve(&mut self, owed: &Owed) {
        self.debt += owed.0;
    }
}

/// Pays into `copy` and, later, into `late` what is paid anywhere else.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "copying", aggregates(Purse), dispatches(Purse))]
struct Copying {
    seen: u128,
}

impl React<Purse> for Copying {
    fn react_to(&mut self, event: &PurseEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let PurseEvent::Paid(Paid { wei }) = event
            && !["copy", "late"].contains(&record.id())
        {
            self.seen += wei;
            out.send::<Purse>("copy", Pay { wei: *wei });
            out.schedule::<Purse>(Duration::ZERO, "late", Pay { wei: *wei });
        }
    }
}

async fn open(dir: impl AsRef<std::path::Path>) -> AggregateStore {
    let builder = crate::support::builder(dir).process_manager::<Copying>();
    builder.snapshot_every(1).open().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_sends_a_large_number_unchanged_at_once_later_and_from_a_dead_letter() {
    let dir = temp_dir();
    let store = open(&dir).await;
    // Its command is given up at first.
    let copy = store.get::<Purse>("copy").await.unwrap();
    copy.send(Owe(SMALL)).await.unwrap();
    store
        .get::<Purse>("a")
        .await
        .unwrap()
        .send(Pay { wei: GREAT })
        .await
        .unwrap();
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (1, 1));
    store.shutdown().await.unwrap();
    drop((copy, store));

    let store = open(&dir).await;
    let copy = store.get::<Purse>("copy").await.unwrap();
    assert_eq!(copy.state().await.unwrap().debt, SMALL);
    copy.send(Owe(-SMALL)).await.unwrap();
    let letters = store.dead_letters("copying").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    let shown = letter.envelope.command.to_string();
    assert!(shown.contains(&GREAT.to_string()), "{shown}");
    letters.replay(&letter.id).await.unwrap();
    assert_eq!(copy.state().await.unwrap().wei, GREAT);
    let late = store.get::<Purse>("late").await.unwrap();
    assert_eq!(late.state().await.unwrap().wei, GREAT);
}

#[test]
fn a_command_in_json_is_read_whatever_the_order_of_its_members() {
    for json in [
        format!(r#"{{"type":"Pay","data":{{"wei":{GREAT}}}}}"#),
        format!(r#"{{"data":{{"wei":{GREAT}}},"type":"Pay"}}"#),
        format!(r#"{{"data": {{"wei": {GREAT}}} , "more":[{GREAT}], "type":"Pay"}}"#),
    ] {
        let PurseCommand::Pay(pay) = serde_json::from_str(&json).unwrap() else {
            panic!("{json}");
        };
        assert_eq!(pay.wei, GREAT);
        let PurseCommand::Pay(pay) = serde_json::from_reader(json.as_bytes()).unwrap() else {
            panic!("{json}");
        };
        assert_eq!(pay.wei, GREAT);
    }
    // From what is not JSON text: a `Value`, and what serde has buffered.
    let value = json!({ "data": { "wei": 5 }, "type": "Pay" });
    let read: PurseCommand = serde_json::from_value(value.clone()).unwrap();
    assert!(matches!(read, PurseCommand::Pay(Pay { wei: 5 })));
    let Buffered::Command(read) = serde_json::from_str(r#"{"data":-5,"type":"Owe"}"#).unwrap();
    assert!(matches!(read, PurseCommand::Owe(Owe(-5))));
    let error = serde_json::from_str::<PurseCommand>(r#"{"data":{"wei":"5"},"type":"Pay"}"#);
    assert!(error.is_err());
}

/// Sees events as JSON.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Untyped {
    seen: Vec<String>,
}

impl ProcessManager for Untyped {
    const NAME: &'static str = "untyped";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["purse"]
    }

    fn react(&mut self, _: &str, _: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        self.seen.push(event.data["wei"].to_string());
        Vec::new()
    }
}

impl Projection for Untyped {
    const NAME: &'static str = "untyped";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["purse"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.seen.push(event.data["wei"].to_string());
    }
}

/// Sees them in their stored form.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct OfStored {
    seen: u128,
}

impl ProcessManager for OfStored {
    const NAME: &'static str = "of-stored";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["purse"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        unreachable!("`react_stored` is called instead")
    }

    fn react_stored(
        &mut self,
        event: StoredEvent<'_>,
        _: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        self.seen += event.payload::<Paid>()?.wei;
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reading_an_event_as_a_json_value_fails_if_a_number_does_not_fit() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .process_manager::<Untyped>()
        .process_manager::<OfStored>()
        .projection::<Untyped>()
        .open()
        .await
        .unwrap();
    let purse = store.get::<Purse>("a").await.unwrap();
    purse.send(Pay { wei: 5 }).await.unwrap();
    store.run_process_managers().await.unwrap();
    assert_eq!(store.projection::<Untyped>().unwrap().seen, ["5"]);
    assert_eq!(store.read_events("purse", "a").await.unwrap().len(), 1);

    purse.send(Pay { wei: GREAT }).await.unwrap();
    let outcomes = [
        store.run_process_managers().await.map(drop),
        store
            .projection::<Untyped>()
            .map(|p| assert_eq!(p.seen[1], GREAT.to_string())),
        store.read_events("purse", "a").await.map(drop),
    ];
    for outcome in outcomes {
        match outcome {
            Ok(()) => assert!(values_hold_all()),
            Err(error) => {
                let text = error.to_string();
                assert!(text.contains(&GREAT.to_string()), "{text}");
                assert!(text.contains("64 bits") && !values_hold_all(), "{text}");
            }
        }
    }
    let event = Paid { wei: GREAT }.into();
    let context = CommandContext::default();
    assert_eq!(
        to_eventfold_event::<Purse>(&event, &context).is_ok(),
        values_hold_all()
    );
    assert_eq!(serde_json::to_value(&event).is_ok(), values_hold_all());

    // What reads the stored form is not concerned.
    let status = store.read_side().process_managers.remove(1);
    assert_eq!(
        (status.follower.name, status.follower.lag),
        ("of-stored", 0)
    );
    let mut events = store.subscribe(Position::default());
    events.next().await.unwrap().unwrap();
    let event = events.next().await.unwrap().unwrap();
    assert_eq!(event.decode_as::<Paid>().unwrap().as_slice()[0].wei, GREAT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_as_a_json_value_is_dispatched_unchanged() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir).aggregate_type::<Purse>();
    let store = builder.open().await.unwrap();
    let bus = CommandBus::new(store.clone());
    let envelope = |command| CommandEnvelope {
        aggregate_type: "purse".to_owned(),
        instance_id: "a".to_owned(),
        command,
        context: CommandContext::default(),
    };
    let greatest = json!({ "data": { "wei": u64::MAX }, "type": "Pay" });
    bus.dispatch_envelope(envelope(greatest)).await.unwrap();
    let float = json!({ "type": "Pay", "data": { "wei": 1e30 } });
    let error = bus.dispatch_envelope(envelope(float)).await.unwrap_err();
    assert!(
        matches!(error, DispatchError::Deserialization(_)),
        "{error}"
    );
    let purse = store.get::<Purse>("a").await.unwrap();
    assert_eq!(purse.state().await.unwrap().wei, u128::from(u64::MAX));
}
