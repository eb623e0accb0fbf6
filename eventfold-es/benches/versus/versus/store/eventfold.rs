//! This crate and the published 0.2.0, which have the same interface.

use std::convert::Infallible;

use crate::domain::{ACCOUNT, Account, Command, Event, Total};

macro_rules! store {
    ($es:ident, |$store:ident| $close:expr, { $($more:tt)* }) => {
        use std::path::Path;

        use tokio::runtime::Handle;

        use $es::{AggregateHandle, AggregateStore, CommandContext};

        use crate::domain::{Account, Command, Total};
        use crate::store::Store;

        impl Store for AggregateStore {
            type Handle = AggregateHandle<Account>;

            fn open(base: &Path) -> Self {
                let builder = AggregateStore::builder(base).projection::<Total>();
                // 0.2.0's future cannot move to another thread.
                let open = || Handle::current().block_on(builder.open());
                tokio::task::block_in_place(open).expect("a store")
            }

            async fn account(&self, id: &str) -> Self::Handle {
                self.get::<Account>(id).await.expect("an account")
            }

            fn total(&self) -> Total {
                self.projection::<Total>().expect("the projection")
            }

            async fn close(self) {
                let $store = self;
                $close;
            }

            $($more)*
        }

        impl crate::store::Handle for AggregateHandle<Account> {
            async fn send(&self, command: Command) {
                let context = CommandContext::default();
                self.execute(command, context).await.expect("an answer");
            }

            async fn state(&self) -> Account {
                AggregateHandle::state(self).await.expect("a state")
            }
        }
    };
}

/// This crate.
pub(crate) mod current {
    store!(
        eventfold_es,
        |store| store.shutdown().await.expect("a store in order"),
        {
            async fn transfer(&self, [from, to]: [&Self::Handle; 2], command: Command) {
                let group = self.together().send(from, command).send(to, command);
                group.commit().await.expect("an answer");
            }
        }
    );
}

/// The published 0.2.0. Its threads end by themselves, some time after the store is dropped.
pub(crate) mod published {
    store!(old, |store| drop(store), {
        /// Its own way would take hours: two syncs an event. These are the files that it writes.
        async fn fill(base: &Path, streams: usize, events: usize, _: usize) {
            super::write_logs(base, streams, events);
        }
    });
}

impl old::Aggregate for Account {
    const AGGREGATE_TYPE: &'static str = ACCOUNT;
    type Command = Command;
    type DomainEvent = Event;
    type Error = Infallible;

    fn handle(&self, command: Command) -> Result<Vec<Event>, Infallible> {
        Ok(Self::events_of(command))
    }

    fn apply(mut self, event: &Event) -> Self {
        self.apply_event(event);
        self
    }
}

impl old::Projection for Total {
    const NAME: &'static str = "total";

    fn subscriptions(&self) -> &'static [&'static str] {
        &[ACCOUNT]
    }

    fn apply(&mut self, _type: &str, _id: &str, event: &eventfold::Event) {
        self.add_event(event);
    }
}

/// Writes streams as 0.2.0 does: a log each, and a list of them all.
fn write_logs(base: &std::path::Path, streams: usize, events: usize) {
    use std::io::Write as _;

    let event = &Account::events_of::<Event>(Command::Deposit { bytes: 0 })[0];
    let context = old::CommandContext::default();
    let mut list = String::new();
    for number in 0..streams {
        let id = super::id(number);
        let dir = base.join("streams").join(ACCOUNT).join(&id);
        std::fs::create_dir_all(&dir).expect("a directory");
        let mut log = Vec::new();
        for _ in 0..events {
            let event = old::to_eventfold_event::<Account>(event, &context).expect("an event");
            serde_json::to_writer(&mut log, &event).expect("a line");
            writeln!(log).expect("a line end");
        }
        std::fs::write(dir.join("app.jsonl"), log).expect("a log");
        let entry = serde_json::json!({ "type": ACCOUNT, "id": id, "ts": 1_767_225_600 });
        list.extend([entry.to_string(), "\n".to_owned()]);
    }
    let meta = base.join("meta");
    std::fs::create_dir_all(&meta).expect("a directory");
    std::fs::write(meta.join("streams.jsonl"), list).expect("the list of streams");
}
