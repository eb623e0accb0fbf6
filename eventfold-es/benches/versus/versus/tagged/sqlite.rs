//! What an expert writes by hand for one program: a table of events and a table of their tags in
//! SQLite, group commit, states in memory.
//!
//! As in the store of [accounts](crate::store::sqlite): WAL and `synchronous = FULL`, one thread that
//! writes all that waits in one transaction and answers after the commit, prepared statements. It
//! decides on states that it keeps in memory by tag, with the position up to which they have all
//! events, and checks in the transaction that no event with the tag came after it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, params};
use tokio::sync::oneshot;

use super::{BOOKED, Booked, Client, Full, Seats, Tagged, tag_of};
use crate::store::sqlite::{LARGEST_BATCH, connect};

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY,
        type TEXT NOT NULL,
        data TEXT NOT NULL,
        time INTEGER NOT NULL
    );
    CREATE TABLE IF NOT EXISTS tags (
        tag TEXT NOT NULL,
        position INTEGER NOT NULL,
        PRIMARY KEY (tag, position)
    ) WITHOUT ROWID";
const INSERT: &str = "INSERT INTO events (type, data, time) VALUES (?1, ?2, ?3)";
const INSERT_TAG: &str = "INSERT INTO tags (tag, position) VALUES (?1, ?2)";
const FIND: &str = "SELECT position, data FROM tags JOIN events USING (position)
    WHERE tag = ?1 AND position > ?2 AND type = ?3 ORDER BY position";
const CHECK: &str = "SELECT EXISTS (SELECT 1 FROM tags JOIN events USING (position)
    WHERE tag = ?1 AND position > ?2 AND type = ?3)";

enum Request {
    Book {
        show: Arc<str>,
        capacity: u64,
        /// Whether a seat was taken.
        reply: oneshot::Sender<bool>,
    },
    Append {
        bookings: Vec<Booked>,
        reply: oneshot::Sender<()>,
    },
    Close,
}

/// A boundary in memory.
struct Known {
    tag: String,
    seats: Seats,
    /// All its events up to here are in `seats`.
    position: i64,
}

struct Writer {
    connection: Connection,
    requests: Receiver<Request>,
    known: HashMap<Arc<str>, Known>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(first) = self.requests.recv() {
            let mut batch = vec![first];
            while batch.len() < LARGEST_BATCH
                && let Ok(next) = self.requests.try_recv()
            {
                batch.push(next);
            }
            if !self.serve(batch).expect("a transaction") {
                return;
            }
        }
    }

    /// Makes a batch durable and answers it; false if that was the last one.
    fn serve(&mut self, batch: Vec<Request>) -> rusqlite::Result<bool> {
        let mut open = true;
        let mut answers = Vec::new();
        let mut appends = Vec::new();
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs().cast_signed());
        self.execute("BEGIN IMMEDIATE")?;
        for request in batch {
            match request {
                Request::Close => open = false,
                Request::Book {
                    show,
                    capacity,
                    reply,
                } => answers.push((reply, self.book(&show, capacity, now)?)),
                Request::Append { bookings, reply } => {
                    self.append(&bookings, now)?;
                    appends.push(reply);
                }
            }
        }
        self.execute("COMMIT")?;
        // The clients may have gone.
        for (reply, is_booked) in answers {
            let _ = reply.send(is_booked);
        }
        for reply in appends {
            let _ = reply.send(());
        }
        Ok(open)
    }

    fn execute(&self, statement: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(statement)?.execute([])?;
        Ok(())
    }

    fn book(&mut self, show: &Arc<str>, capacity: u64, now: i64) -> rusqlite::Result<bool> {
        let connection = &self.connection;
        let known = self.known.entry(show.clone()).or_insert_with(|| Known {
            tag: tag_of(show),
            seats: Seats::default(),
            position: 0,
        });
        loop {
            let booked = known.seats.book(show, capacity);
            let mut check = connection.prepare_cached(CHECK)?;
            let has_newer: bool =
                check.query_row(params![known.tag, known.position, BOOKED], |row| row.get(0))?;
            if has_newer {
                let mut find = connection.prepare_cached(FIND)?;
                let mut rows = find.query(params![known.tag, known.position, BOOKED])?;
                while let Some(row) = rows.next()? {
                    known.position = row.get(0)?;
                    known.seats.taken += 1;
                }
                continue;
            }
            return match booked {
                Ok(booked) => {
                    let mut insert = connection.prepare_cached(INSERT)?;
                    let mut insert_tag = connection.prepare_cached(INSERT_TAG)?;
                    let data = booked.payload();
                    let data = std::str::from_utf8(&data).expect("JSON is text");
                    known.position = insert.insert(params![BOOKED, data, now])?;
                    insert_tag.execute(params![known.tag, known.position])?;
                    known.seats.taken += 1;
                    Ok(true)
                }
                Err(Full) => Ok(false),
            };
        }
    }

    fn append(&self, bookings: &[Booked], now: i64) -> rusqlite::Result<()> {
        let mut insert = self.connection.prepare_cached(INSERT)?;
        let mut insert_tag = self.connection.prepare_cached(INSERT_TAG)?;
        let mut tags = Vec::with_capacity(bookings.len());
        for booked in bookings {
            let data = booked.payload();
            let data = std::str::from_utf8(&data).expect("JSON is text");
            let position = insert.insert(params![BOOKED, data, now])?;
            tags.push((tag_of(&booked.show), position));
        }
        // In the order of their table they take the least time and room.
        tags.sort_unstable();
        for (tag, position) in tags {
            insert_tag.execute(params![tag, position])?;
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Sqlite {
    requests: Sender<Request>,
    reader: Arc<Mutex<Connection>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Tagged for Sqlite {
    type Client = OfShow;

    async fn open(base: &Path) -> Self {
        let connection = connect(base);
        connection.execute_batch(SCHEMA).expect("the tables");
        let (requests, queue) = channel();
        let writer = Writer {
            connection,
            requests: queue,
            known: HashMap::new(),
        };
        Self {
            requests,
            reader: Arc::new(Mutex::new(connect(base))),
            writer: Arc::new(Mutex::new(Some(std::thread::spawn(|| writer.run())))),
        }
    }

    fn client(&self, show: &Arc<str>) -> OfShow {
        OfShow {
            requests: self.requests.clone(),
            show: show.clone(),
        }
    }

    async fn read(&self, show: &str) -> Vec<Booked> {
        let reader = self.reader.lock().expect("nobody panicked");
        let mut find = reader.prepare_cached(FIND).expect("SQL");
        let mut rows = find
            .query(params![tag_of(show), 0, BOOKED])
            .expect("the events");
        let mut found = Vec::new();
        while let Some(row) = rows.next().expect("an event") {
            let data = row.get_ref(1).expect("a payload");
            found.push(Booked::read(data.as_bytes().expect("text")));
        }
        found
    }

    /// One transaction for all of them.
    async fn append(&self, bookings: Vec<Booked>, _: usize) {
        let (reply, answer) = oneshot::channel();
        let request = Request::Append { bookings, reply };
        self.requests.send(request).expect("a writer");
        answer.await.expect("an answer");
    }

    async fn close(self) {
        let _ = self.requests.send(Request::Close);
        let writer = self.writer.lock().expect("nobody panicked").take();
        if let Some(writer) = writer {
            writer.join().expect("a writer that ends");
        }
    }
}

pub(crate) struct OfShow {
    requests: Sender<Request>,
    show: Arc<str>,
}

impl Client for OfShow {
    async fn book(&mut self, capacity: u64) -> bool {
        let (reply, answer) = oneshot::channel();
        let request = Request::Book {
            show: self.show.clone(),
            capacity,
            reply,
        };
        self.requests.send(request).expect("a writer");
        answer.await.expect("an answer")
    }
}
