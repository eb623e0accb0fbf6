//! Reads the whole journal up to the first damage, without changing anything.

use std::path::Path;

use crate::storage::error::StorageResult;
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::segment::SegmentFile;
use crate::storage::files::recovery::scan::{Damage, Recovered, ScanError, Walk, scan_segment};

/// The content of a journal.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The whole part of the journal.
    pub(crate) recovered: Recovered,
    /// Why reading stopped before the end of the journal.
    pub(crate) broken: Option<Damage>,
    /// Where the lines of each segment end.
    ends: Vec<End>,
}

/// Reads the journal in `dir` and passes each commit to `each`.
pub(crate) fn survey(dir: &Path, mut each: impl FnMut(&CommitLine<'_>)) -> StorageResult<Survey> {
    let mut walk = Walk::start(dir, None)?;
    let mut each = |commit: &CommitLine<'_>| {
        each(commit);
        Ok(())
    };
    let broken = loop {
        match walk.read_next(SegmentFile::read_used, &mut each) {
            Ok(true) => {}
            Ok(false) => break None,
            Err(ScanError::Damaged(damage)) => break Some(damage),
            Err(ScanError::OtherFormat(path, cause)) => {
                let cause = cause.to_string();
                let offset = 0;
                break Some(Damage {
                    path,
                    offset,
                    cause,
                });
            }
            Err(ScanError::Failed(error)) => match Damage::of_segment(&error) {
                Some(damage) => break Some(damage),
                None => return Err(error),
            },
        }
    };
    Ok(Survey {
        recovered: walk.recovered,
        broken,
        ends: walk.ends,
    })
}

impl Survey {
    /// Whether a line of the journal in `dir` ends at `place`, with the data that `place` states.
    pub(crate) fn has(&self, dir: &Path, place: End) -> StorageResult<bool> {
        let Some(end) = self.ends.iter().find(|end| end.segment == place.segment) else {
            return Ok(false);
        };
        if place.offset > end.offset {
            return Ok(false);
        }
        let mut file = SegmentFile::open(dir, place.segment)?;
        let bytes = file.read_used(place.offset)?.bytes;
        let mut reached = place;
        // The checksums from a wrong place do not lead to the end.
        let scanned = scan_segment(file.path(), &mut &bytes[..], &mut reached, &mut |_| Ok(()));
        Ok(scanned.is_ok() && reached == *end)
    }
}
