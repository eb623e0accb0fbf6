//! The streams of a store, from one pass over its events: [`StreamSummaries`].

use std::collections::HashMap;
use std::time::SystemTime;

use crate::clock::from_unix_millis;
use crate::event::{Lifecycle, Standing};
use crate::ids::Version;
use crate::store::inspect::entry::Entry;

/// What a stream has.
///
/// See the example of [`StoreReader`](crate::inspect::StoreReader).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamSummary {
    /// The type of its aggregate.
    pub aggregate_type: String,
    /// The aggregate's id.
    pub id: String,
    /// How many events it has.
    pub events: u64,
    /// The version of its newest event.
    pub version: Version,
    /// The time of its first event.
    pub first: SystemTime,
    /// The time of its last event.
    pub last: SystemTime,
    /// How many bytes its events take in its file.
    pub bytes: u64,
    /// Whether its aggregate has ended or is archived.
    pub lifecycle: Lifecycle,
}

/// Collects the summary of each stream while events are read.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # use std::ops::ControlFlow;
/// use eventfold_es::inspect::{StoreReader, StreamSummaries};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// let mut streams = StreamSummaries::default();
/// let mut bytes = 0;
/// StoreReader::open(dir.path())?.read(Position::default(), |entry| {
///     bytes += entry.event().data().len();
///     streams.add(&entry);
///     ControlFlow::Continue(())
/// })?;
/// assert_eq!(streams.len(), 1);
/// assert_eq!(streams.into_sorted()[0].version, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct StreamSummaries {
    /// By type, then by id.
    types: HashMap<Box<str>, HashMap<Box<str>, Counts>>,
}

#[derive(Debug, Clone)]
struct Counts {
    events: u64,
    version: u64,
    first: u64,
    last: u64,
    bytes: u64,
    /// Few have one.
    standing: Option<Box<Standing>>,
}

impl Counts {
    fn note(&mut self, entry: &Entry<'_>, ms: u64) {
        // One that cannot be read is an event like another; a load tells the error.
        if let Ok(Some(noted)) = entry.event().lifecycle() {
            self.standing.get_or_insert_default().take(noted, ms);
        }
    }
}

impl StreamSummaries {
    /// Adds an event. Events are to be added in the order of the store; those that belong to no
    /// aggregate are left out.
    ///
    /// See the example of [`StreamSummaries`].
    pub fn add(&mut self, entry: &Entry<'_>) {
        let record = *entry.event().record();
        if !record.is_of_aggregate() {
            return;
        }
        let ms = record.unix_millis();
        let version = record.version().into();
        let bytes = entry.line().len() as u64 + 1;
        // Looked up before the names are copied: most events are of a known stream.
        let streams = self.types.get_mut(record.aggregate_type());
        if let Some(counts) = streams.and_then(|streams| streams.get_mut(record.id())) {
            counts.events += 1;
            counts.version = version;
            counts.last = ms;
            counts.bytes += bytes;
            counts.note(entry, ms);
            return;
        }
        let mut counts = Counts {
            events: 1,
            version,
            first: ms,
            last: ms,
            bytes,
            standing: None,
        };
        counts.note(entry, ms);
        let streams = self.types.entry(record.aggregate_type().into());
        streams.or_default().insert(record.id().into(), counts);
    }

    /// How many streams there are.
    ///
    /// See the example of [`StreamSummaries`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.types.values().map(HashMap::len).sum()
    }

    /// Whether there are no streams.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.types.is_empty()
    }

    /// The streams, sorted by type and id.
    ///
    /// See the example of [`StreamSummaries`].
    #[must_use]
    pub fn into_sorted(self) -> Vec<StreamSummary> {
        let mut all = Vec::with_capacity(self.len());
        for (aggregate_type, streams) in self.types {
            all.extend(streams.into_iter().map(|(id, counts)| {
                StreamSummary {
                    aggregate_type: aggregate_type.clone().into(),
                    id: id.into(),
                    events: counts.events,
                    version: Version::new(counts.version),
                    first: from_unix_millis(counts.first),
                    last: from_unix_millis(counts.last),
                    bytes: counts.bytes,
                    lifecycle: counts
                        .standing
                        .map_or_else(Lifecycle::default, |standing| (&*standing).into()),
                }
            }));
        }
        all.sort_unstable_by(|a, b| (&a.aggregate_type, &a.id).cmp(&(&b.aggregate_type, &b.id)));
        all
    }
}
