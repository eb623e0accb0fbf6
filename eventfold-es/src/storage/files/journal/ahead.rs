//! Decodes a compressed segment on a thread of its own, ahead of a reader that reads it to the end:
//! [`Ahead`].

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

use crate::storage::error::StorageResult;
use crate::storage::files::journal::compressed::Compressed;

/// About how many bytes are handed over at a time.
const PIECE: usize = 256 * 1024;
/// How many pieces may wait for the reader.
const WAITING: usize = 2;

/// How many such threads there are in this process.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

/// How many there may be. A thread for each reader would not make many readers faster.
static MOST: LazyLock<usize> = LazyLock::new(|| {
    let processors = thread::available_parallelism().map_or(1, usize::from);
    if cfg!(test) {
        usize::MAX
    } else {
        processors - 1
    }
});

/// What follows in a segment, decoded ahead. Its thread ends with it.
#[derive(Debug)]
pub(crate) struct Ahead(Receiver<StorageResult<Vec<u8>>>);

impl Ahead {
    /// Decodes `segment` from `offset` on. `None` if there are as many threads already as processors to
    /// run them, or if no thread can be started.
    pub(crate) fn start(segment: &Compressed, offset: u64) -> Option<Self> {
        let turn = Turn::take()?;
        let segment = segment.again().ok()?;
        let (pieces, decoded) = sync_channel(WAITING);
        let name = "eventfold-decode".to_owned();
        let decode = move || {
            decode(segment, offset, &pieces);
            drop(turn);
        };
        thread::Builder::new().name(name).spawn(decode).ok()?;
        Some(Self(decoded))
    }

    /// Adds the bytes that follow to `out`. Returns how many; 0 at the end. `None` if the thread is gone,
    /// after an error that it told.
    pub(crate) fn read_on(&mut self, out: &mut Vec<u8>) -> Option<StorageResult<usize>> {
        let piece = self.0.recv().ok()?;
        Some(piece.map(|piece| {
            out.extend_from_slice(&piece);
            piece.len()
        }))
    }
}

fn decode(mut segment: Compressed, mut offset: u64, pieces: &SyncSender<StorageResult<Vec<u8>>>) {
    loop {
        let mut piece = Vec::with_capacity(PIECE);
        let mut failed = None;
        while piece.len() < PIECE {
            match segment.read_on(offset + piece.len() as u64, &mut piece) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        offset += piece.len() as u64;
        let is_end = piece.is_empty() && failed.is_none();
        // What is whole before the damage comes first. Whoever read may have ended.
        if (is_end || !piece.is_empty()) && pieces.send(Ok(piece)).is_err() {
            return;
        }
        if let Some(error) = failed {
            let _ = pieces.send(Err(error));
            return;
        }
        if is_end {
            return;
        }
    }
}

/// The right to a thread.
struct Turn;

impl Turn {
    fn take() -> Option<Self> {
        if RUNNING.fetch_add(1, Ordering::Relaxed) < *MOST {
            return Some(Self);
        }
        RUNNING.fetch_sub(1, Ordering::Relaxed);
        None
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        RUNNING.fetch_sub(1, Ordering::Relaxed);
    }
}
