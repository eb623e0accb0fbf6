//! `kill -9` at any moment, up to two hundred times, with a projection and a process manager at work.
//!
//! One directory lives through all rounds: each starts a process that goes on where the last one
//! was killed, and that says what was answered to it. It is killed after a random number of
//! answers, and another process looks whether all of that is there.

mod appends;
mod together;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use eventfold_es::{
    Aggregate, AggregateStore, AggregateStoreBuilder, CommandContext, CommandEnvelope,
    ProcessManager, Projection,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) use appends::append_until_killed;
pub(crate) use together::work_together_until_killed;

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerEvent, case_step, child, fast_temp_dir, in_time, random,
    verify,
};

const ROUNDS: u64 = 200;
const LEDGERS: [&str; 4] = ["a", "b", "c", "d"];
/// How many events each command stores.
const EVENTS: u64 = 3;

/// What came in for the ledgers, in order. It knows no keys: a command that is sent twice and takes
/// effect twice shows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Inbox {
    entries: Vec<(String, u64)>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum InboxCommand {
    Receive { from: String, amount: u64 },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum InboxEvent {
    Received { from: String, amount: u64 },
}

impl Aggregate for Inbox {
    const AGGREGATE_TYPE: &'static str = "inbox";
    type Command = InboxCommand;
    type DomainEvent = InboxEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, command: InboxCommand) -> Result<Vec<InboxEvent>, Self::Error> {
        let InboxCommand::Receive { from, amount } = command;
        Ok(vec![InboxEvent::Received { from, amount }])
    }

    fn apply(mut self, event: &InboxEvent) -> Self {
        let InboxEvent::Received { from, amount } = event;
        self.entries.push((from.clone(), *amount));
        self
    }
}

/// Sends every event of a ledger to the inbox of that ledger.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Forwarding;

impl ProcessManager for Forwarding {
    const NAME: &'static str = "forwarding";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, id: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        let data = json!({ "from": id, "amount": event.data["amount"] });
        vec![CommandEnvelope {
            aggregate_type: Inbox::AGGREGATE_TYPE.to_owned(),
            instance_id: id.to_owned(),
            command: json!({ "type": "Receive", "data": data }),
            context: CommandContext::default(),
        }]
    }
}

/// All amounts by aggregate, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Amounts(BTreeMap<String, Vec<u64>>);

impl Projection for Amounts {
    const NAME: &'static str = "amounts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger", "inbox"]
    }

    fn apply(&mut self, aggregate_type: &str, id: &str, event: &eventfold::Event) {
        let amounts = self.0.entry(format!("{aggregate_type}/{id}")).or_default();
        amounts.push(event.data["amount"].as_u64().unwrap());
    }
}

async fn open(dir: &Path) -> AggregateStore {
    builder(dir).open().await.unwrap()
}

fn builder(dir: &Path) -> AggregateStoreBuilder {
    AggregateStore::builder(dir)
        .snapshot_every(20)
        .idle_timeout(Duration::from_millis(2))
        .projection::<Amounts>()
        .process_manager::<Forwarding>()
        .aggregate_type::<Inbox>()
}

/// Writes to all ledgers at once, lets the process manager and the projection follow, and says what
/// was answered.
pub(crate) async fn work_until_killed(dir: &Path) {
    work(open(dir).await, false).await;
}

/// The same in a store that is live: both follow by themselves.
pub(crate) async fn work_live_until_killed(dir: &Path) {
    work(builder(dir).live().open().await.unwrap(), true).await;
}

async fn work(store: AggregateStore, is_live: bool) {
    let mut tasks = JoinSet::new();
    for id in LEDGERS {
        let store = store.clone();
        tasks.spawn(async move {
            loop {
                let ledger = store.get::<Ledger>(id).await.unwrap();
                let command = Do::decide(|ledger| {
                    let amounts = ledger.count + 1..=ledger.count + EVENTS;
                    Ok(amounts
                        .map(|amount| LedgerEvent::Added { amount })
                        .collect())
                });
                let done = ledger.send(command).await.unwrap();
                child::say(format!("{id} {} {}", done.version, done.position));
                // Not so fast that the process manager never catches up.
                tokio::time::sleep(Duration::from_millis(4)).await;
            }
        });
    }
    if is_live {
        tasks.join_all().await;
        return;
    }
    let managed = store.clone();
    tasks.spawn(async move {
        loop {
            let report = managed.run_process_managers().await.unwrap();
            assert_eq!(report.dead_lettered, 0);
            child::say(format!("dispatched {}", report.dispatched));
            tokio::task::yield_now().await;
        }
    });
    tasks.spawn(async move {
        loop {
            let amounts = store.projection::<Amounts>().unwrap();
            for amounts in amounts.0.values() {
                assert!(amounts.iter().copied().eq(1..=amounts.len() as u64));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    tasks.join_all().await;
}

/// What one process said before its end.
#[derive(Debug, Default)]
struct Answered {
    versions: BTreeMap<String, u64>,
    position: u64,
    dispatched: u64,
}

impl Answered {
    fn take(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |i: usize| words[i].parse::<u64>().unwrap();
        if words[0] == "dispatched" {
            self.dispatched += number(1);
            return;
        }
        let version = self.versions.entry(words[0].to_owned()).or_default();
        assert!(number(1) > *version, "versions run backwards");
        *version = number(1);
        self.position = self.position.max(number(2));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_lose_no_answered_command_and_repeat_no_reaction() {
    kill_often("work until killed", rounds()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_of_a_live_store_lose_no_answered_command_and_repeat_no_reaction() {
    kill_often("work live until killed", rounds() / 2).await;
}

/// All, or a part of them.
fn rounds() -> u64 {
    ROUNDS / case_step() as u64
}

async fn kill_often(role: &str, rounds: u64) {
    let mut random = random(11);
    let mut dir = fast_temp_dir();
    // What earlier rounds showed to be stored, which must stay.
    let mut least: BTreeMap<String, u64> = BTreeMap::new();
    // How many reactions had taken effect before the round.
    let mut settled = 0;
    let (mut answers, mut reactions, mut unfinished) = (0, 0, 0);
    for round in 0..rounds {
        if round % 10 == 0 {
            // A fresh directory, so that the beginning is met again and the checks stay cheap.
            dir = fast_temp_dir();
            least.clear();
            settled = 0;
        }
        let mut worker = child::start(role, dir.path());
        let enough = random() % 60;
        let mut answered = Answered::default();
        worker.hear_until_killed(enough, |line| {
            answered.take(&line);
            answers += 1;
        });
        for (id, version) in &answered.versions {
            let least = least.entry(id.clone()).or_default();
            *least = (*least).max(*version);
        }
        let looked = look(dir.path(), round, &mut least, &answered);
        let (received, waiting) = in_time("a look", looked).await;
        assert!(received >= settled + answered.dispatched);
        reactions += received - settled;
        settled = received + waiting;
        unfinished += u64::from(waiting > 0);
    }
    println!(
        "{rounds} rounds, {answers} answers, {reactions} reactions before a kill, {unfinished} rounds \
         with some left to do"
    );
    // It was killed amid all kinds of work.
    assert!(answers > rounds * 10, "only {answers} answers");
    assert!(reactions > rounds * 5, "only {reactions} reactions");
    assert!(unfinished > rounds / 20, "only {unfinished} unfinished");
}

/// Opens what a killed process left. Returns how many reactions had taken effect, and how many had
/// not.
async fn look(
    dir: &Path,
    round: u64,
    least: &mut BTreeMap<String, u64>,
    answered: &Answered,
) -> (u64, u64) {
    let store = open(dir).await;
    let head: u64 = store.head().to_string().parse().unwrap();
    assert!(head >= answered.position, "round {round}: a lost position");
    let mut ledgers = BTreeMap::new();
    for id in LEDGERS {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        let version: u64 = ledger.version().await.unwrap().into();
        let least = least.entry(id.to_owned()).or_default();
        assert!(version >= *least, "round {round}: {id} lost answers");
        assert_eq!(
            version % EVENTS,
            0,
            "round {round}: {id} has half a command"
        );
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(1..=version));
        *least = version;
        ledgers.insert(id, version);
    }
    // As far as the reactions got, each took effect once and in order.
    let (mut received, mut waiting) = (0, 0);
    for (id, version) in &ledgers {
        let inbox = store.get::<Inbox>(id).await.unwrap();
        let inbox = inbox.state().await.unwrap();
        let count = inbox.entries.len() as u64;
        check_inbox(id, &inbox, count, round);
        received += count;
        waiting += version - count;
    }
    let amounts = store.projection::<Amounts>().unwrap();
    let projected: usize = amounts.0.values().map(Vec::len).sum();
    assert_eq!(projected as u64, head, "round {round}");
    // And none is forgotten.
    let report = store.run_process_managers().await.unwrap();
    assert_eq!(report.dead_lettered, 0);
    assert!(report.dispatched as u64 >= waiting);
    let mut projected = Amounts::default();
    for (id, version) in &ledgers {
        let inbox = store.get::<Inbox>(id).await.unwrap();
        check_inbox(id, &inbox.state().await.unwrap(), *version, round);
        if *version > 0 {
            let amounts: Vec<u64> = (1..=*version).collect();
            projected.0.insert(format!("inbox/{id}"), amounts.clone());
            projected.0.insert(format!("ledger/{id}"), amounts);
        }
    }
    assert_eq!(store.projection::<Amounts>().unwrap(), projected);
    store.shutdown().await.unwrap();
    let streams = verify(dir);
    let stored: usize = streams.values().map(Vec::len).sum();
    assert_eq!(stored as u64, 2 * ledgers.values().sum::<u64>());
    check_keys(&streams);
    (received, waiting)
}

fn check_inbox(id: &str, inbox: &Inbox, count: u64, round: u64) {
    let expected: Vec<_> = (1..=count).map(|amount| (id.to_owned(), amount)).collect();
    assert_eq!(inbox.entries, expected, "round {round}: {id}'s inbox");
}

/// Each command of the process manager is there under a key of its own.
fn check_keys(streams: &BTreeMap<(String, String), Vec<Value>>) {
    let mut keys = std::collections::BTreeSet::new();
    for ((aggregate_type, _), events) in streams {
        for event in events.iter().filter(|_| aggregate_type == "inbox") {
            assert!(keys.insert(event["key"].as_str().unwrap()), "{event} again");
        }
    }
}
