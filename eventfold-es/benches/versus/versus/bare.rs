//! What is left of the work if there is no store: the most that any design of this kind could reach
//! on this machine. No checksum, no stream, no state, nothing that could be read back by anyone.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use eventfold_es::Evolve as _;
use tokio::sync::oneshot;

use crate::disk::sync;
use crate::domain::{Account, Deposited};
use crate::work::{count, runtime};

/// The work that is left.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bare {
    /// So many clients share the syncs of so many bytes each.
    GroupCommit { clients: usize, bytes: usize },
    /// So many payloads are read and decoded.
    Decode { events: usize },
}

impl Bare {
    /// Measures it once in the empty directory `dir`: answers or events a second.
    pub(crate) fn measure(self, dir: &Path, time: Duration) -> f64 {
        match self {
            Self::GroupCommit { clients, bytes } => group_commit(dir, clients, bytes, time),
            Self::Decode { events } => decode(dir, events),
        }
    }
}

/// The file's size, which is filled before the clock runs; then writing begins at its start again.
const PREPARED: u64 = 16 << 20;

/// A client's bytes, and whom to tell that they are durable.
type Request = (Vec<u8>, oneshot::Sender<()>);

/// A bare group commit: so many clients, tasks like those of the stores, hand `bytes` each to one
/// thread, which always waits for all of them, writes and syncs once and answers. Answers a second.
fn group_commit(dir: &Path, clients: usize, bytes: usize, time: Duration) -> f64 {
    let file = prepare(&dir.join("bare"));
    let (sender, requests) = mpsc::channel::<Request>();
    let thread = std::thread::spawn(move || serve(file, &requests, clients));
    let answers = runtime().block_on(async {
        let started = Instant::now();
        let tasks: Vec<_> = (0..clients)
            .map(|_| {
                let sender = sender.clone();
                tokio::spawn(async move {
                    let mut answers = 0;
                    while started.elapsed() < time {
                        let (answer, answered) = oneshot::channel();
                        sender
                            .send((vec![b'x'; bytes], answer))
                            .expect("its thread");
                        answered.await.expect("an answer");
                        answers += 1;
                    }
                    answers
                })
            })
            .collect();
        let mut answers = 0;
        for task in tasks {
            answers += task.await.expect("a client");
        }
        count(answers) / started.elapsed().as_secs_f64()
    });
    drop(sender);
    thread.join().expect("the thread");
    answers
}

/// A file of zeros, so that a sync has no new size to write.
fn prepare(path: &Path) -> File {
    let mut file = File::create_new(path).expect("a file");
    let zeros = vec![0; 1 << 20];
    for _ in 0..PREPARED >> 20 {
        file.write_all(&zeros).expect("zeros");
    }
    file.sync_all().expect("a sync");
    file
}

fn serve(mut file: File, requests: &mpsc::Receiver<Request>, clients: usize) {
    let mut offset = PREPARED;
    let mut bytes = Vec::new();
    let mut answers = Vec::new();
    while let Ok((first, answer)) = requests.recv() {
        bytes.extend_from_slice(&first);
        answers.push(answer);
        // Only when all are about to end may fewer come.
        let started = Instant::now();
        while answers.len() < clients && started.elapsed() < Duration::from_millis(1) {
            match requests.try_recv() {
                Ok((next, answer)) => {
                    bytes.extend_from_slice(&next);
                    answers.push(answer);
                }
                Err(_) => std::thread::yield_now(),
            }
        }
        if offset + bytes.len() as u64 > PREPARED {
            offset = file.seek(SeekFrom::Start(0)).expect("its start");
        }
        file.write_all(&bytes).expect("a write");
        file.sync_data().expect("a sync");
        offset += bytes.len() as u64;
        bytes.clear();
        for answer in answers.drain(..) {
            let _ = answer.send(());
        }
    }
}

/// Reads as many usual payloads from a file, one a line, each into its type. Payloads a second.
fn decode(dir: &Path, events: usize) -> f64 {
    let path = dir.join("bare");
    let line = serde_json::to_string(&Deposited::usual()).expect("a payload") + "\n";
    std::fs::write(&path, line.repeat(events)).expect("a file");
    sync(dir);
    let started = Instant::now();
    let mut file = BufReader::with_capacity(256 << 10, File::open(&path).expect("the file"));
    let mut account = Account::default();
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line).expect("a line") > 0 {
        account.evolve(&serde_json::from_slice::<Deposited>(&line).expect("a payload"));
        line.clear();
    }
    let elapsed = started.elapsed().as_secs_f64();
    assert_eq!(account.deposits, events as u64, "what was decoded");
    count(events) / elapsed
}
