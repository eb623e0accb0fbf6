//! The file of the events that a follower skipped: `skipped.jsonl`.

use std::collections::BTreeSet;
use std::io;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::clock::from_unix_millis;
use crate::event::StoredEvent;
use crate::following::chain::Chain;
use crate::following::history;
use crate::following::lines;
use crate::ids::Position;
use crate::storage::Storage;
use crate::storage::error::StorageResult;
use crate::storage::record::{Lines, Records};
use crate::storage::record_name::RecordName;

/// An event that a projection or a process manager skipped because it could not take it, see
/// [`OnFailure::Skip`](crate::domain::process_manager::OnFailure::Skip). Listed by
/// [`AggregateStore::read_side`](crate::store::AggregateStore::read_side).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path)
///     .projection_with::<Total>(OnFailure::Skip)
///     .open()
///     .await?;
/// for skipped in &store.read_side().projections[0].skipped {
///     println!("{} at {}: {}", skipped.event, skipped.position, skipped.error);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SkippedEvent {
    /// The event's position.
    pub position: Position,
    /// The event's stored name.
    pub event: String,
    /// The type of the event's aggregate. Empty if the event belongs to none.
    pub aggregate_type: String,
    /// The id of the event's aggregate. Empty if the event belongs to none.
    pub id: String,
    /// Why it could not be taken.
    pub error: String,
    /// When it was skipped.
    pub time: SystemTime,
}

/// A line of the file.
#[derive(Serialize, Deserialize)]
struct Line {
    position: u64,
    event: String,
    #[serde(rename = "type")]
    aggregate_type: String,
    id: String,
    error: String,
    ms: u64,
    /// The checksum of the journal's line that holds the event. Records of an earlier form lack it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    chain: Option<Chain>,
}

/// An event that could not be taken.
#[derive(Debug, Clone)]
pub(crate) struct Poisoned {
    pub(crate) position: u64,
    pub(crate) event: String,
    pub(crate) aggregate_type: String,
    pub(crate) id: String,
    pub(crate) version: u64,
    pub(crate) error: String,
    /// The kind of the error that a reader of the state gets: damage, or a fault of the program.
    pub(crate) kind: io::ErrorKind,
}

impl Poisoned {
    /// The event, which could not be taken because of `error`.
    pub(crate) fn new(event: StoredEvent<'_>, error: String, kind: io::ErrorKind) -> Self {
        let record = event.record();
        Self {
            position: record.position,
            event: event.name().to_owned(),
            aggregate_type: record.aggregate_type.to_owned(),
            id: record.id.to_owned(),
            version: record.version,
            error,
            kind,
        }
    }
}

/// The events that were skipped.
#[derive(Debug)]
pub(crate) struct SkippedEvents {
    records: Records,
    name: RecordName,
    lines: Lines,
    positions: BTreeSet<u64>,
    /// The lines for a state that is being built and is not on disk yet.
    unsaved: Option<Vec<u8>>,
}

impl SkippedEvents {
    /// The skipped events in the directory of a projection or process manager. A line that cannot
    /// be read is left out: if its event matters, the follower meets it again. A line that does not
    /// fit the journal is left out too.
    pub(crate) fn open(
        records: &Records,
        version: u32,
        storage: &Storage,
    ) -> StorageResult<(Self, Vec<SkippedEvent>)> {
        let name = RecordName::Skipped(version);
        let (lines, bytes) = records.lines(name)?;
        let mut read = Vec::new();
        for (start, text) in lines::split(&bytes) {
            match read_line(text) {
                Ok(line) => read.push(line),
                Err(cause) => {
                    let error = records.damaged(name, start as u64, &cause);
                    tracing::warn!(%error, "the record of a skipped event cannot be read and is ignored");
                }
            }
        }
        let chains = history::chains(storage, &read.iter().map(|line| line.position).collect())?;
        let dropped = storage.dropped();
        let mut positions = BTreeSet::new();
        let mut events = Vec::new();
        for line in read {
            let chain = chains.get(&line.position);
            // The checkpoint has a checksum of those whose events were dropped from the journal.
            let is_of_journal = line.position >= dropped;
            if is_of_journal
                && (chain.is_none()
                    || line
                        .chain
                        .is_some_and(|Chain(stated)| Some(&stated) != chain))
            {
                let file = records.place(name);
                tracing::warn!(%file, position = line.position, "the record of a skipped event is from another history and is ignored");
            } else if positions.insert(line.position) {
                events.push(line.into());
            }
        }
        let skipped_events = Self {
            records: records.clone(),
            name,
            lines,
            positions,
            unsaved: None,
        };
        Ok((skipped_events, events))
    }

    /// No skipped events. The file is replaced at the first [`save`](Self::save).
    pub(crate) fn from_beginning(records: &Records, version: u32) -> Self {
        let name = RecordName::Skipped(version);
        Self {
            lines: records.empty_lines(name),
            records: records.clone(),
            name,
            positions: BTreeSet::new(),
            unsaved: Some(Vec::new()),
        }
    }

    /// A checksum of the positions up to `position`, 0 if there are none.
    pub(crate) fn sum(&self, position: u64) -> u64 {
        let positions = self.positions.range(..=position);
        positions.fold(0, |sum, next| xxh3_64_with_seed(&next.to_le_bytes(), sum))
    }

    pub(crate) fn contains(&self, position: u64) -> bool {
        self.positions.contains(&position)
    }

    /// Records an event, durably unless the state is not on disk yet.
    pub(crate) fn add(
        &mut self,
        poisoned: &Poisoned,
        chain: u64,
        ms: u64,
    ) -> StorageResult<SkippedEvent> {
        let line = Line {
            position: poisoned.position,
            event: poisoned.event.clone(),
            aggregate_type: poisoned.aggregate_type.clone(),
            id: poisoned.id.clone(),
            error: poisoned.error.clone(),
            ms,
            chain: Some(Chain(chain)),
        };
        match &mut self.unsaved {
            Some(unsaved) => unsaved.extend(lines::seal(&line)?),
            None => self.lines.add(lines::seal(&line)?)?,
        }
        self.positions.insert(line.position);
        Ok(line.into())
    }

    /// Writes the lines that are not on disk yet.
    pub(crate) fn save(&mut self) -> StorageResult<()> {
        if let Some(unsaved) = &self.unsaved {
            if !unsaved.is_empty() || self.records.read(self.name)?.is_some() {
                self.lines.replace(unsaved)?;
            }
            self.unsaved = None;
        }
        Ok(())
    }
}

impl From<Line> for SkippedEvent {
    fn from(line: Line) -> Self {
        Self {
            position: Position::new(line.position),
            event: line.event,
            aggregate_type: line.aggregate_type,
            id: line.id,
            error: line.error,
            time: from_unix_millis(line.ms),
        }
    }
}

fn read_line(line: &[u8]) -> Result<Line, String> {
    if lines::is_right(line) != Some(true) {
        return Err("the checksum does not match".to_owned());
    }
    serde_json::from_slice(line).map_err(|error| error.to_string())
}

/// The content of such a record for `storage`, which has the same events at the same positions. A line
/// that cannot be read is left out, as whoever opens the record does.
pub(crate) fn moved(content: &[u8], storage: &Storage) -> StorageResult<Vec<u8>> {
    let lines = lines::split(content).filter_map(|(_, text)| read_line(text).ok());
    let mut lines: Vec<Line> = lines.collect();
    let chains = history::chains(storage, &lines.iter().map(|line| line.position).collect())?;
    let mut moved = Vec::new();
    for line in &mut lines {
        line.chain = chains.get(&line.position).copied().map(Chain);
        moved.extend(lines::seal(line)?);
    }
    Ok(moved)
}

/// The skipped events that can be read in the content of such a record.
pub(crate) fn listed(content: &[u8]) -> Vec<SkippedEvent> {
    let lines = lines::split(content).filter_map(|(_, text)| read_line(text).ok());
    lines.map(SkippedEvent::from).collect()
}

/// The lines of such a record that are wrong, with their offsets.
pub(crate) fn flaws(content: &[u8]) -> Vec<(u64, String)> {
    let wrong = lines::split(content).filter_map(|(start, text)| {
        let cause = read_line(text).err()?;
        Some((start as u64, cause))
    });
    wrong.collect()
}
