//! evento 2.0.0-alpha.38 on fjall (`evento-fjall`), as its README uses it.
//!
//! * `Fjall::open` with its default settings: each commit is synced before it is answered (`SyncAll`);
//! * a command loads the write model, which is kept in memory (`snapshot(memory)`), and appends through
//!   its `write()`. If another client was faster it begins again;
//! * the read model is in memory, and so is the position of its subscription (`ephemeral`), which handles
//!   all that is new when it is read (`run_once`).
//!
//! An aggregate cannot have more than 65,535 events: its version is a `u16`.

// Its handlers are asynchronous, whether they wait or not.
#![allow(clippy::unused_async)]

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use evento::metadata::Event;
use evento::subscription::{Context, SubscriptionBuilder};
use evento::{Executor, Fjall, Projection, ProjectionAggregate as _, WriteBuilder, WriteError};

use super::{Handle, Store, wait_for};
use crate::domain::{self, Account, Command, Total};

#[evento::aggregate(name = "account")]
pub(crate) enum Stored {
    Opened { memo: String },
    Deposited { amount: u64, reference: String },
}

/// The write model.
#[evento::projection(id = id)]
#[evento::snapshot(memory)]
pub(crate) struct Loaded {
    id: String,
    account: Account,
}

#[evento::handler]
async fn open(event: Event<Opened>, loaded: &mut Loaded) -> anyhow::Result<()> {
    loaded.id.clone_from(&event.aggregate_id);
    loaded.account.remember(&event.data.memo);
    Ok(())
}

#[evento::handler]
async fn deposit(event: Event<Deposited>, loaded: &mut Loaded) -> anyhow::Result<()> {
    // Some accounts are not opened before their first deposit.
    if loaded.id.is_empty() {
        loaded.id.clone_from(&event.aggregate_id);
    }
    loaded.account.add(event.data.amount);
    Ok(())
}

#[evento::subscription]
async fn add_to_total<E: Executor>(
    context: &Context<'_, E>,
    event: Event<Deposited>,
) -> anyhow::Result<()> {
    let total: Arc<Mutex<Total>> = context.extract();
    let mut total = total.lock().unwrap_or_else(PoisonError::into_inner);
    total.add(event.data.amount);
    Ok(())
}

#[derive(Clone)]
pub(crate) struct Evento {
    executor: Fjall,
    total: Arc<Mutex<Total>>,
    subscription: Arc<tokio::sync::Mutex<SubscriptionBuilder<Fjall>>>,
}

impl Store for Evento {
    type Handle = OfAccount;

    const FILLED_AT_ONCE: Option<usize> = Some(1_000);

    fn open(base: &Path) -> Self {
        // The write models in memory are those of the process, and so of the store before.
        let mut loaded = Loaded::snapshot_rows().write().expect("nobody panicked");
        loaded.clear();
        let total = Arc::new(Mutex::new(Total::default()));
        let subscription = SubscriptionBuilder::new("total")
            .data(total.clone())
            .handler(add_to_total())
            .ephemeral();
        Self {
            executor: Fjall::open(base).expect("a store"),
            total,
            subscription: Arc::new(tokio::sync::Mutex::new(subscription)),
        }
    }

    async fn account(&self, id: &str) -> OfAccount {
        OfAccount {
            executor: self.executor.clone(),
            id: id.into(),
        }
    }

    fn total(&self) -> Total {
        wait_for(async {
            let mut subscription = self.subscription.lock().await;
            let handled = subscription.run_once(&self.executor).await;
            handled.expect("the events");
        });
        self.total.lock().expect("nobody panicked").clone()
    }

    /// The last one that is dropped closes the database.
    async fn close(self) {}
}

#[derive(Clone)]
pub(crate) struct OfAccount {
    executor: Fjall,
    id: Arc<str>,
}

impl OfAccount {
    async fn load(&self) -> Option<Loaded> {
        let loaded = Projection::<Fjall, Loaded>::new::<Stored>()
            .handler(open())
            .handler(deposit())
            .strict()
            .load(&*self.id);
        loaded.execute(&self.executor).await.expect("a load")
    }
}

impl Handle for OfAccount {
    async fn send(&self, command: Command) {
        loop {
            let mut write = match self.load().await {
                Some(loaded) => loaded.write().expect("a version"),
                None => evento::append(&*self.id),
            };
            for event in Account::events_of::<domain::Event>(command) {
                add_event(&mut write, event);
            }
            match write.commit(&self.executor).await {
                Ok(_) => return,
                Err(WriteError::InvalidOriginalVersion) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn state(&self) -> Account {
        let loaded = self.load().await;
        loaded.map(|loaded| loaded.account).unwrap_or_default()
    }
}

fn add_event(write: &mut WriteBuilder, event: domain::Event) {
    match event {
        domain::Event::Opened(domain::Opened { memo }) => write.event(&Opened { memo }),
        domain::Event::Deposited(domain::Deposited { amount, reference }) => {
            write.event(&Deposited { amount, reference })
        }
    };
}
