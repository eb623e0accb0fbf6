//! Orders, stock and payments with a deadline: a process manager that runs by itself.
//!
//! ```text
//! cargo run --example fulfilment                    # in a temporary directory
//! cargo run --example fulfilment -- --store ./data  # in a directory that stays; kill it, run it again
//! cargo run --example fulfilment --features postgres -- --store postgres://user:password@host/database
//! ```
//!
//! On PostgreSQL the tables are in the schema `eventfold`; `?schema=shop` at the end of the URL names another.
//!
//! The customers place and pay, `Fulfilment` does the rest. What it must react to is an event: that the
//! lamps are sold out, for example. An order of no lamps is refused by the stock, which is answered by a
//! command of its own. The tests drive the clock, so that a deadline of a quarter of an hour takes no
//! time. `model.md` shows what the types say; a test keeps it true.

mod fulfilment;
mod order;
mod stock;
#[cfg(test)]
mod tests;

use std::time::Duration;

use clap::Parser;
use eventfold_es::prelude::*;
use eventfold_es::{AggregateStoreBuilder, Position};

use fulfilment::Fulfilment;
use order::{Order, Pay, Place, Status};
use stock::{Receive, Stock};

/// Orders, stock and payments with a deadline.
#[derive(Parser)]
struct Args {
    /// A directory that stays, or `postgres://user:password@host:5432/database`. Without it a temporary
    /// directory.
    #[arg(long, value_name = "DIR|URL")]
    store: Option<String>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let temporary = tempfile::tempdir()?;
    let builder = match Args::parse().store {
        None => AggregateStore::builder(temporary.path()),
        Some(place) if place.contains("://") => on_postgres(&place)?,
        Some(dir) => AggregateStore::builder(dir),
    };
    let store = at_work(builder).open().await?;
    let before = store.head();

    // Ids of this run, so that it can be run again in the same place.
    let order = |name: &str| format!("{name}-{before}");
    let lamps = store.get::<Stock>("lamp").await?;
    let free = lamps.state().await?.free;
    if free < 2 {
        lamps.send(Receive { quantity: 2 - free }).await?;
    }
    place(&store, &order("ann"), "lamp", 1).await?;
    place(&store, &order("bob"), "lamp", 1).await?;
    place(&store, &order("cid"), "lamp", 100).await?;
    place(&store, &order("dan"), "lamp", 0).await?;

    // Ann pays when she is asked to, Bob never does.
    wait_for(&store, &order("ann"), Status::AwaitsPayment).await?;
    pay(&store, &order("ann")).await?;
    wait_for(&store, &order("ann"), Status::Shipped).await?;
    for name in ["bob", "cid", "dan"] {
        wait_for(&store, &order(name), Status::Cancelled).await?;
    }
    // The last reactions too: what was reserved for Bob is free again.
    store.wait_until_settled(store.head(), PATIENCE).await?;
    let after = store.head();
    let mut events = store.subscribe(before);
    while let Some(event) = events.next().await {
        let event = event?;
        show(event.position(), event.id(), event.name(), event.data());
        if event.position() >= after {
            break;
        }
    }
    println!("Free lamps: {}", lamps.state().await?.free);
    let status = store.read_side().process_managers.remove(0);
    println!(
        "Timers left: {}, dead letters: {:?}",
        status.timers, status.dead_letters
    );
    store.shutdown().await?;
    Ok(())
}

/// The rest of the program is the same on PostgreSQL.
#[cfg(feature = "postgres")]
#[expect(clippy::unnecessary_wraps, reason = "without the feature it fails")]
fn on_postgres(url: &str) -> anyhow::Result<AggregateStoreBuilder> {
    Ok(AggregateStore::postgres(url))
}

#[cfg(not(feature = "postgres"))]
fn on_postgres(_: &str) -> anyhow::Result<AggregateStoreBuilder> {
    anyhow::bail!(
        "this program was built without PostgreSQL, which takes a moment to compile: \
         `cargo run --example fulfilment --features postgres -- --store postgres://…`"
    )
}

fn at_work(place: AggregateStoreBuilder) -> AggregateStoreBuilder {
    place.process_manager::<Fulfilment>().live()
}

async fn place(
    store: &AggregateStore,
    order: &str,
    article: &str,
    quantity: u32,
) -> anyhow::Result<()> {
    let place = Place {
        article: article.to_owned(),
        quantity,
        pay_within_seconds: 2,
    };
    store.get::<Order>(order).await?.send(place).await?;
    Ok(())
}

async fn pay(store: &AggregateStore, order: &str) -> anyhow::Result<()> {
    store.get::<Order>(order).await?.send(Pay).await?;
    Ok(())
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

async fn wait_for(store: &AggregateStore, order: &str, status: Status) -> anyhow::Result<()> {
    let is_so = |order: &Order| order.status == status;
    store.wait_until(order, is_so, PATIENCE).await?;
    Ok(())
}

fn show(position: Position, id: &str, name: &str, data: &str) {
    println!("{position:>4}  {id:<8} {name:<17} {data}");
}
