//! Reads lines on a thread of its own, ahead of a reader that reads on and on: [`Ahead`].
//!
//! The thread decodes compressed blocks, finds the lines and checks their checksums, so the reader only
//! reads what is in them. It tells no error. It ends where the valid lines end, and whoever reads on from
//! there finds out why.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::thread;

use crate::storage::encoding::event_line::line_end;

/// About how many bytes are handed over at a time. Few in this crate's own tests, as their files are small.
const PIECE: usize = if cfg!(test) { 1024 } else { 256 * 1024 };
/// How many bytes are read before their lines are checked. They are still in the processor's cache then.
const STEP: usize = if cfg!(test) { 100 } else { 64 * 1024 };
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

/// A file of lines.
pub(crate) trait Lines: Sized {
    /// Adds bytes from `offset` on to `out`, about so many. Returns how many: 0 at the end. `None`
    /// if they cannot be read.
    fn read_on(&mut self, offset: u64, about: usize, out: &mut Vec<u8>) -> Option<usize>;

    /// What is known of the next line, which has no line end, after its checksum was found right. `None` if
    /// it is wrong.
    fn check(&mut self, line: &[u8]) -> Option<u64>;
}

/// The lines that follow in a file, read ahead. Its thread ends with it.
#[derive(Debug)]
pub(crate) struct Ahead {
    pieces: Receiver<Piece>,
    /// Pieces that were read, for their memory.
    spare: Sender<Piece>,
    piece: Piece,
    /// How many lines of the piece were taken.
    taken: usize,
}

/// Lines whose checksums are right.
#[derive(Debug, Default)]
struct Piece {
    text: String,
    lines: Vec<CheckedLine>,
}

/// A line that is whole and valid.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CheckedLine {
    /// Where it begins in the text.
    pub(crate) start: usize,
    /// Where its line end is.
    pub(crate) end: usize,
    /// What [`Lines::check`] returned.
    pub(crate) known: u64,
}

impl Ahead {
    /// Reads what `open` opens from `offset` on. `None` if there are as many threads already as processors to
    /// run them, or if no thread can be started.
    pub(crate) fn start<L: Lines>(
        offset: u64,
        open: impl FnOnce() -> Option<L> + Send + 'static,
    ) -> Option<Self> {
        let turn = Turn::take()?;
        let (sender, pieces) = sync_channel(WAITING);
        let (spare, used) = channel();
        let read = move || {
            if let Some(lines) = open() {
                read(lines, offset, &sender, &used);
            }
            drop(turn);
        };
        let name = "eventfold-ahead".to_owned();
        thread::Builder::new().name(name).spawn(read).ok()?;
        Some(Self {
            pieces,
            spare,
            piece: Piece::default(),
            taken: 0,
        })
    }

    /// The next line, which is in [`text`](Self::text) then. `None` if the thread has ended.
    #[inline]
    pub(crate) fn take_line(&mut self) -> Option<CheckedLine> {
        if self.taken == self.piece.lines.len() {
            let read = std::mem::replace(&mut self.piece, self.pieces.recv().ok()?);
            self.taken = 0;
            // The thread may have ended.
            let _ = self.spare.send(read);
        }
        let line = self.piece.lines.get(self.taken).copied();
        self.taken += 1;
        line
    }

    /// The text of the lines.
    pub(crate) fn text(&self) -> &str {
        &self.piece.text
    }
}

/// Reads and checks lines from `offset` on, as long as they are valid and somebody takes them.
fn read<L: Lines>(
    mut file: L,
    mut offset: u64,
    pieces: &SyncSender<Piece>,
    spare: &Receiver<Piece>,
) {
    // The beginning of the line that the piece before has not whole.
    let mut begun = Vec::new();
    loop {
        let Piece { text, mut lines } = spare.try_recv().unwrap_or_default();
        let mut bytes = text.into_bytes();
        bytes.clear();
        lines.clear();
        bytes.extend_from_slice(&begun);
        let (mut used, mut is_over) = (0, false);
        while !is_over && (bytes.len() < PIECE || lines.is_empty()) {
            let searched = bytes.len() - used;
            let read = file.read_on(offset + bytes.len() as u64, STEP, &mut bytes);
            is_over = read.is_none_or(|read| read == 0);
            is_over |= !check(&mut file, &bytes, searched, &mut used, &mut lines);
        }
        begun.clear();
        begun.extend_from_slice(&bytes[used..]);
        offset += used as u64;
        bytes.truncate(used);
        let text = String::from_utf8(bytes).unwrap_or_else(|error| {
            is_over = true;
            let valid = error.utf8_error().valid_up_to();
            lines.retain(|line| line.end < valid);
            let mut bytes = error.into_bytes();
            bytes.truncate(valid);
            String::from_utf8(bytes).unwrap_or_default()
        });
        // Whoever read may have ended.
        if lines.is_empty() || pieces.send(Piece { text, lines }).is_err() || is_over {
            return;
        }
    }
}

/// Checks the whole lines of `bytes` behind the `used` ones, and adds them to `lines`. `searched` bytes of
/// them have no line end. False if one is not valid, or if the lines end.
fn check<L: Lines>(
    file: &mut L,
    bytes: &[u8],
    mut searched: usize,
    used: &mut usize,
    lines: &mut Vec<CheckedLine>,
) -> bool {
    while let Some(length) = line_end(&bytes[*used..], searched) {
        let (start, end) = (*used, *used + length);
        let Some(known) = file.check(&bytes[start..end]) else {
            return false;
        };
        lines.push(CheckedLine { start, end, known });
        (*used, searched) = (end + 1, 0);
    }
    bytes.get(*used) != Some(&0)
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
