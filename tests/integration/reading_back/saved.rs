//! What projections and process managers save, and snapshots: nothing takes the place of what can be
//! read unless it can be read as well.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::time::Duration;

use eventfold_es::prelude::*;
use eventfold_es::{Outbox, Running};
use serde::{Deserialize, Serialize};

use crate::support::{TempDir, eventually, temp_dir};

/// Tells the others what to do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "teller", command = Told, event = Told)]
struct Teller {
    mean: f64,
    told: Vec<Told>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Told {
    /// Have this mean, a quotient.
    Mean(f64, f64),
    /// Have a key that is no text.
    Key,
    /// Have a state, a command or metadata nested as deeply.
    Nest(What, usize),
    /// Send a command.
    Send,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
enum What {
    State,
    Command,
    Metadata,
    Timer,
}

/// JSON that is nested as deeply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn to(depth: usize) -> Self {
        (1..depth).fold(Self::default(), |inner, _| Self(vec![inner]))
    }
}

impl Decide<Told> for Teller {
    fn decide(&self, told: Told) -> Decision<Self> {
        Ok(vec![told])
    }
}

impl Evolve<Told> for Teller {
    fn evolve(&mut self, event: &Told) {
        if let Told::Mean(sum, count) = event {
            self.mean = sum / count;
        }
        self.told.push(event.clone());
    }
}

/// Takes anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "sink", commands(Take), events(Taken))]
struct Sink {
    taken: usize,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Take(Nested);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Taken;

impl Decide<Take> for Sink {
    fn decide(&self, _: Take) -> Decision<Self> {
        Ok(events![Taken])
    }
}

impl Evolve<Taken> for Sink {
    fn evolve(&mut self, _: &Taken) {
        self.taken += 1;
    }
}

/// Has the state, and sends the commands, that it is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "told", aggregates(Teller), dispatches(Sink))]
struct Obedient {
    events: usize,
    mean: f64,
    keys: HashMap<Key, u8>,
    nested: Nested,
}

/// A key that is text, or is not.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
enum Key {
    NoText(u8, u8),
}

impl Obedient {
    fn take(&mut self, event: &Told) {
        self.events += 1;
        match event {
            Told::Mean(sum, count) => self.mean = sum / count,
            Told::Key => drop(self.keys.insert(Key::NoText(0, 1), 1)),
            Told::Nest(What::State, depth) => self.nested = Nested::to(*depth),
            Told::Nest(..) | Told::Send => {}
        }
    }
}

impl React<Teller> for Obedient {
    fn react_to(&mut self, event: &Told, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        self.take(event);
        match event {
            Told::Send => {
                out.send::<Sink>("s", Take(Nested::default()));
            }
            Told::Nest(What::Command, depth) => {
                out.send::<Sink>("s", Take(Nested::to(*depth)));
            }
            Told::Nest(What::Timer, depth) => {
                out.schedule_as::<Sink>("t", Duration::ZERO, "s", Take(Nested::to(*depth)));
            }
            Told::Nest(What::Metadata, depth) => {
                let metadata = serde_json::to_value(Nested::to(*depth)).unwrap();
                let context = CommandContext::default().with_metadata(metadata);
                out.send_with::<Sink>("s", Take(Nested::default()), context);
            }
            Told::Mean(..) | Told::Key | Told::Nest(What::State, _) => {}
        }
    }
}

/// Has the state that it is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "seen", aggregates(Teller))]
struct Seen(Obedient);

impl Project<Teller> for Seen {
    fn project(&mut self, event: &Told, _: &Recorded<'_>) {
        self.0.take(event);
    }
}

async fn open(dir: impl AsRef<Path>) -> AggregateStore {
    let builder = crate::support::builder(dir).process_manager::<Obedient>();
    builder.projection::<Seen>().open().await.unwrap()
}

async fn tell(store: &AggregateStore, told: Told) {
    let teller = store.get::<Teller>("a").await.unwrap();
    teller.send(told).await.unwrap();
}

async fn taken(store: &AggregateStore) -> usize {
    let sink = store.get::<Sink>("s").await.unwrap();
    sink.state().await.unwrap().taken
}

/// The file of the process manager, where there are files.
fn saved(dir: &TempDir) -> Option<Vec<u8>> {
    let base = dir.on_disk()?;
    Some(std::fs::read(base.join("process_managers/told/journal_checkpoint.json")).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_managers_state_that_cannot_be_saved_is_refused_by_name_and_the_store_opens() {
    for (bad, causes) in [
        (
            Told::Mean(0.0, 0.0),
            ["its JSON could not be read again", "JSON has no NaN"],
        ),
        (
            Told::Key,
            ["cannot be written as JSON", "key must be a string"],
        ),
        (
            Told::Nest(What::State, 300),
            ["could not be read again", "recursion limit"],
        ),
    ] {
        let dir = temp_dir();
        let store = open(&dir).await;
        tell(&store, Told::Send).await;
        store.run_process_managers().await.unwrap();
        let before = saved(&dir);
        tell(&store, bad.clone()).await;
        tell(&store, Told::Send).await;
        for _ in 0..2 {
            let error = store.run_process_managers().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidData);
            let text = error.to_string();
            assert!(
                text.starts_with("the state of `told` is not saved"),
                "{text}"
            );
            assert!(causes.iter().all(|cause| text.contains(cause)), "{text}");
            let status = store.read_side().process_managers.remove(0);
            assert_eq!(status.follower.last_error, Some(text));
        }
        // Nothing was sent that was not saved.
        assert_eq!(taken(&store).await, 1);
        store.shutdown().await.unwrap();
        drop(store);
        assert_eq!(saved(&dir), before);
        let store = open(&dir).await;
        assert!(store.run_process_managers().await.is_err());
        assert_eq!(taken(&store).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_goes_on_when_its_state_can_be_saved_again() {
    let dir = temp_dir();
    let store = open(&dir).await;
    tell(&store, Told::Mean(0.0, 0.0)).await;
    store.run_process_managers().await.unwrap_err();
    tell(&store, Told::Mean(1.0, 2.0)).await;
    tell(&store, Told::Send).await;
    store.run_process_managers().await.unwrap();
    assert_eq!(taken(&store).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_status_of_a_live_process_manager_says_why_it_does_not_go_on() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir).process_manager::<Obedient>();
    let store = builder.live().open().await.unwrap();
    tell(&store, Told::Mean(0.0, 0.0)).await;
    tell(&store, Told::Send).await;
    eventually("the error", || {
        let status = store.read_side().process_managers.remove(0);
        let error = status.follower.last_error.unwrap_or_default();
        error.contains("the state of `told` is not saved") && error.contains("NaN")
    })
    .await;
    assert!(store.run_process_managers().await.is_err());
    assert_eq!(taken(&store).await, 0);
    store.shutdown().await.unwrap();
}

/// The depth from which on what is nested so is refused, which is told, and the store opens at any
/// depth with what was sent before.
async fn deepest(what: What) -> usize {
    let mut deepest = 0;
    for depth in 110..135 {
        let dir = temp_dir();
        let store = open(&dir).await;
        tell(&store, Told::Nest(what, depth)).await;
        match store.run_process_managers().await {
            Ok(report) => {
                let sent = usize::from(!matches!(what, What::State));
                assert_eq!(
                    report.dispatched + report.dead_lettered,
                    sent,
                    "{what:?} {depth}"
                );
                assert!([0, depth - 1].contains(&deepest), "{what:?} {depth}");
                deepest = depth;
            }
            Err(error) => {
                let text = error.to_string();
                let who = if matches!(what, What::State) {
                    ["`told`", "the state of"]
                } else {
                    ["`told` at position 1", "the command for sink/s"]
                };
                assert!(who.iter().all(|who| text.contains(who)), "{text}");
                assert!(text.contains("recursion limit"), "{text}");
            }
        }
        // Also with a command that has come to nothing, and that nobody takes.
        store.shutdown().await.unwrap();
        drop(store);
        let store = open(&dir).await;
        let status = store.read_side().process_managers.remove(0);
        assert_ne!(
            status.follower.running,
            Running::Stopped,
            "{what:?} {depth}"
        );
        let letters = store.dead_letters(Obedient::NAME).unwrap();
        letters.list().await.unwrap();
        store.shutdown().await.unwrap();
    }
    deepest
}

#[tokio::test(flavor = "multi_thread")]
async fn data_of_a_process_manager_that_is_nested_too_deeply_for_its_file_is_refused() {
    // A state stands in a member, in an object; what is read as text counts for itself.
    assert_eq!(deepest(What::State).await, 126);
    // A command is tagged, and its data a member.
    let command = deepest(What::Command).await;
    assert_eq!(command, deepest(What::Timer).await);
    assert!((120..127).contains(&command), "{command}");
    let metadata = deepest(What::Metadata).await;
    assert!((115..127).contains(&metadata), "{metadata}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_state_that_cannot_be_saved_is_reported_and_the_saved_one_stays() {
    let dir = temp_dir();
    let store = open(&dir).await;
    tell(&store, Told::Mean(1.0, 2.0)).await;
    store.projection::<Seen>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let file = || {
        let base = dir.on_disk()?;
        Some(std::fs::read(base.join("projections/seen/journal_checkpoint.json")).unwrap())
    };
    let before = file();

    let store = open(&dir).await;
    tell(&store, Told::Mean(0.0, 0.0)).await;
    assert!(store.projection::<Seen>().unwrap().0.mean.is_nan());
    let error = store.rebuild_projection::<Seen>().unwrap_err().to_string();
    assert!(
        error.starts_with("the state of `seen` is not saved: its JSON"),
        "{error}"
    );
    store.shutdown().await.unwrap();
    drop(store);
    assert_eq!(file(), before);
    let store = open(&dir).await;
    let seen = store.projection::<Seen>().unwrap();
    assert_eq!((seen.0.events, seen.0.mean.is_nan()), (2, true));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unreadable_snapshot_does_not_replace_a_readable_one() {
    let dir = temp_dir();
    let file = || {
        let base = dir.on_disk()?;
        Some(std::fs::read(base.join("streams/teller/a/views/state.snapshot.json")).unwrap())
    };
    let open = async || {
        let builder = crate::support::builder(&dir).snapshot_every(1);
        builder.open().await.unwrap()
    };
    let store = open().await;
    tell(&store, Told::Mean(1.0, 2.0)).await;
    store.shutdown().await.unwrap();
    drop(store);
    let before = file();
    let store = open().await;
    tell(&store, Told::Mean(0.0, 0.0)).await;
    store.shutdown().await.unwrap();
    drop(store);
    assert_eq!(file(), before);
    let store = open().await;
    let teller = store.get::<Teller>("a").await.unwrap();
    let state = teller.state().await.unwrap();
    assert_eq!((state.told.len(), state.mean.is_nan()), (2, true));
    tell(&store, Told::Mean(3.0, 2.0)).await;
    store.shutdown().await.unwrap();
    drop((teller, store));
    assert!(file().is_none() || file() != before);
}
