//! Commands of process managers while they are under way: a run that is dropped, a replay that fails,
//! a run that others overtake.

use std::future::Future as _;
use std::sync::LazyLock;
use std::task::Poll;

use eventfold_es::{
    Aggregate, AggregateHandle, AggregateStore, AggregateStoreBuilder, CommandEnvelope,
    DecodeError, Outbox, ProcessManager, ReplayError, StoredEvent,
};
use serde::{Deserialize, Serialize};

use crate::support::scripted::{run, tell};
use crate::support::{Door, eventually, in_time, temp_dir};

/// One for each that is waited for: whether somebody stands before it, and the door.
static DOORS: LazyLock<[(Door, Door); 5]> = LazyLock::new(Default::default);

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Slow {
    passed: Vec<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum SlowEvent {
    Passed { number: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is refused")]
struct Refused(u64);

impl Aggregate for Slow {
    const AGGREGATE_TYPE: &'static str = "slow";
    type Command = u64;
    type DomainEvent = SlowEvent;
    type Error = Refused;

    /// 13 waits at door 1 and is refused, 21 waits at door 2 and passes, 22 and 52 pass at once.
    fn handle(&self, number: u64) -> Result<Vec<SlowEvent>, Refused> {
        if number % 10 != 2 {
            let (is_there, door) = &DOORS[usize::try_from(number / 10).unwrap()];
            is_there.open();
            door.pass();
        }
        match number % 10 {
            3 => Err(Refused(number)),
            _ => Ok(vec![SlowEvent::Passed { number }]),
        }
    }

    fn apply(mut self, event: &SlowEvent) -> Self {
        let SlowEvent::Passed { number } = event;
        self.passed.push(*number);
        self
    }
}

/// Sends what ledgers say: `<id> <number>`.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Sending {}

impl ProcessManager for Sending {
    const NAME: &'static str = "sending";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        unreachable!("a store hands events over as they are stored")
    }

    fn react_stored(
        &mut self,
        stored: StoredEvent<'_>,
        out: &mut Outbox<'_>,
    ) -> Result<(), DecodeError> {
        #[derive(Deserialize)]
        struct Written {
            text: String,
        }

        let Written { text } = stored.payload()?;
        let (id, number) = text.split_once(' ').unwrap();
        out.send::<Slow>(id, number.parse::<u64>().unwrap());
        Ok(())
    }
}

fn builder(dir: impl AsRef<std::path::Path>) -> AggregateStoreBuilder {
    crate::support::builder(dir).process_manager::<Sending>()
}

async fn passed(store: &AggregateStore, id: &str) -> Vec<u64> {
    let slow = store.get::<Slow>(id).await.unwrap();
    slow.state().await.unwrap().passed
}

/// The aggregate runs here as long as its handle is there. Here it may stand at a door and holds
/// nobody up.
async fn here(store: &AggregateStore, id: &str) -> AggregateHandle<Slow> {
    let slow = store.get::<Slow>(id).await.unwrap();
    assert!(slow.state().await.unwrap().passed.is_empty());
    slow
}

fn outgoing(store: &AggregateStore) -> usize {
    store.read_side().process_managers[0].outgoing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_whose_run_is_dropped_completes_and_is_not_sent_again() {
    let dir = temp_dir();
    let store = builder(&dir).aggregate_type::<Slow>().open().await.unwrap();
    tell(&store, "s 1").await;
    let (is_there, door) = &DOORS[0];
    tokio::select! {
        _ = store.run_process_managers() => panic!("the door is shut"),
        () = eventually("it is there", || is_there.is_open()) => {}
    }
    assert_eq!(outgoing(&store), 1);
    door.open();
    // The command was sent by the run before.
    assert_eq!(run(&store).await, (0, 0));
    assert_eq!(outgoing(&store), 0);
    assert_eq!(passed(&store, "s").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_wait_for_a_replay_are_sent_if_it_fails() {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    tell(&store, "s 13").await;
    assert_eq!(run(&store).await, (0, 1));
    store.shutdown().await.unwrap();
    drop(store);

    let builder = builder(&dir).aggregate_type::<Slow>().live();
    let store = builder.open().await.unwrap();
    let letters = store.dead_letters("sending").unwrap();
    let id = letters.list().await.unwrap().remove(0).id;
    let replay = tokio::spawn(async move { letters.replay(&id).await });
    let (is_there, door) = &DOORS[1];
    eventually("it is there", || is_there.is_open()).await;
    tell(&store, "s 22").await;
    eventually("the next one waits", || outgoing(&store) == 2).await;
    door.open();
    let failed = replay.await.unwrap().unwrap_err();
    assert!(matches!(failed, ReplayError::Failed(_)), "{failed:?}");
    eventually("the next one is sent", || outgoing(&store) == 0).await;
    assert_eq!(passed(&store, "s").await, [22]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn commands_that_a_shutdown_leaves_unsent_in_a_replay_are_sent_once_by_the_next_run() {
    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    for text in ["s 41", "s 42", "t 52"] {
        tell(&store, text).await;
    }
    assert_eq!(run(&store).await, (0, 3));
    store.shutdown().await.unwrap();
    drop(store);

    let open = || builder(&dir).aggregate_type::<Slow>().open();
    let store = open().await.unwrap();
    let letters = store.dead_letters("sending").unwrap();
    let replay = tokio::spawn(async move { letters.replay_all().await });
    let (is_there, door) = &DOORS[4];
    eventually("it is there", || is_there.is_open()).await;
    let mut shutdown = Box::pin(store.shutdown());
    std::future::poll_fn(|context| {
        assert!(shutdown.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    door.open();
    in_time("the shutdown", shutdown).await.unwrap();
    let error = replay.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotConnected);
    drop(store);

    let store = open().await.unwrap();
    assert_eq!(store.read_side().process_managers[0].dead_letters, Some(0));
    assert_eq!(outgoing(&store), 2, "the effect of the first is found");
    assert_eq!(run(&store).await, (2, 0));
    assert_eq!(passed(&store, "s").await, [41, 42]);
    assert_eq!(passed(&store, "t").await, [52]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_run_of_a_live_store_does_not_wait_for_later_commands() {
    let dir = temp_dir();
    let builder = builder(&dir).aggregate_type::<Slow>().live();
    let store = builder.open().await.unwrap();
    let _here = (here(&store, "a").await, here(&store, "b").await);
    tell(&store, "a 21").await;
    eventually("it is there", || DOORS[2].0.is_open()).await;
    let mut run = std::pin::pin!(store.run_process_managers());
    std::future::poll_fn(|context| {
        assert!(run.as_mut().poll(context).is_pending());
        Poll::Ready(())
    })
    .await;
    tell(&store, "b 31").await;
    eventually("the later one is there", || DOORS[3].0.is_open()).await;
    DOORS[2].1.open();
    in_time("the run", run).await.unwrap();
    assert_eq!(outgoing(&store), 1);
    DOORS[3].1.open();
}

#[tokio::test]
async fn a_saved_state_that_no_longer_fits_its_type_fails_with_that_cause() {
    #[derive(Debug, Default, Serialize, Deserialize)]
    struct Grown {
        seen: u64,
    }

    impl ProcessManager for Grown {
        const NAME: &'static str = Sending::NAME;

        fn subscriptions(&self) -> &'static [&'static str] {
            &["ledger"]
        }

        fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
            self.seen += 1;
            Vec::new()
        }
    }

    let dir = temp_dir();
    let store = builder(&dir).open().await.unwrap();
    tell(&store, "s 2").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let grown = crate::support::builder(&dir).process_manager::<Grown>();
    let store = grown.open().await.unwrap();
    let error = store.run_process_managers().await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let file = dir
        .path()
        .join("process_managers/sending/journal_checkpoint.json");
    let text = error.to_string();
    let expected = format!(
        "the saved state of process manager `sending` in {} does not fit its type: missing field \
         `seen`",
        file.display()
    );
    assert!(text.starts_with(&expected), "{text}");
    assert!(
        text.ends_with("; give new fields `#[serde(default)]`"),
        "{text}"
    );
}
