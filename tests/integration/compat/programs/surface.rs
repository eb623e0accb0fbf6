//! Every public item of 0.2.0, each method with the types that it had.
//!
//! Most of this needs only to compile.

use std::fmt::{Debug, Display};
use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::es;
use es::{
    Aggregate, AggregateHandle, AggregateStore, AggregateStoreBuilder, CommandBus, CommandContext,
    CommandEnvelope, DispatchError, ExecuteError, InjectOptions, ProcessManager,
    ProcessManagerReport, Projection, StateError, StreamLayout, reducer, spawn_actor,
    to_eventfold_event,
};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Door {
    open: bool,
}

#[derive(Debug, Serialize, Deserialize)]
struct Toggle;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum DoorEvent {
    Toggled { open: bool },
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("the door is locked")]
struct Locked;

impl Aggregate for Door {
    const AGGREGATE_TYPE: &'static str = "door";
    type Command = Toggle;
    type DomainEvent = DoorEvent;
    type Error = Locked;

    fn handle(&self, _cmd: Toggle) -> Result<Vec<DoorEvent>, Locked> {
        Ok(vec![DoorEvent::Toggled { open: !self.open }])
    }

    fn apply(mut self, event: &DoorEvent) -> Self {
        let DoorEvent::Toggled { open } = event;
        self.open = *open;
        self
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Moves(u32);

impl Projection for Moves {
    const NAME: &'static str = "moves";

    fn subscriptions(&self) -> &'static [&'static str] {
        &[Door::AGGREGATE_TYPE]
    }

    fn apply(&mut self, _aggregate_type: &str, _stream_id: &str, _event: &eventfold::Event) {
        self.0 += 1;
    }
}

// Process managers need neither `Clone` nor `Debug`.
#[derive(Default, Serialize, Deserialize)]
struct Porter;

impl ProcessManager for Porter {
    const NAME: &'static str = "porter";

    fn subscriptions(&self) -> &'static [&'static str] {
        &[Door::AGGREGATE_TYPE]
    }

    fn react(
        &mut self,
        _aggregate_type: &str,
        stream_id: &str,
        _event: &eventfold::Event,
    ) -> Vec<CommandEnvelope> {
        vec![CommandEnvelope {
            aggregate_type: Door::AGGREGATE_TYPE.to_owned(),
            instance_id: stream_id.to_owned(),
            command: json!(null),
            context: CommandContext::default(),
        }]
    }
}

fn shared<T: Send + Sync + 'static>() {}
fn cloned<T: Clone>() {}
fn shown<T: Debug>() {}
fn stored<T: Serialize + DeserializeOwned>() {}
fn error<T: std::error::Error + Send + Sync + 'static>() {}
fn awaited<T>(future: impl Future<Output = T> + Send) {
    drop(future);
}
fn awaited_here<T>(future: impl Future<Output = T>) {
    drop(future);
}

type Decision<A> = Result<Vec<<A as Aggregate>::DomainEvent>, <A as Aggregate>::Error>;

/// What the traits promise of the types that implement them.
fn bounds<A: Aggregate, P: Projection, M: ProcessManager>() {
    shared::<A>();
    cloned::<A>();
    stored::<A>();
    let _: A = A::default();
    shared::<A::DomainEvent>();
    cloned::<A::DomainEvent>();
    stored::<A::DomainEvent>();
    error::<A::Error>();
    let _: fn(&A, A::Command) -> Decision<A> = A::handle;
    let _: fn(A, &A::DomainEvent) -> A = A::apply;
    let _: &'static str = A::AGGREGATE_TYPE;

    shared::<P>();
    cloned::<P>();
    stored::<P>();
    let _: fn(&P) -> &'static [&'static str] = P::subscriptions;
    let _: fn(&mut P, &str, &str, &eventfold::Event) = P::apply;
    let _: &'static str = P::NAME;

    shared::<M>();
    stored::<M>();
    let _: fn(&M) -> &'static [&'static str] = M::subscriptions;
    let _: fn(&mut M, &str, &str, &eventfold::Event) -> Vec<CommandEnvelope> = M::react;
    let _: &'static str = M::NAME;
}

fn types() {
    bounds::<Door, Moves, Porter>();
    shared::<AggregateStore>();
    cloned::<AggregateStore>();
    shown::<AggregateStore>();
    shared::<AggregateHandle<Door>>();
    cloned::<AggregateHandle<Door>>();
    shown::<AggregateHandle<Door>>();
    shared::<CommandBus>();
    shared::<StreamLayout>();
    cloned::<StreamLayout>();
    shown::<StreamLayout>();
    shared::<CommandContext>();
    cloned::<CommandContext>();
    shown::<CommandContext>();
    stored::<CommandContext>();
    shared::<CommandEnvelope>();
    cloned::<CommandEnvelope>();
    shown::<CommandEnvelope>();
    stored::<CommandEnvelope>();
    shared::<InjectOptions>();
    cloned::<InjectOptions>();
    shown::<InjectOptions>();
    shared::<ProcessManagerReport>();
    cloned::<ProcessManagerReport>();
    shown::<ProcessManagerReport>();
    error::<ExecuteError<Locked>>();
    error::<StateError>();
    error::<DispatchError>();
}

fn functions(event: &DoorEvent, context: &CommandContext) {
    let _: eventfold::ReduceFn<Door> = reducer::<Door>();
    let _: serde_json::Result<eventfold::Event> = to_eventfold_event::<Door>(event, context);
    let _: fn(&DoorEvent, &CommandContext) -> serde_json::Result<eventfold::Event> =
        to_eventfold_event::<Door>;
    let _: fn(&Path) -> io::Result<AggregateHandle<Door>> = spawn_actor::<Door>;
}

fn store(store: &AggregateStore, event: eventfold::Event) {
    awaited::<io::Result<AggregateStore>>(AggregateStore::open("data"));
    awaited::<io::Result<AggregateStore>>(AggregateStore::open(PathBuf::new()));
    awaited::<io::Result<AggregateStore>>(AggregateStore::open(Path::new("data")));
    awaited::<io::Result<AggregateStore>>(AggregateStore::open(&String::new()));
    let _: fn(&'static str) -> AggregateStoreBuilder = AggregateStore::builder;
    let _: fn(PathBuf) -> AggregateStoreBuilder = AggregateStore::builder;
    awaited::<io::Result<AggregateHandle<Door>>>(store.get::<Door>("id"));
    awaited::<io::Result<Vec<String>>>(store.list::<Door>());
    awaited::<io::Result<Vec<(String, String)>>>(store.list_streams(Some("door")));
    awaited::<io::Result<Vec<eventfold::Event>>>(store.read_events("door", "id"));
    awaited::<io::Result<()>>(store.inject_event::<Door>("id", event, InjectOptions::default()));
    awaited::<io::Result<ProcessManagerReport>>(store.run_process_managers());
    let _: fn(&AggregateStore) -> io::Result<Moves> = AggregateStore::projection::<Moves>;
    let _: fn(&AggregateStore) -> io::Result<()> = AggregateStore::rebuild_projection::<Moves>;
    let _: fn(&AggregateStore) -> &StreamLayout = AggregateStore::layout;
}

fn builder(builder: AggregateStoreBuilder) {
    let _: fn(AggregateStoreBuilder) -> AggregateStoreBuilder =
        AggregateStoreBuilder::projection::<Moves>;
    let _: fn(AggregateStoreBuilder) -> AggregateStoreBuilder =
        AggregateStoreBuilder::process_manager::<Porter>;
    let _: fn(AggregateStoreBuilder) -> AggregateStoreBuilder =
        AggregateStoreBuilder::aggregate_type::<Door>;
    let _: fn(AggregateStoreBuilder, Duration) -> AggregateStoreBuilder =
        AggregateStoreBuilder::idle_timeout;
    awaited_here::<io::Result<AggregateStore>>(builder.open());
}

fn handle(handle: &AggregateHandle<Door>) {
    awaited::<Result<Vec<DoorEvent>, ExecuteError<Locked>>>(
        handle.execute(Toggle, CommandContext::default()),
    );
    awaited::<Result<Door, StateError>>(handle.state());
    let _: fn(&AggregateHandle<Door>) -> &eventfold::EventReader = AggregateHandle::reader;
    let _: fn(&AggregateHandle<Door>) -> bool = AggregateHandle::is_alive;
}

fn bus(bus: &CommandBus) {
    let _: fn(AggregateStore) -> CommandBus = CommandBus::new;
    let _: fn(&mut CommandBus) = CommandBus::register::<Door>;
    awaited::<Result<(), DispatchError>>(bus.dispatch("id", Toggle, CommandContext::default()));
    // Any type can be tried.
    awaited::<Result<(), DispatchError>>(bus.dispatch("id", 5_u8, CommandContext::default()));
}

fn layout() {
    let _: fn(&'static str) -> StreamLayout = StreamLayout::new;
    let _: fn(PathBuf) -> StreamLayout = StreamLayout::new;
    let _: fn(&StreamLayout) -> &Path = StreamLayout::base_dir;
    let _: fn(&StreamLayout, &str, &str) -> PathBuf = StreamLayout::stream_dir;
    let _: fn(&StreamLayout, &str, &str) -> PathBuf = StreamLayout::views_dir;
    let _: fn(&StreamLayout) -> PathBuf = StreamLayout::projections_dir;
    let _: fn(&StreamLayout) -> PathBuf = StreamLayout::process_managers_dir;
    let _: fn(&StreamLayout) -> PathBuf = StreamLayout::meta_dir;
    let _: fn(&StreamLayout, &str, &str) -> io::Result<PathBuf> = StreamLayout::ensure_stream;
    let _: fn(&StreamLayout, &str) -> io::Result<Vec<String>> = StreamLayout::list_streams;
}

fn context() {
    let _: fn(CommandContext, &'static str) -> CommandContext = CommandContext::with_actor;
    let _: fn(CommandContext, String) -> CommandContext = CommandContext::with_correlation_id;
    let _: fn(CommandContext, Value) -> CommandContext = CommandContext::with_metadata;
    let _: fn(CommandContext, String) -> CommandContext = CommandContext::with_source_device;
}

/// Keeps the functions above in use without calling them.
#[test]
fn every_public_item_of_0_2_has_the_type_it_had() {
    let _ = (
        types, functions, store, builder, handle, bus, layout, context,
    );
}

#[test]
fn structs_can_be_built_and_destructured_by_their_fields() {
    let options = InjectOptions {
        run_process_managers: true,
    };
    let InjectOptions {
        run_process_managers,
    } = options;
    assert!(run_process_managers);

    let ProcessManagerReport {
        dispatched,
        dead_lettered,
    } = ProcessManagerReport::default();
    assert_eq!((dispatched, dead_lettered), (0, 0));

    // 0.2.0 has no more fields than these.
    #[allow(clippy::needless_update)]
    let context = CommandContext {
        actor: Some("ann".to_owned()),
        correlation_id: Some("r-1".to_owned()),
        metadata: Some(json!({ "a": 1 })),
        source_device: Some("phone".to_owned()),
        ..CommandContext::default()
    };
    assert_eq!(context.actor.as_deref(), Some("ann"));

    let envelope = CommandEnvelope {
        aggregate_type: "door".to_owned(),
        instance_id: "front".to_owned(),
        command: json!(null),
        context,
    };
    assert_eq!(envelope.instance_id, "front");
}

#[test]
fn a_context_is_serialised_as_in_0_2() {
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("r-1")
        .with_metadata(json!({ "a": 1 }));
    let stored = serde_json::to_value(&context).unwrap();
    let expected = json!({ "actor": "ann", "correlation_id": "r-1", "metadata": { "a": 1 } });
    assert_eq!(stored, expected);
    let with_device = context.with_source_device("phone");
    let stored = serde_json::to_value(&with_device).unwrap();
    assert_eq!(stored["source_device"], "phone");
    let back: CommandContext = serde_json::from_value(stored).unwrap();
    assert_eq!(back.source_device.as_deref(), Some("phone"));
    let empty = serde_json::to_value(CommandContext::default()).unwrap();
    let expected = json!({ "actor": null, "correlation_id": null, "metadata": null });
    assert_eq!(empty, expected);
}

/// Each variant, by a `match` with an arm for those to come.
#[allow(unreachable_patterns)]
fn name_execute<E: std::error::Error + Send + Sync + 'static>(
    error: &ExecuteError<E>,
) -> &'static str {
    match error {
        ExecuteError::Domain(_) => "domain",
        ExecuteError::Conflict => "conflict",
        ExecuteError::Io(_) => "io",
        ExecuteError::ActorGone => "gone",
        _ => "more",
    }
}

#[allow(unreachable_patterns)]
fn name_state(error: &StateError) -> &'static str {
    match error {
        StateError::Io(_) => "io",
        StateError::ActorGone => "gone",
        _ => "more",
    }
}

#[allow(unreachable_patterns)]
fn name_dispatch(error: &DispatchError) -> &'static str {
    match error {
        DispatchError::UnknownAggregateType(_) => "type",
        DispatchError::UnknownCommand => "command",
        DispatchError::Deserialization(_) => "json",
        DispatchError::Execution(_) => "execution",
        DispatchError::Io(_) => "io",
        _ => "more",
    }
}

fn text(error: &impl Display) -> String {
    error.to_string()
}

#[test]
fn errors_can_be_built_matched_and_displayed() {
    let disk = || io::Error::other("no disk");
    let json = || serde_json::from_str::<u8>("x").unwrap_err();

    let domain = ExecuteError::Domain(Locked);
    assert_eq!(name_execute(&domain), "domain");
    assert_eq!(text(&domain), "the door is locked");
    assert_eq!(name_execute(&ExecuteError::<Locked>::Conflict), "conflict");
    assert_eq!(name_execute(&ExecuteError::<Locked>::ActorGone), "gone");
    let io: ExecuteError<Locked> = disk().into();
    assert_eq!(name_execute(&io), "io");
    assert_eq!(text(&io), "I/O error: no disk");
    assert!(std::error::Error::source(&io).is_some());

    let io: StateError = disk().into();
    assert_eq!(name_state(&io), "io");
    assert_eq!(text(&io), "I/O error: no disk");
    assert_eq!(name_state(&StateError::ActorGone), "gone");

    let unknown = DispatchError::UnknownAggregateType("door".to_owned());
    assert_eq!(name_dispatch(&unknown), "type");
    assert!(text(&unknown).starts_with("unknown aggregate type: door"));
    let unknown = DispatchError::UnknownCommand;
    assert_eq!(name_dispatch(&unknown), "command");
    assert_eq!(text(&unknown), "no route registered for command type");
    let malformed = DispatchError::Deserialization(json());
    assert_eq!(name_dispatch(&malformed), "json");
    assert!(text(&malformed).starts_with("command deserialization failed: "));
    let refused = DispatchError::Execution(Box::new(Locked));
    assert_eq!(name_dispatch(&refused), "execution");
    assert_eq!(
        text(&refused),
        "command execution failed: the door is locked"
    );
    let io: DispatchError = disk().into();
    assert_eq!(name_dispatch(&io), "io");
    assert_eq!(text(&io), "I/O error: no disk");
}
