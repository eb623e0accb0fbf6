//! The journal of a store that another process may be writing: [`ObservedJournal`].
//!
//! Nothing is locked and nothing is written, so only the bytes tell what is durable. A line is, if
//!
//! * the redo point is at it or after it, or
//! * a later line states so: each states what was durable before its batch was written, or
//! * a later segment exists: it gets its name after the one before it was synced, or
//! * the reader has synced the line itself, and no sync of the store had failed.
//!
//! Bytes that are being written may be seen in part. So what contradicts the rest is read again before
//! it counts as damage.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::doubt;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::beginning::{Beginning, Segments};
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::{is_there, list_segments, segment_path};
use crate::storage::files::journal::segment::{SegmentFile, Used};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::recovery::scan::{Scanned, check_chain, examine_tail, scan_line};

/// How often bytes that contradict the rest are read again.
const ATTEMPTS: usize = 3;

/// A journal, up to where it is known to be durable.
#[derive(Debug)]
pub(crate) struct ObservedJournal {
    dir: PathBuf,
    index: Arc<Index>,
    /// Where the lines end that are known to be durable.
    end: End,
    /// Where the valid lines ended at the last look, if the last of them were not proven.
    unproven: Option<End>,
    redo_point: Option<RedoPoint>,
}

/// When the reader syncs lines that nothing else proves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sync {
    Now,
    /// Only if no line came since the last look. While lines come, each batch proves the one before.
    IfQuiet,
}

/// How far a look at one segment came.
enum Look {
    /// All there is was seen.
    Done,
    /// There is more in the next segment.
    NextSegment,
    /// The bytes contradict each other. A writer may have been at work.
    Again(StorageError),
}

/// The lines of a segment from the durable end on.
struct Lines {
    bytes: Vec<u8>,
    /// Where `bytes` begins in the file.
    start: u64,
    /// Where the valid lines end.
    seen: End,
    /// The ends of the valid lines that nothing proves yet.
    unproven: VecDeque<End>,
    /// The newest durable position that a line after the valid ones proves.
    proven_by_tail: u64,
    has_tail: bool,
}

impl ObservedJournal {
    /// Looks at the journal in `dir`, which may be empty.
    ///
    /// # Errors
    ///
    /// If the journal is damaged, incomplete, or of another version.
    pub(crate) fn open(dir: &Path) -> StorageResult<Self> {
        let mut beginning = Beginning::read(dir)?;
        loop {
            let opened = Self::try_open(dir);
            let now = Beginning::read(dir)?;
            if opened.is_ok() || now == beginning {
                return opened;
            }
            // A segment was dropped while it was looked at.
            beginning = now;
        }
    }

    fn try_open(dir: &Path) -> StorageResult<Self> {
        // Read before the segments are listed: it names none that is made later.
        let redo_point = RedoPoint::read(dir)?;
        let segments = Segments::of(dir)?;
        if let Some(redo_point) = redo_point {
            if !segments.firsts.contains(&redo_point.end.segment) {
                let path = segment_path(dir, redo_point.end.segment);
                return Err(StorageError::damaged(&path, 0, "the file is missing"));
            }
            check_chain(dir, &segments, redo_point.end)?;
        }
        let start = segments.beginning.end();
        let end = redo_point.map_or(start, |redo_point| redo_point.end);
        let known = segments
            .firsts
            .into_iter()
            .filter(|first| *first <= end.segment);
        let mut observed = Self {
            dir: dir.to_owned(),
            index: Arc::new(Index::new(dir.to_owned(), known.collect())),
            end,
            unproven: None,
            redo_point,
        };
        observed.look(Sync::Now)?;
        Ok(observed)
    }

    /// Looks for events that became durable since the last look.
    pub(crate) fn refresh(&mut self) -> StorageResult<()> {
        self.look(Sync::IfQuiet)?;
        let beginning = Beginning::read(&self.dir)?;
        if beginning.dropped > self.index.dropped() {
            // Whoever reads what is gone is told so anyway.
            let _ = self.index.drop_before(beginning.first());
        }
        Ok(())
    }

    /// The position of the newest event that is known to be durable.
    pub(crate) fn head(&self) -> u64 {
        self.end.position
    }

    /// The segments, up to the one with the durable end.
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// The redo point when the journal was opened.
    pub(crate) fn redo_point(&self) -> Option<RedoPoint> {
        self.redo_point
    }

    fn look(&mut self, sync: Sync) -> StorageResult<()> {
        let mut attempts = 0;
        loop {
            let before = self.end;
            match self.look_at_segment(sync)? {
                Look::Done => break,
                Look::NextSegment => attempts = 0,
                Look::Again(error) => {
                    attempts = if self.end == before { attempts + 1 } else { 0 };
                    if attempts == ATTEMPTS {
                        return Err(error);
                    }
                }
            }
        }
        self.index.set_end(self.end);
        Ok(())
    }

    /// Moves the durable end on within its segment, or to the next one.
    fn look_at_segment(&mut self, sync: Sync) -> StorageResult<Look> {
        let Some(mut segment) = SegmentFile::open_if_there(&self.dir, self.end.segment)? else {
            return self.without_segment();
        };
        self.index.add(self.end.segment);
        self.check_place(&mut segment)?;
        if sync == Sync::IfQuiet && self.is_at_end(&mut segment)? {
            self.unproven = None;
            return Ok(Look::Done);
        }
        let lines = self.read_lines(&mut segment)?;
        let path = segment.path();
        let damaged = |cause: String| {
            let error = StorageError::damaged(path, lines.seen.offset, cause);
            Ok(Look::Again(error))
        };
        let segments = list_segments(&self.dir)?;
        let next = segments
            .into_iter()
            .find(|first| *first > lines.seen.segment);
        if let Some(next) = next {
            if next != lines.seen.position + 1 || lines.has_tail {
                return damaged("the line is not valid, and later segments follow".to_owned());
            }
            self.end = lines.seen.of_next();
            self.unproven = None;
            return Ok(Look::NextSegment);
        }
        if lines.proven_by_tail > lines.seen.position {
            return damaged(format!(
                "the line with position {} is missing or not valid, but a later line of the journal \
                 shows that positions up to {} were durable",
                lines.seen.position + 1,
                lines.proven_by_tail
            ));
        }
        if lines.unproven.is_empty() {
            self.unproven = None;
            return Ok(Look::Done);
        }
        let is_quiet = self.unproven == Some(lines.seen);
        if (sync == Sync::Now || is_quiet) && self.sync(&mut segment, &lines)? {
            self.end = lines.seen;
            self.unproven = None;
        } else {
            self.unproven = Some(lines.seen);
        }
        Ok(Look::Done)
    }

    /// What a missing file of the segment with the durable end means.
    fn without_segment(&self) -> StorageResult<Look> {
        let is_new = self.end == End::of_empty(1, 0);
        if is_new && list_segments(&self.dir)?.is_empty() {
            return Ok(Look::Done);
        }
        let dropped = Beginning::read(&self.dir)?.dropped;
        if self.end.segment <= dropped {
            return Err(StorageError::dropped(self.end.position, dropped));
        }
        let path = segment_path(&self.dir, self.end.segment);
        Err(StorageError::damaged(&path, 0, "the file is missing"))
    }

    /// Fails if the journal does not have the durable end any more.
    fn check_place(&self, segment: &mut SegmentFile) -> StorageResult<()> {
        let is_known = self.end.offset > 0;
        if is_known && segment.stated_before(self.end.offset)? != Some(self.end.chain) {
            let cause = "does not go on where it ended before: the directory was replaced by another \
                         one while it was read; open it again";
            return Err(StorageError::file(
                StorageErrorKind::OtherHistory,
                segment.path(),
                cause,
            ));
        }
        Ok(())
    }

    /// Whether nothing was written after the durable end.
    fn is_at_end(&self, segment: &mut SegmentFile) -> StorageResult<bool> {
        let mut next = [0];
        segment.read_at(self.end.offset, &mut next)?;
        let has_commits = self.end.segment <= self.end.position;
        let is_followed = has_commits && is_there(&self.dir, self.end.position + 1);
        Ok(next == [0] && !is_followed)
    }

    /// Reads the lines after the durable end, and moves it past those that others prove.
    fn read_lines(&mut self, segment: &mut SegmentFile) -> StorageResult<Lines> {
        let start = self.end.offset;
        let bytes = segment.read_used(start).and_then(Used::whole)?;
        let path = segment.path();
        let mut rest = &bytes[..];
        let mut seen = self.end;
        let mut unproven = VecDeque::new();
        while let Some(line) = scan_line(path, &mut rest, &mut seen)? {
            let Scanned::Commit(commit) = line else {
                // The header is proven by the first commit.
                continue;
            };
            let is_proven = |end: &End| end.position <= commit.durable.value();
            while unproven.front().is_some_and(is_proven) {
                self.end = unproven.pop_front().unwrap_or(self.end);
            }
            unproven.push_back(seen);
        }
        let (_, proven_by_tail) = examine_tail(rest, seen);
        let has_tail = !rest.is_empty();
        Ok(Lines {
            bytes,
            start,
            seen,
            unproven,
            proven_by_tail,
            has_tail,
        })
    }

    /// Makes `lines` durable. False if nobody can tell whether they are.
    ///
    /// After a failed sync, a further one says nothing. Invariant D3. A writer that could write only a
    /// part of a batch erases that part at once, so the lines are read again.
    fn sync(&self, segment: &mut SegmentFile, lines: &Lines) -> StorageResult<bool> {
        if doubt::is_noted(&self.dir)? {
            return Ok(false);
        }
        match segment.sync() {
            Ok(true) => {}
            Ok(false) => return Ok(false),
            Err(error) => {
                let error = StorageError::io("sync", segment.path(), error);
                tracing::warn!(%error, "the newest events are not shown, because they may not be durable");
                return Ok(false);
            }
        }
        let valid = usize::try_from(lines.seen.offset - lines.start).unwrap_or(usize::MAX);
        let again = segment.read_used(lines.start).and_then(Used::whole)?;
        let is_same = again.get(..valid) == lines.bytes.get(..valid);
        Ok(is_same && !doubt::is_noted(&self.dir)?)
    }
}
