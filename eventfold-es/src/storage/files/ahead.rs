//! Reads lines on a thread of its own, ahead of a reader that reads on and on: [`Ahead`].
//!
//! The thread decodes compressed blocks, finds the lines and checks their checksums, so the reader only
//! reads what is in them. While the reader has lines to read, the thread also finds the members of the next ones,
//! so that neither of the two waits for the other for long. It tells no error. It ends where the valid lines end, and whoever reads on from
//! there finds out why.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, LazyLock};
use std::thread;

use crate::storage::encoding::event_line::line_end;

/// About how many bytes are handed over at a time. They are in the processor's cache while their lines are
/// checked. Few in this crate's own tests, as their files are small.
const PIECE: usize = if cfg!(test) { 100 } else { 64 * 1024 };
/// How many pieces there are.
const PIECES: usize = 8;
/// How many read pieces are given back at a time: it costs to wake the thread.
const GIVEN_BACK: usize = PIECES / 2;

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
    /// What is known of a line whose checksum is right.
    type Known: fmt::Debug + Send + 'static;

    /// Adds bytes from `offset` on to `out`, about so many. Returns how many: 0 at the end. `None`
    /// if they cannot be read.
    fn read_on(&mut self, offset: u64, about: usize, out: &mut Vec<u8>) -> Option<usize>;

    /// What is known of the next line, which has no line end, after its checksum was found right. `None` if
    /// it is wrong. `in_detail` says to find out what saves the reader time.
    fn check(&mut self, line: &str, in_detail: bool) -> Option<Self::Known>;
}

/// The lines that follow in a file, read ahead. Its thread ends with it.
#[derive(Debug)]
pub(crate) struct Ahead<K> {
    pieces: Receiver<Piece<K>>,
    /// How many pieces it has not taken yet.
    waiting: Arc<AtomicUsize>,
    piece: Piece<K>,
    /// How many lines of the piece were taken.
    taken: usize,
    /// Pieces that were read.
    read: Vec<Piece<K>>,
    /// Takes them back, for their memory.
    spare: Sender<Piece<K>>,
}

/// Lines whose checksums are right.
#[derive(Debug)]
struct Piece<K> {
    text: String,
    lines: Vec<CheckedLine<K>>,
}

/// A line that is whole and valid.
#[derive(Debug)]
struct CheckedLine<K> {
    /// Where it begins in the text.
    start: usize,
    /// Where its line end is.
    end: usize,
    /// What [`Lines::check`] returned.
    known: K,
}

impl<K: Send + 'static> Ahead<K> {
    /// Reads what `open` opens from `offset` on. `None` if there are as many threads already as processors to
    /// run them, or if no thread can be started.
    pub(crate) fn start<L: Lines<Known = K>>(
        offset: u64,
        open: impl FnOnce() -> Option<L> + Send + 'static,
    ) -> Option<Self> {
        let turn = Turn::take()?;
        let (sender, pieces) = channel();
        let (spare, used) = channel();
        let waiting = Arc::<AtomicUsize>::default();
        let reader = Reader {
            pieces: sender,
            waiting: waiting.clone(),
            spare: used,
        };
        let read = move || {
            if let Some(lines) = open() {
                read(lines, offset, &reader);
            }
            drop(turn);
        };
        let name = "eventfold-ahead".to_owned();
        thread::Builder::new().name(name).spawn(read).ok()?;
        Some(Self {
            pieces,
            waiting,
            piece: Piece::new(),
            taken: 0,
            read: Vec::new(),
            spare,
        })
    }

    /// Moves to the next line. `None` if the thread has ended: it is at the last line then, if there was one.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<(&str, &K)> {
        if self.taken == self.piece.lines.len() {
            self.take_piece()?;
        }
        self.taken += 1;
        self.line()
    }

    /// The line that it has moved to, and what is known of it.
    #[inline]
    pub(crate) fn line(&self) -> Option<(&str, &K)> {
        let CheckedLine { start, end, known } = self.piece.lines.get(self.taken.checked_sub(1)?)?;
        Some((self.piece.text.get(*start..*end)?, known))
    }

    fn take_piece(&mut self) -> Option<()> {
        let next = self.pieces.recv().ok()?;
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        self.read.push(std::mem::replace(&mut self.piece, next));
        self.taken = 0;
        if self.read.len() >= GIVEN_BACK {
            for piece in self.read.drain(..) {
                // The thread may have ended.
                let _ = self.spare.send(piece);
            }
        }
        Some(())
    }
}

impl<K> Piece<K> {
    fn new() -> Self {
        Self {
            text: String::new(),
            lines: Vec::new(),
        }
    }
}

/// Whoever takes the lines, as their thread sees it.
struct Reader<K> {
    pieces: Sender<Piece<K>>,
    /// How many pieces it has not taken yet.
    waiting: Arc<AtomicUsize>,
    /// Gives back pieces that were read.
    spare: Receiver<Piece<K>>,
}

impl<K> Reader<K> {
    /// Hands over a piece. False if the reader has ended.
    fn hand(&self, piece: Piece<K>) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.pieces.send(piece).is_ok()
    }

    /// Whether it has a piece for when it has read the present one.
    fn has_enough(&self) -> bool {
        self.waiting.load(Ordering::Relaxed) > 0
    }
}

/// Reads and checks lines from `offset` on, as long as they are valid and `reader` takes them.
fn read<L: Lines>(mut file: L, mut offset: u64, reader: &Reader<L::Known>) {
    // The bytes behind the lines of the piece before: the beginning of a line.
    let mut begun = Vec::new();
    let mut new = PIECES - 1;
    loop {
        let spare = if new > 0 {
            new -= 1;
            Piece::new()
        } else if let Ok(read) = reader.spare.recv() {
            read
        } else {
            return;
        };
        let mut bytes = spare.text.into_bytes();
        let mut lines = spare.lines;
        bytes.clear();
        lines.clear();
        bytes.append(&mut begun);
        let (text, is_over) = loop {
            // Twice as much each time, if a line is longer.
            let wanted = PIECE.max(2 * bytes.len());
            let is_end = fill(&mut file, offset, wanted, &mut bytes);
            let (text, behind, is_text) = text_of(bytes);
            let (used, are_valid) = check(&mut file, &text, &mut lines, reader.has_enough());
            let is_over = is_end || !is_text || !are_valid;
            if is_over || !lines.is_empty() {
                begun.extend_from_slice(&text.as_bytes()[used..]);
                begun.extend_from_slice(&behind);
                offset += used as u64;
                break (text, is_over);
            }
            bytes = text.into_bytes();
            bytes.extend_from_slice(&behind);
        };
        if lines.is_empty() || !reader.hand(Piece { text, lines }) || is_over {
            return;
        }
    }
}

/// Reads on until there are `wanted` bytes. `offset` is that of the first. True if there are no more.
fn fill<L: Lines>(file: &mut L, offset: u64, wanted: usize, bytes: &mut Vec<u8>) -> bool {
    bytes.reserve(wanted - bytes.len());
    while bytes.len() < wanted {
        let read = file.read_on(offset + bytes.len() as u64, wanted - bytes.len(), bytes);
        if read.is_none_or(|read| read == 0) {
            return true;
        }
    }
    false
}

/// The text at the beginning of `bytes`, the bytes behind it, and whether they may be the beginning of a
/// character.
fn text_of(bytes: Vec<u8>) -> (String, Vec<u8>, bool) {
    String::from_utf8(bytes).map_or_else(
        |error| {
            let found = error.utf8_error();
            let mut bytes = error.into_bytes();
            let behind = bytes.split_off(found.valid_up_to());
            let text = String::from_utf8(bytes).unwrap_or_default();
            (text, behind, found.error_len().is_none())
        },
        |text| (text, Vec::new(), true),
    )
}

/// Adds the valid lines of `text` to `lines`. Returns how many bytes they take, and whether more lines may follow.
fn check<L: Lines>(
    file: &mut L,
    text: &str,
    lines: &mut Vec<CheckedLine<L::Known>>,
    in_detail: bool,
) -> (usize, bool) {
    let mut start = 0;
    while let Some(length) = line_end(&text.as_bytes()[start..], 0) {
        let end = start + length;
        let known = text
            .get(start..end)
            .and_then(|line| file.check(line, in_detail));
        let Some(known) = known else {
            return (start, false);
        };
        lines.push(CheckedLine { start, end, known });
        start = end + 1;
    }
    (start, text.as_bytes().get(start) != Some(&0))
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
