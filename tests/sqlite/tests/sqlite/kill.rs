//! `kill -9` at any moment, fifty times, while orders are placed and the tables are written.
//!
//! `EVENTFOLD_ES_SHORT=1` makes eight of the fifty.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use eventfold_es::rusqlite::Connection;

use crate::shop::{by_plain_sql, note, open, open_live, orders, place, rows};

const DIR: &str = "EVENTFOLD_ES_SQLITE_DIR";

/// A process that works until it is killed.
struct Worker {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Worker {
    fn start(dir: &Path) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill::works_until_it_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env(DIR, dir)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        Self { child, output }
    }

    /// Waits until that many more commands were answered.
    fn hear(&mut self, answers: u64) {
        let mut heard = 0;
        let mut line = String::new();
        while heard < answers {
            line.clear();
            assert!(self.output.read_line(&mut line).unwrap() > 0, "it ended");
            heard += u64::from(line.trim_end().ends_with("answered"));
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "started by the test below, in a process of its own"]
fn works_until_it_is_killed() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = open_live(Path::new(&dir)).await;
        let mut tasks = Vec::new();
        for writer in 0..4_u64 {
            let store = store.clone();
            tasks.push(tokio::spawn(async move {
                for number in 0.. {
                    let id = format!("o-{}", (number * 7 + writer) % 50);
                    if number % 5 == 4 {
                        note(&store, &id, &format!("{writer}/{number}")).await;
                    } else {
                        place(&store, &id, number % 100).await;
                    }
                    let mut out = std::io::stdout().lock();
                    writeln!(out, "answered").unwrap();
                    out.flush().unwrap();
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tables_are_what_plain_sql_makes_of_the_events_however_often_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let rounds = if std::env::var_os("EVENTFOLD_ES_SHORT").is_some() {
        8
    } else {
        50
    };
    let mut were_ahead = 0;
    for round in 0..rounds {
        let mut worker = Worker::start(dir.path());
        worker.hear(1 + round * 37 % 200);
        drop(worker);

        let file = dir.path().join("projections/orders/v1.sqlite");
        let left = Connection::open(&file).ok().and_then(|db| {
            let intact: String = db
                .query_row("PRAGMA integrity_check", [], |row| row.get(0))
                .unwrap();
            assert_eq!(intact, "ok");
            rows(&db).ok()
        });
        // On demand: nothing works on the tables before they are looked at.
        let store = open(&dir).await;
        let lag = store.read_side().projections[0].lag;
        were_ahead += u64::from(left.is_some_and(|rows| !rows.is_empty()) && lag > 0);
        let expected = by_plain_sql(&store).await;
        assert_eq!(orders(&store).await, expected, "round {round}");
        store.shutdown().await.unwrap();
    }
    assert!(
        were_ahead > 0,
        "it was never killed between events and tables"
    );
}
