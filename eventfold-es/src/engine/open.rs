//! Opens a store's directory: finds out in what state it was left and brings it in order.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::checkpoint::Checkpoint;
use super::disk::{self, Kind};
use super::doubt;
use super::ends::Ends;
use super::file_systems::FileSystems;
use super::journal::recover::scan;
use super::journal::{Journal, Spare, list_segments};
use super::migrate::migrate;
use super::names;
use super::redo::{AdoptedEnd, Redo, newest_in_streams};
use super::stream::{Stream, Streams};
use super::upkeep::Dirty;
use crate::layout::{RawNames, StreamLayout, find_raw_names, list_dirs};
use crate::stream::StreamId;

/// A directory in order, ready to be written.
pub(crate) struct Opened {
    pub(crate) layout: StreamLayout,
    pub(crate) streams: Arc<Streams>,
    pub(crate) journal: Journal,
    /// Streams that are left as they are: another program's lines stand in the way of theirs.
    pub(crate) refused: Vec<Arc<Stream>>,
}

/// Brings the store in `base`, which is locked, in order. `extra` are streams at places of their
/// own.
pub(crate) fn open(
    base: &Path,
    file_systems: &mut FileSystems,
    extra: RawNames,
) -> io::Result<Opened> {
    let mut opening = Opening {
        base,
        dir: StreamLayout::new(base).journal_dir(),
        file_systems,
        in_doubt: false,
        may_lack_space: false,
    };
    disk::create_private_dir(&opening.dir)?;
    let opened = match opening.bring_in_order(extra.clone()) {
        Err(error) if disk::is_full(&error) => {
            let removed = Spare::remove_all(&opening.dir)?;
            tracing::warn!(%error, removed, "there is no space: prepared journal segments are given up, and what can wait is left undone");
            opening.may_lack_space = true;
            opening.bring_in_order(extra)
        }
        opened => opened,
    };
    opened.map_err(|error| {
        if disk::is_full(&error) {
            let text = format!("{error}: the store opens when there is space; `verify` needs none");
            return io::Error::new(error.kind(), text);
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
    /// A sync failed since it was opened last: new files take the place of those that may be concerned.
    in_doubt: bool,
    /// There is no space: what needs some is left undone if it can wait.
    may_lack_space: bool,
}

impl Opening<'_> {
    fn bring_in_order(&mut self, extra: RawNames) -> io::Result<Opened> {
        let dir = &self.dir;
        remove_temporary_files(dir)?;
        self.in_doubt = doubt::is_noted(dir)?;
        if self.in_doubt {
            tracing::warn!(
                "a sync has failed: what may not have reached the disk is written into new files"
            );
        }
        let checkpoint = Checkpoint::read(dir)?;
        let segments = list_segments(dir)?;

        let mut raw_names = find_raw_names(self.base, segments.is_empty())?;
        raw_names.extend(extra);
        let layout = StreamLayout::with_raw_names(self.base.to_owned(), raw_names);
        let streams = Streams::new(layout.clone(), Ends::read(dir, self.in_doubt)?);
        let streams_dir = layout.streams_dir();
        let sample = if disk::is_dir(&streams_dir) {
            &streams_dir
        } else {
            dir
        };
        if !names::are_told_apart(sample) {
            streams.set_names_may_fold();
        }

        let mut refused = Vec::new();
        let mut journal = match checkpoint {
            Some(checkpoint) if segments.is_empty() => {
                let path = dir.join(format!("{:020}.jsonl", checkpoint.end.segment));
                return Err(disk::damaged(&path, 0, &"the file is missing"));
            }
            None if segments.is_empty() => {
                refuse_lost_journal(dir, &layout, &streams)?;
                let mut journal = Journal::create(dir)?;
                self.enter_streams(&streams, layout.list_all()?, &mut journal, &HashMap::new())?;
                journal
            }
            checkpoint => self.recover(&layout, &streams, checkpoint, &mut refused)?,
        };
        if self.in_doubt {
            renew_followers(&layout)?;
        }
        // What is refused is replayed again the next time.
        if refused.is_empty() {
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
        })
    }

    /// Reads the journal from the checkpoint on and makes the streams' files what it says.
    fn recover(
        &mut self,
        layout: &StreamLayout,
        streams: &Arc<Streams>,
        checkpoint: Option<Checkpoint>,
        refused: &mut Vec<Arc<Stream>>,
    ) -> io::Result<Journal> {
        let dir = self.dir.clone();
        let mut redo = Redo::new(streams.clone(), self.in_doubt, self.may_lack_space);
        let start = checkpoint.map(|checkpoint| checkpoint.end);
        let recovered = scan(&dir, start, self.in_doubt, |commit| redo.commit(commit))?;
        let clean = checkpoint.is_some_and(|checkpoint| checkpoint.clean);
        if clean && Some(recovered.end) != start {
            return Err(disk::damaged(
                &super::journal::segment_path(&dir, recovered.end.segment),
                recovered.end.offset,
                &"the journal goes on behind the end that it was closed with",
            ));
        }
        if !clean {
            let ids = layout.list_all()?;
            let (proven, by) = newest_in_streams(streams, &ids)?
                .map_or((0, String::new()), |(position, id)| {
                    (position, format!("a line of stream {id}"))
                });
            recovered.check(&dir, proven, &by)?;
        }
        let cut = recovered.erase_tail(&dir)?;
        if cut > 0 {
            tracing::warn!(bytes = cut, "an unfinished tail of the journal is cut off");
        }

        let redone = redo.finish()?;
        let mut journal = Journal::resume(&dir, recovered.segments, recovered.end)?;
        self.finish_streams(streams, &redone.touched)?;
        if checkpoint.is_none() {
            let mut ids = layout.list_all()?;
            ids.retain(|id| redone.refused.iter().all(|refused| refused.id() != id));
            self.enter_streams(streams, ids, &mut journal, &redone.adopted)?;
        }
        *refused = redone.refused;
        Ok(journal)
    }

    /// Enters what is not in the journal yet, after which the first checkpoint may be written.
    fn enter_streams(
        &mut self,
        streams: &Arc<Streams>,
        mut ids: Vec<StreamId>,
        journal: &mut Journal,
        done: &HashMap<StreamId, AdoptedEnd>,
    ) -> io::Result<()> {
        ids.sort_unstable();
        let touched = migrate(journal, streams, &ids, done)?;
        self.finish_streams(streams, &touched)
    }

    /// Makes the files of streams durable, and notes where they end.
    fn finish_streams(&mut self, streams: &Streams, touched: &[Dirty]) -> io::Result<()> {
        let dirs: Vec<&Path> = touched.iter().map(|d| d.dir.as_path()).collect();
        self.file_systems.sync_streams(&dirs)?;
        let ends: Vec<_> = touched.iter().map(|d| (d.stream, d.end)).collect();
        streams.ends().note(&ends);
        Ok(())
    }

    /// Says that the store is open, and moves the redo point to its end.
    fn write_checkpoint(&self, journal: &mut Journal) -> io::Result<()> {
        let now = Checkpoint {
            end: journal.end(),
            clean: false,
        };
        match now.write(&self.dir) {
            Err(error) if self.may_lack_space && disk::is_full(&error) => {
                tracing::warn!(%error, "commands are refused until there is space");
                journal.owe(now);
                Ok(())
            }
            written => written,
        }
    }
}

/// Fails if streams have lines of ours though there is no journal.
fn refuse_lost_journal(
    dir: &Path,
    layout: &StreamLayout,
    streams: &Arc<Streams>,
) -> io::Result<()> {
    match newest_in_streams(streams, &layout.list_all()?)? {
        None => Ok(()),
        Some((position, id)) => {
            let cause = format!(
                "the journal is missing: a line of stream {id} is at position {position} of it"
            );
            Err(disk::damaged(
                &super::journal::segment_path(dir, 1),
                0,
                &cause,
            ))
        }
    }
}

/// Has new files take the place of those of projections and process managers, whatever their names.
fn renew_followers(layout: &StreamLayout) -> io::Result<()> {
    for parent in [layout.projections_dir(), layout.process_managers_dir()] {
        for name in list_dirs(&parent)? {
            let dir = parent.join(name);
            for entry in disk::list(&dir)? {
                let path = dir.join(&entry.name);
                let is_temporary = path.extension().is_some_and(|ext| ext == "tmp");
                if entry.kind == Kind::File && !is_temporary {
                    disk::renew(&path)?;
                }
            }
            disk::sync_dir(&dir)?;
        }
    }
    Ok(())
}

/// Removes what was not renamed to its place. The spares, which are large, the upkeep thread removes.
fn remove_temporary_files(dir: &Path) -> io::Result<()> {
    disk::remove_from(dir, |path| {
        path.extension().is_some_and(|extension| extension == "tmp") && !Spare::is_one(path)
    })
    .map(drop)
}
