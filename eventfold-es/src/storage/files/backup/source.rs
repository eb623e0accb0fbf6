//! The directory that is copied: [`Source`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::backup::live::Live;
use crate::storage::files::backup::target;
use crate::storage::files::disk;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::beginning::Beginning;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::list_segments;
use crate::storage::files::journal::readers::Reading;
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::layout::{StreamLayout, find_raw_names};
use crate::storage::files::lock::{DirLock, Patience};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::recovery::scan::Walk;

/// The store that is copied. Nothing in it is changed.
#[derive(Debug)]
pub(crate) struct Source {
    layout: StreamLayout,
    writer: Writer,
}

/// Who writes the store meanwhile.
#[derive(Debug)]
enum Writer {
    /// A store of this process, which knows what is durable.
    This(
        Arc<Index>,
        #[expect(dead_code, reason = "it is held")] Reading,
    ),
    /// Nobody: the directory is locked.
    Nobody(End, #[expect(dead_code, reason = "it is held")] DirLock),
    /// Another store, perhaps of another process.
    Other(Live),
}

impl Source {
    /// A store that is open here.
    pub(crate) fn open(layout: StreamLayout, index: Arc<Index>) -> Self {
        Self {
            layout,
            writer: Writer::This(index.clone(), index.reading(0)),
        }
    }

    /// The store in the directory `dir`. It is locked if no store has it open, unless it is
    /// `followed`.
    pub(crate) fn of_dir(dir: &Path, followed: bool) -> StorageResult<Self> {
        let plain = StreamLayout::new(dir);
        plain.require_store()?;
        let dir = target::canonical(dir)?;
        let journal = StreamLayout::new(&dir).journal_dir();
        if !disk::is_dir(&journal) || list_segments(&journal)?.is_empty() {
            let cause = "has no journal yet: open the store once before it is copied";
            return Err(StorageError::file(StorageErrorKind::Missing, &dir, cause));
        }
        if target::look(&dir).is_ok() {
            let cause = "is a backup, not a store: `restore` makes a store of it";
            let kind = StorageErrorKind::InvalidInput;
            return Err(StorageError::file(kind, &dir, cause));
        }
        let layout = |dir: &Path| -> StorageResult<StreamLayout> {
            let raw_names = find_raw_names(dir, false)?;
            Ok(StreamLayout::with_raw_names(dir.to_owned(), raw_names))
        };
        if !followed {
            match DirLock::take(&dir, &Patience::default()) {
                Ok(lock) => {
                    let layout = layout(lock.dir())?;
                    let end = end_of(&layout.journal_dir())?;
                    let writer = Writer::Nobody(end, lock);
                    return Ok(Self { layout, writer });
                }
                Err(error) if error.kind() == StorageErrorKind::Busy => {}
                Err(error) => return Err(error),
            }
        }
        let layout = layout(&dir)?;
        let writer = Writer::Other(Live::new(&layout)?);
        Ok(Self { layout, writer })
    }

    pub(crate) fn layout(&self) -> &StreamLayout {
        &self.layout
    }

    pub(crate) fn journal(&self) -> PathBuf {
        self.layout.journal_dir()
    }

    /// Where the durable lines end now, behind a commit or at the beginning.
    pub(crate) fn end(&mut self) -> StorageResult<End> {
        let end = match &mut self.writer {
            Writer::This(index, _) => index.end().unwrap_or(End::of_empty(1, 0)),
            Writer::Nobody(end, _) => *end,
            Writer::Other(live) => {
                live.look()?;
                live.proven()
            }
        };
        behind_a_commit(&self.journal(), end)
    }

    /// The newest position that may be durable now.
    pub(crate) fn newest(&mut self) -> StorageResult<u64> {
        match &mut self.writer {
            Writer::Other(live) => {
                live.look()?;
                Ok(live.written())
            }
            Writer::This(..) | Writer::Nobody(..) => Ok(self.end()?.position),
        }
    }

    /// Whether a later [`end`](Self::end) may be after the newest position of now.
    pub(crate) fn may_catch_up(&self) -> bool {
        matches!(self.writer, Writer::Other(_))
    }

    /// Fails if the journal does not have a line that ends at `end`.
    pub(crate) fn check_has(&self, end: End, of: &Path) -> StorageResult<()> {
        if end.offset == 0 {
            return Ok(());
        }
        let beginning = Beginning::read(&self.journal())?;
        if end.position == beginning.dropped && end.chain == beginning.chain {
            return Ok(());
        }
        if end.position < beginning.dropped {
            let cause = format!(
                "ends at position {}, and the journal of the store begins after position {}, because older \
                 events were dropped: choose an empty directory",
                end.position, beginning.dropped
            );
            let kind = StorageErrorKind::Dropped;
            return Err(StorageError::file(kind, of, cause));
        }
        let segment = SegmentFile::open_if_there(&self.journal(), end.segment)?;
        let stated = match segment {
            Some(mut segment) => segment.stated_before(end.offset)?,
            None => None,
        };
        if stated == Some(end.chain) {
            return Ok(());
        }
        let cause = format!(
            "has events up to position {} that the store does not have: it is a copy of another history \
             of the store; choose an empty directory",
            end.position
        );
        let kind = StorageErrorKind::OtherHistory;
        Err(StorageError::file(kind, of, cause))
    }
}

/// The same place as `end`, but in the segment before if the segment of `end` has no commit.
fn behind_a_commit(journal: &Path, end: End) -> StorageResult<End> {
    if end.position >= end.segment {
        return Ok(end);
    }
    let segments = list_segments(journal)?;
    let Some(before) = segments.iter().rfind(|first| **first < end.segment) else {
        return Ok(Beginning::read(journal)?.end());
    };
    let mut segment = SegmentFile::open(journal, *before)?;
    let offset = segment.used_length()?;
    let chain = segment.stated_before(offset)?.ok_or_else(|| {
        StorageError::damaged(segment.path(), offset, "the last line is not valid")
    })?;
    Ok(End {
        segment: *before,
        offset,
        chain,
        ..end
    })
}

/// Where the lines of a journal end that nobody writes.
fn end_of(journal: &Path) -> StorageResult<End> {
    let checkpoint = RedoPoint::read(journal)?;
    let start = checkpoint.map(|checkpoint| checkpoint.end);
    let mut walk = Walk::start(journal, start)?;
    while walk.read_next(SegmentFile::read_used, &mut |_| Ok(()))? {}
    let proven = start.map_or(0, |start| start.position);
    walk.recovered.check(journal, proven, "the checkpoint")?;
    Ok(walk.recovered.end)
}
