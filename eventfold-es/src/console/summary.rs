//! What the console keeps in memory of all events, so that no page reads all of them: [`Summary`].
//!
//! It grows with the aggregates and not with the events, and stops at a limit.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::event::StoredEvent;

/// Which part of the log an event is in is noted for this many positions together.
pub(crate) const BLOCK: u64 = 1024;
/// How many minutes are counted one by one.
const MINUTES: u64 = 24 * 60;
pub(crate) const MINUTE: u64 = 60_000;
/// How many types, and how many names of a type, are counted one by one.
const MOST_NAMES: usize = 1_000;
/// How many aggregates are listed, unless the host says otherwise.
pub(crate) const MOST_AGGREGATES: usize = 200_000;
/// How many blocks are noted for all aggregates together.
const MOST_BLOCKS: usize = 8_000_000;

/// Counts of all events up to a position.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    /// All events up to here are in it.
    pub(crate) until: u64,
    pub(crate) all: Count,
    /// In the order of their first events.
    pub(crate) types: Vec<OfType>,
    /// By name, the index in `types`.
    type_of: HashMap<Box<str>, usize>,
    /// Those of decisions, which belong to no aggregate.
    pub(crate) of_none: BTreeMap<Box<str>, Count>,
    /// In the order of their first events.
    pub(crate) streams: Vec<StreamRow>,
    /// How many events belong to aggregates that are not listed.
    pub(crate) unlisted: u64,
    /// By the minute since 1970, the newest day only.
    minutes: BTreeMap<u64, u64>,
    /// The newest time at the beginning of each block.
    times: Vec<u64>,
    newest_ms: u64,
    noted: usize,
    /// From here on the blocks of aggregates are not noted.
    noted_until: Option<u64>,
    most_aggregates: usize,
}

#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Count {
    pub(crate) events: u64,
    /// Of the payloads.
    pub(crate) bytes: u64,
}

#[derive(Debug)]
pub(crate) struct OfType {
    pub(crate) name: Box<str>,
    pub(crate) all: Count,
    pub(crate) names: BTreeMap<Box<str>, Count>,
    pub(crate) ids: HashMap<Arc<str>, u32>,
}

/// An aggregate.
#[derive(Debug)]
pub(crate) struct StreamRow {
    /// The index of its type.
    pub(crate) of_type: usize,
    pub(crate) id: Arc<str>,
    pub(crate) count: Count,
    pub(crate) version: u64,
    pub(crate) first_ms: u64,
    pub(crate) last_ms: u64,
    /// The blocks that have its events, in order.
    blocks: Vec<u32>,
}

/// Where the events of an aggregate are.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    pub(crate) version: u64,
    blocks: Vec<u32>,
    /// From here on nothing is known.
    pub(crate) after: u64,
}

impl Count {
    fn add(&mut self, bytes: u64) {
        self.events += 1;
        self.bytes += bytes;
    }
}

impl Summary {
    pub(crate) fn new(most_aggregates: usize) -> Self {
        Self {
            most_aggregates,
            ..Self::default()
        }
    }

    /// Adds the event after the last one.
    pub(crate) fn add(&mut self, stored: StoredEvent<'_>) {
        let record = stored.record();
        let bytes = stored.data().len() as u64;
        let ms = record.unix_millis();
        let position = record.position;
        self.until = position;
        self.all.add(bytes);
        self.add_time(position, ms);
        if !record.is_of_aggregate() {
            count(&mut self.of_none, stored.name(), bytes);
            return;
        }
        let Some(of_type) = self.type_named(record.aggregate_type) else {
            self.unlisted += 1;
            return;
        };
        let counts = &mut self.types[of_type];
        counts.all.add(bytes);
        count(&mut counts.names, stored.name(), bytes);
        let place = match counts.ids.get(record.id) {
            Some(place) => *place,
            None if self.streams.len() < self.most_aggregates => {
                let place = u32::try_from(self.streams.len()).unwrap_or(u32::MAX);
                let id: Arc<str> = record.id.into();
                counts.ids.insert(id.clone(), place);
                self.streams.push(StreamRow {
                    of_type,
                    id,
                    count: Count::default(),
                    version: 0,
                    first_ms: ms,
                    last_ms: ms,
                    blocks: Vec::new(),
                });
                place
            }
            None => {
                self.unlisted += 1;
                return;
            }
        };
        let Some(stream) = self.streams.get_mut(place as usize) else {
            return;
        };
        stream.count.add(bytes);
        stream.version = record.version;
        stream.last_ms = ms;
        if self.noted_until.is_none() {
            let block = u32::try_from(position / BLOCK).unwrap_or(u32::MAX);
            if stream.blocks.last() != Some(&block) {
                if self.noted < MOST_BLOCKS && block < u32::MAX {
                    stream.blocks.push(block);
                    self.noted += 1;
                } else {
                    self.noted_until = Some(position - 1);
                }
            }
        }
    }

    fn add_time(&mut self, position: u64, ms: u64) {
        self.newest_ms = self.newest_ms.max(ms);
        let block = usize::try_from(position / BLOCK).unwrap_or(usize::MAX);
        // Positions have gaps in some storages, so a block may have no event. Few are that long.
        while self.times.len() <= block && self.times.len() < MOST_BLOCKS {
            self.times.push(self.newest_ms);
        }
        let minute = ms / MINUTE;
        let newest = self.newest_ms / MINUTE;
        if minute + MINUTES > newest {
            *self.minutes.entry(minute).or_default() += 1;
        }
        while let Some(entry) = self.minutes.first_entry()
            && *entry.key() + MINUTES <= newest
        {
            entry.remove();
        }
    }

    fn type_named(&mut self, name: &str) -> Option<usize> {
        if let Some(known) = self.type_of.get(name) {
            return Some(*known);
        }
        if self.types.len() >= MOST_NAMES {
            return None;
        }
        self.types.push(OfType {
            name: name.into(),
            all: Count::default(),
            names: BTreeMap::new(),
            ids: HashMap::new(),
        });
        self.type_of.insert(name.into(), self.types.len() - 1);
        Some(self.types.len() - 1)
    }

    /// How many events there were in the minute `minute` since 1970.
    pub(crate) fn in_minute(&self, minute: u64) -> u64 {
        self.minutes.get(&minute).copied().unwrap_or(0)
    }

    /// How many events there were in this minute and those before it, `count` in all.
    pub(crate) fn in_minutes(&self, last: u64, count: u64) -> u64 {
        let first = (last + 1).saturating_sub(count);
        self.minutes.range(first..=last).map(|(_, n)| n).sum()
    }

    pub(crate) fn of_type(&self, name: &str) -> Option<(usize, &OfType)> {
        let place = *self.type_of.get(name)?;
        Some((place, &self.types[place]))
    }

    pub(crate) fn stream(&self, aggregate_type: &str, id: &str) -> Option<&StreamRow> {
        let (_, of_type) = self.of_type(aggregate_type)?;
        self.streams.get(*of_type.ids.get(id)? as usize)
    }

    /// Where the events of an aggregate are. Without a row for it they may be anywhere.
    pub(crate) fn places(&self, aggregate_type: &str, id: &str) -> Places {
        match self.stream(aggregate_type, id) {
            Some(stream) => Places {
                version: stream.version,
                blocks: stream.blocks.clone(),
                after: self.noted_until.unwrap_or(self.until),
            },
            // All events up to here belong to others, if all are listed.
            None => Places {
                version: 0,
                blocks: Vec::new(),
                after: if self.unlisted > 0 { 0 } else { self.until },
            },
        }
    }

    /// The first position of the block in which the time `ms` is passed first; `None` if it is not.
    pub(crate) fn block_after(&self, ms: u64) -> Option<u64> {
        let block = self.times.partition_point(|time| *time <= ms);
        (block < self.times.len()).then_some(block as u64 * BLOCK)
    }

    /// The first position of the last block that begins before the time `ms`.
    pub(crate) fn block_before(&self, ms: u64) -> u64 {
        let block = self.times.partition_point(|time| *time < ms);
        block.saturating_sub(1) as u64 * BLOCK
    }
}

impl Places {
    /// The known parts of the log with events of the aggregate: the position before each, and the one
    /// after it.
    pub(crate) fn parts(&self) -> impl DoubleEndedIterator<Item = (u64, u64)> {
        self.blocks.iter().map(|block| {
            let first = u64::from(*block) * BLOCK;
            let end = (first + BLOCK).min(self.after + 1);
            (first.saturating_sub(1), end)
        })
    }
}

fn count(names: &mut BTreeMap<Box<str>, Count>, name: &str, bytes: u64) {
    if let Some(known) = names.get_mut(name) {
        known.add(bytes);
    } else if names.len() < MOST_NAMES {
        names.entry(name.into()).or_default().add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Number, Recorded};

    fn add(summary: &mut Summary, id: &str, position: u64, ms: u64) {
        let record = Recorded {
            aggregate_type: "order",
            id,
            version: 1,
            position,
            ms: Some(Number::Read(ms)),
            ..Recorded::NOTHING
        };
        summary.add(StoredEvent::new("Placed", "{}").with_record(&record));
    }

    #[test]
    fn the_places_of_an_aggregate_are_the_blocks_with_its_events() {
        let mut summary = Summary::new(10);
        for position in [1, 2, BLOCK + 5, 4 * BLOCK] {
            add(&mut summary, "a", position, 0);
        }
        add(&mut summary, "b", 4 * BLOCK + 1, 0);
        let parts: Vec<_> = summary.places("order", "a").parts().collect();
        let second = (BLOCK - 1, 2 * BLOCK);
        assert_eq!(parts, [(0, BLOCK), second, (4 * BLOCK - 1, 4 * BLOCK + 2)]);
        assert_eq!(summary.places("order", "c").after, summary.until);
    }

    #[test]
    fn aggregates_beyond_the_limit_are_counted_and_searched_everywhere() {
        let mut summary = Summary::new(1);
        add(&mut summary, "a", 1, 0);
        add(&mut summary, "b", 2, 0);
        assert_eq!((summary.streams.len(), summary.unlisted), (1, 1));
        assert_eq!(summary.places("order", "b").after, 0);
        assert_eq!(summary.all.events, 2);
    }

    #[test]
    fn only_the_newest_day_is_counted_by_minutes() {
        let mut summary = Summary::new(1);
        add(&mut summary, "a", 1, 0);
        add(&mut summary, "a", 2, MINUTE);
        add(&mut summary, "a", 3, MINUTES * MINUTE);
        assert_eq!((summary.in_minute(0), summary.in_minute(1)), (0, 1));
        assert_eq!(summary.in_minutes(MINUTES, MINUTES), 2);
    }

    #[test]
    fn a_time_leads_to_the_block_in_which_it_is_passed() {
        let mut summary = Summary::new(1);
        for position in 1..=3 * BLOCK {
            add(&mut summary, "a", position, position);
        }
        let ms = 2 * BLOCK + 10;
        assert_eq!(summary.block_after(ms), Some(3 * BLOCK));
        assert_eq!(summary.block_before(ms), 2 * BLOCK);
        assert_eq!(summary.block_after(9 * BLOCK), None);
    }
}
