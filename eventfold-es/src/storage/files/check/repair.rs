//! Repairs the flaws that an audit found, from the journal. Replaced and moved files are kept in a
//! separate directory inside the store's directory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::TryLockError;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::ids::StreamId;
use crate::report::Repaired;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::check::audit::findings::{Audit, Remedy};
use crate::storage::files::check::audit::journaled::Journaled;
use crate::storage::files::check::audit::stream_files::leading_foreign;
use crate::storage::files::check::survey::survey;
use crate::storage::files::disk;
use crate::storage::files::disk::{File, Open};
use crate::storage::files::journal::Journal;
use crate::storage::files::journal::paths::{self, segment_path};
use crate::storage::files::layout::ARCHIVE_FILE;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::recovery::scan::make_durable;
use crate::storage::files::streams::content;
use crate::storage::files::streams::ends::end_of_dropped;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::v0_2::migrate::migrate;

/// How many bytes of streams one pass over the journal rebuilds.
const AT_ONCE: u64 = 64 * 1024 * 1024;

/// A repair in progress.
struct Repair<'a> {
    audit: &'a Audit,
    kept: PathBuf,
    done: Vec<Repaired>,
    /// The streams with lines that other programs appended to their files.
    adopt: BTreeSet<StreamId>,
}

/// Applies the remedies of `audit` to a store that is locked. Does nothing if the journal is
/// damaged, because it cannot be trusted then.
pub(crate) fn repair(audit: &Audit) -> StorageResult<Vec<Repaired>> {
    if !audit.journal_is_whole() {
        return Ok(Vec::new());
    }
    let mut repair = Repair {
        kept: kept_dir(audit.layout.base_dir())?,
        audit,
        done: Vec::new(),
        adopt: BTreeSet::new(),
    };
    repair.secure_journal()?;
    let mut rebuild = BTreeSet::new();
    for flaw in &audit.flaws {
        let file = &flaw.finding.file;
        match &flaw.remedy {
            None => {}
            Some(Remedy::CutTail) => repair.cut_tail()?,
            Some(Remedy::SetAside) => repair.set_aside(file)?,
            Some(Remedy::Rebuild(id)) => drop(rebuild.insert(id.clone())),
            Some(Remedy::Adopt(id)) => drop(repair.adopt.insert(id.clone())),
        }
    }
    repair.rebuild(&rebuild)?;
    repair.adopt()?;
    Ok(repair.done)
}

/// A directory name that no earlier repair has used.
fn kept_dir(base: &Path) -> StorageResult<PathBuf> {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_err(|cause| StorageError::io("name a directory in", base, io::Error::other(cause)))?;
    let mut second = now.as_secs();
    loop {
        let dir = base.join(format!("repaired-{second}"));
        if !disk::is_there(&dir) {
            return Ok(dir);
        }
        second += 1;
    }
}

impl Repair<'_> {
    /// Makes the journal durable, because all repairs are made from it.
    fn secure_journal(&self) -> StorageResult<()> {
        let audit = self.audit;
        let changes = audit.flaws.iter().any(|flaw| flaw.remedy.is_some());
        if !changes || audit.survey.is_none() {
            return Ok(());
        }
        let journal = audit.layout.journal_dir();
        let file = paths::checkpoint(&journal);
        let is_right = audit.flaws.iter().all(|flaw| flaw.finding.file != file);
        let checkpoint = audit.checkpoint.filter(|_| is_right);
        make_durable(&journal, checkpoint.map(|known| known.end), audit.in_doubt)
    }

    /// The place where the content of `file` is kept. Creates the place's directory.
    fn place_for(&self, file: &Path) -> StorageResult<PathBuf> {
        let base = self.audit.layout.base_dir();
        let inside = file
            .strip_prefix(base)
            .map_err(|cause| StorageError::io("keep", file, io::Error::other(cause)))?;
        let place = self.kept.join(inside);
        if let Some(dir) = place.parent() {
            disk::create_private_dir(dir)?;
        }
        Ok(place)
    }

    fn did(&mut self, file: &Path, kept: Option<PathBuf>, action: &str) {
        self.done.push(Repaired {
            file: file.to_owned(),
            kept,
            action: action.to_owned(),
        });
    }

    /// Keeps a copy of `file`, if it exists.
    fn keep_copy(&self, file: &Path) -> StorageResult<Option<PathBuf>> {
        let Some(bytes) = disk::read_if_there(file)? else {
            return Ok(None);
        };
        let place = self.place_for(file)?;
        disk::replace_durably(&place, &bytes)?;
        Ok(Some(place))
    }

    fn set_aside(&mut self, file: &Path) -> StorageResult<()> {
        let place = self.place_for(file)?;
        disk::rename(file, &place)?;
        for changed in [&place, file] {
            changed.parent().map_or(Ok(()), disk::sync_dir)?;
        }
        self.did(file, Some(place), "moved away");
        Ok(())
    }

    fn cut_tail(&mut self) -> StorageResult<()> {
        let Some(survey) = &self.audit.survey else {
            return Ok(());
        };
        let dir = self.audit.layout.journal_dir();
        let file = segment_path(&dir, survey.recovered.end.segment);
        let kept = self.keep_copy(&file)?;
        let size = survey.recovered.erase_tail(&dir)?;
        let action = format!("cut off {size} bytes of an unfinished tail");
        self.did(&file, kept, &action);
        Ok(())
    }

    /// Writes the files of the streams `ids` again.
    fn rebuild(&mut self, ids: &BTreeSet<StreamId>) -> StorageResult<()> {
        let mut some = BTreeMap::new();
        let mut size = 0;
        for (i, id) in ids.iter().enumerate() {
            if let Some(journaled) = self.audit.journaled.get(id) {
                let stream = self.audit.streams.get(id);
                let old = match content::read_all(&stream) {
                    // The journal has what the file had.
                    Err(error) if error.kind() == StorageErrorKind::Damaged => None,
                    old => old?,
                }
                .unwrap_or_default();
                size += journaled.end() + old.len() as u64;
                let begun = end_of_dropped(&stream, &journaled.before, &old);
                if let Ok(begun) = begun {
                    some.insert(id.clone(), Rebuilt::new(journaled, old, begun));
                }
            }
            if size >= AT_ONCE || i + 1 == ids.len() {
                self.rebuild_some(std::mem::take(&mut some))?;
                size = 0;
            }
        }
        Ok(())
    }

    fn rebuild_some(&mut self, mut some: BTreeMap<StreamId, Rebuilt<'_>>) -> StorageResult<()> {
        survey(&self.audit.layout.journal_dir(), |commit| {
            for part in commit.streams() {
                if let Ok(id) = StreamId::new(part.aggregate_type, part.id)
                    && let Some(rebuilt) = some.get_mut(&id)
                {
                    rebuilt.add(&part.lines());
                }
            }
        })?;
        for (id, rebuilt) in some {
            let stream = self.audit.streams.get(&id);
            let (content, has_foreign) = rebuilt.finish(&stream);
            if has_foreign {
                self.adopt.insert(id);
            }
            self.replace_events(&stream, &content)?;
        }
        Ok(())
    }

    fn replace_events(&mut self, stream: &Stream, content: &[u8]) -> StorageResult<()> {
        let file = stream.file();
        let kept = self.keep_copy(&file)?;
        // Another program that writes to the file would continue with the old one.
        let lock = match File::open(&file, Open::Existing) {
            Ok(open) => match open.try_lock() {
                Ok(()) => Some(open),
                Err(TryLockError::WouldBlock) => {
                    let cause = "is locked by another program";
                    return Err(StorageError::file(StorageErrorKind::Busy, &file, cause));
                }
                Err(TryLockError::Error(error)) => {
                    return Err(StorageError::io("lock", &file, error));
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(StorageError::io("open", &file, error)),
        };
        disk::create_private_dir(stream.dir())?;
        disk::replace_durably(&file, content)?;
        if stream.is_rotated() {
            // Its lines are in the new file.
            self.set_aside(&stream.dir().join(ARCHIVE_FILE))?;
        }
        drop(lock);
        self.did(&file, kept, "written again from the journal");
        Ok(())
    }

    /// Enters lines that other programs appended into the journal, in the order of time. Cuts off
    /// unfinished lines. The next open replays the entered lines. Invariant D11.
    fn adopt(&mut self) -> StorageResult<()> {
        let ids = std::mem::take(&mut self.adopt);
        let Some(survey) = self.audit.survey.as_ref().filter(|_| !ids.is_empty()) else {
            return Ok(());
        };
        let dir = self.audit.layout.journal_dir();
        if let Some(checkpoint) = RedoPoint::read(&dir)?
            && checkpoint.clean
        {
            let goes_on = RedoPoint {
                clean: false,
                ..checkpoint
            };
            goes_on.write(&dir)?;
        }
        let mut done = HashMap::new();
        for id in &ids {
            if let Some(journaled) = self.audit.journaled.get(id) {
                let stream = self.audit.streams.get(id);
                let bytes = content::read_all(&stream)?.unwrap_or_default();
                done.insert(id.clone(), journaled.adopted_end(&bytes) as u64);
            }
        }
        let recovered = &survey.recovered;
        let mut journal = Journal::resume(&dir, recovered.segments.clone(), recovered.end)?;
        let ids: Vec<StreamId> = ids.into_iter().collect();
        let touched = migrate(&mut journal, &self.audit.streams, &ids, &done)?;
        for id in ids {
            let stream = self.audit.streams.get(&id);
            if touched.contains_key(&stream.hash()) {
                let action = "entered the lines of another program into the journal";
                self.did(&stream.file(), None, action);
            }
        }
        Ok(())
    }
}

/// A stream's file, rebuilt from the journal.
struct Rebuilt<'a> {
    journaled: &'a Journaled,
    next: usize,
    old: Vec<u8>,
    content: Vec<u8>,
}

impl<'a> Rebuilt<'a> {
    /// `begun` is where the lines end in `old` that are before the beginning of the journal. They stay.
    fn new(journaled: &'a Journaled, old: Vec<u8>, begun: usize) -> Self {
        Self {
            journaled,
            next: 0,
            content: old[..begun].to_vec(),
            old,
        }
    }

    /// Appends the next commit at its offset.
    fn add(&mut self, lines: &[u8]) {
        let Some(commit) = self.journaled.commits.get(self.next) else {
            return;
        };
        self.next += 1;
        let start = usize::try_from(commit.offset).unwrap_or(usize::MAX);
        // Another program left white space here, which the journal does not have.
        if start > self.content.len() {
            self.content.resize(start, b'\n');
        }
        // Right lines of the old file stay byte for byte.
        match commit.end_in(&self.old) {
            Some(end) => self.content.extend_from_slice(&self.old[start..end]),
            None => self.content.extend_from_slice(lines),
        }
    }

    /// The whole file, and whether lines of other programs follow the journal's lines.
    fn finish(mut self, stream: &Stream) -> (Vec<u8>, bool) {
        let rest = self.old.get(self.content.len()..).unwrap_or_default();
        let foreign = leading_foreign(rest, stream);
        self.content.extend_from_slice(foreign);
        (self.content, !foreign.is_empty())
    }
}
