//! Programs that send their commands over a bus.

use std::convert::Infallible;

use serde::{Deserialize, Serialize};

use super::es::{
    Aggregate, AggregateStore, CommandBus, CommandContext, DispatchError, ExecuteError,
};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Light {
    on: bool,
}

/// Neither `Clone` nor serialisable: a bus moves it.
struct Switch {
    on: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum LightEvent {
    Switched(bool),
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it is so already")]
struct AlreadySo;

impl Aggregate for Light {
    const AGGREGATE_TYPE: &'static str = "light";
    type Command = Switch;
    type DomainEvent = LightEvent;
    type Error = AlreadySo;

    fn handle(&self, cmd: Switch) -> Result<Vec<LightEvent>, AlreadySo> {
        if cmd.on == self.on {
            return Err(AlreadySo);
        }
        Ok(vec![LightEvent::Switched(cmd.on)])
    }

    fn apply(mut self, event: &LightEvent) -> Self {
        let LightEvent::Switched(on) = event;
        self.on = *on;
        self
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Notes {
    all: Vec<String>,
}

struct Note(String);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum NotesEvent {
    Noted { text: String },
}

impl Aggregate for Notes {
    const AGGREGATE_TYPE: &'static str = "notes";
    type Command = Note;
    type DomainEvent = NotesEvent;
    type Error = Infallible;

    fn handle(&self, cmd: Note) -> Result<Vec<NotesEvent>, Infallible> {
        Ok(vec![NotesEvent::Noted { text: cmd.0 }])
    }

    fn apply(mut self, event: &NotesEvent) -> Self {
        let NotesEvent::Noted { text } = event;
        self.all.push(text.clone());
        self
    }
}

#[tokio::test]
async fn each_command_goes_to_the_aggregate_that_handles_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let mut bus = CommandBus::new(store.clone());
    bus.register::<Light>();
    bus.register::<Notes>();
    bus.register::<Light>();

    let context = CommandContext::default().with_actor("ann");
    bus.dispatch("hall", Switch { on: true }, context.clone())
        .await
        .unwrap();
    bus.dispatch("hall", Note("dark".to_owned()), context.clone())
        .await
        .unwrap();
    bus.dispatch("hall", Note("bright".to_owned()), context)
        .await
        .unwrap();

    assert!(
        store
            .get::<Light>("hall")
            .await
            .unwrap()
            .state()
            .await
            .unwrap()
            .on
    );
    let notes = store.get::<Notes>("hall").await.unwrap();
    assert_eq!(notes.state().await.unwrap().all, ["dark", "bright"]);
    let events = store.read_events("light", "hall").await.unwrap();
    assert_eq!(events[0].actor.as_deref(), Some("ann"));
    assert_eq!(events[0].data, serde_json::json!(true));
}

#[tokio::test]
async fn a_command_that_no_registered_aggregate_handles_is_unknown() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let mut bus = CommandBus::new(store.clone());
    bus.register::<Light>();
    let context = CommandContext::default();
    let unknown = bus.dispatch("hall", Note("x".to_owned()), context).await;
    assert!(matches!(unknown, Err(DispatchError::UnknownCommand)));
    assert_eq!(store.list_streams(None).await.unwrap(), []);
}

#[tokio::test]
async fn a_refusal_is_found_in_the_dispatch_error() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let mut bus = CommandBus::new(store);
    bus.register::<Light>();
    let context = CommandContext::default();
    let refused = bus.dispatch("hall", Switch { on: false }, context).await;
    let Err(DispatchError::Execution(error)) = refused else {
        panic!("not refused: {refused:?}");
    };
    assert_eq!(error.to_string(), "it is so already");
    let error = error.downcast_ref::<ExecuteError<AlreadySo>>().unwrap();
    assert!(matches!(error, ExecuteError::Domain(AlreadySo)));
}
