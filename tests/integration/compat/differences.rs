//! Every behaviour that differs from 0.2.0 on purpose, each shown on both crates.
//!
//! What cannot be shown by a test:
//!
//! * The error enums have more variants and are `#[non_exhaustive]`: a `match` needs an arm for
//!   the rest. The texts of `Conflict` and `ActorGone`, which named causes that are gone, changed.
//! * [`CommandContext`](eventfold_es::CommandContext) has more fields: a literal needs
//!   `..CommandContext::default()`. What it writes as JSON has more keys only if they are set.
//! * 0.2.0's registry `meta/streams.jsonl` and its checkpoints (`checkpoint.json`) are read once
//!   and not written: the journal and `journal_checkpoint.json` are in their place. So 0.2.0 takes
//!   a process manager up where *it* left it, and sends again what this crate sent since.
//! * Some functions became `#[must_use]`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

use eventfold::Event;
use eventfold_es::{AggregateStore, UnknownEvents};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::json;

use super::domain::{Account, AccountCommand, Bookkeeper, Ledger, Log, current, published};
use super::files::{find, wait_until_released};
use super::published::tools::until;

/// A stream exists from its first event on, so that looking at an id leaves nothing behind.
#[tokio::test]
async fn get_alone_creates_no_stream() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(&dir.path().join("old")).await;
    published::account(&store, "ann").await;
    assert_eq!(store.list::<Account>().await.unwrap(), ["ann"]);

    let store = current::open(&dir.path().join("new")).await;
    current::account(&store, "ann").await;
    assert_eq!(store.list::<Account>().await.unwrap(), Vec::<String>::new());
    assert!(!store.layout().stream_dir("account", "ann").exists());
}

/// No id can leave the base directory, or hide in another stream's directory.
#[tokio::test]
async fn ids_are_encoded_as_file_names() {
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("old/base");
    let store = published::open(&base).await;
    published::deposit(&store, "../../../outside", &[1]).await;
    published::deposit(&store, "a/b", &[2]).await;
    assert!(dir.path().join("old/outside/app.jsonl").is_file());
    assert_eq!(store.list::<Account>().await.unwrap(), ["a"]);
    published::deposit(&store, "", &[3]).await;

    let base = dir.path().join("new/base");
    let store = current::open(&base).await;
    current::deposit(&store, "../../../outside", &[1]).await;
    current::deposit(&store, "a/b", &[2]).await;
    crate::support::written(&store);
    assert!(!dir.path().join("new/outside").exists());
    assert!(base.join("streams/account/a%2Fb/app.jsonl").is_file());
    let ids = store.list::<Account>().await.unwrap();
    assert_eq!(ids, ["../../../outside", "a/b"]);
    let error = store.get::<Account>("").await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

/// Two stores on one directory did not know of each other's commands, checkpoints and injected ids.
#[tokio::test]
async fn a_directory_has_one_open_store() {
    let dir = tempfile::tempdir().unwrap();
    let one = published::open(&dir.path().join("old")).await;
    let two = published::open(&dir.path().join("old")).await;
    published::deposit(&one, "ann", &[1]).await;
    assert!(two.get::<Account>("ann").await.is_err());

    let one = current::open(&dir.path().join("new")).await;
    let refused = current::builder(&dir.path().join("new")).open().await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
    current::deposit(&one.clone(), "ann", &[1]).await;
}

/// An idle aggregate is no reason for a command to fail.
#[tokio::test]
async fn a_handle_works_after_its_aggregate_was_passivated() {
    let dir = tempfile::tempdir().unwrap();
    let soon = std::time::Duration::from_millis(10);
    let base = dir.path().join("old");
    let store = published::builder(&base)
        .idle_timeout(soon)
        .open()
        .await
        .unwrap();
    let account = store.get::<Account>("ann").await.unwrap();
    until(|| !account.is_alive()).await;
    let gone = account.state().await;
    assert!(matches!(gone, Err(old::StateError::ActorGone)));

    let base = dir.path().join("new");
    let store = current::builder(&base)
        .idle_timeout(soon)
        .open()
        .await
        .unwrap();
    let account = store.get::<Account>("ann").await.unwrap();
    account
        .send(AccountCommand::Deposit(vec![1]))
        .await
        .unwrap();
    until(|| !account.is_alive()).await;
    assert_eq!(account.state().await.unwrap().deposits, [1]);
}

/// A stream's file stays locked while the store may write it again, whether its aggregate is in
/// memory or not. 0.2.0 let go of it with the actor.
#[tokio::test]
async fn an_idle_aggregate_keeps_the_lock_on_its_file() {
    let dir = tempfile::tempdir().unwrap();
    let soon = std::time::Duration::from_millis(10);
    let base = dir.path().join("old");
    let store = published::builder(&base)
        .idle_timeout(soon)
        .open()
        .await
        .unwrap();
    published::deposit(&store, "ann", &[1]).await;
    wait_until_released(&base);
    eventfold::EventWriter::open(base.join("streams/account/ann")).unwrap();

    let base = dir.path().join("new");
    let store = current::builder(&base)
        .idle_timeout(soon)
        .open()
        .await
        .unwrap();
    current::deposit(&store, "ann", &[1]).await;
    let account = store.get::<Account>("ann").await.unwrap();
    until(|| !account.is_alive()).await;
    eventfold::EventWriter::open(base.join("streams/account/ann")).unwrap_err();
}

/// An event is injected once, not once a process.
#[tokio::test]
async fn injected_ids_are_known_after_a_restart_and_in_their_stream_only() {
    let event = || Event::new("Deposited", json!({ "amount": 1 })).with_id("e-1");
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("old");
    for _ in 0..2 {
        let store = published::open(&base).await;
        published::inject::<Account>(&store, "ann", event()).await;
        // An id is known in all streams.
        published::inject::<Account>(&store, "bob", event()).await;
        drop(store);
        wait_until_released(&base);
    }
    let store = published::open(&base).await;
    assert_eq!(published::account(&store, "ann").await.deposits, [1, 1]);
    assert!(!base.join("streams/account/bob").exists());

    let base = dir.path().join("new");
    for _ in 0..2 {
        let store = current::open(&base).await;
        current::inject::<Account>(&store, "ann", event()).await;
        current::inject::<Account>(&store, "bob", event()).await;
        store.shutdown().await.unwrap();
    }
    let store = current::open(&base).await;
    assert_eq!(current::account(&store, "ann").await.deposits, [1]);
    assert_eq!(current::account(&store, "bob").await.deposits, [1]);
}

/// A known event that cannot be read is damage, not something to pass over: the state would be
/// wrong without a word.
#[tokio::test]
async fn a_known_event_that_cannot_be_read_is_an_error() {
    let many = || Event::new("Deposited", json!({ "amount": "many" }));
    let dir = tempfile::tempdir().unwrap();
    let base = dir.path().join("old");
    let store = published::open(&base).await;
    published::deposit(&store, "ann", &[1]).await;
    published::inject::<Account>(&store, "ann", many()).await;
    assert_eq!(published::account(&store, "ann").await.deposits, [1]);
    drop(store);
    wait_until_released(&base);

    let store = current::open(&base).await;
    let account = store.get::<Account>("ann").await.unwrap();
    let error = account.state().await.unwrap_err().to_string();
    assert!(
        error.contains("account/ann") && error.contains("Deposited"),
        "{error}"
    );
    let options = eventfold_es::InjectOptions::default();
    let refused = store.inject_event::<Account>("bob", many(), options).await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
    assert!(!base.join("streams/account/bob").exists());
}

/// A write that was cut short must not take the next event with it.
#[tokio::test]
async fn a_torn_line_does_not_damage_the_next_event() {
    let dir = tempfile::tempdir().unwrap();
    let tear = |base: &std::path::Path| {
        let log = base.join("streams/account/ann/app.jsonl");
        let mut log = OpenOptions::new().append(true).open(log).unwrap();
        log.write_all(br#"{"type":"Depos"#).unwrap();
    };
    let base = dir.path().join("old");
    let store = published::open(&base).await;
    published::deposit(&store, "ann", &[1]).await;
    drop(store);
    wait_until_released(&base);
    tear(&base);
    let store = published::open(&base).await;
    published::deposit(&store, "ann", &[2]).await;
    drop(store);
    wait_until_released(&base);
    let store = published::open(&base).await;
    let account = store.get::<Account>("ann").await.unwrap();
    assert!(account.state().await.is_err());

    let base = dir.path().join("new");
    let store = current::open(&base).await;
    current::deposit(&store, "ann", &[1]).await;
    store.shutdown().await.unwrap();
    drop(store);
    tear(&base);
    let report = AggregateStore::repair(&base).await.unwrap();
    assert!(report.is_success(), "{report}");
    let store = current::open(&base).await;
    current::deposit(&store, "ann", &[2]).await;
    assert_eq!(current::account(&store, "ann").await.deposits, [1, 2]);
}

/// What a process manager sends says what it belongs to and what caused it, and carries a key that
/// makes it take effect once.
#[tokio::test]
async fn commands_of_process_managers_have_correlation_and_causation_ids() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(&dir.path().join("old")).await;
    let account = store.get::<Account>("ann").await.unwrap();
    let context = old::CommandContext::default().with_correlation_id("r-1");
    account
        .execute(AccountCommand::Deposit(vec![1]), context)
        .await
        .unwrap();
    published::run(&store).await;
    let recorded = store.read_events("ledger", "main").await.unwrap();
    assert_eq!(recorded[0].meta, None);

    let store = current::open(&dir.path().join("new")).await;
    let account = store.get::<Account>("ann").await.unwrap();
    let context = eventfold_es::CommandContext::default().with_correlation_id("r-1");
    account
        .execute(AccountCommand::Deposit(vec![1]), context)
        .await
        .unwrap();
    current::run(&store).await;
    let deposited = store.read_events("account", "ann").await.unwrap();
    let recorded = store.read_events("ledger", "main").await.unwrap();
    let meta = json!({ "correlation_id": "r-1", "causation_id": deposited[0].id });
    assert_eq!(recorded[0].meta, Some(meta));
}

/// Readers follow the one order in which things happened; 0.2.0 read one stream after the other.
#[tokio::test]
async fn readers_get_events_in_the_order_they_happened() {
    let dir = tempfile::tempdir().unwrap();
    let in_order = ["b 1", "a 2", "b 3"];
    let amounts = |log: Log| -> Vec<String> {
        let short = |entry: &String| {
            let mut parts = entry.split(' ');
            let id = parts.nth(1).unwrap().to_owned();
            let amount: String = entry.chars().filter(char::is_ascii_digit).collect();
            format!("{id} {amount}")
        };
        log.0.iter().map(short).collect()
    };
    let store = published::open(&dir.path().join("old")).await;
    for (id, amount) in [("b", 1), ("a", 2), ("b", 3)] {
        published::deposit(&store, id, &[amount]).await;
    }
    let log = amounts(store.projection::<Log>().unwrap());
    assert_eq!(log, ["a 2", "b 1", "b 3"]);

    let store = current::open(&dir.path().join("new")).await;
    for (id, amount) in [("b", 1), ("a", 2), ("b", 3)] {
        current::deposit(&store, id, &[amount]).await;
    }
    assert_eq!(amounts(store.projection::<Log>().unwrap()), in_order);
}

/// Starting a process manager anew sends its commands again: it stops instead.
#[tokio::test]
async fn a_corrupt_process_manager_is_stopped() {
    let dir = tempfile::tempdir().unwrap();
    let corrupt = |base: &std::path::Path| {
        let checkpoint = base.join("process_managers/bookkeeper");
        fs::create_dir_all(&checkpoint).unwrap();
        fs::write(checkpoint.join("checkpoint.json"), "{").unwrap();
    };
    let base = dir.path().join("old");
    corrupt(&base);
    published::open(&base).await;

    let base = dir.path().join("new");
    corrupt(&base);
    let store = current::builder(&base).open().await.unwrap();
    let refused = store.run_process_managers().await;
    assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::InvalidData);
}

// An aggregate that misbehaves.

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Fuse {
    events: u32,
}

#[derive(Debug, Clone)]
enum FuseCommand {
    Panic,
    /// Two events, the second of which cannot be written as JSON.
    Unwritable,
    Burn,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum FuseEvent {
    Burnt,
    Odd(Unwritable),
}

#[derive(Debug, Clone, Deserialize)]
struct Unwritable;

impl Serialize for Unwritable {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("as it should"))
    }
}

macro_rules! implement {
    ($es:ident) => {
        impl $es::Aggregate for Fuse {
            const AGGREGATE_TYPE: &'static str = "fuse";
            type Command = FuseCommand;
            type DomainEvent = FuseEvent;
            type Error = std::convert::Infallible;

            fn handle(&self, cmd: FuseCommand) -> Result<Vec<FuseEvent>, Self::Error> {
                match cmd {
                    FuseCommand::Panic => panic!("as it should"),
                    FuseCommand::Unwritable => {
                        Ok(vec![FuseEvent::Burnt, FuseEvent::Odd(Unwritable)])
                    }
                    FuseCommand::Burn => Ok(vec![FuseEvent::Burnt]),
                }
            }

            fn apply(mut self, _: &FuseEvent) -> Self {
                self.events += 1;
                self
            }
        }
    };
}

implement!(old);
implement!(eventfold_es);

/// A panic is answered, and the aggregate works on.
#[tokio::test]
async fn a_panic_does_not_end_the_actor() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(&dir.path().join("old")).await;
    let fuse = store.get::<Fuse>("f").await.unwrap();
    let context = old::CommandContext::default();
    let gone = fuse.execute(FuseCommand::Panic, context.clone()).await;
    assert!(matches!(gone, Err(old::ExecuteError::ActorGone)));
    // What reaches its mailbox while that is being closed is never answered.
    while fuse.is_alive() {
        tokio::task::yield_now().await;
    }
    let gone = fuse.execute(FuseCommand::Burn, context).await;
    assert!(matches!(gone, Err(old::ExecuteError::ActorGone)));

    let store = current::open(&dir.path().join("new")).await;
    let fuse = store.get::<Fuse>("f").await.unwrap();
    let panicked = fuse.send(FuseCommand::Panic).await;
    assert!(matches!(
        panicked,
        Err(eventfold_es::ExecuteError::Panicked(_))
    ));
    fuse.send(FuseCommand::Burn).await.unwrap();
    assert_eq!(fuse.state().await.unwrap().events, 1);
}

/// All events of a command are stored, or none.
#[tokio::test]
async fn a_command_is_stored_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let store = published::open(&dir.path().join("old")).await;
    let fuse = store.get::<Fuse>("f").await.unwrap();
    let context = old::CommandContext::default();
    fuse.execute(FuseCommand::Unwritable, context)
        .await
        .unwrap_err();
    assert_eq!(store.read_events("fuse", "f").await.unwrap().len(), 1);

    let store = current::open(&dir.path().join("new")).await;
    let fuse = store.get::<Fuse>("f").await.unwrap();
    fuse.send(FuseCommand::Unwritable).await.unwrap_err();
    assert_eq!(store.read_events("fuse", "f").await.unwrap(), []);
    assert!(find(dir.path(), "app.jsonl").len() == 1);
}

/// What is *not* different: an aggregate written by hand passes over events that it does not know.
#[test]
fn an_aggregate_written_by_hand_skips_unknown_events_as_in_0_2() {
    use eventfold_es::Aggregate;
    assert_eq!(<Account as Aggregate>::UNKNOWN_EVENTS, UnknownEvents::Skip);
    assert_eq!(<Ledger as Aggregate>::UNKNOWN_EVENTS, UnknownEvents::Skip);
    let _ = Bookkeeper::default();
}
