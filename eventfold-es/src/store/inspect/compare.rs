//! Whether two stores have the same events: [`Comparison`].

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::ops::ControlFlow;

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::storage::error::StorageResult;
use crate::store::export::event_lines;
use crate::store::export::row::Row;
use crate::store::inspect::StoreReader;
use crate::text::Shown;

/// How many differences are kept.
const MOST: usize = 100;
/// How often the progress is told: once in so many events.
const TOLD_EVERY: u64 = 4096;

/// What a comparison of two stores has found. From [`StoreReader::compare`].
///
/// See the example of [`StoreReader::compare`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Comparison {
    /// How many events the two stores have.
    pub events: (u64, u64),
    /// How many streams there are in one of them at least. The events that belong to no aggregate count as
    /// one.
    pub streams: u64,
    /// How many streams are not the same in both.
    pub different: u64,
    /// The first of them, by type and id.
    pub differences: Vec<StreamDifference>,
}

/// A stream that is not the same in two stores.
///
/// See the example of [`StoreReader::compare`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamDifference {
    /// The type of its aggregate. Empty for the events that belong to none.
    pub aggregate_type: String,
    /// The aggregate's id. Empty for the events that belong to none.
    pub id: String,
    /// What is different.
    pub message: String,
}

impl Comparison {
    /// Whether both stores have the same events at the same positions.
    ///
    /// See the example of [`StoreReader::compare`].
    #[must_use]
    pub fn is_same(&self) -> bool {
        self.different == 0
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            events: (one, other),
            streams,
            different,
            differences,
        } = self;
        if self.is_same() {
            return write!(f, "the same {one} events in {streams} streams");
        }
        write!(
            f,
            "{one} and {other} events; {different} of {streams} streams are different"
        )?;
        for difference in differences {
            write!(f, "\n{difference}")?;
        }
        let more = different - differences.len() as u64;
        if more > 0 {
            write!(f, "\nand {more} more")?;
        }
        Ok(())
    }
}

impl fmt::Display for StreamDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.aggregate_type.is_empty() {
            write!(f, "events of no aggregate: {}", self.message)
        } else {
            let (aggregate_type, id) = (Shown(&self.aggregate_type), Shown(&self.id));
            write!(f, "{aggregate_type}/{id}: {}", self.message)
        }
    }
}

/// The events of one stream so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Digest {
    events: u64,
    /// Of everything but the positions, chained from event to event.
    content: u64,
    positions: u64,
}

/// Those of both stores, by type and id.
type Digests = HashMap<Box<str>, HashMap<Box<str>, [Digest; 2]>>;

impl StoreReader {
    /// Compares what this store shows with what another one shows: each stream's events with their versions
    /// and positions, and with everything that is recorded with them but the time of the commit. `told`
    /// takes how many events were read, and how many there are. About 200 bytes of memory are needed for
    /// each stream.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), of either store.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*, inspect::StoreReader};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (dir, to) = (dir.path(), to.path());
    /// # let store = AggregateStore::open(dir).await?;
    /// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
    /// # let (lines, _) = store.export().write_to(Vec::new()).await?;
    /// # let other = AggregateStore::open(to).await?;
    /// other.import(std::io::Cursor::new(lines)).await?;
    /// let reader = StoreReader::open(dir)?;
    /// assert!(reader.compare(&StoreReader::open(to)?, |_, _| {})?.is_same());
    ///
    /// other.get::<Counter>("c-1").await?.send(Add(6)).await?;
    /// let compared = reader.compare(&StoreReader::open(to)?, |_, _| {})?;
    /// assert_eq!(compared.events, (1, 2));
    /// assert_eq!(compared.differences[0].message, "it has 1 event here, and 2 there");
    /// # Ok(())
    /// # }
    /// ```
    pub fn compare(&self, other: &Self, mut told: impl FnMut(u64, u64)) -> io::Result<Comparison> {
        let mut digests = Digests::new();
        let total = self.observed.head() + other.observed.head();
        let (mut read, mut line) = (0, Vec::new());
        for (index, store) in [self, other].into_iter().enumerate() {
            let observed = &store.observed;
            observed.reader(0).read_to(observed.head(), |committed| {
                for i in 0..committed.len() {
                    let place = committed.place_in_commit(i);
                    committed.event_and_command(i, |event, command| {
                        let record = event.record();
                        line.clear();
                        let row = Row::new(event, record, command, place);
                        event_lines::write(&mut line, &row);
                        let digest = digest(&mut digests, record.aggregate_type, record.id);
                        digest[index].add(&line, record.position);
                    })?;
                    read += 1;
                    if read % TOLD_EVERY == 0 {
                        told(read, total);
                    }
                }
                StorageResult::Ok(ControlFlow::Continue(()))
            })?;
        }
        told(read, total);
        Ok(compared(digests))
    }
}

fn digest<'a>(digests: &'a mut Digests, aggregate_type: &str, id: &str) -> &'a mut [Digest; 2] {
    // Looked up before the names are copied: most events are of a known stream.
    if !digests.contains_key(aggregate_type) {
        digests.insert(aggregate_type.into(), HashMap::new());
    }
    let streams = digests.get_mut(aggregate_type);
    let streams = streams.expect("it was inserted");
    if !streams.contains_key(id) {
        streams.insert(id.into(), Default::default());
    }
    streams.get_mut(id).expect("it was inserted")
}

impl Digest {
    fn add(&mut self, line: &[u8], position: u64) {
        self.events += 1;
        self.positions = xxh3_64_with_seed(&position.to_le_bytes(), self.positions);
        // The line begins with the number of its form and the position.
        let after = memchr::memmem::find(line, b"\"position\":").unwrap_or(0);
        let after = after
            + line[after..]
                .iter()
                .position(|byte| *byte == b',')
                .unwrap_or(0);
        self.content = xxh3_64_with_seed(&line[after..], self.content);
    }
}

fn compared(digests: Digests) -> Comparison {
    let mut comparison = Comparison::default();
    for (aggregate_type, streams) in digests {
        for (id, [one, other]) in streams {
            comparison.streams += 1;
            comparison.events.0 += one.events;
            comparison.events.1 += other.events;
            if one == other {
                continue;
            }
            comparison.different += 1;
            comparison.differences.push(StreamDifference {
                aggregate_type: aggregate_type.clone().into(),
                id: id.into(),
                message: difference(one, other),
            });
            // Only the first ones are wanted in the end.
            if comparison.differences.len() > 2 * MOST {
                keep_first(&mut comparison.differences);
            }
        }
    }
    keep_first(&mut comparison.differences);
    comparison
}

fn keep_first(differences: &mut Vec<StreamDifference>) {
    differences.sort_by(|a, b| (&a.aggregate_type, &a.id).cmp(&(&b.aggregate_type, &b.id)));
    differences.truncate(MOST);
}

fn difference(one: Digest, other: Digest) -> String {
    let events = |count: u64| match count {
        0 => "no events".to_owned(),
        1 => "1 event".to_owned(),
        count => format!("{count} events"),
    };
    if one.events != other.events {
        let (one, other) = (events(one.events), other.events);
        format!("it has {one} here, and {other} there")
    } else if one.content != other.content {
        format!("its {} are others there", events(one.events))
    } else {
        format!(
            "its {} are the same, at other positions",
            events(one.events)
        )
    }
}
