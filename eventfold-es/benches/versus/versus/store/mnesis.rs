//! mnesis 0.5.3 on fjall (`mnesis-fjall`), as its documentation uses it.
//!
//! * `FjallStore` with its default durability: each commit is synced before it is answered (`SyncAll`).
//!   Of its settings only one is not the default: as many scans may be open as 64 clients need that load
//!   at a time;
//! * each client keeps its `AggregateRoot`, sends commands with `execute`, and after a conflict loads the
//!   aggregate again, which mnesis leaves to its users;
//! * events are JSON (`JsonCodec`);
//! * the read model is in memory and asks for the events behind its position (`read_all`).

use std::convert::Infallible;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

use futures_util::TryStreamExt as _;
use mnesis::{Aggregate, AggregateRoot, AggregateState, DomainEvent, Events, Message};
use mnesis_fjall::{BlockingConfig, FjallStore, GlobalSeq};
use mnesis_store::{
    CommandRepository as _, DecodedStreamExt as _, EventStore, Execution, JsonCodec,
    RawEventStore as _, Repository as _,
};
use tokio::sync::Mutex;

use super::{Handle, Store, wait_for};
use crate::domain::{Account, Command, Event, Total};

/// How many scans may be open at a time. Its default, 32, refuses half of 64 clients that load at once.
const OPEN_SCANS: NonZeroUsize = NonZeroUsize::new(256).expect("more than none");

/// How many events a command has at most besides its first.
const MORE: usize = 99;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct AccountId(Arc<str>);

impl fmt::Display for AccountId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl AsRef<[u8]> for AccountId {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

impl Message for Event {}

impl DomainEvent for Event {
    fn name(&self) -> &'static str {
        Event::name(self)
    }
}

impl AggregateState for Account {
    type Event = Event;

    fn initial() -> Self {
        Self::default()
    }

    fn apply(mut self, event: &Event) -> Self {
        self.apply_event(event);
        self
    }
}

/// What binds the state to its identifier and its error.
pub(crate) struct OfBank;

impl Aggregate for OfBank {
    type State = Account;
    type Error = Infallible;
    type Id = AccountId;
}

impl mnesis::Handle<Command, MORE> for OfBank {
    fn handle(_: &Account, command: Command) -> Result<Option<Events<Event, MORE>>, Infallible> {
        let mut events = Account::events_of::<Event>(command).into_iter();
        let mut decided = events.next().map(Events::new);
        for event in events {
            if let Some(decided) = &mut decided {
                decided.add(event);
            }
        }
        Ok(decided)
    }
}

type Accounts = EventStore<FjallStore, JsonCodec, OfBank>;

#[derive(Clone)]
pub(crate) struct Mnesis {
    store: mnesis_store::Store<FjallStore>,
    accounts: Arc<Accounts>,
    read_model: Arc<Mutex<ReadModel>>,
}

/// The read model and how far it is.
#[derive(Default)]
struct ReadModel {
    total: Total,
    position: Option<GlobalSeq>,
}

impl Store for Mnesis {
    type Handle = OfAccount;

    const FILLED_AT_ONCE: Option<usize> = Some(1 + MORE);

    fn open(base: &Path) -> Self {
        let blocking = BlockingConfig {
            max_open_scans: OPEN_SCANS,
            ..BlockingConfig::default()
        };
        let opened = FjallStore::builder(base).blocking(blocking).open();
        let store = opened.expect("a store").into_store();
        Self {
            accounts: Arc::new(store.repository::<OfBank>().json().build()),
            store,
            read_model: Arc::default(),
        }
    }

    async fn account(&self, id: &str) -> OfAccount {
        OfAccount::new(self.accounts.clone(), AccountId(id.into()))
    }

    fn total(&self) -> Total {
        wait_for(async {
            let mut read_model = self.read_model.lock().await;
            let events = self.store.read_all(read_model.position).await;
            let events = events
                .expect("the events")
                .decoded::<Event, _>(JsonCodec::default());
            let mut events = std::pin::pin!(events);
            while let Some((position, _, decoded)) = events.try_next().await.expect("an event") {
                if let Event::Deposited(event) = decoded.event {
                    read_model.total.add(event.amount());
                }
                read_model.position = Some(position);
            }
            read_model.total.clone()
        })
    }

    async fn close(self) {
        let store = self.store.raw().clone();
        // It closes when nobody else has it.
        drop(self);
        store.close().await.expect("a store in order");
    }
}

/// A client of one account.
pub(crate) struct OfAccount {
    accounts: Arc<Accounts>,
    id: AccountId,
    /// `None` before the first command.
    root: Mutex<Option<AggregateRoot<OfBank>>>,
}

impl OfAccount {
    fn new(accounts: Arc<Accounts>, id: AccountId) -> Self {
        Self {
            accounts,
            id,
            root: Mutex::new(None),
        }
    }

    async fn load(&self) -> AggregateRoot<OfBank> {
        let loaded = self.accounts.load(self.id.clone()).await;
        loaded.expect("an aggregate")
    }
}

/// Another client, which has loaded nothing yet.
impl Clone for OfAccount {
    fn clone(&self) -> Self {
        Self::new(self.accounts.clone(), self.id.clone())
    }
}

impl Handle for OfAccount {
    async fn send(&self, command: Command) {
        let mut kept = self.root.lock().await;
        loop {
            let mut root = match kept.take() {
                Some(root) => root,
                None => self.load().await,
            };
            match self.accounts.execute(&mut root, command).await {
                Ok(Execution::Executed { .. } | Execution::Ignored) => {
                    *kept = Some(root);
                    return;
                }
                Err(error) if error.is_conflict() => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn state(&self) -> Account {
        let root = self.load().await;
        root.state().expect("a root in order").clone()
    }
}
