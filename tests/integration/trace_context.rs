//! The place in a distributed trace that a command's context names: it goes with the events, and through
//! process managers. Without the feature `opentelemetry` it is only carried.

use eventfold_es::{AggregateStore, CommandContext, Position, Recorded, TraceParent};
use serde_json::json;

use crate::support::scripted::{GateCommand, clock, command, open_on_demand, run, seconds};
use crate::support::{Ledger, LedgerCommand as Do, open, temp_dir};

const HEADER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced() -> CommandContext {
    CommandContext::default().with_traceparent(HEADER.parse().unwrap())
}

/// The place that each event of a stream names.
async fn traceparents(store: &AggregateStore, of: &str, id: &str) -> Vec<Option<String>> {
    let events = store.read_events(of, id).await.unwrap();
    let named = |event: &eventfold::Event| {
        let traceparent = Recorded::of_eventfold(event, of, id).traceparent();
        traceparent.map(|traceparent| traceparent.to_string())
    };
    events.iter().map(named).collect()
}

async fn tell(store: &AggregateStore, text: &str) {
    let ledger = store.get::<Ledger>("script").await.unwrap();
    let command = Do::Write(text.to_owned());
    ledger.send_with(command, traced()).await.unwrap();
}

#[tokio::test]
async fn a_commands_events_have_its_traceparent_in_their_meta_and_others_have_none() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger
        .send_with(Do::AddAll(vec![1, 2]), traced())
        .await
        .unwrap();
    ledger.send(Do::Add(3)).await.unwrap();
    let events = store.read_events("ledger", "a").await.unwrap();
    assert_eq!(events[1].meta, Some(json!({ "traceparent": HEADER })));
    let header = Some(HEADER.to_owned());
    let expected = [header.clone(), header, None];
    assert_eq!(traceparents(&store, "ledger", "a").await, expected);
    let mut all = store.subscribe(Position::default());
    let first = all.next().await.unwrap().unwrap();
    assert_eq!(first.traceparent(), HEADER.parse().ok());
}

#[tokio::test]
async fn a_process_managers_commands_and_timers_have_the_traceparent_of_the_event() {
    let (dir, clock) = (temp_dir(), clock());
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "send g 1").await;
    tell(&store, "later 60 key h 2").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    let store = open_on_demand(&dir, &clock).await;
    clock.advance(seconds(60));
    run(&store).await;
    for gate in ["g", "h"] {
        let expected = [Some(HEADER.to_owned())];
        assert_eq!(traceparents(&store, "gate", gate).await, expected, "{gate}");
    }
}

#[tokio::test]
async fn a_dead_letter_keeps_its_traceparent_and_what_answers_a_failure_gets_it() {
    let (dir, clock) = (temp_dir(), clock());
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "g", GateCommand::Shut).await;
    command(&store, "answered-g", GateCommand::Shut).await;
    tell(&store, "send g 1").await;
    tell(&store, "send answered-g 2").await;
    run(&store).await;
    run(&store).await;
    let letters = store.dead_letters("scripted").unwrap();
    let letter = letters.list().await.unwrap().remove(0);
    assert_eq!(letter.envelope.context.traceparent, HEADER.parse().ok());
    let expected = [Some(HEADER.to_owned())];
    assert_eq!(traceparents(&store, "gate", "answers").await, expected);
    command(&store, "g", GateCommand::Open).await;
    letters.replay(&letter.id).await.unwrap();
    let replayed = traceparents(&store, "gate", "g").await.pop();
    assert_eq!(replayed, Some(Some(HEADER.to_owned())));
}

#[tokio::test]
async fn a_member_of_metadata_that_is_no_traceparent_is_none_and_the_contexts_own_replaces_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for (number, traceparent) in [json!("00-no"), json!(7), json!(HEADER)]
        .into_iter()
        .enumerate()
    {
        let metadata = json!({ "traceparent": traceparent });
        let context = CommandContext::default().with_metadata(metadata);
        ledger
            .send_with(Do::Add(number as u64), context)
            .await
            .unwrap();
    }
    let context = traced().with_metadata(json!({ "traceparent": 7, "more": 8 }));
    ledger.send_with(Do::Add(4), context).await.unwrap();
    let header = Some(HEADER.to_owned());
    let expected = [None, None, header.clone(), header];
    assert_eq!(traceparents(&store, "ledger", "a").await, expected);
}

#[test]
fn a_context_is_written_with_its_traceparent_and_refused_with_one_that_is_not_valid() {
    let written = serde_json::to_value(traced()).unwrap();
    assert_eq!(written["traceparent"], HEADER);
    let read: CommandContext = serde_json::from_value(written.clone()).unwrap();
    assert_eq!(read.traceparent, HEADER.parse::<TraceParent>().ok());
    let none = serde_json::to_value(CommandContext::default()).unwrap();
    assert!(none.get("traceparent").is_none());
    let mut wrong = written;
    wrong["traceparent"] = json!("00-no");
    let error = serde_json::from_value::<CommandContext>(wrong).unwrap_err();
    assert!(error.to_string().contains("not a traceparent"), "{error}");
}
