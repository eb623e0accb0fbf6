//! A store that three older programs wrote, read by the one of today.
//!
//! ```text
//! cargo run --example upcasting
//! ```
//!
//! `data` is that store, as they left it. In the first program a member joined and paid in one event, and
//! fees were in dollars; the second had an event for each, and real addresses; the third counted
//! cents and renamed `Moved`. `domain.rs` is the program of today, `history.rs` what leads there.

mod domain;
mod history;
#[cfg(test)]
mod tests;

use std::path::Path;

use anyhow::Context;
use eventfold_es::prelude::*;

use domain::{Member, MemberEvent, PayFee};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    // The data stays as it is: a copy is opened.
    let dir = tempfile::tempdir()?;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("upcasting/data");
    copy(&data, dir.path()).with_context(|| format!("{} cannot be copied", data.display()))?;

    let store = AggregateStore::open(dir.path()).await?;
    for id in store.list::<Member>().await? {
        let member = store.get::<Member>(&id).await?;
        println!("{id}: {}", serde_json::to_string(&member.state().await?)?);
        show_events(&store, &id).await?;
    }

    // It goes on behind them, in the shape of today.
    let ann = store.get::<Member>("ann").await?;
    let paid = ann.send(PayFee { cents: 1_050 }).await?;
    println!("ann pays, which is event {} of hers:", paid.version);
    let stored = store.read_events("member", "ann").await?;
    println!(
        "  {}",
        serde_json::to_string(stored.last().context("no event")?)?
    );
    store.shutdown().await?;
    Ok(())
}

/// Prints each event of a member as it is stored, and under it as what it is read.
async fn show_events(store: &AggregateStore, id: &str) -> anyhow::Result<()> {
    for event in store.read_events("member", id).await? {
        let meta = event.meta.as_ref();
        let version = meta.and_then(|meta| meta["schema_version"].as_u64());
        let version = version.unwrap_or(1);
        println!("  {} {version} {}", event.event_type, event.data);
        let today = MemberEvent::from_eventfold(&event)?;
        if today.as_slice().is_empty() {
            println!("    is nothing any more");
        }
        for event in today {
            println!("    {}", serde_json::to_string(&event)?);
        }
    }
    println!();
    Ok(())
}

/// Copies a directory with all that is in it.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}
