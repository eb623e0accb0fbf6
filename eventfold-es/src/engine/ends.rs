//! Up to where each stream's file is known to be whole: `journal/stream_ends`.
//!
//! What the journal holds is not looked up when a stream is loaded, so a file that was deleted, or
//! cut at a line end, would look like a shorter stream. This says that it was longer. It is noted at
//! checkpoints and at the end, for the streams that were written since; a note that is lost leaves
//! less known, never anything wrong.
//!
//! A note is 32 bytes: the hash of the stream's name, the offset of its end and a checksum. The last
//! note of a stream counts.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::disk::{self, File, Open};

/// The size of a note.
const NOTE: usize = 32;
/// How many notes may be outdated, beyond one for each stream, until the file is written anew.
const MOST_OUTDATED: usize = if cfg!(test) { 4 } else { 10_000 };

/// What stands for a stream in the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamHash(u128);

impl StreamHash {
    /// `journal_key` names the stream as the journal does.
    pub(crate) fn new(journal_key: &[u8]) -> Self {
        Self(xxh3_128(journal_key))
    }
}

/// What is known of the streams' ends.
#[derive(Debug)]
pub(crate) struct Ends {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<StreamHash, u64>,
    /// How many notes the file has; `None` if it must be written anew.
    notes: Option<usize>,
}

impl Ends {
    /// Reads what was noted in the journal's directory. Notes that are not whole are passed over. In
    /// doubt the next notes go to a new file.
    pub(crate) fn read(journal: &Path, in_doubt: bool) -> io::Result<Self> {
        let path = journal.join("stream_ends");
        let bytes = disk::read_if_there(&path)?.unwrap_or_default();
        let (notes, torn) = bytes.as_chunks::<NOTE>();
        let mut known = HashMap::with_capacity(notes.len());
        known.extend(notes.iter().filter_map(read_note));
        let goes_on = torn.is_empty() && !in_doubt;
        Ok(Self {
            path,
            state: Mutex::new(State {
                known,
                notes: goes_on.then_some(notes.len()),
            }),
        })
    }

    /// Where nothing is to be known.
    pub(crate) fn unknown() -> Self {
        Self {
            path: PathBuf::new(),
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Up to where the stream's file is known to be whole.
    pub(crate) fn of(&self, stream: StreamHash) -> u64 {
        self.state().known.get(&stream).copied().unwrap_or(0)
    }

    /// Notes where streams end now. If that fails it is reported, and less is known.
    pub(crate) fn note(&self, ends: &[(StreamHash, u64)]) {
        if let Err(error) = self.try_note(ends) {
            tracing::warn!(%error, "the ends of streams could not be noted");
        }
    }

    fn try_note(&self, ends: &[(StreamHash, u64)]) -> io::Result<()> {
        if ends.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        state.known.extend(ends.iter().copied());
        let notes = state.notes.take().map(|notes| notes + ends.len());
        let length = match notes {
            Some(notes) if notes <= state.known.len() + MOST_OUTDATED => {
                let bytes: Vec<u8> = ends.iter().flat_map(write_note).collect();
                let file = File::open(&self.path, Open::Create);
                file.and_then(|file| file.write_at(((notes - ends.len()) * NOTE) as u64, &bytes))
                    .map_err(|e| disk::at("write", &self.path, &e))?;
                notes
            }
            _ => {
                let known = state.known.iter().map(|(stream, end)| (*stream, *end));
                let bytes: Vec<u8> = known.flat_map(|end| write_note(&end)).collect();
                disk::replace(&self.path, &bytes, false)?;
                state.known.len()
            }
        };
        state.notes = Some(length);
        Ok(())
    }
}

fn write_note((stream, end): &(StreamHash, u64)) -> [u8; NOTE] {
    let mut note = [0; NOTE];
    note[..16].copy_from_slice(&stream.0.to_le_bytes());
    note[16..24].copy_from_slice(&end.to_le_bytes());
    let sum = xxh3_64(&note[..24]);
    note[24..].copy_from_slice(&sum.to_le_bytes());
    note
}

fn read_note(note: &[u8; NOTE]) -> Option<(StreamHash, u64)> {
    let (stream, rest) = note.split_first_chunk::<16>()?;
    let (end, sum) = rest.split_first_chunk::<8>()?;
    let is_whole = xxh3_64(&note[..24]).to_le_bytes() == *sum;
    is_whole.then(|| {
        (
            StreamHash(u128::from_le_bytes(*stream)),
            u64::from_le_bytes(*end),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u64) -> StreamHash {
        StreamHash::new(&number.to_le_bytes())
    }

    #[test]
    fn the_last_note_of_a_stream_counts_also_when_the_file_is_written_anew() {
        let dir = tempfile::tempdir().unwrap();
        for end in 1..=20 {
            let ends = Ends::read(dir.path(), false).unwrap();
            ends.note(&[(stream(1), end), (stream(2), 10 * end)]);
            let ends = Ends::read(dir.path(), false).unwrap();
            assert_eq!(ends.of(stream(1)), end);
            assert_eq!(ends.of(stream(2)), 10 * end);
            assert_eq!(ends.of(stream(3)), 0);
        }
        let size = std::fs::metadata(dir.path().join("stream_ends"))
            .unwrap()
            .len();
        assert!(size <= ((2 + MOST_OUTDATED) * NOTE) as u64, "{size} bytes");
    }

    #[test]
    fn in_doubt_all_notes_go_to_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let notes = || {
            let file = std::fs::metadata(dir.path().join("stream_ends"));
            file.unwrap().len() / NOTE as u64
        };
        for end in [1, 2] {
            let ends = Ends::read(dir.path(), false).unwrap();
            ends.note(&[(stream(1), end)]);
        }
        assert_eq!(notes(), 2);
        let ends = Ends::read(dir.path(), true).unwrap();
        ends.note(&[(stream(2), 3)]);
        assert_eq!(notes(), 2, "it was added to");
        let ends = Ends::read(dir.path(), false).unwrap();
        assert_eq!((ends.of(stream(1)), ends.of(stream(2))), (2, 3));
    }

    #[test]
    fn a_note_that_is_not_whole_is_passed_over_and_the_others_count() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stream_ends");
        Ends::read(dir.path(), false)
            .unwrap()
            .note(&[(stream(1), 5), (stream(2), 6)]);
        let whole = std::fs::read(&path).unwrap();
        for at in 0..NOTE {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let ends = Ends::read(dir.path(), false).unwrap();
            assert_eq!(
                (ends.of(stream(1)), ends.of(stream(2))),
                (0, 6),
                "byte {at}"
            );
        }
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let ends = Ends::read(dir.path(), false).unwrap();
            let known = if length < NOTE { 0 } else { 5 };
            assert_eq!((ends.of(stream(1)), ends.of(stream(2))), (known, 0));
            // What comes next is not lost behind a torn note.
            ends.note(&[(stream(3), 7)]);
            let ends = Ends::read(dir.path(), false).unwrap();
            assert_eq!((ends.of(stream(1)), ends.of(stream(3))), (known, 7));
        }
    }
}
