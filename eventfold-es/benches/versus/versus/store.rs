//! A store as its users see it, so that everyone is measured by the same code.

use std::future::Future;
use std::path::Path;

use crate::domain::{ACCOUNT, Account, Command, Total};

pub(crate) mod by_tag;
pub(crate) mod eventfold;
#[cfg(feature = "peers")]
pub(crate) mod evento;
#[cfg(feature = "peers")]
pub(crate) mod mnesis;
pub(crate) mod sqlite;

/// An open store of accounts. Each answered command is durable.
pub(crate) trait Store: Clone + Send + Sync + 'static {
    type Handle: Handle;

    /// How many events a command has that fills the store, if not so many as the row says: one by one
    /// takes minutes where commands share no sync.
    const FILLED_AT_ONCE: Option<usize> = None;

    /// Opens the store in the directory `base`, with its default settings. Blocks.
    fn open(base: &Path) -> Self;

    /// An account, which need not exist.
    fn account(&self, id: &str) -> impl Future<Output = Self::Handle> + Send;

    /// Sends a command to each of two accounts, in one transaction. Returns when both are durable.
    fn transfer(
        &self,
        _accounts: [&Self::Handle; 2],
        _command: Command,
    ) -> impl Future<Output = ()> + Send {
        async { unreachable!("the row of transfers leaves this store out") }
    }

    /// The read model with everything that was answered.
    fn total(&self) -> Total;

    /// Ends the store. It can be opened again, perhaps after [`settle`](crate::disk::settle).
    fn close(self) -> impl Future<Output = ()> + Send;

    /// Fills a new store with `streams` accounts of `events` deposits each, so many to a command.
    fn fill(
        base: &Path,
        streams: usize,
        events: usize,
        at_once: usize,
    ) -> impl Future<Output = ()> + Send {
        async move {
            let store = Self::open(base);
            let at_once = Self::FILLED_AT_ONCE.unwrap_or(at_once);
            in_parallel(streams, |i| {
                let store = store.clone();
                async move {
                    let account = store.account(&id(i)).await;
                    let mut left = events;
                    while left > 0 {
                        let times = left.min(at_once);
                        account.send(Command::DepositOften { times }).await;
                        left -= times;
                    }
                }
            })
            .await;
            store.close().await;
        }
    }

    /// Removes the snapshots of an account, if the store has such.
    fn forget_snapshot(base: &Path, id: &str) {
        let views = base.join("streams").join(ACCOUNT).join(id).join("views");
        let _ = std::fs::remove_dir_all(views);
    }
}

/// One account.
pub(crate) trait Handle: Clone + Send + Sync + 'static {
    /// Returns when the command's events are durable.
    fn send(&self, command: Command) -> impl Future<Output = ()> + Send;

    fn state(&self) -> impl Future<Output = Account> + Send;
}

/// Waits for `work` where nothing can be awaited.
fn wait_for<T>(work: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work))
}

pub(crate) fn id(number: usize) -> String {
    format!("account-{number}")
}

/// Runs `work` for each of `count` numbers, 64 at a time.
pub(crate) async fn in_parallel<F: Future<Output = ()> + Send + 'static>(
    count: usize,
    work: impl Fn(usize) -> F,
) {
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..count {
        if tasks.len() >= 64 {
            tasks.join_next().await.expect("a task").expect("no panic");
        }
        tasks.spawn(work(number));
    }
    while let Some(done) = tasks.join_next().await {
        done.expect("no panic");
    }
}
