//! What a live process manager does in a second: it answers each deposit with one to another account.

use std::path::Path;
use std::time::{Duration, Instant};

use eventfold_es::{AggregateStore, Outbox, ProcessManager, React, Recorded};
use serde::{Deserialize, Serialize};

use super::{count, runtime};
use crate::disk::settle;
use crate::domain::{Account, AccountEvent, Command};
use crate::store::{Store as _, id};

/// How long it may take.
const TIMEOUT: Duration = Duration::from_mins(5);

/// Makes each deposit a second time, to the other account of the same number.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "mirror", aggregates(Account), dispatches(Account))]
struct Mirror;

impl React<Account> for Mirror {
    fn react_to(&mut self, event: &AccountEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let AccountEvent::Deposited(_) = event
            && !record.id().starts_with(OTHER)
        {
            out.send::<Account>(&other(record.id()), Command::Deposit { bytes: 0 });
        }
    }
}

const OTHER: &str = "other-";

fn other(account: &str) -> String {
    format!("{OTHER}{account}")
}

/// Reactions a second to so many events of so many accounts, which are stored when the clock begins to
/// run. It stops when all commands are durable and the process manager has noted so.
pub(crate) fn measure(base: &Path, streams: usize, events: usize) -> f64 {
    let each = events / streams;
    runtime().block_on(AggregateStore::fill(base, streams, each, 1));
    settle(base);
    let rate = runtime().block_on(async {
        let builder = AggregateStore::builder(base).process_manager::<Mirror>();
        let store = builder.live().open().await.expect("a store");
        let started = Instant::now();
        let settled = store.wait_until_settled(store.head(), TIMEOUT).await;
        settled.expect("all reactions");
        let elapsed = started.elapsed().as_secs_f64();
        store.shutdown().await.expect("a store in order");
        count(each * streams) / elapsed
    });
    settle(base);
    runtime().block_on(async {
        let store = AggregateStore::open(base).await.expect("a store");
        for number in 0..streams {
            let other = other(&id(number));
            let account = store.get::<Account>(&other).await.expect("an account");
            let state = account.state().await.expect("a state");
            state.check(each as u64, &other);
        }
        store.shutdown().await.expect("a store in order");
    });
    settle(base);
    rate
}
