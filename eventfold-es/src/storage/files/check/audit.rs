//! Checks a store's directory: compares all files with the journal, and changes nothing.
//!
//! While the journal is read, each stream's commits are noted, with about 50 bytes each. Then the
//! streams' files are read one after the other.

use std::collections::BTreeMap;
use std::path::Path;

mod backup;
pub(crate) mod findings;
pub(crate) mod journaled;
mod leftovers;
pub(crate) mod stream_files;

use crate::ids::StreamId;
use crate::report::Severity;
use crate::storage::error::{ErrorPlace, StorageError, StorageResult};
use crate::storage::files::backup::manifest;
use crate::storage::files::check::progress::Progress;
use crate::storage::files::check::survey::survey;
use crate::storage::files::journal::beginning::Beginning;
use crate::storage::files::journal::paths::{self, list_segments, segment_file, segment_path};
use crate::storage::files::layout::{
    EVENTS_FILE, RAW_NAMES_FILE, RawNames, StreamLayout, find_raw_names, read_raw_names,
};
use crate::storage::files::recovery::open::taken_over;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::ends::Ends;
use crate::storage::files::streams::high_water::HighWaterMarks;
use crate::storage::files::streams::stream::{Streams, stream_hash};
use crate::storage::files::{disk, doubt};
use crate::text::shown;
use findings::{Audit, Flaw, Remedy};
use journaled::Journaled;

/// Checks the store in `base`, which must be locked.
pub(crate) fn audit(base: &Path, progress: &mut Progress) -> StorageResult<Audit> {
    let plain = StreamLayout::new(base);
    progress.begin(&plain)?;
    let journal = plain.journal_dir();
    let segments = if disk::is_dir(&journal) {
        list_segments(&journal)?
    } else {
        Vec::new()
    };
    let mut audit = Audit {
        streams: Streams::new(plain.clone(), HighWaterMarks::unknown()),
        layout: plain,
        survey: None,
        journaled: BTreeMap::new(),
        beginning: Beginning::default(),
        ends: Ends::default(),
        is_cut_short: false,
        flaws: Vec::new(),
        redo_after: 0,
        beyond: None,
        in_doubt: false,
        checkpoint: None,
    };
    match Beginning::read(&journal) {
        Ok(beginning) => audit.beginning = beginning,
        Err(error) => return audit.without_beginning(&error),
    }
    match Ends::read(&journal, &audit.beginning) {
        Ok(ends) => audit.ends = ends,
        Err(error) => return audit.without_beginning(&error),
    }
    if !segments.is_empty() {
        audit.read_journal(&journal, progress)?;
    }
    if disk::is_there(&manifest::path(base)) {
        backup::check(&mut audit)?;
        if audit.beginning.dropped > 0 {
            let raw_names = read_raw_names(base)?;
            audit.layout = StreamLayout::with_raw_names(base.to_owned(), raw_names);
            audit.streams = Streams::new(audit.layout.clone(), HighWaterMarks::unknown());
            stream_files::check_dropped(&mut audit)?;
        }
        return Ok(audit);
    }
    let checkpoint = audit.check_checkpoint(&journal)?;
    audit.checkpoint = checkpoint;
    if doubt::is_noted(&journal)? {
        let cause = "a sync failed, so the disk may lack some of what these files show: opening \
                     the store writes new files in the place of those that may be affected";
        let note = paths::sync_failed(&journal);
        audit
            .flaws
            .push(Flaw::new(&note, Severity::Harmless, cause));
        audit.in_doubt = true;
    }

    let found = find_raw_names(base, false);
    match found {
        Ok(mut raw_names) => {
            audit.add_spawned(base, &mut raw_names);
            audit.layout = StreamLayout::with_raw_names(base.to_owned(), raw_names);
            audit.streams = Streams::new(audit.layout.clone(), HighWaterMarks::unknown());
            stream_files::check(&mut audit, progress)?;
        }
        Err(error) => {
            // Without the names it is unknown which directory belongs to which stream.
            let file = audit.layout.meta_dir().join(RAW_NAMES_FILE);
            audit.flaws.push(flaw_of(&file, &error));
        }
    }
    audit.check_end(&journal, checkpoint);
    leftovers::check(&mut audit)?;
    Ok(audit)
}

impl Audit {
    /// The result if it is not known where the journal begins: nothing else can be checked then.
    fn without_beginning(mut self, error: &StorageError) -> StorageResult<Self> {
        let (ErrorPlace::File(file), Some(offset)) = (error.place(), error.offset()) else {
            return Err(error.clone());
        };
        let cause = error.cause().to_string();
        let flaw = Flaw::new(file, Severity::Lost, cause).at(offset);
        self.flaws.push(flaw);
        self.is_cut_short = true;
        Ok(self)
    }

    fn read_journal(&mut self, dir: &Path, progress: &mut Progress) -> StorageResult<()> {
        let (journaled, ends) = (&mut self.journaled, &self.ends);
        let mut nameless = None;
        let (segments, mut read) = (list_segments(dir)?, 0);
        let survey = survey(dir, |commit| {
            // The segments before this commit's.
            while segments
                .get(read + 1)
                .is_some_and(|first| *first <= commit.position)
            {
                progress.read(&segment_file(dir, segments[read]));
                read += 1;
            }

            for part in commit.streams() {
                match StreamId::new(part.aggregate_type, part.id) {
                    Ok(id) => {
                        let before = || Journaled::after(ends.of(stream_hash(&id)));
                        let journaled = journaled.entry(id.clone()).or_insert_with(before);
                        journaled.add(&part);
                    }
                    Err(error) => nameless = Some(format!("position {}: {error}", part.position)),
                }
            }
        })?;
        for first in &segments[read..] {
            progress.read(&segment_file(dir, *first));
        }
        if let Some(broken) = &survey.broken {
            let flaw = Flaw::new(&broken.path, Severity::Lost, &broken.cause);
            self.flaws.push(flaw.at(broken.offset));
        }
        let file = segment_file(dir, survey.recovered.end.segment);
        let of_streams = self.journaled.iter().filter_map(|(id, journaled)| {
            let cause = journaled.contradiction.as_ref()?;
            Some(format!("stream {id}: {cause}"))
        });
        for cause in of_streams.chain(nameless) {
            self.flaws.push(Flaw::new(&file, Severity::Lost, cause));
        }
        self.survey = Some(survey);
        Ok(())
    }

    /// Checks the checkpoint of the journal in `dir`. Returns it if it is whole.
    fn check_checkpoint(&mut self, dir: &Path) -> StorageResult<Option<RedoPoint>> {
        let file = paths::checkpoint(dir);
        let read = RedoPoint::read(dir)?;
        let Some(checkpoint) = read else {
            if disk::is_there(&file) {
                let cause =
                    "the checkpoint is damaged; opening the store replays the whole journal";
                let flaw = Flaw::new(&file, Severity::Harmless, cause);
                self.flaws.push(flaw.remedy(Remedy::SetAside));
            }
            return Ok(None);
        };
        self.redo_after = checkpoint.end.position;
        if checkpoint.clean {
            self.redo_after = u64::MAX;
        }
        let Some(survey) = &self.survey else {
            return Ok(read);
        };
        let fits = survey.has(dir, checkpoint.end)?;
        let goes_on = checkpoint.clean && checkpoint.end != survey.recovered.end;
        if checkpoint.end.position <= self.head() && survey.broken.is_none() && (!fits || goes_on) {
            self.redo_after = u64::MAX;
            let cause = if fits {
                "the checkpoint says that the store was closed, but the journal continues after that place"
            } else {
                "the checkpoint does not match the journal"
            };
            let flaw = Flaw::new(&file, Severity::Repairable, cause);
            self.flaws.push(flaw.remedy(Remedy::SetAside));
        }
        Ok(read)
    }

    /// Adds the stream whose directory is the store's own directory, as `spawn_actor` makes it.
    fn add_spawned(&self, base: &Path, raw_names: &mut RawNames) {
        if disk::is_file(&base.join(EVENTS_FILE)) {
            let spawned = self.journaled.keys().find(|id| {
                let (aggregate_type, id) = (id.aggregate_type(), id.id());
                id == "spawned" && !disk::is_there(&self.layout.stream_dir(aggregate_type, id))
            });
            if let Some(id) = spawned {
                raw_names.insert(id.clone(), base.to_owned());
            }
        }
    }

    /// Checks the journal's end: are durable lines missing there, or is there only an unfinished
    /// tail?
    fn check_end(&mut self, dir: &Path, checkpoint: Option<RedoPoint>) {
        let by_checkpoint = checkpoint.map_or(0, |checkpoint| checkpoint.end.position);
        let (proven, by) = match &self.beyond {
            Some((position, id)) if *position > by_checkpoint => {
                (*position, format!("a line of stream {id}"))
            }
            _ => (by_checkpoint, "the checkpoint".to_owned()),
        };
        let Some(survey) = &self.survey else {
            if self.beginning.dropped > 0 {
                let cause =
                    "the journal is missing: it begins here, because older events were dropped";
                let file = segment_path(dir, self.beginning.first());
                self.flaws
                    .insert(0, Flaw::new(&file, Severity::Lost, cause).at(0));
                return;
            }
            let note = taken_over(&self.layout);
            let by = if proven == 0 && checkpoint.is_none() && disk::is_there(&note) {
                shown(&note).to_string()
            } else {
                by
            };
            if proven > 0 || checkpoint.is_some() || disk::is_there(&note) {
                let cause = format!("the journal is missing, but {by} shows that there was one");
                let file = segment_path(dir, checkpoint.map_or(1, |known| known.end.segment));
                self.flaws
                    .insert(0, Flaw::new(&file, Severity::Lost, cause).at(0));
            }
            return;
        };
        if survey.broken.is_some() {
            return;
        }
        let recovered = &survey.recovered;
        let file = segment_file(dir, recovered.end.segment);
        if file != segment_path(dir, recovered.end.segment) {
            let following = segment_path(dir, recovered.end.position + 1);
            let cause = "the file is missing: the segment before it is compressed, so it was there";
            let flaw = Flaw::new(&following, Severity::Lost, cause);
            self.flaws.insert(0, flaw.at(0));
            return;
        }
        if let Some(cause) = recovered.missing(proven, &by) {
            let flaw = Flaw::new(&file, Severity::Lost, cause).at(recovered.end.offset);
            self.flaws.insert(0, flaw);
        } else if recovered.tail_end > recovered.end.offset {
            let bytes = recovered.tail_end - recovered.end.offset;
            let cause =
                format!("an unfinished tail of {bytes} bytes, whose commands were never answered");
            let flaw = Flaw::new(&file, Severity::Harmless, cause).at(recovered.end.offset);
            self.flaws.insert(0, flaw.remedy(Remedy::CutTail));
        }
    }
}

/// The flaw of `file`, which could not be read because of `error`.
fn flaw_of(file: &Path, error: &StorageError) -> Flaw {
    match (error.place(), error.offset()) {
        (ErrorPlace::File(place), Some(offset)) if place == file => {
            Flaw::new(file, Severity::Lost, error.cause().to_string()).at(offset)
        }
        _ => Flaw::new(file, Severity::Lost, error.to_string()),
    }
}
