//! Imports of several stores into one schema of a server: one at a time, whatever becomes of their
//! connections.

use std::io::{BufReader, Cursor, ErrorKind, Read};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

use crate::__private::example::{Add, Counter};
use crate::store::tests::conflicts::postgres::Server;
use crate::{AggregateStore, ImportError, ImportReport};

const SETTINGS: [&str; 2] = ["fsync=off", "full_page_writes=off"];
const PATIENCE: Duration = Duration::from_secs(60);
/// The lock of the turn to import, which the session has that appends.
const HOLDERS: &str = "FROM pg_locks WHERE locktype = 'advisory' AND (classid::bigint << 32 | objid::bigint) = \
     hashtextextended('eventfold-es import into orders', 0)";

async fn open(server: &Server) -> AggregateStore {
    let store = AggregateStore::postgres(server.url()).schema("orders");
    store.allow_unsynced(true).open().await.unwrap()
}

/// A line for each of these streams.
fn lines(streams: impl IntoIterator<Item = u64>) -> String {
    let line = |i| {
        format!(
            r#"{{"eventfold":1,"type":"counter","id":"c-{i}","event":"Added","event_id":"e-{i}","ms":1,"data":{{"amount":1}}}}"#
        ) + "\n"
    };
    streams.into_iter().map(line).collect()
}

/// Gives its lines once it may, or ends without them.
struct Held {
    go_on: mpsc::Receiver<()>,
    lines: Cursor<String>,
}

impl Read for Held {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        if self.lines.position() == 0 && self.go_on.recv().is_err() {
            return Ok(0);
        }
        self.lines.read(into)
    }
}

type Importing = JoinHandle<Result<ImportReport, ImportError>>;

/// Begins an import, and returns once it has the turn. It reads its lines when it is told to.
async fn begun(
    server: &Server,
    store: &AggregateStore,
    lines: String,
) -> (mpsc::Sender<()>, Importing) {
    let (tell, go_on) = mpsc::channel();
    let lines = Cursor::new(lines);
    let held = BufReader::new(Held { go_on, lines });
    let store = store.clone();
    let import = tokio::spawn(async move { store.import(held).await });
    wait_for_turns(server, "1").await;
    (tell, import)
}

async fn wait_for_turns(server: &Server, count: &str) {
    let started = Instant::now();
    while server.sql(&format!("SELECT count(*) {HOLDERS}")) != count {
        assert!(started.elapsed() < PATIENCE, "not {count} imports");
        tokio::task::yield_now().await;
    }
}

fn lose_the_turn(server: &Server) {
    let ended = server.sql(&format!(
        "SELECT pg_terminate_backend(pid, 10000) {HOLDERS}"
    ));
    assert_eq!(ended, "t");
}

fn busy(error: ImportError) -> String {
    let ImportError::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    error.to_string()
}

fn stored(server: &Server) -> String {
    server.sql("SELECT count(*) FROM orders.events")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_is_refused_while_one_of_another_store_is_at_work() {
    let Some(server) = Server::start(&SETTINGS) else {
        return;
    };
    let (here, there) = (open(&server).await, open(&server).await);
    let (go_on, import) = begun(&server, &here, lines(0..10)).await;
    let refused = there.import(Cursor::new(lines(0..10))).await.unwrap_err();
    let text = busy(refused);
    assert!(
        text.contains("another process imports") && text.contains("wait until"),
        "{text}"
    );
    assert_eq!(stored(&server), "0");

    go_on.send(()).unwrap();
    assert_eq!(import.await.unwrap().unwrap().events, 10);
    let again = there.import(Cursor::new(lines(0..12))).await.unwrap();
    assert_eq!((again.skipped, again.events), (10, 2));
    wait_for_turns(&server, "0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_lost_its_turn_to_another_one_fails_and_commands_beside_it_do_not() {
    let Some(server) = Server::start(&SETTINGS) else {
        return;
    };
    for has_ended in [false, true] {
        let (here, there) = (open(&server).await, open(&server).await);
        let before: u64 = stored(&server).parse().unwrap();
        let (go_on, import) = begun(&server, &here, lines(before..before + 10)).await;
        lose_the_turn(&server);
        let other = lines(before + 100..before + 103);
        let (other_goes_on, other) = begun(&server, &there, other).await;
        if has_ended {
            other_goes_on.send(()).unwrap();
        }
        let other = if has_ended {
            assert_eq!(other.await.unwrap().unwrap().events, 3);
            None
        } else {
            Some(other)
        };
        go_on.send(()).unwrap();
        let counter = here.get::<Counter>("own").await.unwrap();
        let (lost, own) = tokio::join!(import, counter.send(Add(1)));
        let text = busy(lost.unwrap().unwrap_err());
        assert!(text.contains("another process has imported"), "{text}");
        own.unwrap();
        if let Some(other) = other {
            other_goes_on.send(()).unwrap();
            assert_eq!(other.await.unwrap().unwrap().events, 3);
        }
        assert_eq!(stored(&server), (before + 4).to_string());
        here.shutdown().await.unwrap();
        there.shutdown().await.unwrap();
        // The server may end the session of an import a moment later.
        wait_for_turns(&server, "0").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_whose_connection_was_lost_goes_on_if_nobody_else_had_the_turn() {
    let Some(server) = Server::start(&SETTINGS) else {
        return;
    };
    let store = open(&server).await;
    let (go_on, import) = begun(&server, &store, lines(0..10)).await;
    lose_the_turn(&server);
    go_on.send(()).unwrap();
    assert_eq!(import.await.unwrap().unwrap().events, 10);
    wait_for_turns(&server, "0").await;
}
