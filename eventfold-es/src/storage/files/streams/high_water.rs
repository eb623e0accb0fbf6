//! The high-water marks: where each stream ends in the journal. Their file is
//! `journal/stream_ends`.
//!
//! Loading a stream does not read the journal. Without the marks, a stream's file that was deleted,
//! cut at a line end, or restored from an older copy would look valid. So the store records the
//! last event of each stream, and refuses a load that ends elsewhere. The marks of written streams
//! go to the file when the redo point moves. Until then they are in memory.
//!
//! A note is 64 bytes: the hash of the stream's name, the version and position of its last event,
//! the hash of that event's line, the hash of all lines of other programs, the length of the stream's file,
//! and a checksum. The last note of a stream counts. The notes of a checkpoint end with a note that states their place in
//! the journal. If this is not the checkpoint's place, or a note is damaged, all marks are read
//! from the journal again.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use xxhash_rust::xxh3::xxh3_64;

use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::format::commit_line::Part;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths;
use crate::storage::files::streams::end::{StreamEnd, line_hash};
use crate::storage::files::streams::mark::{Mark, StreamHash, TypeHash, add_foreign};
use crate::sync::lock;

/// The size of a note.
pub(crate) const NOTE: usize = 64;
/// The length in a note if it is not known.
const UNKNOWN: u64 = u64::MAX;
/// How many outdated notes the file may have. With more, the file is written again as a whole.
const MOST_OUTDATED: usize = if cfg!(test) { 4 } else { 10_000 };
/// The hash in a note that states a place in the journal instead of a stream's end.
const JOURNAL: StreamHash = StreamHash(0);
/// The high-water marks of all streams.
#[derive(Debug)]
pub(crate) struct HighWaterMarks {
    path: PathBuf,
    /// The streams that were written since the last checkpoint.
    recent: Mutex<HashMap<StreamHash, Recent>>,
    state: Mutex<State>,
    /// How many notes the file has; `None` if it must be written as a whole. Locked during a write.
    notes: Mutex<Option<usize>>,
}

#[derive(Debug, Default)]
struct State {
    known: HashMap<StreamHash, Mark>,
    /// The streams that pending checkpoints will note, the oldest first.
    taken: Vec<Arc<Taken>>,
    /// The position and the checksum of the journal line at which the notes were complete.
    complete: Option<(u64, u64)>,
}

/// The streams that were written between two checkpoints.
#[derive(Debug, Default)]
pub(crate) struct Taken(HashMap<StreamHash, Recent>);

impl Taken {
    /// The directories of the streams.
    pub(crate) fn dirs(&self) -> impl Iterator<Item = &Path> {
        self.0.values().map(|recent| recent.dir.as_path())
    }
}

/// The end of a written stream, and the stream's directory.
#[derive(Debug)]
struct Recent {
    dir: PathBuf,
    version: u64,
    position: u64,
    hash: u64,
    length: Option<u64>,
}

impl Recent {
    fn mark(&self, foreign: u64) -> Mark {
        Mark {
            version: self.version,
            position: self.position,
            hash: self.hash,
            foreign,
            length: self.length,
        }
    }
}

impl State {
    fn of(&self, stream: StreamHash) -> Mark {
        let known = self.known.get(&stream).copied().unwrap_or_default();
        let taken = self
            .taken
            .iter()
            .rev()
            .find_map(|taken| taken.0.get(&stream));
        taken.map_or(known, |taken| taken.mark(known.foreign))
    }
}

impl HighWaterMarks {
    /// Reads the notes in the journal's directory. In doubt, the next notes go to a new file.
    pub(crate) fn read(journal: &Path, in_doubt: bool) -> StorageResult<Self> {
        let path = paths::stream_ends(journal);
        let bytes = disk::read_if_there(&path)?.unwrap_or_default();
        let (notes, torn) = bytes.as_chunks::<NOTE>();
        let mut known = HashMap::with_capacity(notes.len());
        // A file without notes is complete for the beginning of the journal.
        let mut complete = Some((0, 0));
        let mut is_whole = torn.is_empty();
        for note in notes {
            match read_note(note) {
                Some((JOURNAL, mark)) => complete = Some((mark.position, mark.hash)),
                Some((stream, mark)) => {
                    known.insert(stream, mark);
                    complete = None;
                }
                None => is_whole = false,
            }
        }
        let state = State {
            known,
            complete: complete.filter(|_| is_whole),
            ..State::default()
        };
        Ok(Self {
            path,
            recent: Mutex::default(),
            state: Mutex::new(state),
            notes: Mutex::new((is_whole && !in_doubt).then_some(notes.len())),
        })
    }

    /// Marks without any streams, for callers that load none.
    pub(crate) fn unknown() -> Self {
        Self {
            path: PathBuf::new(),
            recent: Mutex::default(),
            state: Mutex::default(),
            notes: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Whether the notes are complete for `place` in the journal.
    pub(crate) fn are_of(&self, place: End) -> bool {
        self.state().complete == Some((place.position, place.chain))
    }

    /// Forgets all marks, so that they can be read from the journal again. Invariant S6.
    pub(crate) fn forget(&self) {
        self.begin_with(HashMap::new());
    }

    /// Forgets all marks but `ends`, those at the beginning of the journal.
    pub(crate) fn begin_with(&self, ends: HashMap<StreamHash, Mark>) {
        *self.state() = State {
            known: ends,
            ..State::default()
        };
        *lock(&self.notes) = None;
    }

    /// The mark of the stream.
    pub(crate) fn of(&self, stream: StreamHash) -> Mark {
        let recent = lock(&self.recent).get(&stream).map(|recent| recent.mark(0));
        let before = self.state().of(stream);
        recent.map_or(before, |recent| Mark {
            foreign: before.foreign,
            ..recent
        })
    }

    /// The streams of an aggregate type that have events, or of all types.
    pub(crate) fn with_events(&self, of: Option<TypeHash>) -> HashSet<StreamHash> {
        let is_wanted = |stream: &StreamHash| of.is_none_or(|kind| stream.is_of(kind));
        // Read first, because streams move from `recent` to the state.
        let recent: Vec<_> = lock(&self.recent).keys().copied().collect();
        let state = self.state();
        let taken = state.taken.iter().flat_map(|taken| taken.0.keys());
        let all = state.known.keys().chain(taken).copied();
        recent.into_iter().chain(all).filter(is_wanted).collect()
    }

    /// Moves the stream's mark past the events of a commit that was read from the journal.
    pub(crate) fn add(&self, stream: StreamHash, part: &Part<'_, '_>) {
        self.state().known.entry(stream).or_default().add(part);
    }

    /// Moves the stream's mark past a line of another program. The journal has it at `position`.
    pub(crate) fn add_foreign(&self, stream: StreamHash, line: &[u8], position: u64) {
        let mut state = self.state();
        let mark = state.known.entry(stream).or_default();
        let line = line.trim_ascii();
        mark.version += 1;
        mark.position = position;
        mark.hash = line_hash(line);
        mark.foreign = add_foreign(mark.foreign, line);
        mark.length = None;
    }

    /// Sets the mark of the stream in `dir`, which was written and is durable up to `end`.
    pub(crate) fn set(&self, stream: StreamHash, dir: &Path, end: &StreamEnd) {
        let mut recent = lock(&self.recent);
        let recent = recent.entry(stream).or_insert_with(|| Recent {
            dir: dir.to_owned(),
            version: 0,
            position: 0,
            hash: 0,
            length: None,
        });
        recent.version = end.version;
        recent.position = end.position;
        recent.hash = end.hash;
        recent.length = Some(end.offset);
    }

    /// Notes a stream in `dir` at the next checkpoint.
    pub(crate) fn defer(&self, stream: StreamHash, dir: &Path) {
        let mark = self.of(stream);
        let recent = Recent {
            dir: dir.to_owned(),
            version: mark.version,
            position: mark.position,
            hash: mark.hash,
            length: mark.length,
        };
        lock(&self.recent).insert(stream, recent);
    }

    /// Takes the streams that were written so far, for a checkpoint at the journal's present end.
    pub(crate) fn take(&self) -> Arc<Taken> {
        let mut recent = lock(&self.recent);
        let taken = Arc::new(Taken(std::mem::take(&mut *recent)));
        self.state().taken.push(taken.clone());
        taken
    }

    /// Notes the `taken` streams of checkpoints durably, the oldest first. `place` is the place of
    /// the last checkpoint in the journal. A failure is reported; then the next open reads the
    /// marks from the journal.
    pub(crate) fn note_taken(&self, taken: &[Arc<Taken>], place: End) {
        let mut streams = HashSet::new();
        {
            let state = &mut *self.state();
            for (stream, recent) in taken.iter().flat_map(|taken| &taken.0) {
                let known = state.known.entry(*stream).or_default();
                *known = recent.mark(known.foreign);
                streams.insert(*stream);
            }
            state
                .taken
                .retain(|other| !taken.iter().any(|taken| Arc::ptr_eq(taken, other)));
        }
        let streams: Vec<StreamHash> = streams.into_iter().collect();
        self.note(&streams, place);
    }

    /// Notes durably where `streams` end at `place` in the journal. The notes of all other streams
    /// must still be right there. A failure is reported.
    pub(crate) fn note(&self, streams: &[StreamHash], place: End) {
        if let Err(error) = self.try_note(streams, place) {
            tracing::warn!(%error, "the high-water marks of streams could not be written; the next open reads the whole journal");
        }
    }

    fn try_note(&self, streams: &[StreamHash], place: End) -> StorageResult<()> {
        let mut notes = lock(&self.notes);
        if notes.is_some() && streams.is_empty() && self.are_of(place) {
            return Ok(());
        }
        // If this fails, the next call writes the whole file.
        let before = notes.take();
        let (bytes, count) = {
            let mut state = self.state();
            state.complete = Some((place.position, place.chain));
            let appended = before.map(|before| before + streams.len() + 1);
            let is_short = |notes: &usize| *notes <= state.known.len() + MOST_OUTDATED;
            let of_journal = Mark {
                position: place.position,
                hash: place.chain,
                ..Mark::default()
            };
            let note = |stream: &StreamHash| {
                let known = state.known.get(stream).copied();
                write_note(*stream, known.unwrap_or_default())
            };
            let last = write_note(JOURNAL, of_journal);
            if let Some(count) = appended.filter(is_short) {
                let bytes: Vec<u8> = streams.iter().flat_map(note).chain(last).collect();
                (bytes, count)
            } else {
                let all = state.known.keys().flat_map(note).chain(last).collect();
                (all, state.known.len() + 1)
            }
        };
        if bytes.len() == count * NOTE {
            disk::replace_durably(&self.path, &bytes)?;
        } else {
            let append = || -> io::Result<()> {
                let file = File::open(&self.path, Open::Existing)?;
                file.write_at((count * NOTE - bytes.len()) as u64, &bytes)?;
                file.sync_all()
            };
            append().map_err(|e| StorageError::io("write", &self.path, e))?;
        }
        *notes = Some(count);
        Ok(())
    }
}

pub(super) fn write_note(StreamHash(stream): StreamHash, mark: Mark) -> [u8; NOTE] {
    let mut note = [0; NOTE];
    note[..16].copy_from_slice(&stream.to_le_bytes());
    let length = mark.length.unwrap_or(UNKNOWN);
    let numbers = [mark.version, mark.position, mark.hash, mark.foreign, length];
    for (i, number) in numbers.into_iter().enumerate() {
        note[16 + 8 * i..][..8].copy_from_slice(&number.to_le_bytes());
    }
    let (body, end) = note.split_at_mut(NOTE - 8);
    end.copy_from_slice(&xxh3_64(body).to_le_bytes());
    note
}

pub(super) fn read_note(note: &[u8; NOTE]) -> Option<(StreamHash, Mark)> {
    let (body, sum) = note.split_last_chunk::<8>()?;
    if xxh3_64(body).to_le_bytes() != *sum {
        return None;
    }
    let (stream, rest) = body.split_first_chunk::<16>()?;
    let (numbers, _) = rest.as_chunks::<8>();
    let number = |i: usize| numbers.get(i).copied().map(u64::from_le_bytes);
    let mark = Mark {
        version: number(0)?,
        position: number(1)?,
        hash: number(2)?,
        foreign: number(3)?,
        length: number(4).filter(|length| *length != UNKNOWN),
    };
    Some((StreamHash(u128::from_le_bytes(*stream)), mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(number: u64) -> StreamHash {
        StreamHash::new("a", &number.to_le_bytes())
    }

    fn mark(version: u64) -> Mark {
        Mark {
            version,
            position: 2 * version,
            hash: 3 * version,
            foreign: 4 * version,
            length: (!version.is_multiple_of(2)).then_some(5 * version),
        }
    }

    fn place(position: u64) -> End {
        End {
            segment: 1,
            offset: position,
            chain: 5 * position,
            position,
            ms: 6 * position,
        }
    }

    fn note(marks: &HighWaterMarks, versions: &[(u64, u64)], at: u64) {
        for (number, version) in versions {
            let mut state = marks.state();
            state.known.insert(stream(*number), mark(*version));
        }
        let streams: Vec<_> = versions.iter().map(|(number, _)| stream(*number)).collect();
        marks.note(&streams, place(at));
    }

    #[test]
    fn the_last_high_water_mark_of_a_stream_counts_even_after_the_file_is_rewritten() {
        let dir = tempfile::tempdir().unwrap();
        assert!(
            HighWaterMarks::read(dir.path(), false)
                .unwrap()
                .are_of(place(0))
        );
        for version in 1..=20 {
            let marks = HighWaterMarks::read(dir.path(), false).unwrap();
            assert!(marks.are_of(place(version - 1)));
            note(&marks, &[(1, version), (2, 10 * version)], version);
            let marks = HighWaterMarks::read(dir.path(), false).unwrap();
            assert_eq!(marks.of(stream(1)), mark(version));
            assert_eq!(marks.of(stream(2)), mark(10 * version));
            assert_eq!(marks.of(stream(3)), Mark::default());
        }
        let size = std::fs::metadata(dir.path().join("stream_ends"))
            .unwrap()
            .len();
        assert!(size <= ((2 + MOST_OUTDATED) * NOTE) as u64, "{size} bytes");
    }

    #[test]
    fn damaged_high_water_marks_belong_to_no_redo_point() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stream_ends");
        note(
            &HighWaterMarks::read(dir.path(), false).unwrap(),
            &[(1, 5), (2, 6)],
            9,
        );
        let whole = std::fs::read(&path).unwrap();
        for at in 0..whole.len() {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            let marks = HighWaterMarks::read(dir.path(), false).unwrap();
            assert!(!marks.are_of(place(9)), "byte {at}");
        }
        for length in 1..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            let marks = HighWaterMarks::read(dir.path(), false).unwrap();
            assert!(!marks.are_of(place(9)), "{length} bytes");
            assert!(!marks.are_of(place(0)), "{length} bytes");
            // The next notes are not lost after a torn note.
            marks.forget();
            note(&marks, &[(3, 7)], 10);
            let marks = HighWaterMarks::read(dir.path(), false).unwrap();
            assert!(marks.are_of(place(10)), "{length} bytes");
            assert_eq!(marks.of(stream(3)), mark(7));
        }
    }

    #[test]
    fn after_a_failed_sync_all_high_water_marks_go_to_a_new_file() {
        let dir = tempfile::tempdir().unwrap();
        let notes = || {
            let file = std::fs::metadata(dir.path().join("stream_ends"));
            file.unwrap().len() / NOTE as u64
        };
        for version in [1, 2] {
            note(
                &HighWaterMarks::read(dir.path(), false).unwrap(),
                &[(1, version)],
                version,
            );
        }
        assert_eq!(notes(), 4);
        note(
            &HighWaterMarks::read(dir.path(), true).unwrap(),
            &[(2, 3)],
            3,
        );
        assert_eq!(notes(), 3, "it was added to");
        let marks = HighWaterMarks::read(dir.path(), false).unwrap();
        assert_eq!(
            (marks.of(stream(1)), marks.of(stream(2))),
            (mark(2), mark(3))
        );
        marks.note(&[], place(3));
        HighWaterMarks::read(dir.path(), true)
            .unwrap()
            .note(&[], place(3));
        assert_eq!(notes(), 3);
    }

    #[test]
    fn a_checkpoint_notes_only_the_versions_that_were_taken_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let marks = HighWaterMarks::read(dir.path(), false).unwrap();
        let written = |number, version| {
            let recent = Recent {
                dir: PathBuf::new(),
                version,
                position: version,
                hash: version,
                length: None,
            };
            lock(&marks.recent).insert(stream(number), recent);
        };
        written(1, 1);
        let first = marks.take();
        written(1, 2);
        written(2, 1);
        let second = marks.take();
        assert_eq!((first.dirs().count(), second.dirs().count()), (1, 2));
        marks.note_taken(&[first], place(1));
        let noted = |number| {
            HighWaterMarks::read(dir.path(), false)
                .unwrap()
                .of(stream(number))
        };
        assert_eq!((noted(1).version, noted(2).version), (1, 0));
        let known = |number| marks.of(stream(number)).version;
        assert_eq!((known(1), known(2)), (2, 1));
        marks.note_taken(&[second], place(2));
        assert_eq!((noted(1).version, noted(2).version), (2, 1));
        assert_eq!((known(1), known(2)), (2, 1));
    }

    #[test]
    fn streams_with_events_are_selected_by_aggregate_type() {
        let marks = HighWaterMarks::unknown();
        let other = StreamHash::new("b", b"1");
        for stream in [stream(1), stream(2), other] {
            marks.state().known.insert(stream, mark(1));
        }
        let of_a = marks.with_events(Some(TypeHash::new("a")));
        assert_eq!(of_a, HashSet::from([stream(1), stream(2)]));
        assert_eq!(marks.with_events(None).len(), 3);
    }
}
