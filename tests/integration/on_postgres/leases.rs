//! Of several processes on one schema, one runs a process manager.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use eventfold_es::__private::example::{Add, Counter, Forward};
use eventfold_es::{AggregateStore, AggregateStoreBuilder, Running};

use super::{FAST, orders};
use crate::support::postgres::Server;
use crate::support::{DEADLINE, child, eventually};

/// Shorter than any test.
const TTL: Duration = Duration::from_millis(400);

fn forwarding(builder: AggregateStoreBuilder) -> AggregateStoreBuilder {
    builder
        .schema("orders")
        .allow_unsynced(true)
        .lease_ttl(TTL)
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .live()
}

async fn add(store: &AggregateStore, amount: u64) {
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(amount)).await.unwrap();
}

/// Waits until so much was forwarded, and looks whether it was by so many commands.
async fn wait_for(store: &AggregateStore, sum: u64, commands: u64) {
    let is_so = |counter: &Counter| counter.value >= sum;
    let waited = store.wait_until::<Counter>("all", is_so, DEADLINE).await;
    let all = waited.unwrap();
    assert_eq!((all.state.value, all.version), (sum, commands.into()));
}

async fn wait_until_it(store: &AggregateStore, runs: bool) {
    let runner = || {
        store.read_side().process_managers[0]
            .follower
            .runner
            .clone()
    };
    let is_so = || runner().is_some_and(|runner| runner.is_here == runs);
    eventually("another runner", is_so).await;
}

/// Runs the process manager of the schema at the URL `url` until another process does.
pub(crate) async fn run_until_replaced(url: &Path) {
    let url = url.to_str().unwrap();
    let store = forwarding(AggregateStore::postgres(url))
        .open()
        .await
        .unwrap();
    wait_until_it(&store, true).await;
    child::say("runs it");
    wait_until_it(&store, false).await;
    let status = store.read_side().process_managers.remove(0);
    assert_eq!(status.follower.running, Running::StandingBy);
    child::say("stands by");
    child::wait_for_the_end();
    store.shutdown().await.unwrap();
}

fn signal(name: &str, process: u32) {
    let mut kill = Command::new("kill");
    let kill = kill.args([format!("-{name}"), process.to_string()]);
    assert!(kill.status().unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_sleeps_longer_than_its_lease_stands_by_and_others_have_gone_on() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let mut other = child::start("run until replaced", Path::new(&server.url()));
    assert_eq!(other.hear().as_deref(), Some("runs it"));
    let store = forwarding(orders(&server)).open().await.unwrap();
    add(&store, 5).await;
    wait_for(&store, 5, 1).await;
    wait_until_it(&store, false).await;
    let status = store.read_side().process_managers.remove(0);
    let runner = status.follower.runner.unwrap();
    assert!(runner.process.contains(&format!("process {} ", other.id())));

    signal("STOP", other.id());
    add(&store, 7).await;
    wait_for(&store, 12, 2).await;
    signal("CONT", other.id());
    assert_eq!(other.hear().as_deref(), Some("stands by"));
    add(&store, 1).await;
    wait_for(&store, 13, 3).await;
    other.finish();
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_runner_that_is_killed_is_replaced() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let mut other = child::start("run until replaced", Path::new(&server.url()));
    assert_eq!(other.hear().as_deref(), Some("runs it"));
    let store = forwarding(orders(&server)).open().await.unwrap();
    other.kill();
    add(&store, 5).await;
    wait_for(&store, 5, 1).await;
    wait_until_it(&store, true).await;
    store.shutdown().await.unwrap();
    assert_eq!(
        server.sql("SELECT count(*) FROM orders.leases WHERE term <> 0"),
        "0"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_to_save_that_arrives_late_changes_nothing() {
    let Some(server) = Server::start(&FAST) else {
        return;
    };
    let store = forwarding(orders(&server)).open().await.unwrap();
    wait_until_it(&store, true).await;
    add(&store, 5).await;
    wait_for(&store, 5, 1).await;
    server.sql(
        "SET search_path TO orders; \
         SELECT replace_record('process manager', 'forward', 'checkpoint 1', '', term, -1), \
             add_to_record('process manager', 'forward', 'checkpoint 1', 1, '', term, -1) \
         FROM leases",
    );
    let saved = "SELECT count(*), min(length(content)) > 0 FROM orders.records \
        WHERE name = 'checkpoint 1'";
    assert_eq!(server.sql(saved), "1|t");
    store.shutdown().await.unwrap();
    // Once the term has ended, any attempt fails.
    let failed = std::panic::catch_unwind(|| {
        server.sql(
            "SET search_path TO orders; \
             SELECT remove_record('process manager', 'forward', 'checkpoint 1', 7)",
        )
    });
    assert!(failed.is_err());
    assert_eq!(server.sql(saved), "1|t");
}
