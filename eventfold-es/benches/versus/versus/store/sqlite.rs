//! What an expert writes by hand for one program: events in SQLite, group commit, states in memory.
//!
//! * WAL and `synchronous = FULL`: each transaction is synced before it is answered;
//! * one thread writes. It takes all commands that wait into one transaction, so that they share
//!   its sync, and answers after the commit;
//! * it decides on states that it keeps in memory, loaded at the first use;
//! * prepared statements, and a unique key over stream and version, which is the version check;
//! * a read model in memory that asks for the events behind its position.
//!
//! What it does not promise, unlike eventfold-es: idempotency keys, a way to read a stream without
//! it, checksums of its own, several types of aggregates, process managers. Each costs something.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, OptionalExtension as _, params};
use tokio::sync::oneshot;

use super::{Handle, Store};
use crate::domain::{Account, Command, Deposited, Event, Opened, Total};

/// How many commands one transaction takes at most.
pub(crate) const LARGEST_BATCH: usize = 1_024;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS events (
        position INTEGER PRIMARY KEY,
        stream TEXT NOT NULL,
        version INTEGER NOT NULL,
        type TEXT NOT NULL,
        data TEXT NOT NULL,
        time INTEGER NOT NULL,
        UNIQUE (stream, version)
    )";
const INSERT: &str =
    "INSERT INTO events (stream, version, type, data, time) VALUES (?1, ?2, ?3, ?4, ?5)";
const LOAD: &str = "SELECT type, data FROM events WHERE stream = ?1 ORDER BY version";
const VERSION: &str = "SELECT max(version) FROM events WHERE stream = ?1";
const FOLLOW: &str =
    "SELECT position, type, data FROM events WHERE position > ?1 ORDER BY position";

pub(crate) fn connect(base: &Path) -> Connection {
    let path: PathBuf = base.join("events.sqlite");
    let connection = Connection::open(path).expect("a database");
    let wal: String = connection
        .query_row("PRAGMA journal_mode = WAL", [], |row| row.get(0))
        .expect("a journal mode");
    assert_eq!(wal, "wal");
    connection
        .pragma_update(None, "synchronous", "FULL")
        .expect("full synchronisation");
    connection
}

enum Request {
    Command {
        stream: Arc<str>,
        command: Command,
        /// The version that the stream must have, if the client cares.
        expected: Option<i64>,
        /// The events, or why there are none.
        reply: oneshot::Sender<Result<Vec<Event>, String>>,
    },
    State {
        stream: Arc<str>,
        reply: oneshot::Sender<Account>,
    },
    Close,
}

/// An aggregate in memory.
#[derive(Default)]
struct Known {
    state: Account,
    version: i64,
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
            if !self.serve(batch) {
                return;
            }
        }
    }

    /// Makes a batch durable and answers it; false if that was the last one.
    fn serve(&mut self, batch: Vec<Request>) -> bool {
        let mut open = true;
        let mut answers = Vec::new();
        let mut failed = None;
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.map_or(0, |now| now.as_secs().cast_signed());
        let mut data = Vec::new();
        self.execute("BEGIN IMMEDIATE");
        for request in batch {
            match request {
                Request::Close => open = false,
                Request::State { stream, reply } => {
                    let _ = reply.send(self.known(&stream).state.clone());
                }
                Request::Command {
                    stream,
                    command,
                    expected,
                    reply,
                } => {
                    let version = self.known(&stream).version;
                    if expected.is_some_and(|expected| expected != version) {
                        let _ = reply.send(Err("the stream has moved on".to_owned()));
                        continue;
                    }
                    let events = Account::events_of::<Event>(command);
                    if let Err(error) = self.insert(&stream, &events, now, &mut data) {
                        failed = Some(error);
                    }
                    answers.push((reply, events));
                }
            }
        }
        if failed.is_none() {
            failed = self.connection.execute_batch("COMMIT").err();
        }
        let failed = failed.map(|error| {
            self.execute("ROLLBACK");
            // They are ahead of what is stored.
            self.known.clear();
            error.to_string()
        });
        for (reply, events) in answers {
            // The client may have gone.
            let _ = reply.send(match &failed {
                None => Ok(events),
                Some(error) => Err(error.clone()),
            });
        }
        open
    }

    fn execute(&self, statement: &str) {
        let mut statement = self.connection.prepare_cached(statement).expect("SQL");
        statement.execute([]).expect("a transaction");
    }

    fn known(&mut self, stream: &Arc<str>) -> &mut Known {
        if !self.known.contains_key(stream) {
            let loaded = load(&self.connection, stream).expect("a stream");
            self.known.insert(stream.clone(), loaded);
        }
        self.known.get_mut(stream).expect("it was just put there")
    }

    fn insert(
        &mut self,
        stream: &Arc<str>,
        events: &[Event],
        now: i64,
        data: &mut Vec<u8>,
    ) -> rusqlite::Result<()> {
        let known = self.known.get_mut(stream).expect("it was loaded");
        let mut insert = self.connection.prepare_cached(INSERT)?;
        for event in events {
            data.clear();
            let name = match event {
                Event::Opened(event) => write("Opened", event, data),
                Event::Deposited(event) => write("Deposited", event, data),
            };
            known.version += 1;
            let data = std::str::from_utf8(data).expect("JSON is text");
            insert.execute(params![&**stream, known.version, name, data, now])?;
            known.state.apply_event(event);
        }
        Ok(())
    }
}

fn write<E: serde::Serialize>(name: &'static str, event: &E, data: &mut Vec<u8>) -> &'static str {
    serde_json::to_writer(data, event).expect("an event as JSON");
    name
}

fn read(name: &str, data: &str) -> Event {
    match name {
        "Opened" => Event::Opened(serde_json::from_str::<Opened>(data).expect("an event")),
        "Deposited" => Event::Deposited(serde_json::from_str::<Deposited>(data).expect("an event")),
        _ => panic!("no event is named {name}"),
    }
}

fn load(connection: &Connection, stream: &str) -> rusqlite::Result<Known> {
    let mut known = Known::default();
    let mut version = connection.prepare_cached(VERSION)?;
    let version: Option<Option<i64>> = version.query_row([stream], |row| row.get(0)).optional()?;
    let Some(Some(version)) = version else {
        return Ok(known);
    };
    let mut load = connection.prepare_cached(LOAD)?;
    let mut rows = load.query([stream])?;
    while let Some(row) = rows.next()? {
        let event = read(row.get_ref(0)?.as_str()?, row.get_ref(1)?.as_str()?);
        known.state.apply_event(&event);
        known.version += 1;
    }
    assert_eq!(known.version, version, "a stream without gaps");
    Ok(known)
}

/// The read model and how far it is.
struct ReadModel {
    connection: Connection,
    total: Total,
    position: i64,
}

impl ReadModel {
    fn catch_up(&mut self) -> rusqlite::Result<()> {
        let mut follow = self.connection.prepare_cached(FOLLOW)?;
        let mut rows = follow.query([self.position])?;
        while let Some(row) = rows.next()? {
            if let Event::Deposited(event) =
                read(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?)
            {
                self.total.add(event.amount());
            }
            self.position = row.get(0)?;
        }
        Ok(())
    }
}

#[derive(Clone)]
pub(crate) struct Sqlite {
    requests: Sender<Request>,
    read_model: Arc<Mutex<ReadModel>>,
    writer: Arc<Mutex<Option<JoinHandle<()>>>>,
}

impl Store for Sqlite {
    type Handle = SqliteAccount;

    fn open(base: &Path) -> Self {
        let connection = connect(base);
        connection.execute_batch(SCHEMA).expect("the table");
        let (requests, queue) = channel();
        let writer = Writer {
            connection,
            requests: queue,
            known: HashMap::new(),
        };
        let read_model = ReadModel {
            connection: connect(base),
            total: Total::default(),
            position: 0,
        };
        Self {
            requests,
            read_model: Arc::new(Mutex::new(read_model)),
            writer: Arc::new(Mutex::new(Some(std::thread::spawn(|| writer.run())))),
        }
    }

    async fn account(&self, id: &str) -> SqliteAccount {
        SqliteAccount {
            stream: id.into(),
            requests: self.requests.clone(),
        }
    }

    fn total(&self) -> Total {
        let mut read_model = self.read_model.lock().expect("nobody panicked");
        read_model.catch_up().expect("the events");
        read_model.total.clone()
    }

    async fn close(self) {
        let _ = self.requests.send(Request::Close);
        let writer = self.writer.lock().expect("nobody panicked").take();
        if let Some(writer) = writer {
            writer.join().expect("a writer that ends");
        }
    }
}

#[derive(Clone)]
pub(crate) struct SqliteAccount {
    stream: Arc<str>,
    requests: Sender<Request>,
}

impl Handle for SqliteAccount {
    async fn send(&self, command: Command) {
        let (reply, answer) = oneshot::channel();
        let request = Request::Command {
            stream: self.stream.clone(),
            command,
            expected: None,
            reply,
        };
        self.requests.send(request).expect("a writer");
        let answer = answer.await.expect("an answer");
        answer.expect("a stored command");
    }

    async fn state(&self) -> Account {
        let (reply, answer) = oneshot::channel();
        let stream = self.stream.clone();
        let request = Request::State { stream, reply };
        self.requests.send(request).expect("a writer");
        answer.await.expect("a state")
    }
}
