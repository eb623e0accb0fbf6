//! Layers: code of the program around every command.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use eventfold_es::{
    AggregateStore, Backoff, Call, CallOutcome, CommandBus, CommandContext, CommandEnvelope,
    DispatchError, ExecuteError, InjectOptions, Layer, OnFailure, Refused, Retry,
};
use serde_json::json;

use crate::support::scripted;
use crate::support::scripted::{GateCommand, clock, passed, run, seconds, tell};
use crate::support::{Door, Ledger, LedgerCommand as Do, LedgerError, abandon, builder, temp_dir};

/// What the layers of a test were called with.
#[derive(Debug, Clone, Default)]
struct Notes(Arc<Mutex<Vec<String>>>);

impl Notes {
    fn add(&self, text: String) {
        self.0.lock().unwrap().push(text);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// Notes each call under a name of its own.
struct Noting(&'static str, Notes);

impl Layer for Noting {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let (stream, id) = (call.aggregate_type(), call.id());
        let sender = call.process_manager().unwrap_or("the program");
        let command = call.command();
        let text = format!("{}: {command} from {sender} to {stream}/{id}", self.0);
        self.1.add(text);
        Ok(())
    }

    fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
        self.1
            .add(format!("{}: {} {outcome}", self.0, call.command()));
    }
}

#[derive(Debug, thiserror::Error)]
#[error("{who} may not")]
struct NotAllowed {
    who: String,
}

/// Lets nobody through who has the name of `who`.
struct Forbid {
    who: &'static str,
    for_now: bool,
}

impl Layer for Forbid {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        let actor = call.context().actor.as_deref();
        let who = actor.or(call.process_manager()).unwrap_or("nobody");
        if who != self.who {
            return Ok(());
        }
        let error = NotAllowed {
            who: who.to_owned(),
        };
        if self.for_now {
            return Err(Refused::from(error).for_now());
        }
        Err(error)?
    }
}

fn forbid(who: &'static str) -> Forbid {
    Forbid {
        who,
        for_now: false,
    }
}

fn by(actor: &str) -> CommandContext {
    CommandContext::default().with_actor(actor)
}

#[tokio::test]
async fn a_command_that_a_layer_refuses_does_not_reach_its_aggregate_and_the_error_is_the_layers() {
    let dir = temp_dir();
    let store = builder(&dir).layer(forbid("eve")).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send_with(Do::Add(1), by("ann")).await.unwrap();

    let decided = Door::default();
    let open = decided.clone();
    let command = Do::decide(move |_| {
        open.open();
        Ok(Vec::new())
    });
    let error = ledger.send_with(command, by("eve")).await.unwrap_err();
    assert_eq!(error.to_string(), "refused by a layer: eve may not");
    let source = std::error::Error::source(&error).unwrap();
    assert!(source.is::<NotAllowed>());
    let ExecuteError::Refused(refused) = error else {
        panic!("{error}")
    };
    let NotAllowed { who } = refused.downcast_ref().unwrap();
    assert_eq!((who.as_str(), refused.is_for_now()), ("eve", false));
    assert!(!decided.is_open());
    assert_eq!(ledger.version().await.unwrap(), 1);
}

#[tokio::test]
async fn the_layer_that_was_added_first_is_the_outermost() {
    let dir = temp_dir();
    let notes = Notes::default();
    let store = builder(&dir)
        .layer(Noting("outer", notes.clone()))
        .layer(forbid("eve"))
        .layer(Noting("inner", notes.clone()))
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    assert_eq!(
        notes.take(),
        [
            "outer: LedgerCommand from the program to ledger/a",
            "inner: LedgerCommand from the program to ledger/a",
            "inner: LedgerCommand succeeded",
            "outer: LedgerCommand succeeded",
        ]
    );
    // A layer that is inside of the one that refuses sees nothing.
    ledger.send_with(Do::Add(1), by("eve")).await.unwrap_err();
    assert_eq!(
        notes.take(),
        [
            "outer: LedgerCommand from the program to ledger/a",
            "outer: LedgerCommand refused: eve may not",
        ]
    );
}

/// Adds what a request belongs to.
struct Request;

impl Layer for Request {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        call.set_actor("ann");
        call.set_correlation_id("r-1");
        call.add_metadata("tenant", "acme");
        call.add_metadata("attempt", 2);
        Ok(())
    }
}

#[tokio::test]
async fn what_a_layer_adds_to_the_context_is_stored_with_the_events() {
    let dir = temp_dir();
    let store = builder(&dir).layer(Request).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let metadata = json!({ "source": "api", "tenant": "somebody else" });
    let context = by("somebody").with_metadata(metadata);
    ledger.send_with(Do::Add(1), context).await.unwrap();
    let no_object = CommandContext::default().with_metadata(json!("ignored"));
    ledger.send_with(Do::Add(2), no_object).await.unwrap();

    let events = store.read_events("ledger", "a").await.unwrap();
    assert_eq!(events[0].actor.as_deref(), Some("ann"));
    assert_eq!(
        events[0].meta,
        Some(json!({ "source": "api", "tenant": "acme", "attempt": 2, "correlation_id": "r-1" }))
    );
    assert_eq!(
        events[1].meta,
        Some(json!({ "tenant": "acme", "attempt": 2, "correlation_id": "r-1" }))
    );
}

#[tokio::test]
async fn a_layer_sees_how_each_command_ended() {
    let dir = temp_dir();
    let notes = Notes::default();
    let layer = Noting("layer", notes.clone());
    let store = builder(&dir).layer(layer).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let context = CommandContext::default;
    let _ = ledger.send(Do::Add(1)).await;
    let _ = ledger.send(Do::Refuse).await;
    let late = context().with_expected_version(7);
    let _ = ledger.send_with(Do::Add(1), late).await;
    let _ = ledger.send(Do::Explode).await;
    let no_key = context().with_idempotency_key("");
    let _ = ledger.send_with(Do::Add(1), no_key).await;
    let ended: Vec<String> = notes
        .take()
        .into_iter()
        .filter_map(|note| Some(note.split_once("LedgerCommand ")?.1.to_owned()))
        .filter(|note| !note.starts_with("from"))
        .collect();
    assert_eq!(
        ended[..3],
        ["succeeded", "refused: refused at a total of 1", "conflict"]
    );
    assert!(ended[3].starts_with("failed: `evolve` of ledger/a panicked"));
    assert!(ended[4].starts_with("failed: I/O error: the command's idempotency key is empty"));
    assert_eq!(ended.len(), 5);
}

/// Keeps the numbers of the last success.
struct Numbers(Arc<Mutex<Option<(usize, u64, String)>>>);

impl Layer for Numbers {
    fn after(&self, _: &Call<'_>, outcome: CallOutcome<'_>) {
        let kept = match outcome {
            CallOutcome::Succeeded {
                events,
                version,
                position,
                ..
            } => Some((events, version.into(), position.to_string())),
            CallOutcome::Refused(error) => {
                assert!(error.is::<LedgerError>());
                None
            }
            other => panic!("{other}"),
        };
        *self.0.lock().unwrap() = kept;
    }
}

#[tokio::test]
async fn a_layer_sees_what_a_command_stored_and_the_aggregates_error() {
    let dir = temp_dir();
    let numbers = Arc::new(Mutex::new(None));
    let layer = Numbers(numbers.clone());
    let store = builder(&dir).layer(layer).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let done = ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
    let seen = numbers.lock().unwrap().take();
    assert_eq!(seen, Some((2, 2, done.position.to_string())));
    ledger.send(Do::Refuse).await.unwrap_err();
    assert_eq!(*numbers.lock().unwrap(), None);

    // Of a repeated key, it sees what the first command stored.
    let keyed = || CommandContext::default().with_idempotency_key("k");
    let command = || Do::AddAll(vec![1, 2, 3]);
    let first = ledger.send_with(command(), keyed()).await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let again = ledger.send_with(command(), keyed()).await.unwrap();
    assert!(again.repeated && again.position == first.position);
    let seen = numbers.lock().unwrap().take();
    assert_eq!(seen, Some((3, 5, first.position.to_string())));
}

/// Refuses whom no layer before it has named.
struct WithoutActor;

impl Layer for WithoutActor {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        assert!(call.elapsed() < std::time::Duration::from_secs(3_600));
        match call.context().actor.as_deref() {
            Some("ann") => Ok(()),
            other => panic!("{other:?}"),
        }
    }

    fn after(&self, call: &Call<'_>, _: CallOutcome<'_>) {
        assert_eq!(call.context().correlation_id.as_deref(), Some("r-1"));
    }
}

#[tokio::test]
async fn a_layer_sees_what_those_before_it_added_and_a_decision_what_all_did() {
    let dir = temp_dir();
    let builder = builder(&dir).layer(Request).layer(WithoutActor);
    let store = builder.open().await.unwrap();
    let seen = store.get::<Seeing>("s").await.unwrap().send(()).await;
    let Saw::Seen(Seen { actor, tenant }) = seen.unwrap().events.remove(0);
    assert_eq!((&*actor, &*tenant), ("ann", "acme"));
}

/// Stores what its decision learns from the context.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
struct Seeing;

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(tag = "type", content = "data")]
enum Saw {
    Seen(Seen),
}

#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
struct Seen {
    actor: String,
    tenant: String,
}

impl eventfold_es::Aggregate for Seeing {
    const AGGREGATE_TYPE: &'static str = "seeing";
    type Command = ();
    type DomainEvent = Saw;
    type Error = LedgerError;

    fn handle(&self, (): ()) -> Result<Vec<Saw>, LedgerError> {
        unreachable!("a store decides with a context")
    }

    fn handle_with(
        &self,
        (): (),
        context: &eventfold_es::DecisionContext<'_>,
    ) -> Result<Vec<Saw>, LedgerError> {
        let actor = context.actor().unwrap_or_default().to_owned();
        let tenant = context.metadata().unwrap()["tenant"].as_str();
        let tenant = tenant.unwrap_or_default().to_owned();
        Ok(vec![Saw::Seen(Seen { actor, tenant })])
    }

    fn apply(self, _: &Saw) -> Self {
        self
    }
}

#[tokio::test]
async fn a_layer_learns_that_a_caller_went_away() {
    let dir = temp_dir();
    let notes = Notes::default();
    let layer = Noting("layer", notes.clone());
    let store = builder(&dir).layer(layer).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let gone = Door::default();
    let passed = gone.clone();
    let command = Do::decide(move |_| {
        passed.pass();
        Ok(Vec::new())
    });
    abandon(ledger.send(command)).await;
    gone.open();
    assert_eq!(notes.take()[1], "layer: LedgerCommand abandoned");
    ledger.state().await.unwrap();
    assert!(notes.take().is_empty());
}

/// Panics where the command's actor says so.
struct Panicking;

impl Layer for Panicking {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        assert_ne!(call.context().actor.as_deref(), Some("before"));
        Ok(())
    }

    fn after(&self, call: &Call<'_>, _: CallOutcome<'_>) {
        assert_ne!(call.context().actor.as_deref(), Some("after"));
    }
}

#[tokio::test]
async fn a_layer_that_panics_is_an_error_before_the_command_and_changes_nothing_after_it() {
    let dir = temp_dir();
    let notes = Notes::default();
    let store = builder(&dir)
        .layer(Noting("outer", notes.clone()))
        .layer(Panicking)
        .layer(Noting("inner", notes.clone()))
        .open()
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let error = ledger.send_with(Do::Add(1), by("before")).await;
    let Err(ExecuteError::Panicked(panic)) = error else {
        panic!("{error:?}")
    };
    assert_eq!(panic.function(), "Layer::before");
    assert!(
        notes.take()[1].starts_with("outer: LedgerCommand failed: `Layer::before` of ledger/a")
    );

    let done = ledger.send_with(Do::Add(2), by("after")).await.unwrap();
    assert_eq!(done.version, 1);
    assert_eq!(
        notes.take()[2..],
        [
            "inner: LedgerCommand succeeded",
            "outer: LedgerCommand succeeded"
        ]
    );
}

#[tokio::test]
async fn commands_of_a_bus_pass_the_layers_and_the_refusal_needs_no_type_of_aggregate() {
    let dir = temp_dir();
    let store = builder(&dir)
        .layer(forbid("eve"))
        .aggregate_type::<scripted::Gate>()
        .open()
        .await
        .unwrap();
    let mut bus = CommandBus::new(store.clone());
    bus.register::<scripted::Gate>();
    let pass = GateCommand::Pass(1);
    let typed = bus.dispatch("g", pass, by("eve")).await.unwrap_err();
    let envelope = CommandEnvelope {
        aggregate_type: "gate".to_owned(),
        instance_id: "g".to_owned(),
        command: json!({ "type": "Pass", "data": 1 }),
        context: by("eve"),
    };
    let json = bus.dispatch_envelope(envelope).await.unwrap_err();
    for error in [typed, json] {
        let DispatchError::Refused(refused) = error else {
            panic!("{error}")
        };
        assert!(refused.is::<NotAllowed>());
    }
    assert!(passed(&store, "g").await.is_empty());
    bus.dispatch("g", GateCommand::Pass(2), by("ann"))
        .await
        .unwrap();
    assert_eq!(passed(&store, "g").await, [2]);
}

#[tokio::test]
async fn an_injected_event_passes_no_layer() {
    let dir = temp_dir();
    let store = builder(&dir).layer(forbid("nobody")).open().await.unwrap();
    let event = eventfold::Event::new("Added", json!({ "amount": 5 }));
    store
        .inject_event::<Ledger>("a", event, InjectOptions::default())
        .await
        .unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap().total, 5);
    ledger.send(Do::Add(1)).await.unwrap_err();
}

async fn letters(store: &AggregateStore) -> Vec<eventfold_es::DeadLetter> {
    let letters = store.dead_letters("scripted").unwrap();
    letters.list().await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_managers_command_that_a_layer_refuses_is_a_dead_letter_after_one_attempt() {
    for is_live in [true, false] {
        let dir = temp_dir();
        let notes = Notes::default();
        let mut builder = scripted::builder_with(&dir, &clock(), OnFailure::Stop, Retry::default())
            .layer(Noting("layer", notes.clone()))
            .layer(forbid("scripted"));
        if is_live {
            builder = builder.live();
        }
        let store = builder.open().await.unwrap();
        tell(&store, "send g 1").await;
        run(&store).await;
        let waiting = || store.read_side().process_managers[0].outgoing;
        crate::support::eventually("it is given up", || waiting() == 0).await;
        let letter = letters(&store).await.remove(0);
        let error = "refused by a layer: scripted may not";
        assert_eq!((letter.attempts, letter.error.as_str()), (1, error));
        // A live store may send it before the layer is told that the event's own command succeeded.
        let mut of_gate = notes.take();
        of_gate.retain(|note| note.contains("GateCommand"));
        assert_eq!(
            of_gate,
            [
                "layer: GateCommand from scripted to gate/g",
                "layer: GateCommand refused: scripted may not"
            ]
        );

        // A replay passes the layers as well.
        let dead = store.dead_letters("scripted").unwrap();
        let replayed = dead.replay(&letter.id).await.unwrap_err();
        assert!(
            replayed.to_string().contains("scripted may not"),
            "{replayed}"
        );
        assert_eq!(letters(&store).await.len(), 1);
        store.shutdown().await.unwrap();
        // Without that layer it takes effect.
        let store = scripted::open_on_demand(&dir, &clock()).await;
        let dead = store.dead_letters("scripted").unwrap();
        dead.replay(&letter.id).await.unwrap();
        assert_eq!(passed(&store, "g").await, [1]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_managers_command_that_is_refused_for_now_is_tried_again() {
    let dir = temp_dir();
    let clock = clock();
    let layer = Forbid {
        who: "scripted",
        for_now: true,
    };
    // A refusal that is not for now would not be tried again.
    let backoff = Backoff::attempts(3).first(seconds(1)).longest(seconds(1));
    let retry = Retry::none().on_postponed(backoff);
    let builder = scripted::builder_with(&dir, &clock, OnFailure::Stop, retry).layer(layer);
    let store = builder.live().open().await.unwrap();
    tell(&store, "send g 1").await;
    for attempt in 1..3 {
        assert_eq!(run(&store).await, (0, 0), "after attempt {attempt}");
        clock.advance(seconds(1));
    }
    let waiting = || store.read_side().process_managers[0].outgoing;
    crate::support::eventually("it is given up", || waiting() == 0).await;
    assert_eq!(letters(&store).await[0].attempts, 3);
}

#[tokio::test]
async fn a_call_on_a_closed_store_is_told_to_the_layers_as_failed() {
    let dir = temp_dir();
    let notes = Notes::default();
    let layer = Noting("layer", notes.clone());
    let store = builder(&dir).layer(layer).open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    store.shutdown().await.unwrap();
    let error = ledger.send(Do::Add(1)).await.unwrap_err();
    assert!(matches!(error, ExecuteError::Closed));
    assert_eq!(
        notes.take()[1],
        "layer: LedgerCommand failed: the store is shut down"
    );
    assert_eq!(
        store.get::<Ledger>("b").await.unwrap_err().kind(),
        ErrorKind::NotConnected
    );
}
