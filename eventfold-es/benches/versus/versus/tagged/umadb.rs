//! UmaDB 0.7 (`umadb-core`), in this process: the writer thread of its server, without the network.
//!
//! The thread takes all appends that wait into one transaction, syncs twice (its pages, then its
//! header) and answers all. The client reads, decides, appends under the condition that nothing came
//! after what it read, and tries again if that fails, as its documentation says. It keeps the state
//! that it has folded and reads only what is new, which is the least that it can do. Reads go through
//! a memory map and a page cache, which its defaults leave out.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::sync::{mpsc, oneshot, watch};
use umadb_core::db::UmaDb;
use umadb_core::mvcc::{Mvcc, StorageOptions};
use umadb_core::pager::ReadMethod;
use umadb_core::writer_thread_blocking::writer_thread_blocking;
use umadb_core::writer_thread_request::WriterThreadRequest;
use umadb_dcb::{
    DcbAppendCondition, DcbError, DcbEvent, DcbEventStoreSync as _, DcbQuery, DcbQueryItem,
    DcbResult, DcbSequencedEvent,
};

use super::{BOOKED, Booked, Client, Full, Seats, Tagged, tag_of};

/// How many requests may wait, and how many events one transaction takes at most.
const MOST: usize = 2_048;
const PAGE_CACHE_MB: usize = 256;
/// How many events one append stores when a store is filled: how many it is makes no difference later.
const FILLED: usize = 2_000;

#[derive(Clone)]
pub(crate) struct Uma {
    mvcc: Arc<Mvcc>,
    requests: mpsc::Sender<WriterThreadRequest>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

fn query(show: &str) -> DcbQuery {
    let item = DcbQueryItem::new().types([BOOKED]).tags([tag_of(show)]);
    DcbQuery::new().item(item)
}

fn encode(booked: &Booked) -> DcbEvent {
    DcbEvent::new()
        .event_type(BOOKED)
        .tags([tag_of(&booked.show)])
        .data(booked.payload())
}

impl Uma {
    /// The events from a position on, and the newest position.
    pub(crate) fn events(&self, query: &DcbQuery, from: u64) -> (Vec<DcbSequencedEvent>, u64) {
        let db = UmaDb::from_arc(self.mvcc.clone());
        let (events, head) = db
            .read_with_head(Some(query.clone()), Some(from), false, None)
            .expect("the events");
        (events, head.unwrap_or(0))
    }

    pub(crate) async fn send(
        &self,
        events: Vec<DcbEvent>,
        condition: Option<DcbAppendCondition>,
    ) -> DcbResult<u64> {
        let (response_tx, answer) = oneshot::channel();
        let request = WriterThreadRequest::Append {
            events,
            condition,
            tracking_info: None,
            response_tx,
            cancel: None,
        };
        assert!(self.requests.send(request).await.is_ok(), "a writer");
        answer.await.expect("an answer")
    }
}

impl Tagged for Uma {
    type Client = OfShow;

    async fn open(base: &Path) -> Self {
        let options = StorageOptions::default()
            .db_path(base)
            .read_method(ReadMethod::Mmap)
            .page_cache_max_mb(PAGE_CACHE_MB);
        let mvcc = Arc::new(Mvcc::new(false, options).expect("a database"));
        let (requests, queue) = mpsc::channel(MOST);
        // Nobody waits for the head.
        let (head, _) = watch::channel(None);
        let of_writer = mvcc.clone();
        let writer =
            std::thread::spawn(move || writer_thread_blocking(of_writer, queue, head, MOST));
        Self {
            mvcc,
            requests,
            writer: Arc::new(Mutex::new(Some(writer))),
        }
    }

    fn client(&self, show: &Arc<str>) -> OfShow {
        OfShow {
            store: self.clone(),
            query: query(show),
            show: show.clone(),
            seats: Seats::default(),
            position: 0,
        }
    }

    async fn read(&self, show: &str) -> Vec<Booked> {
        let (events, _) = self.events(&query(show), 1);
        let events = events.iter();
        events.map(|read| Booked::read(&read.event.data)).collect()
    }

    async fn append(&self, bookings: Vec<Booked>, _: usize) {
        for some in bookings.chunks(FILLED) {
            let events = some.iter().map(encode).collect();
            self.send(events, None).await.expect("an append");
        }
    }

    async fn close(self) {
        let _ = self.requests.send(WriterThreadRequest::Shutdown).await;
        let writer = self.writer.lock().expect("nobody panicked").take();
        if let Some(writer) = writer {
            writer.join().expect("a writer that ends");
        }
    }
}

pub(crate) struct OfShow {
    store: Uma,
    query: DcbQuery,
    show: Arc<str>,
    seats: Seats,
    /// All events of the show up to here are in `seats`.
    position: u64,
}

impl Client for OfShow {
    async fn book(&mut self, capacity: u64) -> bool {
        loop {
            let (events, head) = self.store.events(&self.query, self.position + 1);
            for read in &events {
                Booked::read(&read.event.data);
                self.seats.taken += 1;
            }
            self.position = head;
            let booked = match self.seats.book(&self.show, capacity) {
                Ok(booked) => encode(&booked),
                Err(Full) => return false,
            };
            let after = Some(self.position).filter(|position| *position > 0);
            let condition = DcbAppendCondition::new(self.query.clone()).after(after);
            match self.store.send(vec![booked], Some(condition)).await {
                Ok(position) => {
                    // Nothing of the show came between.
                    self.seats.taken += 1;
                    self.position = position;
                    return true;
                }
                Err(DcbError::IntegrityError(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }
}
