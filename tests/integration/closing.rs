//! The end of a store, and who may open the directory then.

use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use eventfold_es::{ExecuteError, InjectOptions, Projection, StateError};
use serde::{Deserialize, Serialize};

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerEvent, child, fast_temp_dir, in_time, journal, open,
    poll_once, refusal, temp_dir,
};

fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_finishes_accepted_commands_and_refuses_later_ones() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let late = store.get::<Ledger>("b").await.unwrap();
    let go = Door::default();
    let mut accepted: Vec<_> = (0..50)
        .map(|i| {
            let go = go.clone();
            Box::pin(ledger.send(Do::decide(move |_| {
                go.pass();
                Ok(vec![added(i)])
            })))
        })
        .collect();
    for call in &mut accepted {
        assert!(poll_once(call).await.is_none());
    }
    let mut shutdown = Box::pin(store.shutdown());
    assert!(poll_once(&mut shutdown).await.is_none());
    assert!(matches!(
        late.send(Do::Add(1)).await,
        Err(ExecuteError::Closed)
    ));
    assert!(matches!(late.state().await, Err(StateError::Closed)));
    go.open();
    shutdown.await.unwrap();
    for (call, version) in accepted.into_iter().zip(1..) {
        assert_eq!(call.await.unwrap().version, version);
    }
    assert!(matches!(
        ledger.send(Do::Add(1)).await,
        Err(ExecuteError::Closed)
    ));
    let refused = store.get::<Ledger>("c").await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::NotConnected);
    store.run_process_managers().await.unwrap_err();
    // A second one has nothing to do.
    store.shutdown().await.unwrap();

    // The directory is free while the old store and its handles are still there, and their end
    // does not disturb the new one.
    let next = open(&dir).await;
    drop((store, ledger, late));
    assert!(
        in_time("a second open", refusal(&dir))
            .await
            .contains("already open")
    );
    let ledger = next.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_answers_accepted_calls_and_waits_for_no_caller_that_waits_for_room() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let go = Door::default();
    let door = go.clone();
    let mut first = Box::pin(ledger.send(Do::decide(move |_| {
        door.pass();
        Ok(vec![added(1)])
    })));
    assert!(poll_once(&mut first).await.is_none());
    let mut state = Box::pin(ledger.state());
    assert!(poll_once(&mut state).await.is_none());
    let mut preview = Box::pin(ledger.preview(Do::Add(1)));
    assert!(poll_once(&mut preview).await.is_none());
    let event = eventfold::Event::new("Added", serde_json::json!({ "amount": 2 }));
    let mut injected = Box::pin(store.inject_event::<Ledger>("a", event, InjectOptions::default()));
    assert!(poll_once(&mut injected).await.is_none());
    let mut calls: Vec<_> = (0..100)
        .map(|i| Box::pin(ledger.send(Do::Add(i))))
        .collect();
    for call in &mut calls {
        assert!(poll_once(call).await.is_none());
    }
    let mut shutdown = Box::pin(store.shutdown());
    assert!(poll_once(&mut shutdown).await.is_none());
    go.open();
    // The other callers are not polled meanwhile.
    in_time("the shutdown", shutdown).await.unwrap();
    assert_eq!(first.await.unwrap().version, 1);
    assert_eq!(state.await.unwrap(), Ledger::of([1]));
    assert_eq!(preview.await.unwrap().version, 2);
    injected.await.unwrap();
    let mut answered = 0;
    for call in calls {
        match call.await {
            Ok(done) => {
                answered += 1;
                assert_eq!(done.version, answered + 2);
            }
            Err(error) => assert!(matches!(error, ExecuteError::Closed), "{error}"),
        }
    }
    assert!((60..100).contains(&answered), "{answered} were answered");
    let next = open(&dir).await;
    let ledger = next.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), answered + 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn shutdown_leaves_nothing_to_replay() {
    let dir = temp_dir();
    let store = open(&dir).await;
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(1))
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let text = std::fs::read_to_string(dir.path().join("journal/checkpoint.json")).unwrap();
    let checkpoint: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(checkpoint["clean"], true);
    let end = journal(dir.path()).last().unwrap().end();
    assert_eq!(checkpoint["offset"], end);
    assert_eq!(checkpoint["position"], 1);
}

#[tokio::test]
async fn a_dropped_store_can_be_opened_again_at_once() {
    // On a current-thread runtime, where nobody else could finish its work meanwhile.
    let dir = temp_dir();
    for round in 0..50 {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(
            ledger.send(Do::Add(round)).await.unwrap().version,
            round + 1
        );
    }
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of(0..50));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_is_released_even_while_a_process_is_being_started() {
    // Between its fork and its exec a new process shares all descriptors of this one.
    let dir = fast_temp_dir();
    let enough = Door::default();
    let starters: Vec<_> = (0..2)
        .map(|_| {
            let enough = enough.clone();
            std::thread::spawn(move || {
                while !enough.is_open() {
                    child::start_and_forget();
                }
            })
        })
        .collect();
    for _ in 0..300 {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(1)).await.unwrap();
    }
    enough.open();
    for starter in starters {
        starter.join().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_store_on_a_directory_is_refused_until_the_first_is_gone() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let error = crate::support::builder(&dir).open().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(
        error.to_string().contains("already open in this process"),
        "{error}"
    );
    if let Some(base) = dir.on_disk() {
        let name = base.file_name().unwrap().to_str().unwrap();
        assert!(error.to_string().contains(name), "{error}");
        // Nor by another way to the same place.
        let detour = base.join("journal").join("..");
        assert!(refusal(&detour).await.contains("already open"));
    }

    let clone = store.clone();
    drop(store);
    assert!(
        refusal(&dir).await.contains("already open"),
        "a clone keeps it open"
    );
    let ledger = clone.get::<Ledger>("a").await.unwrap();
    drop(clone);
    assert!(
        refusal(&dir).await.contains("already open"),
        "a handle keeps it open"
    );
    drop(ledger);
    open(&dir).await;
}

/// Opens the store and holds it.
pub(crate) async fn hold(dir: &Path) {
    let store = open(dir).await;
    let ledger = store.get::<Ledger>("held").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    child::say("open");
    child::wait_for_the_end();
}

/// Says how it is refused.
pub(crate) async fn try_to_open(dir: &Path) {
    match crate::support::builder(dir).open().await {
        Ok(_) => child::say("opened"),
        Err(error) => child::say(format!("{:?}: {error}", error.kind())),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_process_on_a_directory_is_refused_until_the_first_is_gone() {
    let dir = temp_dir();
    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    let error = crate::support::builder(&dir).open().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    let text = error.to_string();
    assert!(text.contains("in use by another process"), "{text}");
    assert!(text.contains(&holder.id().to_string()), "{text}");
    holder.finish();
    let store = open(&dir).await;

    let mut other = child::start("try to open", dir.path());
    let heard = other.hear().unwrap();
    assert!(heard.contains("in use by another process"), "{heard}");
    assert!(heard.contains(&std::process::id().to_string()), "{heard}");
    store.shutdown().await.unwrap();

    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    holder.kill();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("held").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 2);
}

/// A projection that an `open` has to wait for while the door is shut.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slow;

static OPENING: LazyLock<Door> = LazyLock::new(Door::default);
static BEGUN: LazyLock<Door> = LazyLock::new(Door::default);

impl Default for Slow {
    fn default() -> Self {
        BEGUN.open();
        OPENING.pass();
        Self
    }
}

impl Projection for Slow {
    const NAME: &'static str = "slow";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_waits_for_one_that_was_dropped_and_fails_while_another_is_running() {
    let dir = temp_dir();
    let mut first = Box::pin(crate::support::builder(&dir).projection::<Slow>().open());
    assert!(poll_once(&mut first).await.is_none());
    BEGUN.pass();
    assert!(refusal(&dir).await.contains("already open in this process"));

    drop(first);
    let mut second = Box::pin(crate::support::builder(&dir).open());
    assert!(poll_once(&mut second).await.is_none());
    // One that is given up while it waits leaves nothing behind.
    let mut third = Box::pin(crate::support::builder(&dir).open());
    assert!(poll_once(&mut third).await.is_none());
    drop(third);
    OPENING.open();
    let store = in_time("the second open", second).await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    assert!(refusal(&dir).await.contains("already open in this process"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_waits_for_another_process_as_long_as_the_lock_timeout() {
    let dir = temp_dir();
    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    let opening = |timeout| crate::support::builder(&dir).lock_timeout(timeout).open();
    let error = opening(Duration::from_millis(20)).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    assert!(
        error.to_string().contains(&holder.id().to_string()),
        "{error}"
    );
    let mut waiting = Box::pin(opening(Duration::MAX));
    assert!(poll_once(&mut waiting).await.is_none());
    holder.finish();
    let store = in_time("the open", waiting).await.unwrap();
    let ledger = store.get::<Ledger>("held").await.unwrap();
    assert_eq!(ledger.version().await.unwrap(), 1);

    // Whoever gives up waits no more.
    store.shutdown().await.unwrap();
    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    let mut waiting = Box::pin(opening(Duration::MAX));
    assert!(poll_once(&mut waiting).await.is_none());
    drop(waiting);
    let refused = async {
        // It notices within a moment that nobody waits for it.
        let mut refused = opening(Duration::ZERO).await.unwrap_err().to_string();
        while refused.contains("was not released by this process") {
            refused = opening(Duration::ZERO).await.unwrap_err().to_string();
        }
        refused
    };
    let refused = in_time("the open after it", refused).await;
    assert!(refused.contains("in use by another"), "{refused}");
    holder.kill();
    open(&dir).await;
}

#[test]
fn calls_on_a_runtime_that_is_not_driven_do_not_keep_the_next_open_waiting_for_ever() {
    let dir = temp_dir();
    let new = || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        builder.enable_all().build().unwrap()
    };
    let (idle, driven) = (new(), new());
    let ledger = idle.block_on(async {
        let store = open(&dir).await;
        store.get::<Ledger>("a").await.unwrap()
    });
    // Accepted, and never decided.
    let mut call = Box::pin(ledger.send(Do::Add(1)));
    assert!(driven.block_on(poll_once(&mut call)).is_none());
    drop(call);
    drop(ledger);
    let opening = || {
        let builder = crate::support::builder(&dir);
        builder.lock_timeout(Duration::from_millis(20)).open()
    };
    let error = driven.block_on(opening()).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy);
    for part in [
        "not released by this process within 20ms",
        "calls wait for ledger/a",
        "tokio runtime",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    // What was accepted is finished once the runtime is driven.
    idle.block_on(async {
        let store = open(&dir).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.version().await.unwrap(), 1);
    });
}

#[tokio::test]
async fn unused_spare_segments_do_not_accumulate() {
    let dir = temp_dir();
    let journal = dir.path().join("journal");
    open(&dir).await.shutdown().await.unwrap();
    for left in ["spare-1.tmp", "spare-7.tmp", "urgent-3.tmp"] {
        std::fs::write(journal.join(left), "left by an earlier run").unwrap();
    }
    // A store that is only read prepares none, and leaves them.
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    store.shutdown().await.unwrap();
    let files = std::fs::read_dir(&journal).unwrap();
    let names = files.map(|file| file.unwrap().file_name());
    let prepared = names.filter(|name| name.to_string_lossy().ends_with(".tmp"));
    assert!(prepared.count() <= 1);
    let spare = std::fs::read(journal.join("spare-1.tmp")).unwrap();
    assert!(spare.iter().all(|byte| *byte == 0));
}
