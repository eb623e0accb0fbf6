//! Spans and events of `tracing`: what a program that listens is told.

use std::path::Path;

use eventfold_es::{AggregateStore, CommandContext, ExecuteError, OnFailure};
use tracing::{Instrument as _, Level};

use crate::support::child::{self, say};
use crate::support::collector::{Collector, Told};
use crate::support::scripted;
use crate::support::scripted::{clock, run};
use crate::support::{Ledger, LedgerCommand as Do, builder, open, temp_dir};

async fn ledger(store: &AggregateStore) -> eventfold_es::AggregateHandle<Ledger> {
    store.get::<Ledger>("a").await.unwrap()
}

/// The only span of this name.
fn only(collector: &Collector, name: &str) -> (usize, Told) {
    let mut spans = collector.spans(name);
    assert_eq!(spans.len(), 1, "{spans:?}");
    spans.remove(0)
}

#[tokio::test]
async fn a_commands_span_names_it_and_is_a_child_of_its_callers() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store).await;
    let collector = Collector::up_to(Level::INFO);
    let _guard = collector.listen();
    let context = CommandContext::default()
        .with_correlation_id("r-1")
        .with_causation_id("e-1");
    let command = Do::decide(|_| {
        tracing::info!("deciding");
        Ok(Vec::new())
    });
    let request = tracing::info_span!("request");
    let sent = ledger.send_with(command, context).instrument(request);
    sent.await.unwrap();
    ledger.send(Do::Refuse).await.unwrap_err();

    let (request, _) = only(&collector, "request");
    let spans = collector.spans("execute");
    let [(execute, first), (_, second)] = &spans[..] else {
        panic!("{spans:?}")
    };
    assert_eq!(first.parent, Some(request));
    let fields = [
        "aggregate_type",
        "id",
        "command",
        "correlation_id",
        "causation_id",
        "outcome",
    ];
    let values = |span: &Told| fields.map(|field| span.field(field).to_owned());
    let expected = ["ledger", "a", "LedgerCommand", "r-1", "e-1", "succeeded"];
    assert_eq!(values(first), expected);
    assert_eq!(second.parent, None);
    assert_eq!(
        values(second),
        ["ledger", "a", "LedgerCommand", "", "", "refused"]
    );
    // The aggregate's own events are told within it.
    assert_eq!(collector.events("deciding")[0].parent, Some(*execute));
}

#[tokio::test]
async fn without_the_commands_span_an_aggregates_events_are_told_in_the_callers_span() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = ledger(&store).await;
    let collector = Collector::up_to(Level::WARN);
    let _guard = collector.listen();
    let command = Do::decide(|_| {
        tracing::warn!("deciding");
        Ok(Vec::new())
    });
    let request = tracing::error_span!("request");
    ledger.send(command).instrument(request).await.unwrap();
    assert!(collector.spans("execute").is_empty());
    let (request, told) = only(&collector, "request");
    assert_eq!(collector.events("deciding")[0].parent, Some(request));
    assert_eq!(told.field("outcome"), "");
}

/// Asks for a layer's event.
struct Talking;

impl eventfold_es::Layer for Talking {
    fn before(&self, call: &mut eventfold_es::Call<'_>) -> Result<(), eventfold_es::Refused> {
        call.set_correlation_id("by the layer");
        tracing::info!("before");
        if call.context().actor.is_some() {
            return Err(eventfold_es::Refused::new("no"));
        }
        Ok(())
    }

    fn after(&self, _: &eventfold_es::Call<'_>, _: eventfold_es::CallOutcome<'_>) {
        tracing::info!("after");
    }
}

#[tokio::test]
async fn layers_run_within_the_commands_span_which_has_what_they_add() {
    let dir = temp_dir();
    let store = builder(&dir).layer(Talking).open().await.unwrap();
    let ledger = ledger(&store).await;
    let collector = Collector::up_to(Level::INFO);
    let _guard = collector.listen();
    ledger.send(Do::Nothing).await.unwrap();
    let (execute, told) = only(&collector, "execute");
    assert_eq!(told.field("correlation_id"), "by the layer");
    for event in ["before", "after"] {
        assert_eq!(collector.events(event)[0].parent, Some(execute));
    }
    let context = CommandContext::default().with_actor("eve");
    let error = ledger.send_with(Do::Nothing, context).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Refused(_)));
    let spans = collector.spans("execute");
    assert_eq!(spans[1].1.field("outcome"), "refused");
}

/// Prints what this process is told while it opens a store, works and shuts it down.
pub(crate) async fn work_and_be_told_of(dir: &Path) {
    let collector = Collector::up_to(Level::DEBUG);
    tracing::subscriber::set_global_default(collector.clone()).unwrap();
    let show = |told: &Told| {
        let fields: Vec<String> = told
            .fields
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        say(format!(
            "{} {}: {}",
            told.level(),
            told.what,
            fields.join(" ")
        ));
    };
    let show_all = |message: &str| collector.events(message).iter().for_each(show);
    let in_process_manager = async |store: &AggregateStore| {
        scripted::tell(store, "send g 1").await;
        assert_eq!(run(store).await, (1, 0));
    };

    let clock = clock();
    let store = scripted::builder(dir, &clock, OnFailure::Stop).snapshot_every(2);
    let store = store.open().await.unwrap();
    in_process_manager(&store).await;
    for i in 1..=3 {
        ledger(&store).await.send(Do::Add(i)).await.unwrap();
    }
    let event = &store.read_events("ledger", "script").await.unwrap()[0];
    say(format!("event {}", event.id.as_deref().unwrap()));
    for name in ["react", "send"] {
        let (number, span) = only(&collector, name);
        show(&span);
        let executed = collector.spans("execute");
        for (_, execute) in executed.iter().filter(|(_, e)| e.parent == Some(number)) {
            say(format!("in {name}: execute {}", execute.field("id")));
        }
    }
    store.shutdown().await.unwrap();
    drop(store);
    let store = scripted::open_on_demand(dir, &clock).await;
    ledger(&store).await.state().await.unwrap();
    store.shutdown().await.unwrap();
    for message in [
        "store opened",
        "aggregate loaded",
        "snapshot saved",
        "checkpoint saved",
        "redo point moved",
        "store shut down",
        "store closed",
    ] {
        show_all(message);
    }
}

#[tokio::test]
async fn reactions_openings_checkpoints_and_closings_are_told() {
    let dir = temp_dir();
    let mut player = child::start("work and be told of", dir.path());
    let mut said = Vec::new();
    while let Some(line) = player.hear() {
        said.push(line);
    }
    player.finish();
    let about = |start: &str| -> Vec<&String> {
        said.iter().filter(|line| line.starts_with(start)).collect()
    };
    let event = about("event ")[0].strip_prefix("event ").unwrap();
    assert_eq!(
        about("INFO react")[0],
        &format!(
            "INFO react: aggregate_type=ledger correlation_id=r-1 event=Written event_id={event} \
             id=script pm_name=scripted position=1"
        )
    );
    assert_eq!(
        about("INFO send")[0],
        &format!(
            "INFO send: causation_id={event} correlation_id=r-1 pm_name=scripted position=1 \
             target_id=g target_type=gate"
        )
    );
    assert_eq!(about("in send"), ["in send: execute g"]);
    assert!(about("in react").is_empty());
    assert_eq!(about("INFO store opened").len(), 2);
    assert!(
        about("INFO store opened")[1].contains("position=5"),
        "{said:?}"
    );
    assert_eq!(about("INFO store shut down").len(), 2);
    assert_eq!(about("INFO store closed").len(), 2);
    assert!(
        about("DEBUG aggregate loaded")[0].contains("snapshot_version=2 stream=ledger/a version=3"),
        "{said:?}"
    );
    assert!(about("DEBUG snapshot saved")[0].contains("stream=ledger/a version=2"));
    assert!(about("DEBUG checkpoint saved")[0].contains("name=scripted"));
    assert!(about("DEBUG redo point moved")[0].contains("position=5"));
    for line in &said {
        let takes_time = ["store opened", "loaded", "saved", "moved", "shut down"];
        if takes_time.iter().any(|what| line.contains(what)) {
            assert!(line.contains("elapsed_ms="), "{line}");
        }
    }
}
