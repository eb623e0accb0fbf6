//! Drops the oldest segments of the journal: [`Retention`].
//!
//! A segment goes only if the streams' files have its events, and nobody needs it: Invariant D15. The
//! record of where the journal begins is durable before the first file is removed. Invariant D14.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, from_unix_millis};
use crate::ids::Position;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::beginning::{BEGINNING_FILE, Beginning, meta, of_ends_file};
use crate::storage::files::journal::paths::{list_segments, remove_segment};
use crate::storage::files::journal::reader::{Reader, chain_before};
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::ends::Ends;
use crate::storage::retention::{DroppedJournal, KeptFile, Need, Needs, WhyKept};

/// Drops segments of one journal.
#[derive(Debug)]
pub(crate) struct Retention {
    journal: PathBuf,
    index: Arc<Index>,
    clock: Clock,
    /// What is known of segments that were read.
    known: BTreeMap<u64, Content>,
}

/// What a sealed segment has.
#[derive(Debug, Clone)]
struct Content {
    /// The position of its last event.
    last: u64,
    /// The checksum of its last line.
    chain: u64,
    /// The time of its last commit.
    ms: u64,
    /// Why it is never dropped.
    held: Option<WhyKept>,
}

/// A look at the whole journal.
struct Look<'a> {
    redo_point: Option<RedoPoint>,
    now: u64,
    keep_for: u64,
    needs: &'a Needs,
    /// What follows the journal, once it was asked.
    asked: Option<Vec<Need>>,
}

impl Retention {
    pub(crate) fn new(journal: PathBuf, index: Arc<Index>, clock: Clock) -> Self {
        Self {
            journal,
            index,
            clock,
            known: BTreeMap::new(),
        }
    }

    /// Drops the oldest segments whose events are all older than `keep_for`, as far as nothing keeps them.
    pub(crate) fn drop_old(
        &mut self,
        keep_for: Duration,
        needs: &Needs,
    ) -> StorageResult<DroppedJournal> {
        // After a failed sync nothing is removed. Invariant D5.
        if failed_syncs::is_remembered(&self.journal) {
            let cause = "is in doubt, because a sync failed: nothing of it is dropped until the store is \
                         opened again";
            let kind = StorageErrorKind::Io(std::io::ErrorKind::Other);
            return Err(StorageError::file(kind, &self.journal, cause));
        }
        let mut report = DroppedJournal::default();
        let beginning = self.finish_earlier()?;
        let firsts = self.index.firsts();
        let mut look = Look {
            redo_point: RedoPoint::read(&self.journal)?,
            now: self.clock.now_ms(),
            keep_for: u64::try_from(keep_for.as_millis()).unwrap_or(u64::MAX),
            needs,
            asked: None,
        };
        let mut goes = Vec::new();
        for (i, first) in firsts.iter().enumerate() {
            let next = firsts.get(i + 1).copied();
            let why = if report.kept.is_empty() {
                self.why_kept(*first, next, &mut look)?
            } else {
                Some(look.why_needed(*first, next).unwrap_or(WhyKept::OlderStays))
            };
            match why {
                Some(why) => report.kept.push(kept(*first, why)),
                None => goes.push(*first),
            }
        }
        if let (Some(last), Some(until)) = (goes.last(), firsts.get(goes.len()))
            && let Some(content) = self.known.get(last).cloned()
        {
            match self.drop_segments(&beginning, (&goes, *until), &content, &mut report) {
                Ok(None) => {}
                Ok(Some(reader)) => {
                    let position = Position::new(reader);
                    let stay = goes
                        .iter()
                        .map(|first| kept(*first, WhyKept::Reader { position }));
                    report.kept.splice(..0, stay);
                }
                Err(error) => return Err(error),
            }
        }
        report.begins_after = Position::new(self.index.dropped());
        Ok(report)
    }

    /// Removes what an earlier attempt could not remove. Returns where the journal begins.
    fn finish_earlier(&mut self) -> StorageResult<Beginning> {
        let beginning = Beginning::read(&self.journal)?;
        if beginning.dropped > self.index.dropped() {
            // That attempt failed when the record was written, and readers went on.
            if let Err(reader) = self.index.drop_before(beginning.first()) {
                let text = format!(
                    "an earlier attempt to drop files of the journal was interrupted, and somebody reads \
                     the journal from position {reader} on: try again later"
                );
                return Err(StorageError::new(StorageErrorKind::Busy, text));
            }
        }
        finish_dropping(&self.journal, &beginning, &list_segments(&self.journal)?)?;
        Ok(beginning)
    }

    /// Why the segment that begins at `first` stays, `None` if it may go. All older ones may.
    fn why_kept(
        &mut self,
        first: u64,
        next: Option<u64>,
        look: &mut Look<'_>,
    ) -> StorageResult<Option<WhyKept>> {
        if let Some(why) = look.why_needed(first, next) {
            return Ok(Some(why));
        }
        let Some(next) = next else {
            return Ok(Some(WhyKept::StillOpen));
        };
        let content = self.content(first, next)?;
        if content.held.is_some() {
            return Ok(content.held);
        }
        if content.ms.saturating_add(look.keep_for) > look.now {
            let newest = from_unix_millis(content.ms);
            return Ok(Some(WhyKept::TooYoung { newest }));
        }
        if let Some(Need { name, position }) = look.need_before(content.last)? {
            return Ok(Some(WhyKept::Follower {
                name: name.clone(),
                position: Position::new(*position),
            }));
        }
        let reader = self.index.reader_before(content.last);
        Ok(reader.map(|position| WhyKept::Reader {
            position: Position::new(position),
        }))
    }

    /// What the segment that begins at `first` has. It is read once, and checked.
    fn content(&mut self, first: u64, next: u64) -> StorageResult<Content> {
        if let Some(content) = self.known.get(&first) {
            return Ok(content.clone());
        }
        let mut content = Content {
            last: next - 1,
            chain: 0,
            ms: 0,
            held: None,
        };
        let mut reader = Reader::new(self.index.clone(), first - 1);
        reader.read_to(next - 1, |commit, _| {
            content.ms = content.ms.max(commit.ms.value());
            if content.held.is_none() {
                content.held = held_by(commit)?;
            }
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        let chain = reader.chain();
        if chain != Some(chain_before(&self.index, next)?) {
            let path = self.index.path(first);
            let cause = "the last line is not the one that the next file continues";
            return Err(StorageError::damaged(&path, 0, cause));
        }
        content.chain = chain.unwrap_or_default();
        self.known.insert(first, content.clone());
        Ok(content)
    }

    /// Drops the segments `goes`, which are all before the one at `until`. If somebody reads them meanwhile,
    /// nothing is dropped, and its position returned.
    fn drop_segments(
        &mut self,
        beginning: &Beginning,
        (goes, until): (&[u64], u64),
        last: &Content,
        report: &mut DroppedJournal,
    ) -> StorageResult<Option<u64>> {
        let mut ends = Ends::read(&self.journal, beginning)?;
        let mut reader = Reader::new(self.index.clone(), beginning.dropped);
        reader.read_to(last.last, |commit, _| {
            ends.add(commit)?;
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        drop(reader);
        let mut bytes = 0;
        for first in goes {
            bytes += SegmentFile::open(&self.journal, *first)?.stored_length()?;
        }
        let dropped = match self.index.drop_before(until) {
            Ok(dropped) => dropped,
            Err(reader) => return Ok(Some(reader)),
        };
        let now = self.record(&ends, last).inspect_err(|_| {
            self.index.put_back(dropped);
        })?;
        report.files = goes.len() as u64;
        report.events = now.dropped - beginning.dropped;
        report.bytes = bytes;
        tracing::info!(
            files = report.files,
            events = report.events,
            bytes,
            position = now.dropped,
            "the oldest files of the journal are dropped"
        );
        self.known = self.known.split_off(&until);
        finish_dropping(&self.journal, &now, &list_segments(&self.journal)?)?;
        Ok(None)
    }

    /// Writes the record durably that the journal begins after `last`. Invariant D14.
    fn record(&self, ends: &Ends, last: &Content) -> StorageResult<Beginning> {
        let meta = meta(&self.journal);
        disk::create_private_dir(&meta)?;
        meta.parent().map_or(Ok(()), disk::sync_dir)?;
        let beginning = Beginning {
            dropped: last.last,
            chain: last.chain,
            ms: last.ms,
            ends: ends.write(&self.journal, last.last)?,
        };
        beginning.write(&self.journal)?;
        Ok(beginning)
    }
}

fn kept(first: u64, why: WhyKept) -> KeptFile {
    KeptFile {
        first: Position::new(first),
        why,
    }
}

impl Look<'_> {
    /// Why the segment must be there for the store to be opened. It may be read no further to find out.
    fn why_needed(&self, first: u64, next: Option<u64>) -> Option<WhyKept> {
        let Some(next) = next else {
            return Some(WhyKept::StillOpen);
        };
        // Up to the redo point the streams' files are durable. It must be behind a commit that stays.
        let redo_point = self.redo_point.map(|redo_point| redo_point.end);
        match redo_point {
            Some(end) if end.segment > first && end.position >= next => None,
            Some(end) if end.segment > first => Some(WhyKept::StillOpen),
            _ => Some(WhyKept::NeededToOpen),
        }
    }

    /// Who follows the journal and is before `position`.
    fn need_before(&mut self, position: u64) -> StorageResult<Option<&Need>> {
        if self.asked.is_none() {
            self.asked = Some((self.needs)()?);
        }
        let asked = self.asked.iter().flatten();
        let before = asked.filter(|need| need.position < position);
        Ok(before.min_by_key(|need| need.position))
    }
}

/// Why a segment with this commit is never dropped.
fn held_by(commit: &CommitLine<'_>) -> StorageResult<Option<WhyKept>> {
    for part in commit.parts() {
        if part.events.is_empty() {
            continue;
        }
        let position = Position::new(part.position);
        if !part.is_of_stream {
            return Ok(Some(WhyKept::OfNoAggregate { position }));
        }
        for i in 0..part.events.len() {
            let tagged = part.read_line(i, |line, _, position| {
                (!line.tags.is_empty()).then_some(Position::new(position))
            })?;
            if let Some(position) = tagged {
                return Ok(Some(WhyKept::Tagged { position }));
            }
        }
    }
    Ok(None)
}

/// Removes the segments in `journal` that are before its beginning, and what is left of earlier ones. The
/// record is written once more if there are any: it may be only in the system's memory. Invariant D14.
pub(crate) fn finish_dropping(
    journal: &Path,
    beginning: &Beginning,
    segments: &[u64],
) -> StorageResult<()> {
    let left = segments.iter().copied();
    let left: Vec<u64> = left.filter(|first| *first <= beginning.dropped).collect();
    if !left.is_empty() {
        beginning.write(journal)?;
        for first in left {
            remove_segment(journal, first)?;
        }
        disk::sync_dir(journal)?;
    }
    let meta = meta(journal);
    if !disk::is_dir(&meta) {
        return Ok(());
    }
    // Those of a later position are of an attempt that failed, or of a record that was lost.
    disk::remove_from(&meta, |path| {
        let name = path.file_name().and_then(|name| name.to_str());
        let unfinished = name.and_then(|name| name.strip_suffix(".tmp"));
        let is_unfinished =
            unfinished.is_some_and(|name| name == BEGINNING_FILE || of_ends_file(name).is_some());
        let position = name.and_then(of_ends_file);
        is_unfinished || position.is_some_and(|position| position < beginning.dropped)
    })?;
    Ok(())
}
