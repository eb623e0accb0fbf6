//! A subject that is forgotten while the power fails or the disk does not work: what was erased once stays
//! erased, what was begun is finished, and nothing of it is in any file then.

use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::personal::{KeyError, KeyFuture, KeyState, KeyStore, MemoryKeys, Personal, SubjectKey};
use crate::prelude::*;
use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{EIO, ENOSPC, fail_all, runtime, temp_dir, wait_for_upkeep};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};

const SECRET: &str = "a name that nobody may find";
const OTHER: &str = "another name";
/// What happened, as the log of the disk has it.
const BEGUN: u64 = 1;
const DESTROYED: u64 = 2;
const FORGOTTEN: u64 = 3;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = crate)]
struct Named {
    #[subject]
    person: u64,
    name: Personal<String>,
}

/// Gives the person a name.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Name(u64, String);

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Named), commands(Name), snapshot(every = 1), crate = crate)]
struct Person {
    greeting: String,
}

impl Decide<Name> for Person {
    fn decide(&self, Name(person, name): Name) -> Decision<Self> {
        let name = name.into();
        Ok(events![Named { person, name }])
    }
}

impl Evolve<Named> for Person {
    fn evolve(&mut self, event: &Named) {
        let name = event.name.known().map_or("(erased)", String::as_str);
        self.greeting = format!("Dear {name}");
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Person), crate = crate)]
struct Greetings {
    all: Vec<String>,
}

impl Project<Person> for Greetings {
    fn project(&mut self, PersonEvent::Named(event): &PersonEvent, _: &Recorded<'_>) {
        let name = event.name.known().map_or("(erased)", String::as_str);
        self.all.push(name.to_owned());
    }
}

/// Keys elsewhere, which no fault of this disk concerns. The log of the disk has when one is destroyed.
struct Elsewhere {
    keys: MemoryKeys,
    watch: Option<Arc<Watch>>,
}

impl Elsewhere {
    fn mark(&self, what: u64) {
        if let Some(watch) = &self.watch {
            watch.mark(what);
        }
    }
}

impl KeyStore for Elsewhere {
    fn bind<'a>(&'a self, _: &'a str, _: bool) -> KeyFuture<'a, ()> {
        // The power may fail before the store has noted its name.
        Box::pin(std::future::ready(Ok(())))
    }

    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        self.keys.get(subject)
    }

    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        self.keys.get_or_create(subject)
    }

    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
        Box::pin(async move {
            self.mark(BEGUN);
            let destroyed = self.keys.destroy(subject).await;
            self.mark(DESTROYED);
            destroyed
        })
    }
}

async fn open(dir: &Path, keys: impl KeyStore) -> std::io::Result<AggregateStore> {
    let builder = AggregateStore::builder(dir).keys(keys);
    builder.projection::<Greetings>().open().await
}

/// Stores two people, so that their names are in snapshots and in a checkpoint.
async fn store_two(store: &AggregateStore) {
    for (person, name) in [(1, SECRET), (2, OTHER)] {
        let id = person.to_string();
        let person = Name(person, name.to_owned());
        store
            .get::<Person>(&id)
            .await
            .unwrap()
            .send(person)
            .await
            .unwrap();
    }
    wait_for_upkeep(store);
    let _: Greetings = store.projection().unwrap();
    store.read_side.save_projections();
}

/// The files below `dir` that have the secret.
fn with_secret(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(with_secret(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            if memchr::memmem::find(&bytes, SECRET.as_bytes()).is_some() {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

/// Checks a store whose subject is forgotten.
async fn check_erased(store: &AggregateStore, dir: &Path) -> Result<(), String> {
    let failed = |error: &dyn std::fmt::Display| error.to_string();
    let files = with_secret(dir);
    if !files.is_empty() {
        return Err(format!("it is in {files:?}"));
    }
    for (id, expected) in [
        ("1", "Dear (erased)".to_owned()),
        ("2", format!("Dear {OTHER}")),
    ] {
        let person = store.get::<Person>(id).await.map_err(|e| failed(&e))?;
        let state = person.state().await.map_err(|e| failed(&e))?;
        if state.greeting != expected {
            return Err(format!("{id} has {state:?}"));
        }
    }
    let all = store.projection::<Greetings>().map_err(|e| failed(&e))?.all;
    if all != ["(erased)", OTHER] {
        return Err(format!("the projection has {all:?}"));
    }
    wait_for_upkeep(store);
    store.read_side.save_projections();
    let files = with_secret(dir);
    if !files.is_empty() {
        return Err(format!("it is in {files:?} again"));
    }
    Ok(())
}

/// The keys of both people.
async fn keys_of(keys: &MemoryKeys) -> Result<Keys, KeyError> {
    let mut all = Vec::new();
    for subject in ["person:1", "person:2"] {
        if let KeyState::Known(key) = keys.get(subject).await? {
            all.push((subject.to_owned(), key));
        }
    }
    Ok(all)
}

type Keys = Vec<(String, SubjectKey)>;

/// A run that forgets a subject, and the keys before it did.
fn recorded() -> (Log, Keys) {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let keys = MemoryKeys::new();
    let known = runtime().block_on(async {
        let elsewhere = Elsewhere {
            keys: keys.clone(),
            watch: Some(watch.clone()),
        };
        let store = open(dir.path(), elsewhere).await.unwrap();
        store_two(&store).await;
        let known = keys_of(&keys).await.unwrap();
        store.forget("person:1").await.unwrap();
        watch.mark(FORGOTTEN);
        store.shutdown().await.unwrap();
        known
    });
    (watch.stop(), known)
}

/// Opens what the power failure left, with the keys as they were at that moment.
fn check(
    dir: &Path,
    happened: &[u64],
    keys: &[(String, SubjectKey)],
    coin: bool,
) -> Result<(), String> {
    let happened = |what| happened.contains(&what);
    let elsewhere = MemoryKeys::with(keys.iter().cloned());
    let is_destroyed = happened(DESTROYED) || (happened(BEGUN) && coin);
    runtime().block_on(async {
        if is_destroyed {
            elsewhere.destroy("person:1").await.unwrap();
        }
        let store = open(
            dir,
            Elsewhere {
                keys: elsewhere.clone(),
                watch: None,
            },
        );
        let store = store
            .await
            .map_err(|error| format!("it does not open: {error}"))?;
        let state = elsewhere.get("person:1").await.unwrap();
        if !matches!(state, KeyState::Destroyed) {
            if happened(BEGUN) {
                return Err("what was begun is not finished".to_owned());
            }
            let forgotten = store.forget("person:1").await.map_err(|e| e.to_string())?;
            if forgotten.events == 0 {
                // The events were not stored yet.
                return store.shutdown().await.map_err(|e| e.to_string());
            }
        }
        if store
            .list::<Person>()
            .await
            .map_err(|e| e.to_string())?
            .len()
            == 2
        {
            check_erased(&store, dir).await?;
        }
        store.shutdown().await.map_err(|e| e.to_string())
    })
}

#[test]
fn a_power_failure_at_any_moment_leaves_an_erasure_that_is_finished_at_the_next_open() {
    let logs: Vec<_> = (0..4).map(|_| recorded()).collect();
    in_parallel(800, |seed| {
        let (log, keys) = &logs[usize::try_from(seed % 4).unwrap()];
        // The first check lets the store be opened, which destroys the key if that had begun.
        let coin = std::cell::Cell::new(seed % 8 < 4);
        rebuilt(log, seed, |dir, happened| {
            check(dir, happened, keys, coin.replace(true))
        })
    });
}

/// Forgets while a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let keys = MemoryKeys::new();
    let store = open(dir.path(), keys.clone())
        .await
        .map_err(|e| e.to_string())?;
    store_two(&store).await;
    watch.set_fault(fault);
    let forgotten = store.forget("person:1").await;
    let failed = watch.clear_fault();
    if forgotten.is_ok() {
        check_erased(&store, dir.path()).await?;
    } else if fault.number.is_multiple_of(2) {
        // The disk works again: it is repeated.
        if store.forget("person:1").await.is_ok() {
            check_erased(&store, dir.path()).await?;
        }
    }
    let _ = store.shutdown().await;
    drop(store);
    // Or the next `open` finishes it.
    let store = open(dir.path(), keys.clone()).await;
    let store = store.map_err(|error| format!("it does not open: {error}"))?;
    if matches!(keys.get("person:1").await, Ok(KeyState::Destroyed)) {
        check_erased(&store, dir.path()).await?;
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    Ok(!failed.is_empty())
}

#[test]
fn an_erasure_in_which_a_call_to_the_disk_fails_is_repeated_or_finished_later() {
    for lasting in [false, true] {
        for (call, partly) in [
            (Call::Open, 0),
            (Call::Write, 0),
            (Call::Write, 20),
            (Call::Sync, 0),
            (Call::Rename, 0),
        ] {
            fail_all(call, (EIO, lasting, partly), try_fault);
            fail_all(call, (ENOSPC, lasting, partly), try_fault);
        }
    }
}
