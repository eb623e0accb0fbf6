//! Process managers: the commands of each reaction are sent, and take effect once.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use eventfold_es::{
    Aggregate, AggregateStore, CommandContext, CommandEnvelope, InjectOptions, ProcessManager,
    Running,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::files::edit;
use crate::support::{
    Ledger, LedgerCommand as Do, check, child, copy, fast_temp_dir, temp_dir, verify,
};

/// What is reserved on a shelf.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Shelf {
    reserved: Vec<u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum ShelfCommand {
    Reserve { quantity: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum ShelfEvent {
    Reserved { quantity: u64 },
}

#[derive(Debug, thiserror::Error)]
#[error("{0} is too many")]
struct TooMany(u64);

impl Aggregate for Shelf {
    const AGGREGATE_TYPE: &'static str = "shelf";
    type Command = ShelfCommand;
    type DomainEvent = ShelfEvent;
    type Error = TooMany;

    fn handle(&self, command: ShelfCommand) -> Result<Vec<ShelfEvent>, TooMany> {
        if ALOUD.load(Ordering::Relaxed) {
            child::say("decided");
        }
        let ShelfCommand::Reserve { quantity } = command;
        if quantity > 100_000 {
            return Err(TooMany(quantity));
        }
        Ok(vec![ShelfEvent::Reserved { quantity }])
    }

    fn apply(mut self, event: &ShelfEvent) -> Self {
        let ShelfEvent::Reserved { quantity } = event;
        self.reserved.push(*quantity);
        self
    }
}

/// Reserves what is added to a ledger, once on each of two shelves.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Reservations {
    reactions: u64,
}

impl ProcessManager for Reservations {
    const NAME: &'static str = "reservations";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        self.reactions += 1;
        let Some(quantity) = event.data["amount"].as_u64() else {
            return Vec::new();
        };
        // 7 is for a shelf of a kind that nobody knows.
        let aggregate_type = if quantity == 7 { "cupboard" } else { "shelf" };
        ["left", "right"]
            .map(|shelf| CommandEnvelope {
                aggregate_type: aggregate_type.to_owned(),
                instance_id: shelf.to_owned(),
                command: json!({ "type": "Reserve", "data": { "quantity": quantity } }),
                context: CommandContext::default(),
            })
            .to_vec()
    }
}

async fn open(dir: impl AsRef<Path>) -> AggregateStore {
    crate::support::builder(dir)
        .process_manager::<Reservations>()
        .aggregate_type::<Shelf>()
        .open()
        .await
        .unwrap()
}

async fn add(store: &AggregateStore, amounts: &[u64]) {
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let context = CommandContext::default().with_correlation_id("r-1");
    ledger
        .send_with(Do::AddAll(amounts.to_vec()), context)
        .await
        .unwrap();
}

async fn reserved(store: &AggregateStore, shelf: &str) -> Vec<u64> {
    let shelf = store.get::<Shelf>(shelf).await.unwrap();
    shelf.state().await.unwrap().reserved
}

fn checkpoint(dir: &Path) -> std::path::PathBuf {
    dir.join("process_managers/reservations/journal_checkpoint.json")
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_are_dispatched_once_even_after_a_restart() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1, 2]).await;
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (4, 0));
    assert_eq!(reserved(&store, "left").await, [1, 2]);
    assert_eq!(reserved(&store, "right").await, [1, 2]);
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (0, 0));
    store.shutdown().await.unwrap();
    drop(store);

    let store = open(&dir).await;
    add(&store, &[3]).await;
    let report = store.run_process_managers().await.unwrap();
    assert_eq!(report.dispatched, 2);
    assert_eq!(reserved(&store, "left").await, [1, 2, 3]);
    store.shutdown().await.unwrap();
    check(&dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn correlation_and_causation_travel_through_a_process_manager() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1]).await;
    store.run_process_managers().await.unwrap();
    let cause = store.read_events("ledger", "a").await.unwrap().remove(0);
    let effect = store.read_events("shelf", "left").await.unwrap().remove(0);
    let meta = effect.meta.unwrap();
    assert_eq!(meta["correlation_id"], "r-1");
    assert_eq!(meta["causation_id"], cause.id.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_fails_becomes_a_dead_letter_with_its_error() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1, 100_001, 7]).await;
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (2, 4));
    let letters = store.dead_letters("reservations").unwrap();
    let letters = letters.list().await.unwrap();
    let errors: Vec<&str> = letters.iter().map(|l| l.error.as_str()).collect();
    assert!(errors[0].contains("100001 is too many"), "{errors:?}");
    assert!(
        errors[2].contains("unknown aggregate type: cupboard"),
        "{errors:?}"
    );
    assert_eq!(letters[1].envelope.instance_id, "right");
    assert_eq!(letters[1].envelope.command["data"]["quantity"], 100_001);
    let context = &letters[0].envelope.context;
    assert_eq!(context.correlation_id.as_deref(), Some("r-1"));
    // They are not sent again.
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (0, 0));
    assert_eq!(reserved(&store, "left").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_checkpoint_causes_no_second_effect_and_a_rolled_back_checkpoint_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1, 2]).await;
    store.run_process_managers().await.unwrap();
    let saved = std::fs::read(checkpoint(dir.path())).unwrap();
    add(&store, &[3, 4]).await;
    store.run_process_managers().await.unwrap();

    let lost = copy(dir.path());
    std::fs::remove_file(checkpoint(lost.path())).unwrap();
    let again = open(&lost).await;
    let report = again.run_process_managers().await.unwrap();
    // They are sent again, that is the sign; and change nothing.
    assert_eq!(report.dispatched, 8);
    assert_eq!(reserved(&again, "left").await, [1, 2, 3, 4]);
    assert_eq!(reserved(&again, "right").await, [1, 2, 3, 4]);
    again.shutdown().await.unwrap();
    verify(lost.path());

    // Of the run before: no crash leaves that, since nothing is sent that is not saved.
    let rolled_back = copy(dir.path());
    std::fs::write(checkpoint(rolled_back.path()), saved).unwrap();
    let builder = crate::support::builder(rolled_back.path());
    let builder = builder.process_manager::<Reservations>();
    let refused = builder.aggregate_type::<Shelf>().open().await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::InvalidData);
    let refused = refused.to_string();
    assert!(
        refused.contains("have a command from position"),
        "{refused}"
    );
    let report = AggregateStore::verify(rolled_back.path()).await.unwrap();
    assert!(
        report.to_string().contains("have a command from position"),
        "{report}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_not_sent_before_a_crash_are_sent_after_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1]).await;
    let before = copy(dir.path());
    // What the first of the two commands does, under the name that it has.
    let shelf = store.get::<Shelf>("left").await.unwrap();
    store.run_process_managers().await.unwrap();
    let key = key_of(store.layout().base_dir(), "left");
    drop((shelf, store));

    let store = open(&before).await;
    let shelf = store.get::<Shelf>("left").await.unwrap();
    let context = CommandContext::default().with_idempotency_key(key);
    shelf
        .send_with(ShelfCommand::Reserve { quantity: 1 }, context)
        .await
        .unwrap();
    let report = store.run_process_managers().await.unwrap();
    assert_eq!(report.dispatched, 2);
    assert_eq!(reserved(&store, "left").await, [1]);
    assert_eq!(reserved(&store, "right").await, [1]);
}

/// The idempotency key of the first event of a shelf.
fn key_of(dir: &Path, shelf: &str) -> String {
    let path = dir.join("streams/shelf").join(shelf).join("app.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let event: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    event["key"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_with_a_corrupt_checkpoint_stops_and_the_store_opens() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, &[1]).await;
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let path = checkpoint(dir.path());
    let whole = std::fs::read(&path).unwrap();
    let builder = || {
        crate::support::builder(&dir)
            .process_manager::<Reservations>()
            .aggregate_type::<Shelf>()
    };
    for at in (0..whole.len()).step_by(5) {
        edit(&path, |bytes| bytes[at] ^= 1);
        let store = builder().open().await.unwrap();
        let error = store.run_process_managers().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
        let status = &store.read_side().process_managers[0].follower;
        assert_eq!(status.running, Running::Stopped);
        assert_eq!(status.last_error, Some(error.to_string()));
        assert_eq!(reserved(&store, "left").await, [1]);
        store.shutdown().await.unwrap();
        std::fs::write(&path, &whole).unwrap();
    }
    // Put right, it opens at once and has nothing to send.
    let store = builder().open().await.unwrap();
    assert_eq!(store.run_process_managers().await.unwrap().dispatched, 0);
    assert_eq!(reserved(&store, "left").await, [1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_event_runs_process_managers_if_asked() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let event = |amount: u64| eventfold::Event::new("Added", json!({ "amount": amount }));
    let quiet = InjectOptions::default();
    store
        .inject_event::<Ledger>("a", event(1), quiet)
        .await
        .unwrap();
    assert!(reserved(&store, "left").await.is_empty());
    let run = InjectOptions {
        run_process_managers: true,
    };
    store
        .inject_event::<Ledger>("a", event(2), run)
        .await
        .unwrap();
    assert_eq!(reserved(&store, "left").await, [1, 2]);
}

/// Whether each command that a shelf decides is said aloud.
static ALOUD: AtomicBool = AtomicBool::new(false);

/// Reacts to more events than a stream remembers keys, so many of them in a commit.
pub(crate) async fn react_to_very_many(dir: &Path, in_a_commit: usize) {
    let store = open(dir).await;
    for some in VERY_MANY.collect::<Vec<u64>>().chunks(in_a_commit) {
        add(&store, some).await;
    }
    ALOUD.store(true, Ordering::Relaxed);
    store.run_process_managers().await.unwrap();
    child::wait_for_the_end();
}

const VERY_MANY: std::ops::Range<u64> = 1_000..2_200;

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_killed_after_very_many_commands_of_one_run_repeats_none() {
    let dir = fast_temp_dir();
    kill_after_very_many("react to very many", dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_killed_after_very_many_commands_of_one_commit_repeats_none() {
    let dir = fast_temp_dir();
    kill_after_very_many("react to one commit", dir.path()).await;
}

async fn kill_after_very_many(role: &str, dir: &Path) {
    let mut child = child::start(role, dir);
    for _ in 0..2_350 {
        assert_eq!(child.hear().as_deref(), Some("decided"));
    }
    child.kill();
    let store = open(dir).await;
    let before = reserved(&store, "left").await.len();
    assert!(
        before > 1_100,
        "only {before}, which could all be remembered"
    );
    store.run_process_managers().await.unwrap();
    assert_eq!(
        reserved(&store, "left").await,
        VERY_MANY.collect::<Vec<u64>>()
    );
    assert_eq!(
        reserved(&store, "right").await,
        VERY_MANY.collect::<Vec<u64>>()
    );
}

/// Sends its commands under a key that is empty.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct WithoutKeys;

impl ProcessManager for WithoutKeys {
    const NAME: &'static str = "without-keys";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        vec![CommandEnvelope {
            aggregate_type: "shelf".to_owned(),
            instance_id: "left".to_owned(),
            command: json!({ "type": "Reserve", "data": { "quantity": 1 } }),
            context: CommandContext::default().with_idempotency_key(""),
        }]
    }
}

#[tokio::test]
async fn a_process_manager_that_sends_an_empty_idempotency_key_stops_and_sends_nothing() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .process_manager::<WithoutKeys>()
        .aggregate_type::<Shelf>()
        .open()
        .await
        .unwrap();
    add(&store, &[1]).await;
    let error = store.run_process_managers().await.unwrap_err().to_string();
    for part in [
        "`without-keys` at position 1, stream ledger/a",
        "the command for shelf/left cannot be sent",
        "idempotency key is empty",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let status = store.read_side().process_managers.remove(0);
    assert_eq!((status.outgoing, status.dead_letters), (0, Some(0)));
    assert_eq!(store.list::<Shelf>().await.unwrap(), [""; 0]);
}
