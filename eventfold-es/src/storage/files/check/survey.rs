//! Reads the whole journal without changing anything, up to the first thing that is wrong with it.

use std::io;
use std::path::Path;

use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::end::End;
use crate::storage::files::journal::paths::segment_path;
use crate::storage::files::recovery::scan::{
    Damage, Recovered, ScanError, Walk, read_used, scan_segment,
};

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The journal as far as it is whole.
    pub(crate) recovered: Recovered,
    /// Why it is not read any further, though more follows.
    pub(crate) broken: Option<Damage>,
    /// Where each segment's lines end.
    ends: Vec<End>,
}

/// Reads the journal in `dir` and hands each commit to `each`.
pub(crate) fn survey(dir: &Path, mut each: impl FnMut(&CommitLine<'_>)) -> io::Result<Survey> {
    let mut walk = Walk::start(dir, None)?;
    let mut each = |commit: &CommitLine<'_>| {
        each(commit);
        Ok(())
    };
    let broken = loop {
        match walk.read_next(read_used, &mut each) {
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
            Err(ScanError::Failed(error)) => return Err(error),
        }
    };
    Ok(Survey {
        recovered: walk.recovered,
        broken,
        ends: walk.ends,
    })
}

impl Survey {
    /// Whether `place` is the end of a line of the journal in `dir`, and what it says fits.
    pub(crate) fn has(&self, dir: &Path, place: End) -> io::Result<bool> {
        let Some(end) = self.ends.iter().find(|end| end.segment == place.segment) else {
            return Ok(false);
        };
        if place.offset > end.offset {
            return Ok(false);
        }
        let path = segment_path(dir, place.segment);
        let bytes = read_used(&path, place.offset)?;
        let mut reached = place;
        // From a wrong place the checksums do not lead to the end.
        let scanned = scan_segment(&path, &mut &bytes[..], &mut reached, &mut |_| Ok(()));
        Ok(scanned.is_ok() && reached == *end)
    }
}
