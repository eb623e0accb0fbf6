//! This crate.

use std::path::Path;
use std::sync::Arc;

use eventfold_es::{AggregateStore, ExecuteError, NewEvent, QueryItem, Tag};
use tokio::task::JoinSet;

use super::{BOOKED, Book, Booked, Booking, Client, Tagged};

/// How many appends wait for the disk together.
const TOGETHER: usize = 64;

impl Tagged for AggregateStore {
    type Client = OfShow;

    async fn open(base: &Path) -> Self {
        AggregateStore::builder(base).open().await.expect("a store")
    }

    fn client(&self, show: &Arc<str>) -> OfShow {
        OfShow {
            store: self.clone(),
            show: show.clone(),
        }
    }

    async fn read(&self, show: &str) -> Vec<Booked> {
        let tag = Tag::new("show", show).expect("a tag");
        let of_show = QueryItem::of_type(BOOKED).with_tag(tag);
        let found = self.query(of_show).read().await.expect("the events");
        let events = found.events.iter();
        events
            .map(|event| Booked::read(event.data().as_bytes()))
            .collect()
    }

    async fn append(&self, bookings: Vec<Booked>, at_once: usize) {
        let mut appends = JoinSet::new();
        for some in bookings.chunks(at_once) {
            if appends.len() >= TOGETHER {
                appends.join_next().await.expect("one").expect("no panic");
            }
            let events: Vec<_> = some.iter().map(NewEvent::of::<Booked>).collect();
            let store = self.clone();
            appends.spawn(async move {
                let events = events.into_iter().map(|event| event.expect("an event"));
                store.append(events, None).await.expect("an append");
            });
        }
        while let Some(done) = appends.join_next().await {
            done.expect("no panic");
        }
    }

    async fn close(self) {
        self.shutdown().await.expect("a store in order");
    }
}

pub(crate) struct OfShow {
    store: AggregateStore,
    show: Arc<str>,
}

impl Client for OfShow {
    async fn book(&mut self, capacity: u64) -> bool {
        let show = self.show.to_string();
        let book = Book { show, capacity };
        match self.store.decide::<Booking>(book).await {
            Ok(_) => true,
            Err(ExecuteError::Domain(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }
}
