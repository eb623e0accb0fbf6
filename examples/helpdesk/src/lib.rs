//! The help desk as a library: `main.rs` serves it, and tests start it in their own process.

mod board;
mod desk;
mod domain;
mod web;

use std::io;

use eventfold_es::{AggregateStore, AggregateStoreBuilder};

use board::Board;
use domain::escalation::Escalation;
use domain::queue::{Queue, SetUp};

pub use web::app;

/// Opens the store of a help desk, and sets its first queues up.
///
/// # Errors
///
/// As those of [`AggregateStoreBuilder::open`], and if a queue cannot be stored.
pub async fn open(place: AggregateStoreBuilder) -> io::Result<AggregateStore> {
    let place = place.process_manager::<Escalation>().sql(Board);
    let store = place.live().open().await?;
    for name in ["support", "billing"] {
        let queue = store.get::<Queue>(name).await?;
        if queue.version().await.map_err(io::Error::other)? == 0 {
            let set_up = SetUp { room: 50 };
            queue.send(set_up).await.map_err(io::Error::other)?;
        }
    }
    Ok(store)
}
