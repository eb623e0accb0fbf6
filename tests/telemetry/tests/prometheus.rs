//! What a store publishes through the facade `metrics`, as Prometheus reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};

use eventfold_es::prelude::*;
use eventfold_es::{AggregateStore, CommandContext};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited), error = NothingToDeposit)]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    #[tag]
    amount: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("nothing to deposit")]
struct NothingToDeposit;

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        if amount == 0 {
            return Err(NothingToDeposit);
        }
        Ok(events![Deposited { amount }])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "total", aggregates(Account))]
struct Total(u64);

impl Project<Account> for Total {
    fn project(&mut self, event: &AccountEvent, _: &Recorded<'_>) {
        let AccountEvent::Deposited(event) = event;
        self.0 += event.amount;
    }
}

/// Deposits what others deposit into the bank too.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "bank", aggregates(Account), dispatches(Account))]
struct Bank;

impl React<Account> for Bank {
    fn react_to(&mut self, event: &AccountEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let AccountEvent::Deposited(event) = event;
        if record.id() != "bank" {
            out.send::<Account>("bank", Deposit(event.amount));
        }
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "amount", events(Deposited))]
struct Times(u64);

impl Evolve<Deposited> for Times {
    fn evolve(&mut self, _: &Deposited) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Once {
    amount: u64,
}

#[derive(Decision)]
#[decision(name = "once", command = Once, events(Deposited))]
struct DepositOnce {
    #[model(amount)]
    times: Times,
}

impl Decide<Once> for DepositOnce {
    fn decide(&self, Once { amount }: Once) -> Decision<Self> {
        Ok(if self.times.0 == 0 {
            events![Deposited { amount }]
        } else {
            Vec::new()
        })
    }
}

/// A recorder of this test alone.
struct Prometheus {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Prometheus {
    fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let builder = builder.set_buckets(&[0.001, 0.01, 0.1, 1.0, 10.0]).unwrap();
        let recorder = builder.build_recorder();
        let handle = recorder.handle();
        Self { recorder, handle }
    }

    fn publish(&self, store: &AggregateStore) {
        metrics::with_local_recorder(&self.recorder, || store.publish_metrics());
    }

    /// What a scrape gets.
    fn text(&self) -> String {
        self.handle.run_upkeep();
        self.handle.render()
    }

    /// The values by their names with labels.
    fn values(&self) -> BTreeMap<String, f64> {
        let text = self.text();
        let lines = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty());
        let values = lines.map(|line| line.rsplit_once(' ').unwrap());
        values
            .map(|(name, value)| (name.to_owned(), value.parse().unwrap()))
            .collect()
    }
}

async fn open() -> AggregateStore {
    let builder = AggregateStore::in_memory().projection::<Total>();
    builder.process_manager::<Bank>().open().await.unwrap()
}

/// Does something of every kind.
async fn work(store: &AggregateStore) {
    let alice = store.get::<Account>("alice").await.unwrap();
    alice.send(Deposit(5)).await.unwrap();
    alice.send(Deposit(0)).await.unwrap_err();
    let late = CommandContext::default().with_expected_version(9);
    alice.send_with(Deposit(5), late).await.unwrap_err();
    store
        .decide::<DepositOnce>(Once { amount: 7 })
        .await
        .unwrap();
    store.run_process_managers().await.unwrap();
}

#[track_caller]
fn assert_value(values: &BTreeMap<String, f64>, name: &str, expected: f64) {
    let value = values.get(name).copied();
    assert_eq!(value, Some(expected), "{name} in {values:#?}");
}

const SUCCEEDED: &str = r#"eventfold_commands_total{aggregate_type="account",outcome="succeeded"}"#;

#[tokio::test]
async fn promtool_accepts_the_published_names_types_and_help() {
    let (store, prometheus) = (open().await, Prometheus::new());
    work(&store).await;
    prometheus.publish(&store);
    let text = prometheus.text();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = promtool else {
        eprintln!("skipped: promtool, which checks metrics, is not installed (Debian: prometheus)");
        return;
    };
    promtool
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    let output = promtool.wait_with_output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(output.status.success() && said.is_empty(), "{said}\n{text}");
}

#[tokio::test]
async fn what_is_published_is_what_the_store_has_counted() {
    let (store, prometheus) = (open().await, Prometheus::new());
    work(&store).await;
    prometheus.publish(&store);
    let values = prometheus.values();
    for (name, expected) in [
        (SUCCEEDED, 2.0),
        (
            r#"eventfold_commands_total{aggregate_type="account",outcome="refused"}"#,
            1.0,
        ),
        (
            r#"eventfold_commands_total{aggregate_type="account",outcome="conflict"}"#,
            1.0,
        ),
        (
            r#"eventfold_commands_total{aggregate_type="account",outcome="failed"}"#,
            0.0,
        ),
        (
            r#"eventfold_decisions_total{decision="once",outcome="succeeded"}"#,
            1.0,
        ),
        ("eventfold_command_duration_seconds_count", 5.0),
        ("eventfold_events_total", 3.0),
        ("eventfold_live_aggregates", 2.0),
        (
            r#"eventfold_follower_lag_events{kind="projection",follower="total"}"#,
            3.0,
        ),
        (
            r#"eventfold_process_manager_commands_total{process_manager="bank",outcome="succeeded"}"#,
            1.0,
        ),
        (r#"eventfold_dead_letters{process_manager="bank"}"#, 0.0),
        ("eventfold_ready", 1.0),
        ("eventfold_problems", 0.0),
    ] {
        assert_value(&values, name, expected);
    }
    store.shutdown().await.unwrap();
    prometheus.publish(&store);
    assert_value(&prometheus.values(), "eventfold_ready", 0.0);
}

#[tokio::test]
async fn counters_never_decrease_and_each_command_is_published_once() {
    let prometheus = Prometheus::new();
    let store = open().await;
    work(&store).await;
    prometheus.publish(&store);
    prometheus.publish(&store);
    assert_value(&prometheus.values(), SUCCEEDED, 2.0);
    assert_value(
        &prometheus.values(),
        "eventfold_command_duration_seconds_count",
        5.0,
    );
    let alice = store.get::<Account>("alice").await.unwrap();
    alice.send(Deposit(5)).await.unwrap();
    prometheus.publish(&store);
    assert_value(&prometheus.values(), SUCCEEDED, 3.0);
    assert_value(
        &prometheus.values(),
        "eventfold_command_duration_seconds_count",
        6.0,
    );
    // A store that is opened later counts from 0, and adds to what was published.
    let other = open().await;
    other
        .get::<Account>("bob")
        .await
        .unwrap()
        .send(Deposit(5))
        .await
        .unwrap();
    prometheus.publish(&other);
    assert_value(&prometheus.values(), SUCCEEDED, 4.0);
}

#[tokio::test]
async fn stores_with_names_are_told_apart_by_a_label() {
    let prometheus = Prometheus::new();
    let (orders, payments) = (open().await, open().await);
    orders
        .get::<Account>("alice")
        .await
        .unwrap()
        .send(Deposit(5))
        .await
        .unwrap();
    metrics::with_local_recorder(&prometheus.recorder, || {
        orders.publish_metrics_as("orders");
        payments.publish_metrics_as("payments");
    });
    let values = prometheus.values();
    assert_value(&values, r#"eventfold_events_total{store="orders"}"#, 1.0);
    assert_value(&values, r#"eventfold_events_total{store="payments"}"#, 0.0);
    assert_value(&values, r#"eventfold_position{store="orders"}"#, 1.0);
}

#[tokio::test]
async fn the_guide_lists_the_published_names_with_their_labels() {
    let (store, prometheus) = (open().await, Prometheus::new());
    work(&store).await;
    prometheus.publish(&store);
    let text = prometheus.text();
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let published: BTreeSet<_> = types.map(|line| line.split_once(' ').unwrap().0).collect();
    let guide = include_str!("../../../eventfold-es/src/guide/watching_a_store.md");
    let rows = guide
        .lines()
        .filter_map(|line| line.strip_prefix("| `eventfold_"));
    let mut listed = BTreeMap::new();
    for row in rows {
        let (name, rest) = row.split_once('`').unwrap();
        let labels = rest.split('|').nth(2).unwrap();
        let labels: BTreeSet<_> = labels.split('`').skip(1).step_by(2).collect();
        listed.insert(format!("eventfold_{name}"), labels);
    }
    let names: BTreeSet<_> = listed.keys().map(String::as_str).collect();
    assert_eq!(names, published);
    for series in prometheus.values().keys() {
        let Some((name, labels)) = series.split_once('{') else {
            continue;
        };
        if let Some(expected) = listed.get(name) {
            let labels = labels.trim_end_matches('}').split(',');
            let labels: BTreeSet<_> = labels
                .map(|label| label.split_once('=').unwrap().0)
                .collect();
            assert_eq!(&labels, expected, "{series}");
        }
    }
}
