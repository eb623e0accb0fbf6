//! Opens a store's directory: finds out in which state it was left, and repairs it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::clock::millis;
use crate::ids::StreamId;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{Entry, Kind};
use crate::storage::files::doubt;
use crate::storage::files::file_systems::FileSystems;
use crate::storage::files::journal::beginning::{Beginning, Segments};
use crate::storage::files::journal::paths::{
    forms_among, remove_second_forms, segment_file, segment_path,
};
use crate::storage::files::journal::{Journal, Spare};
use crate::storage::files::layout::{
    RawNames, StreamLayout, TAKEN_OVER_FILE, find_raw_names, is_temporary, list_dirs,
};
use crate::storage::files::records::is_of_read_model;
use crate::storage::files::recovery::newest::newest_in_streams;
use crate::storage::files::recovery::redo::Redo;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::recovery::scan::{Chained, check_chain, nothing_after, scan};
use crate::storage::files::retention::finish_dropping;
use crate::storage::files::streams::ends::Ends;
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::mark::StreamHash;
use crate::storage::files::streams::stream::{Stream, Streams, stream_hash};
use crate::storage::files::v0_2::migrate::migrate;
use crate::text::shown;

/// A directory in order, ready for writing.
pub(crate) struct Opened {
    pub(crate) layout: StreamLayout,
    pub(crate) streams: Arc<Streams>,
    pub(crate) journal: Journal,
    /// Streams whose files are left unchanged, with the lines that the files lack.
    pub(crate) refused: Vec<Arc<Stream>>,
    /// Streams that are still to be replayed.
    pub(crate) unreplayed: Vec<Arc<Stream>>,
    /// The streams' files are still to be synced when all are replayed, and the redo point is to move after
    /// that.
    pub(crate) is_behind: bool,
    /// The journal has a sealed segment that is not compressed.
    pub(crate) has_uncompressed: bool,
}

/// Brings the store in `base` in order. The directory is locked. `extra` are streams in directories
/// of their own.
pub(crate) fn open(
    base: &Path,
    file_systems: &mut FileSystems,
    extra: RawNames,
) -> StorageResult<Opened> {
    let mut opening = Opening {
        base,
        dir: StreamLayout::new(base).journal_dir(),
        file_systems,
        in_doubt: false,
        may_lack_space: false,
        is_behind: false,
        unreplayed: Vec::new(),
    };
    disk::create_private_dir(&opening.dir)?;
    let opened = match opening.bring_in_order(extra.clone()) {
        Err(error) if error.is_full() => {
            // Invariant D7.
            let removed = Spare::remove_all(&opening.dir)?;
            tracing::warn!(%error, removed, "the disk is full: prepared journal segments are removed, and writes that can wait are left undone");
            opening.may_lack_space = true;
            opening.bring_in_order(extra)
        }
        opened => opened,
    };
    opened.map_err(|error| {
        if error.is_full() {
            return error.with_advice("the store opens when there is space; `verify` needs none");
        }
        error
    })
}

/// A directory that is being opened.
struct Opening<'a> {
    base: &'a Path,
    /// The journal's.
    dir: PathBuf,
    file_systems: &'a mut FileSystems,
    /// A sync failed since the last open. New files replace all that may be affected.
    in_doubt: bool,
    /// The disk is full. Writes that can wait are left undone.
    may_lack_space: bool,
    /// The streams are replayed and synced later.
    is_behind: bool,
    /// Those that are still to be replayed.
    unreplayed: Vec<Arc<Stream>>,
}

impl Opening<'_> {
    fn bring_in_order(&mut self, extra: RawNames) -> StorageResult<Opened> {
        let dir = &self.dir;
        // Listed once: nobody else changes the directory, which is locked.
        let entries = disk::list(dir)?;
        remove_temporary_files(dir, &entries)?;
        let mut forms = forms_among(&entries);
        remove_second_forms(dir, &mut forms)?;
        let beginning = Beginning::read(dir)?;
        let listed: Vec<u64> = forms.iter().map(|(first, _)| *first).collect();
        match finish_dropping(dir, &beginning, &listed) {
            // What is left is not read, and removed later.
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "files that were dropped from the journal are not removed yet");
            }
            finished => finished?,
        }
        self.in_doubt = doubt::is_noted(dir)?;
        if self.in_doubt {
            tracing::warn!(
                "a sync failed earlier: new files replace those that may not have reached the disk"
            );
        }
        let checkpoint = RedoPoint::read(dir)?;
        let segments = Segments::among(beginning, listed);
        let is_empty = segments.firsts.is_empty();
        let sealed = forms.split_last().map_or(&[][..], |(_, sealed)| sealed);
        let has_uncompressed = sealed.iter().any(|(_, is_compressed)| !is_compressed);

        let mut raw_names = find_raw_names(self.base, is_empty)?;
        raw_names.extend(extra);
        let layout = StreamLayout::with_raw_names(self.base.to_owned(), raw_names);
        let streams = Streams::new(layout.clone(), HighWaterMarks::read(dir, self.in_doubt)?);

        let mut refused = Vec::new();
        let mut journal = match checkpoint {
            Some(checkpoint) if is_empty => {
                let path = segment_path(dir, checkpoint.end.segment);
                return Err(StorageError::damaged(&path, 0, "the file is missing"));
            }
            None if is_empty => {
                refuse_lost_journal(dir, &beginning, &layout)?;
                let mut journal = Journal::create(dir)?;
                if !streams.marks().are_of(journal.end()) {
                    streams.marks().forget();
                }
                let ids = layout.list_all()?;
                let none = HashMap::new();
                let touched = enter_streams(&layout, &streams, ids, &mut journal, &none)?;
                self.finish_streams(&streams, &touched, &refused, &journal)?;
                journal
            }
            checkpoint => {
                let from = (segments, checkpoint);
                self.recover(&layout, &streams, from, &mut refused)?
            }
        };
        if self.in_doubt {
            renew_followers(&layout)?;
        }
        let as_closed = checkpoint.filter(|last| last.clean && last.end == journal.end());
        if as_closed.is_some() && !self.in_doubt {
            // Nothing changes until there is a batch.
            journal.owe(RedoPoint {
                clean: false,
                end: journal.end(),
            });
        } else if refused.is_empty() && !self.is_behind {
            // The next open replays the refused streams again. Invariant D5.
            self.write_checkpoint(&mut journal)?;
        }
        if self.in_doubt {
            doubt::settle(&self.dir)?;
        }
        Ok(Opened {
            layout,
            streams,
            journal,
            refused,
            unreplayed: std::mem::take(&mut self.unreplayed),
            is_behind: self.is_behind,
            has_uncompressed,
        })
    }

    /// Reads the journal from the checkpoint on and brings the streams' files up to it.
    fn recover(
        &mut self,
        layout: &StreamLayout,
        streams: &Arc<Streams>,
        (segments, checkpoint): (Segments, Option<RedoPoint>),
        refused: &mut Vec<Arc<Stream>>,
    ) -> StorageResult<Journal> {
        let dir = self.dir.clone();
        let mut redo = Redo::new(streams.clone(), self.in_doubt, self.may_lack_space);
        let start = checkpoint.map(|checkpoint| checkpoint.end);
        let Chained { chains, mut last } = match start {
            Some(start) => check_chain(&dir, &segments, start)?,
            None => Chained::default(),
        };
        let beginning = segments.beginning;
        // Without complete high-water marks, the whole journal is read to find them. Invariant S6.
        let known = start.filter(|start| streams.marks().are_of(*start));
        let clean = checkpoint.is_some_and(|checkpoint| checkpoint.clean);
        if known.is_none() {
            let ends = Ends::read(&dir, &beginning)?;
            streams.marks().begin_with(ends.into_marks());
        }
        let redo_after = start.map_or(0, |start| start.position);
        let (begun, mut replayed) = (Instant::now(), 0_u64);
        let unread = match (known, &mut last) {
            (Some(end), Some(last)) if clean && !self.in_doubt => {
                nothing_after(&segments, last, end)?
            }
            _ => None,
        };
        let recovered = match unread {
            Some(recovered) => recovered,
            None => scan(&dir, segments, known, self.in_doubt, |commit| {
                if commit.last() <= redo_after {
                    redo.pass(commit)
                } else {
                    replayed += 1;
                    redo.commit(commit)
                }
            })?,
        };
        if clean && Some(recovered.end) != start {
            return Err(StorageError::damaged(
                &segment_file(&dir, recovered.end.segment),
                recovered.end.offset,
                "the journal continues after the end with which it was closed",
            ));
        }
        if !clean {
            let ids = layout.list_all()?;
            let journaled = |id: &StreamId| streams.marks().of(stream_hash(id)).length;
            let (proven, by) = newest_in_streams(layout, &ids, journaled)?
                .map_or((0, String::new()), |(position, id)| {
                    (position, format!("a line of stream {id}"))
                });
            recovered.check(&dir, proven, &by)?;
        }
        let cut = recovered.erase_tail(&dir)?;
        if cut > 0 {
            tracing::warn!(bytes = cut, "an unfinished tail of the journal is cut off");
        }

        let is_taken_over = checkpoint.is_some()
            || redo.has_own()
            || beginning.dropped > 0
            || disk::is_there(&taken_over(layout));
        // Writing and syncing thousands of files takes seconds. The redo point that is there serves until that
        // is done.
        self.is_behind =
            known.is_some() && is_taken_over && !clean && !self.in_doubt && !self.may_lack_space;
        if self.is_behind {
            self.unreplayed = redo.leave();
        }
        let redone = redo.finish()?;
        let mut touched = redone.touched;
        let mut journal = Journal::resume(&dir, recovered.segments, recovered.end)?;
        journal.index().note_chains(chains);
        if !is_taken_over {
            let mut ids = layout.list_all()?;
            ids.retain(|id| redone.refused.iter().all(|refused| refused.id() != id));
            let done = &redone.adopted;
            touched.extend(enter_streams(layout, streams, ids, &mut journal, done)?);
        }
        *refused = redone.refused;
        if self.is_behind {
            defer(streams.marks(), &touched, refused);
        } else {
            self.finish_streams(streams, &touched, refused, &journal)?;
        }
        if replayed > 0 {
            tracing::info!(
                commits = replayed,
                position = journal.end().position,
                elapsed_ms = millis(begun),
                "journal replayed"
            );
        }
        Ok(journal)
    }

    /// Makes the streams' files durable, and notes where the streams end: now, or at the next
    /// checkpoint if some streams are refused.
    fn finish_streams(
        &mut self,
        streams: &Streams,
        touched: &HashMap<StreamHash, PathBuf>,
        refused: &[Arc<Stream>],
        journal: &Journal,
    ) -> StorageResult<()> {
        let dirs: Vec<&Path> = touched.values().map(PathBuf::as_path).collect();
        self.file_systems.sync_streams(&dirs)?;
        let marks = streams.marks();
        if refused.is_empty() {
            let noted: Vec<StreamHash> = touched.keys().copied().collect();
            marks.note(&noted, journal.end());
            return Ok(());
        }
        defer(marks, touched, refused);
        Ok(())
    }

    /// Notes that the store is open, and moves the redo point to the end of the journal.
    fn write_checkpoint(&self, journal: &mut Journal) -> StorageResult<()> {
        let now = RedoPoint {
            end: journal.end(),
            clean: false,
        };
        match now.write(&self.dir) {
            Err(error) if self.may_lack_space && error.is_full() => {
                tracing::warn!(%error, "commands are refused until there is space");
                journal.owe(now);
                Ok(())
            }
            written => written,
        }
    }
}

/// Lets the next checkpoint note where these streams end.
fn defer(marks: &HighWaterMarks, touched: &HashMap<StreamHash, PathBuf>, refused: &[Arc<Stream>]) {
    for (stream, dir) in touched {
        marks.defer(*stream, dir);
    }
    for stream in refused {
        marks.defer(stream.hash(), stream.dir());
    }
}

/// Fails if the journal was lost. There was one if a stream has lines of ours or was taken over.
fn refuse_lost_journal(
    dir: &Path,
    beginning: &Beginning,
    layout: &StreamLayout,
) -> StorageResult<()> {
    let note = taken_over(layout);
    if beginning.dropped > 0 {
        let cause = "the journal is missing: it begins here, because older events were dropped";
        let first = segment_path(dir, beginning.first());
        return Err(StorageError::damaged(&first, 0, cause));
    }
    let shown_by = match newest_in_streams(layout, &layout.list_all()?, |_| None)? {
        Some((position, id)) => format!("stream {id} has an event at position {position}"),
        None if disk::is_there(&note) => format!("{} shows that there was a journal", shown(&note)),
        None => return Ok(()),
    };
    let cause = format!("the journal is missing: {shown_by}");
    Err(StorageError::damaged(&segment_path(dir, 1), 0, cause))
}

/// The text of the note, for a person who opens it.
const TAKEN_OVER: &[u8] =
    b"The streams that were here are in the journal. Without it they are not to be \
entered once more.\n";

/// The note that all streams older than the journal were entered into it. After that, opening the
/// store enters no lines of other programs.
pub(crate) fn taken_over(layout: &StreamLayout) -> PathBuf {
    layout.meta_dir().join(TAKEN_OVER_FILE)
}

/// Enters lines that are not yet in the journal. After that the first checkpoint may be written.
/// Returns the streams that were touched, with their directories. Invariant D11.
fn enter_streams(
    layout: &StreamLayout,
    streams: &Arc<Streams>,
    mut ids: Vec<StreamId>,
    journal: &mut Journal,
    done: &HashMap<StreamId, u64>,
) -> StorageResult<HashMap<StreamHash, PathBuf>> {
    ids.sort_unstable();
    let touched = migrate(journal, streams, &ids, done)?;
    // Without the note, only lines of our own would show that there was a journal.
    if journal.end().position > 0 {
        disk::create_dir(&layout.meta_dir())?;
        disk::replace_durably(&taken_over(layout), TAKEN_OVER)?;
        disk::sync_dir(layout.base_dir())?;
    }
    Ok(touched)
}

/// Replaces all files of projections and process managers with new ones, whatever their names, but for
/// the tables of read models in SQLite.
/// Invariant D3.
fn renew_followers(layout: &StreamLayout) -> StorageResult<()> {
    for parent in [layout.projections_dir(), layout.process_managers_dir()] {
        for name in list_dirs(&parent)? {
            let dir = parent.join(name);
            for entry in disk::list(&dir)? {
                let path = dir.join(&entry.name);
                // Other programs may have the tables of a read model open, and they can be built again.
                let is_table = entry.name.to_str().is_some_and(is_of_read_model);
                if entry.kind == Kind::File && !is_temporary(&path) && !is_table {
                    disk::renew(&path)?;
                }
            }
            disk::sync_dir(&dir)?;
        }
    }
    Ok(())
}

/// Removes temporary files that were not renamed. The upkeep thread removes the large spares.
fn remove_temporary_files(dir: &Path, entries: &[Entry]) -> StorageResult<()> {
    let paths = entries.iter().map(|entry| dir.join(&entry.name));
    let mut left = paths.filter(|path| is_temporary(path) && !Spare::is_one(path));
    left.try_for_each(|path| disk::remove(&path))
}
