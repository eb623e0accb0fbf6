//! A store on PostgreSQL beside bare inserts of the same rows, on the same server, in turns.
//!
//! ```text
//! cargo bench -p eventfold-es --features postgres --bench postgres
//! cargo bench -p eventfold-es --features postgres --bench postgres -- --short    # a minute at most
//! cargo bench -p eventfold-es --features postgres --bench postgres -- followers  # these rows only
//! ```
//!
//! It starts servers of its own, which sync, below `TMPDIR`: that must be on a disk. The bare inserts are
//! one statement a batch, with as many rows as the store's batches had on average. Each turn of the store
//! is compared with the turn of the bare inserts after it; the median of these ratios counts. Compare
//! ratios: the figures themselves depend on the disk, and on what else the machine does.
//!
//! A row below its goal says so, and the bench fails; not with `--short`, because short turns vary.

use std::time::{Duration, Instant};

use eventfold_es::{AggregateStore, Position};

#[path = "postgres/bare.rs"]
mod bare;
#[path = "postgres/processes.rs"]
mod processes;
#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/integration/support/postgres.rs"]
mod server;
#[path = "postgres/standby.rs"]
mod standby;
#[path = "postgres/table.rs"]
mod table;
#[path = "postgres/workload.rs"]
mod workload;

use bare::Bare;
use server::Server;
use table::Table;
use workload::{Account, Clients, Totals};

type Result<T = ()> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Extent {
    turn: Duration,
    pairs: usize,
    /// How many events followers read.
    events: u64,
}

const FULL: Extent = Extent {
    turn: Duration::from_secs(2),
    pairs: 7,
    events: 500_000,
};
const SHORT: Extent = Extent {
    turn: Duration::from_millis(500),
    pairs: 3,
    events: 50_000,
};

/// How many events the long aggregate has.
const LONG: u64 = 10_000;

fn main() -> Result {
    if processes::is_child() {
        return processes::child();
    }
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let is_short = arguments.iter().any(|argument| argument == "--short");
    let extent = if is_short { SHORT } else { FULL };
    let filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-'));
    let filters: Vec<_> = filters.cloned().collect();
    let runtime = tokio::runtime::Runtime::new()?;
    let mut table = Table::new(filters);
    runtime.block_on(measure(extent, &mut table))?;
    table.finish(if is_short { 0.0 } else { 1.0 })
}

async fn measure(extent: Extent, table: &mut Table) -> Result {
    let Some(server) = Server::start(&[]) else {
        return Ok(());
    };
    let url = server.url();
    if table.wants("64 clients") {
        clients(&url, 64, extent, ("64 clients", Some(0.6)), table).await?;
    }
    if table.wants("1 client") {
        clients(&url, 1, extent, ("1 client", None), table).await?;
    }
    if table.wants("1024 clients") {
        clients(&url, 1024, extent, ("1024 clients", None), table).await?;
    }
    if table.wants("3 processes") {
        processes::compare(&url, extent, ("3 processes", 0.8), table)?;
    }
    if table.wants("followers") {
        followers(&url, extent, table).await?;
    }
    if table.wants("load") {
        load(&url, extent, table).await?;
    }
    if table.wants("with a standby") {
        let _standby = server.standby();
        let row = ("64 clients, with a standby", Some(0.6));
        clients(&url, 64, extent, row, table).await?;
    }
    Ok(())
}

/// Each client commands an aggregate of its own.
async fn clients(
    url: &str,
    count: usize,
    extent: Extent,
    (name, goal): (&str, Option<f64>),
    table: &mut Table,
) -> Result {
    let schema = format!("of {name}");
    let store = AggregateStore::postgres(url).schema(&schema).open().await?;
    let clients = Clients::new(&store, count).await?;
    clients.run(extent.turn).await?;
    let mut bare = Bare::new(url, &format!("bare, {name}"), &schema).await?;
    bare.run(count, count, extent.turn).await?;
    let mut pairs = Vec::new();
    let mut sizes = Vec::new();
    for _ in 0..extent.pairs {
        let before = store.metrics().log;
        let ours = clients.run(extent.turn).await?;
        let log = store.metrics().log;
        let batches = log.batch_commits.since(&before.batch_commits).count();
        let commits = log.commits - before.commits;
        let size = (commits + batches / 2) / batches.max(1);
        sizes.push(f64::from(u32::try_from(size)?));
        let size = usize::try_from(size)?;
        pairs.push((ours, bare.run(count, size.max(1), extent.turn).await?));
    }
    let note = format!("{} commits a batch", table::median(sizes));
    table.row(name, "commits/s", &pairs, goal, None, &note);
    drop(clients);
    store.shutdown().await?;
    Ok(())
}

/// A subscription and a projection read the whole log.
async fn followers(url: &str, extent: Extent, table: &mut Table) -> Result {
    let schema = "followers";
    let store = AggregateStore::postgres(url)
        .schema(schema)
        .projection::<Totals>()
        .open()
        .await?;
    workload::fill(&store, 1_000, extent.events).await?;
    let events = store.metrics().log.events;
    let mut bare = Bare::new(url, "bare, followers", schema).await?;
    let (mut projected, mut subscribed) = (Vec::new(), Vec::new());
    #[expect(clippy::cast_precision_loss, reason = "a rate")]
    let rate = |start: Instant| events as f64 / start.elapsed().as_secs_f64();
    for _ in 0..extent.pairs {
        let start = Instant::now();
        store.rebuild_projection::<Totals>()?;
        let ours = rate(start);
        let start = Instant::now();
        assert_eq!(bare.read_log(schema).await?, events);
        let theirs = rate(start);
        projected.push((ours, theirs));
        let start = Instant::now();
        let mut subscription = store.subscribe(Position::default());
        for _ in 0..events {
            subscription.next().await.ok_or("the end")??;
        }
        subscribed.push((rate(start), theirs));
    }
    let goal = Some(300_000.0);
    for (name, pairs) in [
        ("followers: projection", projected),
        ("followers: subscription", subscribed),
    ] {
        table.row(
            name,
            "events/s",
            &pairs,
            None,
            goal,
            "beside reading the rows",
        );
    }
    store.shutdown().await?;
    Ok(())
}

/// An aggregate of many events is loaded without a snapshot.
async fn load(url: &str, extent: Extent, table: &mut Table) -> Result {
    let schema = "load";
    let open = || AggregateStore::postgres(url).schema(schema).open();
    let store = open().await?;
    workload::fill(&store, 1, LONG).await?;
    store.shutdown().await?;
    let mut bare = Bare::new(url, "bare, load", schema).await?;
    let mut pairs = Vec::new();
    for _ in 0..extent.pairs {
        let store = open().await?;
        let start = Instant::now();
        let account = store.get::<Account>("account-0").await?;
        assert_eq!(account.state().await?.events, LONG);
        let ours = start.elapsed().as_secs_f64();
        let start = Instant::now();
        assert_eq!(bare.read_stream(schema, "account-0").await?, LONG);
        let theirs = start.elapsed().as_secs_f64();
        pairs.push((1.0 / ours, 1.0 / theirs));
        drop(account);
        store.shutdown().await?;
    }
    table.row(
        "load of 10,000 events",
        "loads/s",
        &pairs,
        None,
        None,
        "beside reading the rows",
    );
    Ok(())
}
