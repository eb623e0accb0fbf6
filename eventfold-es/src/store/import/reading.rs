//! Reading the lines of an import on a thread of its own: [`Input`].

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use memchr::memchr;
use serde::Deserialize;
use tokio::sync::mpsc;

use crate::following::moved::Carried;
use crate::ids::Position;
use crate::storage::Storage;
use crate::storage::error::StorageError;
use crate::store::export::exported::ExportedEvent;
use crate::store::export::{cloud_events, event_lines};
use crate::store::import::error::ImportError;
use crate::store::import::known::{Known, Place, of_id, of_place};

/// The longest line that is read. A longer one is no event, or belongs to a file without lines.
const LONGEST_LINE: usize = if cfg!(test) { 1 } else { 1024 } * 1024 * 1024;
/// About how many bytes of lines, and how many commits, are handed over together.
const BATCH_BYTES: u64 = 256 * 1024;
const BATCH_COMMITS: usize = 256;
/// How many batches are read ahead.
const AHEAD: usize = 4;

/// Changes or drops an event.
pub(super) type Map = Box<
    dyn FnMut(
            ExportedEvent,
        ) -> Result<Option<ExportedEvent>, Box<dyn std::error::Error + Send + Sync>>
        + Send,
>;

/// Commits that were read, and what else was in their lines.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) commits: Vec<Vec<Numbered>>,
    pub(super) skipped: u64,
    pub(super) dropped: u64,
    /// What a process manager takes along, behind the commits of this batch.
    pub(super) carried: Option<Box<Carried>>,
    /// How many bytes of the input are read up to here.
    bytes: u64,
}

/// An event with the number of its line.
#[derive(Debug)]
pub(super) struct Numbered {
    pub(super) line: u64,
    pub(super) event: ExportedEvent,
}

impl Batch {
    /// Whether it says something about events.
    pub(super) fn has_events(&self) -> bool {
        !self.commits.is_empty() || self.skipped > 0 || self.dropped > 0
    }
}

/// What is to be known about positions and process managers while lines are read.
#[derive(Debug, Default)]
pub(super) struct Terms {
    /// An event must get the position that its line states.
    pub(super) keeps_positions: bool,
    /// The process managers whose beginning is decided, so that what they take along does not matter.
    pub(super) decided: BTreeSet<String>,
}

/// The batches, from the thread that reads them.
#[derive(Debug)]
pub(super) struct Input {
    batches: mpsc::Receiver<Result<Batch, ImportError>>,
    bytes: u64,
}

impl Input {
    /// Starts to read `lines`. Events that the store has already are passed over.
    pub(super) fn start(
        lines: Box<dyn BufRead + Send>,
        map: Option<Map>,
        terms: Terms,
        storage: &Storage,
    ) -> Result<Self, ImportError> {
        let (sender, batches) = mpsc::channel(AHEAD);
        let storage = storage.clone();
        let read = move || {
            let mut reading = match Known::of(&storage) {
                Ok(known) => Reading::new(lines, map, terms, known),
                Err(error) => return drop(sender.blocking_send(Err(error.into()))),
            };
            drop(storage);
            loop {
                let (batch, error) = reading.batch();
                // An empty one without an error is the end.
                let is_end = error.is_some() || batch.bytes == 0;
                if batch.bytes > 0 && sender.blocking_send(Ok(batch)).is_err() {
                    return;
                }
                if let Some(error) = error {
                    drop(sender.blocking_send(Err(error)));
                }
                if is_end {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new().name("eventfold-import".to_owned());
        thread
            .spawn(read)
            .map_err(|error| ImportError::from(StorageError::thread(error)))?;
        Ok(Self { batches, bytes: 0 })
    }

    /// The next commits; `None` at the end of the lines.
    pub(super) async fn next(&mut self) -> Result<Option<Batch>, ImportError> {
        let batch = self.batches.recv().await.transpose()?;
        if let Some(batch) = &batch {
            self.bytes = batch.bytes;
        }
        Ok(batch)
    }

    /// How many bytes of the input are read.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

struct Reading {
    lines: Box<dyn BufRead + Send>,
    map: Option<Map>,
    terms: Terms,
    known: Known,
    /// Whether there was a line with an event.
    has_begun: bool,
    /// The number of the line that was read last.
    line: u64,
    bytes: u64,
    /// That line.
    buffer: Vec<u8>,
}

impl Reading {
    fn new(lines: Box<dyn BufRead + Send>, map: Option<Map>, terms: Terms, known: Known) -> Self {
        Self {
            lines,
            map,
            terms,
            known,
            has_begun: false,
            line: 0,
            bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// The next commits, without `bytes` if there are no more lines. If a line cannot be read, the
    /// commits before it, and why.
    fn batch(&mut self) -> (Batch, Option<ImportError>) {
        let mut batch = Batch::default();
        let before = self.bytes;
        let mut failed = None;
        while self.bytes - before < BATCH_BYTES
            && batch.commits.len() < BATCH_COMMITS
            && batch.carried.is_none()
        {
            match self.add_commit(&mut batch) {
                Ok(true) => {}
                Ok(false) => break,
                Err(error) => {
                    failed = Some(error);
                    break;
                }
            }
        }
        batch.bytes = if self.bytes > before { self.bytes } else { 0 };
        (batch, failed)
    }

    /// Adds the next commit to the batch. False at the end of the lines.
    fn add_commit(&mut self, batch: &mut Batch) -> Result<bool, ImportError> {
        let event_lines::Read { event, place } = match self.next_read()? {
            None => return Ok(false),
            Some(Read::Event(read)) => read,
            Some(Read::Carried(carried)) => {
                batch.carried = self.wanted(carried)?;
                return Ok(true);
            }
        };
        self.has_begun = true;
        let first = self.line;
        let (place, of) = place.unwrap_or((1, 1));
        if place == 0 || of == 0 || place > of {
            let reason = format!("a commit cannot have an event {place} of {of}");
            return Err(ImportError::line(first, reason));
        }
        if place != 1 {
            let reason =
                format!("this is event {place} of {of} of a commit, whose beginning is missing");
            return Err(ImportError::line(first, reason));
        }
        let mut commit = vec![Numbered { line: first, event }];
        for expected in 2..=of {
            let Some(next) = self.next_read()? else {
                let reason = format!(
                    "the lines end within a commit of {of} events that begins in line {first}: event \
                     {expected} is missing"
                );
                return Err(ImportError::line(self.line + 1, reason));
            };
            let next = match next {
                Read::Event(next) if next.place == Some((expected, of)) => next,
                _ => {
                    let reason = format!(
                        "event {expected} of {of} of the commit that begins in line {first} is missing"
                    );
                    return Err(ImportError::line(self.line, reason));
                }
            };
            let (line, event) = (self.line, next.event);
            commit.push(Numbered { line, event });
        }
        // Not before all of the commit was read: it is imported whole or not at all.
        let mut kept = Vec::with_capacity(commit.len());
        for Numbered { line, event } in commit {
            let event = match &mut self.map {
                None => Some(event),
                Some(map) => map(event).map_err(|source| ImportError::Map { line, source })?,
            };
            let Some(event) = event else {
                batch.dropped += 1;
                continue;
            };
            check(&event).map_err(|reason| ImportError::line(line, reason))?;
            let hash = hash(&event).map_err(|reason| ImportError::line(line, reason))?;
            let place = place_of(&event);
            match self.known.add(hash, place) {
                None => kept.push(Numbered { line, event }),
                Some(known) => {
                    self.check_same(line, place, known)?;
                    batch.skipped += 1;
                }
            }
        }
        if !kept.is_empty() {
            batch.commits.push(kept);
        }
        Ok(true)
    }

    /// Fails if an event that is there already is another one than the line says. A map may make another one
    /// of it than at the earlier import.
    fn check_same(&self, line: u64, stated: Place, known: Place) -> Result<(), ImportError> {
        if self.map.is_none() && !stated.is_same(known) {
            let reason = "the store has an event with this id whose stream, name, time or payload is another: \
                          these are not the lines of the earlier import, or they were changed since";
            return Err(ImportError::line(line, reason));
        }
        if self.terms.keeps_positions && stated.position > 0 && stated.position != known.position {
            return Err(ImportError::Position {
                line,
                stated: Position::new(stated.position),
                next: Position::new(known.position),
            });
        }
        Ok(())
    }

    /// What a process manager takes along, unless its beginning was decided.
    fn wanted(&mut self, carried: Box<Carried>) -> Result<Option<Box<Carried>>, ImportError> {
        let name = &carried.process_manager;
        if self.terms.decided.contains(name) {
            return Ok(None);
        }
        let refused = |reason: String| Err(ImportError::line(self.line, reason));
        if self.map.is_some() {
            return refused(format!(
                "the process manager `{name}` knows the events as they were, and `map` changes them: say \
                 where it begins (`from_now`, `react_again`)"
            ));
        }
        if self.has_begun && !self.terms.keeps_positions {
            return refused(format!(
                "the process manager `{name}` comes behind events whose positions may be others: import \
                 with `keep_positions`"
            ));
        }
        self.terms.keeps_positions = true;
        Ok(Some(carried))
    }

    /// What the next line says, `None` at the end. Empty lines are passed over.
    fn next_read(&mut self) -> Result<Option<Read>, ImportError> {
        while self.next_line()? {
            let failed = |reason: String| ImportError::line(self.line, reason);
            let text = std::str::from_utf8(&self.buffer);
            let text = text.map_err(|error| failed(format!("is not text in UTF-8: {error}")))?;
            let text = text.trim_ascii();
            if !text.is_empty() {
                return read_line(text).map(Some).map_err(failed);
            }
        }
        Ok(None)
    }

    /// Reads the next line into the buffer. False at the end.
    fn next_line(&mut self) -> Result<bool, ImportError> {
        self.buffer.clear();
        let line = self.line + 1;
        loop {
            let available = match self.lines.fill_buf() {
                Ok(available) => available,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(source) => return Err(ImportError::Input { line, source }),
            };
            let end = memchr(b'\n', available);
            let taken = end.map_or(available.len(), |end| end + 1);
            if self.buffer.len() + taken > LONGEST_LINE {
                let most = LONGEST_LINE / (1024 * 1024);
                let reason = format!("the line is longer than {most} MiB");
                return Err(ImportError::line(line, reason));
            }
            let is_over = taken == 0;
            self.buffer.extend_from_slice(&available[..taken]);
            self.lines.consume(taken);
            self.bytes += taken as u64;
            if end.is_some() || is_over {
                let is_line = !self.buffer.is_empty();
                self.line += u64::from(is_line);
                return Ok(is_line);
            }
        }
    }
}

/// What a line says.
#[expect(clippy::large_enum_variant, reason = "most lines are events")]
enum Read {
    Event(event_lines::Read),
    /// What a process manager takes along.
    Carried(Box<Carried>),
}

/// Reads a line in either form.
fn read_line(text: &str) -> Result<Read, String> {
    /// What tells the form.
    #[derive(Deserialize)]
    struct Form {
        eventfold: Option<serde_json::Value>,
        specversion: Option<serde_json::Value>,
        process_manager: Option<serde_json::Value>,
    }
    // The usual beginnings, which save a look for the form.
    if text.starts_with("{\"eventfold\":1,\"position\":") {
        return event_lines::read(text).map(Read::Event);
    }
    if text.starts_with("{\"specversion\":\"1.0\",") {
        return cloud_events::read(text).map(Read::Event);
    }
    let form: Form = serde_json::from_str(text).map_err(|error| error.to_string())?;
    match (form.eventfold, form.specversion) {
        (Some(number), None) if number == event_lines::FORM => {
            if form.process_manager.is_none() {
                return event_lines::read(text).map(Read::Event);
            }
            let carried = serde_json::from_str(text).map_err(|error| error.to_string())?;
            Ok(Read::Carried(carried))
        }
        (Some(form), None) => Err(format!(
            "`eventfold` is {form}: this version reads the form {}; a newer one wrote the line",
            event_lines::FORM
        )),
        (None, Some(form)) if form == "1.0" => cloud_events::read(text).map(Read::Event),
        (None, Some(form)) => Err(format!(
            "`specversion` is {form}: this version reads CloudEvents \"1.0\""
        )),
        (None, None) => Err(
            "is no event of an export: `eventfold` is missing, which says the form, or `specversion` of \
             CloudEvents"
                .to_owned(),
        ),
        (Some(_), Some(_)) => Err("has both `eventfold` and `specversion`".to_owned()),
    }
}

/// Fails if the event could not be stored as it is.
fn check(event: &ExportedEvent) -> Result<(), String> {
    if event.name.is_empty() {
        return Err("the event has no name".to_owned());
    }
    if event.stream.is_none() && event.version.is_some_and(|version| version != 0) {
        return Err("an event of no stream has no version".to_owned());
    }
    if event.command.is_some() && event.key.is_none() {
        return Err("the fingerprint of a command is there, and no idempotency key".to_owned());
    }
    if event.meta().is_some_and(|meta| !meta.starts_with('{')) {
        return Err("the metadata is not a JSON object".to_owned());
    }
    if event.data().contains('\n') || event.meta().is_some_and(|meta| meta.contains('\n')) {
        return Err("the payload or the metadata has a line break".to_owned());
    }
    Ok(())
}

/// What the event is, and where it was.
fn place_of(event: &ExportedEvent) -> Place {
    let position = event.position.map_or(0, Position::get);
    let stream = event.stream.as_ref();
    let stream = stream.map_or(("", ""), |id| (id.aggregate_type(), id.id()));
    let content = (event.name.as_str(), event.data());
    Place::new(position, stream, content, event.unix_millis)
}

/// By what the event is recognised.
fn hash(event: &ExportedEvent) -> Result<u128, String> {
    match (&event.event_id, &event.stream, event.version) {
        (Some(id), ..) => Ok(of_id(id)),
        (None, Some(stream), Some(version)) => {
            let place = (stream.aggregate_type(), stream.id(), version.into());
            Ok(of_place(place, &event.name, event.data()))
        }
        _ => Err(
            "the event has neither an id nor a version in a stream: it would be stored again if the lines \
             are imported again"
                .to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: impl BufRead + Send + 'static) -> (Batch, Option<ImportError>) {
        Reading::new(Box::new(lines), None, Terms::default(), Known::default()).batch()
    }

    #[test]
    fn a_line_without_an_end_is_refused_before_it_fills_the_memory() {
        let endless = io::BufReader::new(io::repeat(b'x'));
        let (batch, error) = read(endless);
        assert!(batch.commits.is_empty());
        let error = error.map(|error| error.to_string());
        assert_eq!(
            error.as_deref(),
            Some("line 1: the line is longer than 1 MiB")
        );
    }

    #[test]
    fn a_form_is_told_by_its_member_wherever_it_is_in_the_line() {
        let own = r#" {"event":"A","event_id":"e-1","ms":1,"data":null,"eventfold":1} "#;
        let cloud = r#"{"id":"e-2","source":"/","type":"A","time":"1970-01-01T00:00:00Z","data":1,"specversion":"1.0"}"#;
        let (batch, error) = read(io::Cursor::new(format!("{own}\r\n\n{cloud}")));
        assert!(error.is_none(), "{error:?}");
        let lines: Vec<_> = batch.commits.iter().map(|commit| commit[0].line).collect();
        assert_eq!(lines, [1, 3]);
    }
}
