//! Events in older shapes, and events that were split or retired: read as today's, everywhere.

mod domain;
mod everywhere;
mod meaning;
mod snapshots;

use std::io;
use std::path::Path;

use eventfold_es::__private::example::{Add, Counter};
use eventfold_es::prelude::*;
use eventfold_es::{
    DecodeError, InjectOptions, Position, StateError, StoredEvent, reducer, to_eventfold_event,
};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::{fast_temp_dir, open, temp_dir};
use domain::{
    CoinsReceived, Deposit, Held, Program, Thanked, Wallet1, Wallet2, Wallet3, Wallet4, Wallet5,
    Wallet6, Wallet6Event,
};

/// Sends `dollars` to the wallet `a` with the program `P`.
async fn deposit<P: Program>(dir: impl AsRef<Path>, dollars: &[u64]) {
    let store = open(dir).await;
    let wallet = store.get::<P>("a").await.unwrap();
    wallet.send(Deposit(dollars.to_vec())).await.unwrap();
    store.shutdown().await.unwrap();
}

/// The state of the wallet `a` and its version, in the program `A`.
async fn load<A: Aggregate>(dir: impl AsRef<Path>) -> Result<(A, u64), StateError> {
    let store = open(dir).await;
    let wallet = store.get::<A>("a").await.map_err(StateError::Io)?;
    let loaded = (wallet.state().await?, wallet.version().await?.into());
    store.shutdown().await.unwrap();
    Ok(loaded)
}

fn stream_file(base: &Path) -> std::path::PathBuf {
    base.join("streams/wallet/a/app.jsonl")
}

fn snapshot_file(base: &Path) -> std::path::PathBuf {
    base.join("streams/wallet/a/views/state.snapshot.json")
}

/// Makes a stream of a line as another program writes it.
fn write_foreign(base: &Path, lines: &[Value]) {
    let file = stream_file(base);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    let lines: Vec<String> = lines.iter().map(Value::to_string).collect();
    std::fs::write(file, lines.join("\n") + "\n").unwrap();
}

/// The event of `P` in its stored form, read by `Q`.
fn read_across<P: Program, Q: Program>(dollars: u64) -> Vec<Q::DomainEvent> {
    let event: P::DomainEvent = P::event(dollars).into();
    let event = to_eventfold_event::<P>(&event, &CommandContext::default()).unwrap();
    let data = event.data.to_string();
    let record = Recorded::of_eventfold(&event, "wallet", "a");
    let stored = StoredEvent::new(&event.event_type, &data).with_record(&record);
    Q::decode_event(stored).unwrap().into_iter().collect()
}

proptest! {
    #[test]
    fn an_upcast_chain_from_every_version_gives_the_newest_event(dollars in 0..=u64::MAX / 100) {
        let newest: Vec<_> = vec![Wallet5::event(dollars).into()];
        prop_assert_eq!(&read_across::<Wallet1, Wallet5>(dollars), &newest);
        prop_assert_eq!(&read_across::<Wallet2, Wallet5>(dollars), &newest);
        prop_assert_eq!(&read_across::<Wallet3, Wallet5>(dollars), &newest);
        prop_assert_eq!(&read_across::<Wallet4, Wallet5>(dollars), &newest);
        prop_assert_eq!(&read_across::<Wallet5, Wallet5>(dollars), &newest);
        let newest: Vec<_> = vec![Wallet3::event(dollars).into()];
        prop_assert_eq!(&read_across::<Wallet1, Wallet3>(dollars), &newest);
        prop_assert_eq!(&read_across::<Wallet2, Wallet3>(dollars), &newest);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Programs follow each other, each of which adds to the stream; snapshots are left on the way.
    #[test]
    fn a_stream_of_many_programs_loads_as_if_the_newest_had_written_it(
        written in prop::collection::vec((1..=5_u8, prop::collection::vec(0..1000_u64, 1..4)), 1..8),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut written = written;
            written.sort_by_key(|(program, _)| *program);
            let dir = fast_temp_dir();
            for (program, dollars) in &written {
                match program {
                    1 => deposit::<Wallet1>(&dir, dollars).await,
                    2 => deposit::<Wallet2>(&dir, dollars).await,
                    3 => deposit::<Wallet3>(&dir, dollars).await,
                    4 => deposit::<Wallet4>(&dir, dollars).await,
                    _ => deposit::<Wallet5>(&dir, dollars).await,
                }
            }
            let all: Vec<u64> = written.into_iter().flat_map(|(_, dollars)| dollars).collect();
            let (wallet, version) = load::<Wallet5>(&dir).await.unwrap();
            assert_eq!((wallet.held(), version), (&Held::of(all.clone()), all.len() as u64));
            // Without a snapshot, every event is read again.
            if let Some(base) = dir.on_disk() {
                let _ = std::fs::remove_file(snapshot_file(base));
            }
            let (wallet, version) = load::<Wallet5>(&dir).await.unwrap();
            assert_eq!((wallet.held(), version), (&Held::of(all.clone()), all.len() as u64));
            // A newer program whose state has another version, and whose events are others.
            let (wallet, version) = load::<Wallet6>(&dir).await.unwrap();
            assert_eq!((wallet.thanked, version), (all.len() as u64, all.len() as u64));
            assert_eq!(wallet.held, Held::of(all));
        });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_version_above_1_is_stored_and_with_each_event() {
    let dir = temp_dir();
    deposit::<Wallet1>(&dir, &[1]).await;
    deposit::<Wallet4>(&dir, &[2, 3]).await;
    let store = open(&dir).await;
    let events = store.read_events("wallet", "a").await.unwrap();
    let meta: Vec<Option<Value>> = events.into_iter().map(|event| event.meta).collect();
    let four = Some(json!({ "schema_version": 4 }));
    assert_eq!(meta, [None, four.clone(), four]);
    let event = to_eventfold_event::<Wallet4>(
        &Wallet4::event(1).into(),
        &CommandContext::default().with_correlation_id("r-1"),
    );
    let meta = json!({ "correlation_id": "r-1", "schema_version": 4 });
    assert_eq!(event.unwrap().meta, Some(meta));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_event_of_a_command_has_its_own_version() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "wallet", commands(Fill), events(Thanked, CoinsCounted))]
    struct Mixed(u64);
    #[derive(Debug, Clone, Serialize, Deserialize)]
    struct Fill;
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    #[event(version = 2, upcast(1 = CoinsCounted))]
    struct CoinsCounted(u64);
    impl Decide<Fill> for Mixed {
        fn decide(&self, _: Fill) -> Decision<Self> {
            Ok(events![Thanked, CoinsCounted(2), Thanked, CoinsCounted(3)])
        }
    }
    impl Evolve<Thanked> for Mixed {
        fn evolve(&mut self, _: &Thanked) {}
    }
    impl Evolve<CoinsCounted> for Mixed {
        fn evolve(&mut self, event: &CoinsCounted) {
            self.0 += event.0;
        }
    }
    let dir = temp_dir();
    let store = open(&dir).await;
    let mixed = store.get::<Mixed>("a").await.unwrap();
    let context = CommandContext::default().with_metadata(json!({ "ip": "::1" }));
    mixed.send_with(Fill, context).await.unwrap();
    let events = store.read_events("wallet", "a").await.unwrap();
    let meta: Vec<Value> = events.into_iter().filter_map(|event| event.meta).collect();
    let (one, two) = (
        json!({ "ip": "::1" }),
        json!({ "ip": "::1", "schema_version": 2 }),
    );
    assert_eq!(meta, [one.clone(), two.clone(), one, two]);
    store.shutdown().await.unwrap();
    assert_eq!(load::<Mixed>(&dir).await.unwrap().0.0, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_copied_from_another_event_does_not_set_the_version() {
    let dir = temp_dir();
    let copied = CommandContext::default()
        .with_metadata(json!({ "schema_version": 9, "ip": "::1" }))
        .with_actor("ann");
    let store = open(&dir).await;
    let wallet = store.get::<Wallet1>("a").await.unwrap();
    wallet
        .send_with(Deposit(vec![1]), copied.clone())
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let wallet = store.get::<Wallet2>("a").await.unwrap();
    wallet.send_with(Deposit(vec![2]), copied).await.unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let events = store.read_events("wallet", "a").await.unwrap();
    assert_eq!(events[0].actor.as_deref(), Some("ann"));
    assert_eq!(events[0].meta, Some(json!({ "ip": "::1" })));
    let second = json!({ "ip": "::1", "schema_version": 2 });
    assert_eq!(events[1].meta, Some(second));
    store.shutdown().await.unwrap();
    let (wallet, _) = load::<Wallet2>(&dir).await.unwrap();
    assert_eq!(wallet.held(), &Held::of([1, 2]));
}

/// What has no `DomainEvent` has no versions either: as in 0.2.0, its `meta` is its own.
#[tokio::test(flavor = "multi_thread")]
async fn an_aggregate_written_by_hand_keeps_its_own_metadata() {
    use crate::support::{Ledger, LedgerCommand};
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    let own = CommandContext::default().with_metadata(json!({ "schema_version": "draft" }));
    ledger.send_with(LedgerCommand::Add(1), own).await.unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let events = store.read_events("ledger", "a").await.unwrap();
    assert_eq!(events[0].meta, Some(json!({ "schema_version": "draft" })));
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_command_is_answered_with_todays_events() {
    let dir = temp_dir();
    let once = || CommandContext::default().with_idempotency_key("k-1");
    let store = open(&dir).await;
    let wallet = store.get::<Wallet1>("a").await.unwrap();
    wallet.send_with(Deposit(vec![1, 2]), once()).await.unwrap();
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let wallet = store.get::<Wallet6>("a").await.unwrap();
    let again = wallet.send_with(Deposit(vec![1, 2]), once()).await.unwrap();
    let received = |cents| Wallet6Event::from(CoinsReceived { cents });
    assert_eq!(
        again.events,
        [received(100), Thanked.into(), received(200), Thanked.into()]
    );
    assert_eq!(again.version, 2);
    assert_eq!(wallet.version().await.unwrap(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_injected_event_is_read_in_its_version() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let inject = |name: &str, data: Value, meta: Value| {
        let event = eventfold::Event::new(name, data).with_meta(meta);
        store.inject_event::<Wallet5>("a", event, InjectOptions::default())
    };
    inject("Deposited", json!(1), Value::Null).await.unwrap();
    inject(
        "Deposited",
        json!({ "cents": 200 }),
        json!({ "schema_version": 3 }),
    )
    .await
    .unwrap();
    let wallet = store.get::<Wallet5>("a").await.unwrap();
    assert_eq!(wallet.state().await.unwrap().held(), &Held::of([1, 2]));
    // Nothing that this aggregate could not load comes in.
    for version in [json!(6), json!("three"), json!(0), json!(-1), json!(1.5)] {
        let meta = json!({ "schema_version": version });
        let refused = inject("Deposited", json!(1), meta).await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidData);
        let text = refused.to_string();
        let place = "stream wallet/a, version 3, event `Deposited`: ";
        assert!(
            text.starts_with(place) && text.contains(&version.to_string()),
            "{text}"
        );
    }
    let (wallet, version) = (
        wallet.state().await.unwrap(),
        wallet.version().await.unwrap(),
    );
    assert_eq!((wallet.held(), u64::from(version)), (&Held::of([1, 2]), 2));
}

#[test]
fn a_view_and_from_eventfold_upcast_too() {
    let old = eventfold::Event::new("Deposited", json!({ "dollars": 3 }))
        .with_meta(json!({ "schema_version": 2 }));
    let wallet = reducer::<Wallet5>()(Wallet5::default(), &old);
    assert_eq!(wallet.held(), &Held::of([3]));
    let split = Wallet6Event::from_eventfold(&old).unwrap();
    assert_eq!(
        split.as_slice(),
        [CoinsReceived { cents: 300 }.into(), Thanked.into()]
    );
    let nothing = Wallet6Event::from_eventfold(&eventfold::Event::new("Frozen", json!({})));
    assert_eq!(nothing.unwrap().as_slice(), []);
}

/// Why the wallet `a` cannot be loaded, while other aggregates can.
async fn failure<A: Program>(dir: impl AsRef<Path>) -> String {
    let store = open(dir).await;
    let other = store.get::<Counter>("c").await.unwrap();
    other.send(Add(1)).await.unwrap();
    let error = match store.get::<A>("a").await {
        Ok(a) => a.state().await.unwrap_err().to_string(),
        Err(error) => error.to_string(),
    };
    assert!(other.state().await.unwrap().value > 0);
    store.shutdown().await.unwrap();
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_step_fails_the_load_and_names_stream_version_event_and_step() {
    let dir = temp_dir();
    let line = |dollars: u64| json!({ "type": "Deposited", "data": dollars, "ts": 1 });
    write_foreign(dir.path(), &[line(1), line(u64::MAX)]);
    let error = failure::<Wallet5>(&dir).await;
    let expected = format!(
        "stream wallet/a, version 2, event `Deposited`: event `Deposited` cannot be upcast \
         from version 2 by `V3::in_cents`: {} dollars are too many",
        u64::MAX
    );
    assert!(error.contains(&expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_old_payload_fails_the_load_and_names_the_version() {
    let dir = temp_dir();
    let line = json!({ "type": "Deposited", "data": "five", "ts": 1 });
    write_foreign(dir.path(), &[line]);
    let error = failure::<Wallet5>(&dir).await;
    let expected = "version 1, event `Deposited`: event `Deposited` cannot be upcast from \
                    version 1 by `V2::named`: invalid type";
    assert!(error.contains(expected), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_of_a_newer_program_is_never_read_as_something_else() {
    let dir = temp_dir();
    deposit::<Wallet3>(&dir, &[1]).await;
    let error = failure::<Wallet2>(&dir).await;
    let expected = "stream wallet/a, version 1, event `Deposited`: event `Deposited` is stored in \
                    version 3, but this program knows versions up to 2: a newer program wrote it";
    assert!(error.contains(expected), "{error}");
    // Also by a program that knows one version.
    let error = failure::<Wallet1>(&dir).await;
    assert!(error.contains("knows versions up to 1"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invalid_version_fails_the_load() {
    for (found, text) in [
        (r#"{"schema_version":"2"}"#, "`\"2\"`"),
        (r#"{"schema\u005fversion":0}"#, "`0`"),
        (r#"{"x":1,"schema_version":null}"#, "`null`"),
        (r#"{"schema_version":4294967296}"#, "`4294967296`"),
    ] {
        let dir = temp_dir();
        let file = stream_file(dir.path());
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let line = format!("{{\"type\":\"Deposited\",\"data\":1,\"ts\":1,\"meta\":{found}}}\n");
        std::fs::write(file, line).unwrap();
        for error in [
            failure::<Wallet1>(&dir).await,
            failure::<Wallet4>(&dir).await,
        ] {
            let expected = format!("has {text} as its `meta.schema_version`");
            assert!(error.contains(&expected), "{error}");
        }
    }
    // One below the top is another program's.
    let dir = temp_dir();
    let meta = json!({ "of": { "schema_version": 7 }, "text": "schema_version" });
    let line = json!({ "type": "Deposited", "data": 1, "ts": 1, "meta": meta });
    write_foreign(dir.path(), &[line]);
    assert_eq!(
        load::<Wallet4>(&dir).await.unwrap().0.held(),
        &Held::of([1])
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn retired_events_count_as_versions_and_are_never_unknown() {
    let dir = temp_dir();
    let frozen = json!({ "type": "Frozen", "data": { "by": "ann" }, "ts": 1 });
    let deposited = json!({ "type": "Deposited", "data": 1, "ts": 1 });
    write_foreign(dir.path(), &[frozen.clone(), deposited, frozen]);
    let (wallet, version) = load::<Wallet6>(&dir).await.unwrap();
    assert_eq!((wallet.held, version), (Held::of([1]), 3));
    // It goes on behind them, with a snapshot that holds all.
    deposit6(&dir).await;
    assert!(snapshot_file(dir.path()).exists());
    let (wallet, version) = load::<Wallet6>(&dir).await.unwrap();
    assert_eq!(
        (wallet.held, wallet.thanked, version),
        (Held::of([1, 2]), 1, 4)
    );
    // An older program refuses what it does not know.
    let error = load::<Wallet5>(&dir).await.unwrap_err().to_string();
    assert!(error.contains("no event is named `Frozen`"), "{error}");
}

async fn deposit6(dir: impl AsRef<Path>) {
    let store = open(dir).await;
    let wallet = store.get::<Wallet6>("a").await.unwrap();
    wallet.send(Deposit(vec![2])).await.unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_event_that_cannot_be_read_fails_the_load() {
    let dir = temp_dir();
    write_foreign(
        dir.path(),
        &[json!({ "type": "Robbed", "data": "Bob", "ts": 1 })],
    );
    let error = load::<Wallet6>(&dir).await.unwrap_err().to_string();
    let expected = "stream wallet/a, version 1, event `Robbed`: event `Robbed` cannot be upcast \
                    from version 1 by `robbed`: Bob did not say how much";
    assert!(error.contains(expected), "{error}");
}

#[test]
fn decode_errors_can_be_distinguished() {
    let event = eventfold::Event::new("MoneyDeposited", json!(1));
    let newer = event.clone().with_meta(json!({ "schema_version": 6 }));
    let error = Wallet6Event::from_eventfold(&newer).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::NewerVersion {
                stored: 6,
                known: 5,
                ..
            }
        ),
        "{error}"
    );
    let invalid = event.with_meta(json!({ "schema_version": [] }));
    let error = Wallet6Event::from_eventfold(&invalid).unwrap_err();
    assert!(
        matches!(error, DecodeError::InvalidVersion { .. }),
        "{error}"
    );
    let failing = eventfold::Event::new("Robbed", json!("Bob"));
    let error = Wallet6Event::from_eventfold(&failing).unwrap_err();
    assert!(
        matches!(
            error,
            DecodeError::Upcast {
                version: 1,
                step: "robbed",
                ..
            }
        ),
        "{error}"
    );
    let source = std::error::Error::source(&error).map(ToString::to_string);
    assert_eq!(source.as_deref(), Some("Bob did not say how much"));
}

/// The cents of all wallets, and how often somebody said thanks.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(aggregates(Wallet6))]
struct Received {
    cents: Vec<u64>,
    thanked: u64,
}

impl Project<Wallet6> for Received {
    fn project(&mut self, event: &Wallet6Event, _: &Recorded<'_>) {
        match event {
            Wallet6Event::CoinsReceived(event) => self.cents.push(event.cents),
            Wallet6Event::Thanked(_) => self.thanked += 1,
        }
    }
}

/// Adds each cent that was received to the counter.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Wallet6), dispatches(Counter))]
struct CountCents;

impl React<Wallet6> for CountCents {
    fn react_to(&mut self, event: &Wallet6Event, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let Wallet6Event::CoinsReceived(event) = event {
            out.send::<Counter>(record.id(), Add(event.cents));
        }
    }
}

#[tokio::test]
async fn the_read_side_gets_every_older_event_in_todays_form() {
    let dir = temp_dir();
    deposit::<Wallet1>(&dir, &[1]).await;
    deposit::<Wallet2>(&dir, &[2]).await;
    deposit::<Wallet3>(&dir, &[3]).await;
    deposit::<Wallet4>(&dir, &[4]).await;
    deposit::<Wallet5>(&dir, &[5]).await;
    let store = crate::support::builder(&dir)
        .projection::<Received>()
        .process_manager::<CountCents>()
        .open()
        .await
        .unwrap();
    let wallet = store.get::<Wallet6>("a").await.unwrap();
    wallet.send(Deposit(vec![6])).await.unwrap();
    let received = store.projection::<Received>().unwrap();
    assert_eq!(received.cents, [100, 200, 300, 400, 500, 600]);
    assert_eq!(received.thanked, 5);
    assert_eq!(store.run_process_managers().await.unwrap().dispatched, 6);
    let counter = store.get::<Counter>("a").await.unwrap();
    assert_eq!(counter.state().await.unwrap().value, 2_100);

    let mut events = store.subscribe(Position::default()).aggregate::<Wallet6>();
    for version in 1..=6 {
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.version(), version);
        let today = event.decode::<Wallet6>().unwrap();
        let cents = CoinsReceived {
            cents: version * 100,
        };
        let expected: Vec<Wallet6Event> = if version < 6 {
            events![cents, Thanked]
        } else {
            events![cents]
        };
        assert_eq!(today.as_slice(), expected);
    }
}
