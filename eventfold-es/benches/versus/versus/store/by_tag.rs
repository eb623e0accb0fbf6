//! Accounts in an event store that finds events by their tags: UmaDB and tephra, as their users use them.
//!
//! Each event has the tag `account:<id>`. A client reads what has the tag, folds it, decides, and appends
//! under the condition that nothing with the tag came after what it read; if something did, it begins
//! again. It keeps what it has folded and reads only what is new, which is the least that it can do. The
//! read model is in memory and asks for the events behind its position.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Mutex;

use super::{Handle, Store, wait_for};
use crate::domain::{ACCOUNT, Account, Command, Event, Total};
use crate::tagged::Tagged;

mod tephra;
mod umadb;

/// A store that finds events by their tags.
pub(crate) trait Log: Tagged {
    type Query: Clone + Send + Sync + 'static;
    type Position: Copy + Send + Sync + 'static;

    /// Before the first event.
    const START: Self::Position;

    fn with_tag(tag: &str) -> Self::Query;

    fn all() -> Self::Query;

    /// Hands over the events that `query` finds behind `after`. Returns up to where it has looked.
    fn each_event(
        &self,
        query: &Self::Query,
        after: Self::Position,
        take: impl FnMut(&Event),
    ) -> Self::Position;

    /// Stores the events, which get the tag, unless `query` finds one behind `after`. Returns the
    /// position of the last when they are durable, and `None` if there was one.
    fn append_unless(
        &self,
        events: &[Event],
        tag: &str,
        query: &Self::Query,
        after: Self::Position,
    ) -> impl Future<Output = Option<Self::Position>> + Send;
}

#[derive(Clone)]
pub(crate) struct ByTag<L: Log> {
    log: L,
    read_model: Arc<std::sync::Mutex<ReadModel<L>>>,
}

/// The read model and how far it is.
struct ReadModel<L: Log> {
    query: L::Query,
    total: Total,
    position: L::Position,
}

impl<L: Log> Store for ByTag<L> {
    type Handle = OfAccount<L>;

    const FILLED_AT_ONCE: Option<usize> = Some(2_000);

    fn open(base: &Path) -> Self {
        let read_model = ReadModel {
            query: L::all(),
            total: Total::default(),
            position: L::START,
        };
        Self {
            log: wait_for(L::open(base)),
            read_model: Arc::new(std::sync::Mutex::new(read_model)),
        }
    }

    async fn account(&self, id: &str) -> OfAccount<L> {
        OfAccount::new(self.log.clone(), format!("{ACCOUNT}:{id}").into())
    }

    fn total(&self) -> Total {
        let mut read_model = self.read_model.lock().expect("nobody panicked");
        let ReadModel {
            query,
            total,
            position,
        } = &mut *read_model;
        *position = self.log.each_event(query, *position, |event| {
            if let Event::Deposited(event) = event {
                total.add(event.amount());
            }
        });
        total.clone()
    }

    async fn close(self) {
        self.log.close().await;
    }
}

/// A client of one account.
pub(crate) struct OfAccount<L: Log> {
    log: L,
    tag: Arc<str>,
    query: L::Query,
    known: Mutex<Known<L::Position>>,
}

/// What the client has folded.
struct Known<P> {
    account: Account,
    /// All events of the account up to here are in it.
    position: P,
}

impl<L: Log> OfAccount<L> {
    fn new(log: L, tag: Arc<str>) -> Self {
        let known = Known {
            account: Account::default(),
            position: L::START,
        };
        Self {
            query: L::with_tag(&tag),
            log,
            tag,
            known: Mutex::new(known),
        }
    }

    /// Reads what is new.
    fn catch_up(&self, known: &mut Known<L::Position>) {
        let Known { account, position } = known;
        *position = self.log.each_event(&self.query, *position, |event| {
            account.apply_event(event);
        });
    }
}

/// Another client, which has folded nothing yet.
impl<L: Log> Clone for OfAccount<L> {
    fn clone(&self) -> Self {
        Self::new(self.log.clone(), self.tag.clone())
    }
}

impl<L: Log> Handle for OfAccount<L> {
    async fn send(&self, command: Command) {
        let mut known = self.known.lock().await;
        loop {
            self.catch_up(&mut known);
            let events = Account::events_of::<Event>(command);
            let after = known.position;
            let appended = self
                .log
                .append_unless(&events, &self.tag, &self.query, after);
            if let Some(position) = appended.await {
                // Nothing of the account came between.
                for event in &events {
                    known.account.apply_event(event);
                }
                known.position = position;
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    async fn state(&self) -> Account {
        let mut known = self.known.lock().await;
        self.catch_up(&mut known);
        known.account.clone()
    }
}
