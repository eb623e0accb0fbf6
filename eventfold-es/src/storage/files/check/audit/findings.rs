//! The results of an audit: [`Audit`], [`Flaw`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::ids::StreamId;
use crate::report::{Finding, Severity};
use crate::storage::files::check::audit::journaled::Journaled;
use crate::storage::files::check::survey::Survey;
use crate::storage::files::journal::Index;
use crate::storage::files::journal::beginning::{BEGINNING_FILE, Beginning, meta, of_ends_file};
use crate::storage::files::journal::reader::Reader;
use crate::storage::files::layout::StreamLayout;
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::storage::files::streams::ends::Ends;
use crate::storage::files::streams::stream::{Stream, Streams};

/// A flaw in the store's files.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) finding: Finding,
    /// How to repair the flaw, if the journal is whole.
    pub(crate) remedy: Option<Remedy>,
}

/// The repair for a flaw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Overwrites the journal's unfinished tail with zeros.
    CutTail,
    /// Writes the stream's file again from the journal.
    Rebuild(StreamId),
    /// Enters lines that another program appended to the stream into the journal.
    Adopt(StreamId),
    /// Moves the file away.
    SetAside,
}

impl Flaw {
    pub(crate) fn new(file: &Path, severity: Severity, message: impl Into<String>) -> Self {
        Self {
            finding: Finding {
                file: file.to_owned(),
                offset: None,
                severity,
                message: message.into(),
            },
            remedy: None,
        }
    }

    pub(crate) fn at(mut self, offset: u64) -> Self {
        self.finding.offset = Some(offset);
        self
    }

    pub(crate) fn remedy(mut self, remedy: Remedy) -> Self {
        self.remedy = Some(remedy);
        self
    }
}

/// The content of a store's directory, and its flaws.
#[derive(Debug)]
pub(crate) struct Audit {
    pub(crate) layout: StreamLayout,
    pub(crate) streams: Arc<Streams>,
    /// The content of the journal, if there is one.
    pub(crate) survey: Option<Survey>,
    pub(crate) journaled: BTreeMap<StreamId, Journaled>,
    /// Where the journal begins, and the streams end there.
    pub(crate) beginning: Beginning,
    pub(crate) ends: Ends,
    /// It is not known where the journal begins, so nothing could be checked.
    pub(crate) is_cut_short: bool,
    pub(crate) flaws: Vec<Flaw>,
    /// Opening the store replays commits after this position into the streams' files.
    pub(super) redo_after: u64,
    /// The newest position in a stream's file that the journal does not reach, and that stream.
    pub(super) beyond: Option<(u64, StreamId)>,
    /// A sync has failed: the bytes read need not be on the disk.
    pub(crate) in_doubt: bool,
    /// The checkpoint, up to which the journal was known to be durable.
    pub(crate) checkpoint: Option<RedoPoint>,
}

impl Audit {
    /// The position of the newest event.
    pub(crate) fn head(&self) -> u64 {
        let survey = self.survey.as_ref();
        survey.map_or(0, |survey| survey.recovered.end.position)
    }

    /// Whether the journal is complete and undamaged.
    pub(crate) fn journal_is_whole(&self) -> bool {
        let journal = self.layout.journal_dir();
        let says_where_it_begins = |file: &Path| {
            let name = file.file_name().and_then(|name| name.to_str());
            let is_one = |name: &str| name == BEGINNING_FILE || of_ends_file(name).is_some();
            file.parent() == Some(&meta(&journal)) && name.is_some_and(is_one)
        };
        let lost = |flaw: &Flaw| {
            let file = &flaw.finding.file;
            flaw.finding.severity == Severity::Lost
                && (file.starts_with(&journal) || says_where_it_begins(file))
        };
        !self.flaws.iter().any(lost)
    }

    /// A reader of the journal from its beginning, `None` if the journal is missing or damaged.
    pub(crate) fn reader(&self) -> Option<Reader> {
        let survey = self.survey.as_ref().filter(|s| s.broken.is_none())?;
        let segments = survey.recovered.segments.clone();
        let index = Index::new(self.layout.journal_dir(), segments);
        Some(Reader::new(Arc::new(index), 0))
    }

    /// Notes the position of a line of ours that the journal does not have.
    pub(super) fn note_beyond(&mut self, position: u64, id: &StreamId) {
        let newer = |(known, _): &(u64, StreamId)| *known < position;
        if self.beyond.as_ref().is_none_or(newer) {
            self.beyond = Some((position, id.clone()));
        }
    }

    /// The flaw for lines that another program appended to a stream. Without a journal there is
    /// nothing to repair: the next open takes over the directory.
    pub(super) fn flaw_of_others(&self, stream: &Stream, cause: &str) -> Flaw {
        if self.survey.is_none() {
            return Flaw::new(&stream.file(), Severity::Harmless, cause);
        }
        let remedy = Remedy::Adopt(stream.id().clone());
        Flaw::new(&stream.file(), Severity::Repairable, cause).remedy(remedy)
    }

    /// The severity if the lines at `position` are missing in their stream's file.
    pub(super) fn grade(&self, position: u64) -> Severity {
        if position > self.redo_after {
            Severity::Harmless
        } else {
            Severity::Repairable
        }
    }
}
