//! tephra 0.4, in this process, with the settings of its own benchmark and its asynchronous append.
//!
//! Its writer takes all appends that wait into one batch, under one sync, and answers those whose
//! condition fails at once. The client reads, decides, appends under the condition that nothing came
//! after what it read, and tries again if that fails, as its documentation says. It keeps the state
//! that it has folded and reads only what is new, which is the least that it can do.

use std::path::Path;
use std::sync::{Arc, Mutex};

use tephra::{
    AppendCondition, AppendError, Event, EventType, Position, Query, QueryItem, SegmentConfig,
    SegmentSet, Tag, Tags, WriteCoordinator, WriteHandle, WriterConfig,
};

use super::{BOOKED, Booked, Client, Full, Seats, Tagged, tag_of};

/// What its benchmark takes, a quarter of it: this much is written as zeros before the clock runs.
const SEGMENT: usize = 256 << 20;

/// How many events one append stores when a store is filled: how many it is makes no difference later.
const FILLED: usize = 2_000;

#[derive(Clone)]
pub(crate) struct Tephra {
    handle: WriteHandle,
    coordinator: Arc<Mutex<Option<WriteCoordinator>>>,
}

fn event_type() -> EventType {
    EventType::new(BOOKED).expect("a name")
}

fn tags(show: &str) -> Tags {
    let tag = Tag::new(tag_of(show)).expect("a tag");
    Tags::new([tag]).expect("tags")
}

fn query(show: &str) -> Query {
    Query::item(QueryItem::new(vec![event_type()], tags(show)))
}

fn encode(booked: &Booked) -> Event {
    Event::new(&event_type(), &tags(&booked.show), &booked.payload()).expect("an event")
}

impl Tephra {
    pub(crate) fn handle(&self) -> &WriteHandle {
        &self.handle
    }
}

impl Tagged for Tephra {
    type Client = OfShow;

    async fn open(base: &Path) -> Self {
        let set = SegmentSet::open(base, SegmentConfig::new(SEGMENT)).expect("a log");
        let (coordinator, handle) =
            WriteCoordinator::start(set, WriterConfig::default()).expect("a writer");
        Self {
            handle,
            coordinator: Arc::new(Mutex::new(Some(coordinator))),
        }
    }

    fn client(&self, show: &Arc<str>) -> OfShow {
        OfShow {
            handle: self.handle.clone(),
            query: query(show),
            show: show.clone(),
            seats: Seats::default(),
            position: Position::ZERO,
        }
    }

    async fn read(&self, show: &str) -> Vec<Booked> {
        let mut reads = self.handle.read(&query(show), Position::ZERO, None);
        let mut found = Vec::new();
        while let Some(read) = reads.next() {
            found.push(Booked::read(read.expect("an event").event.data()));
        }
        found
    }

    async fn append(&self, bookings: Vec<Booked>, _: usize) {
        for some in bookings.chunks(FILLED) {
            let events = some.iter().map(encode).collect();
            let appended = self.handle.append_async(events, None).await;
            appended.expect("an append");
        }
    }

    async fn close(self) {
        let coordinator = self.coordinator.lock().expect("nobody panicked").take();
        if let Some(coordinator) = coordinator {
            coordinator.shutdown();
        }
    }
}

pub(crate) struct OfShow {
    handle: WriteHandle,
    query: Query,
    show: Arc<str>,
    seats: Seats,
    /// All events of the show up to here are in `seats`.
    position: Position,
}

impl OfShow {
    /// Reads what is new.
    fn catch_up(&mut self) {
        let mut reads = self.handle.read(&self.query, self.position, None);
        while let Some(read) = reads.next() {
            let read = read.expect("an event");
            Booked::read(read.event.data());
            self.seats.taken += 1;
        }
        self.position = reads.watermark();
    }
}

impl Client for OfShow {
    async fn book(&mut self, capacity: u64) -> bool {
        loop {
            self.catch_up();
            let booked = match self.seats.book(&self.show, capacity) {
                Ok(booked) => encode(&booked),
                Err(Full) => return false,
            };
            let condition = AppendCondition::new(self.query.clone()).after(self.position);
            let appended = self.handle.append_async(vec![booked], Some(condition));
            match appended.await {
                Ok(range) => {
                    // Nothing of the show came between.
                    self.seats.taken += 1;
                    self.position = range.last;
                    return true;
                }
                Err(AppendError::Conflict { .. }) => tokio::task::yield_now().await,
                Err(error) => panic!("{error}"),
            }
        }
    }
}
