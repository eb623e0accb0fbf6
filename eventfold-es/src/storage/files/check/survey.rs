//! Reads the whole journal without changing anything, up to the first thing that is wrong with it.

use std::io;
use std::path::{Path, PathBuf};

use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::{End, list_segments, segment_path};
use crate::storage::files::recovery::scan::{Recovered, examine_tail, read_used, scan_segment};
use crate::text::shown;

/// What a journal holds.
#[derive(Debug)]
pub(crate) struct Survey {
    /// The journal as far as it is whole.
    pub(crate) recovered: Recovered,
    /// Why it is not read any further, though more follows.
    pub(crate) broken: Option<Broken>,
    /// Where each segment's lines end.
    ends: Vec<End>,
}

/// A place in the journal that is damaged.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    pub(crate) cause: String,
}

/// Reads the journal in `dir`, which has a segment, and hands each commit to `each`.
pub(crate) fn survey(dir: &Path, mut each: impl FnMut(&CommitLine<'_>)) -> io::Result<Survey> {
    let segments = list_segments(dir)?;
    let mut survey = Survey {
        recovered: Recovered {
            end: End::of_empty(1, 0),
            segments: segments.clone(),
            proven_by_tail: 0,
            tail_end: 0,
        },
        broken: None,
        ends: Vec::new(),
    };
    if segments.first() != Some(&1) {
        survey.break_at(segment_path(dir, 1), 0, "the file is missing");
        return Ok(survey);
    }
    for (i, segment) in segments.iter().enumerate() {
        let path = segment_path(dir, *segment);
        let mut end = survey.recovered.end;
        if *segment != end.segment {
            if *segment != end.position + 1 {
                let cause = format!("the segment before ends at position {}", end.position);
                survey.break_at(path, 0, &cause);
                return Ok(survey);
            }
            end = end.of_next();
        }
        let bytes = read_used(&path, 0)?;
        let mut tail = &bytes[..];
        let scanned = scan_segment(&path, &mut tail, &mut end, &mut |commit| {
            each(commit);
            Ok(())
        });
        let (tail_end, proven_by_tail) = examine_tail(tail, end);
        survey.recovered.end = end;
        survey.recovered.tail_end = tail_end;
        survey.recovered.proven_by_tail = proven_by_tail;
        survey.ends.push(end);
        let is_last = i + 1 == segments.len();
        if let Err(error) = scanned {
            let text = error.to_string();
            let prefix = format!("{} is damaged at byte {}: ", shown(&path), end.offset);
            let cause = text.strip_prefix(&prefix).unwrap_or(&text);
            survey.break_at(path, end.offset, cause);
            return Ok(survey);
        }
        if !is_last && tail_end > end.offset {
            let cause = "the line is not valid, and later segments follow";
            survey.break_at(path, end.offset, cause);
            return Ok(survey);
        }
    }
    Ok(survey)
}

impl Survey {
    fn break_at(&mut self, path: PathBuf, offset: u64, cause: &str) {
        let cause = cause.to_owned();
        self.broken = Some(Broken {
            path,
            offset,
            cause,
        });
    }

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
