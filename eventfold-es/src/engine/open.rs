//! Opens a store's directory: finds out in what state it was left and brings it in order.

use std::collections::HashMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use super::checkpoint::{Checkpoint, sync_streams};
use super::disk::{self, OpenDir};
use super::ends::Ends;
use super::journal::recover::scan;
use super::journal::{Journal, Spare, list_segments};
use super::migrate::migrate;
use super::redo::{AdoptedEnd, Redo, newest_in_streams};
use super::stream::{Stream, Streams};
use super::upkeep::Dirty;
use crate::layout::{RawNames, StreamLayout, find_raw_names};
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
pub(crate) fn open(base: &OpenDir, extra: RawNames) -> io::Result<Opened> {
    let dir = StreamLayout::new(&base.path).journal_dir();
    disk::create_private_dir(&dir)?;
    remove_temporary_files(&dir)?;
    let checkpoint = Checkpoint::read(&dir)?;
    let segments = list_segments(&dir)?;

    let mut raw_names = find_raw_names(&base.path, segments.is_empty())?;
    raw_names.extend(extra);
    let layout = StreamLayout::with_raw_names(base.path.clone(), raw_names);
    let streams = Streams::new(layout.clone(), Ends::read(&dir)?);

    let mut refused = Vec::new();
    let journal = match checkpoint {
        Some(checkpoint) if segments.is_empty() => {
            let path = dir.join(format!("{:020}.jsonl", checkpoint.end.segment));
            return Err(disk::damaged(&path, 0, &"the file is missing"));
        }
        Some(checkpoint) => recover(
            base,
            &dir,
            &layout,
            &streams,
            Some(checkpoint),
            &mut refused,
        )?,
        None if segments.is_empty() => {
            refuse_lost_journal(&dir, &layout, &streams)?;
            let mut journal = Journal::create(&dir)?;
            enter_streams(
                base,
                &streams,
                layout.list_all()?,
                &mut journal,
                &HashMap::new(),
            )?;
            journal
        }
        None => recover(base, &dir, &layout, &streams, None, &mut refused)?,
    };
    let now = Checkpoint {
        end: journal.end(),
        clean: false,
    };
    // What is refused is replayed again the next time.
    if refused.is_empty() {
        now.write(&dir)?;
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
    base: &OpenDir,
    dir: &Path,
    layout: &StreamLayout,
    streams: &Arc<Streams>,
    checkpoint: Option<Checkpoint>,
    refused: &mut Vec<Arc<Stream>>,
) -> io::Result<Journal> {
    let mut redo = Redo::new(streams.clone());
    let start = checkpoint.map(|checkpoint| checkpoint.end);
    let recovered = scan(dir, start, |commit| redo.commit(commit))?;
    let clean = checkpoint.is_some_and(|checkpoint| checkpoint.clean);
    if clean && Some(recovered.end) != start {
        return Err(disk::damaged(
            &super::journal::segment_path(dir, recovered.end.segment),
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
        recovered.check(dir, proven, &by)?;
    }
    let cut = recovered.erase_tail(dir)?;
    if cut > 0 {
        tracing::warn!(bytes = cut, "an unfinished tail of the journal is cut off");
    }

    let redone = redo.finish()?;
    let mut journal = Journal::resume(dir, recovered.segments, recovered.end)?;
    finish_streams(base, streams, &redone.touched)?;
    if checkpoint.is_none() {
        let mut ids = layout.list_all()?;
        ids.retain(|id| redone.refused.iter().all(|refused| refused.id() != id));
        enter_streams(base, streams, ids, &mut journal, &redone.adopted)?;
    }
    *refused = redone.refused;
    Ok(journal)
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

/// Enters what is not in the journal yet, after which the first checkpoint may be written.
fn enter_streams(
    base: &OpenDir,
    streams: &Arc<Streams>,
    mut ids: Vec<StreamId>,
    journal: &mut Journal,
    done: &HashMap<StreamId, AdoptedEnd>,
) -> io::Result<()> {
    ids.sort_unstable();
    let touched = migrate(journal, streams, &ids, done)?;
    finish_streams(base, streams, &touched)
}

/// Makes the files of streams durable, and notes where they end.
fn finish_streams(base: &OpenDir, streams: &Streams, touched: &[Dirty]) -> io::Result<()> {
    let dirs: Vec<&Path> = touched.iter().map(|d| d.dir.as_path()).collect();
    sync_streams(base, &dirs)?;
    let ends: Vec<_> = touched.iter().map(|d| (d.stream, d.end)).collect();
    streams.ends().note(&ends);
    Ok(())
}

/// Removes what was not renamed to its place. The spares, which are large, the upkeep thread removes.
fn remove_temporary_files(dir: &Path) -> io::Result<()> {
    disk::remove_from(dir, |path| {
        path.extension().is_some_and(|extension| extension == "tmp") && !Spare::is_one(path)
    })
}
