//! Searches for events: [`Finder`].
//!
//! A query whose items all have tags reads the events that the index has for these tags. An
//! aggregate's name is a tag of its events that is not stored; they are found through its stream.
//! Other queries read the whole range.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::command::Fingerprint;
use crate::domain::query::{Query, QueryItem};
use crate::event::{RecordedEvent, StoredEvent, Tag};
use crate::ids::StreamId;
use crate::storage::condition::selects;
use crate::storage::encoding::event_line::{self, is_sound, seed_of};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::format::commit_line::{CommitLine, Part};
use crate::storage::files::journal::Index;
use crate::storage::files::journal::backward::BackwardReader;
use crate::storage::files::journal::point::PointReader;
use crate::storage::files::journal::reader::Reader;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::load;
use crate::storage::files::streams::stream::Streams;
use crate::storage::files::tags::entry::{hash_of_key, hash_of_tag};
use crate::storage::files::tags::index::TagIndex;
use crate::storage::health::Health;
use crate::storage::search::Search;

/// Takes an event of a search. Breaks off the search, or lets it go on.
type Each<'e, E> = dyn FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E> + 'e;

/// Searches the journal and the streams.
#[derive(Debug, Clone)]
pub(crate) struct Finder {
    tags: Arc<TagIndex>,
    journal: Arc<Index>,
    streams: Arc<Streams>,
    health: Arc<Health>,
    /// The streams have all events up to this position.
    completed: Arc<AtomicU64>,
}

/// An event that a search may want.
#[derive(Debug)]
struct Hit {
    position: u64,
    at: At,
}

/// Where an event is.
#[derive(Debug)]
enum At {
    /// In the commit whose line begins at this offset in its segment.
    Offset(u64),
    /// It was read from its stream.
    Read(Box<RecordedEvent>),
}

impl Finder {
    pub(crate) fn new(
        tags: TagIndex,
        journal: Arc<Index>,
        streams: Arc<Streams>,
        health: Arc<Health>,
    ) -> Self {
        let completed = Arc::new(AtomicU64::new(health.head()));
        Self {
            tags: Arc::new(tags),
            journal,
            streams,
            health,
            completed,
        }
    }

    pub(crate) fn tags(&self) -> &Arc<TagIndex> {
        &self.tags
    }

    pub(crate) fn health(&self) -> &Arc<Health> {
        &self.health
    }

    /// Notes that the streams have all events up to `position`.
    pub(crate) fn complete(&self, position: u64) {
        self.completed.store(position, Ordering::Release);
    }

    #[cfg(test)]
    pub(crate) fn completed(&self) -> u64 {
        self.completed.load(Ordering::Acquire)
    }

    /// Passes the events that `search` selects to `each`, until `each` breaks off. Blocks on the disk.
    pub(crate) fn find<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut Each<'_, E>,
    ) -> Result<(), E> {
        if search.after >= search.until {
            return Ok(());
        }
        match self.hits(search)? {
            Some(hits) => self.read_hits(search, hits, each),
            None if search.backwards => self.scan_backwards(search, each),
            None => self.scan(search, each),
        }
    }

    /// Whether it is known without reading that `search` selects nothing.
    pub(crate) fn has_none(&self, search: &Search) -> bool {
        if search.after >= search.until {
            return true;
        }
        let items = search.query.items().unwrap_or_default();
        let has_none = |tag: &Tag| {
            self.tags
                .has_none_after(hash_of_tag(tag.as_str()), search.after)
                && streams_of(tag).all(|id| {
                    // The committer sets the mark after the head.
                    self.completed.load(Ordering::Acquire) >= search.until
                        && self.streams.get(&id).mark().position <= search.after
                })
        };
        !items.is_empty() && items.iter().all(|item| item.tags().iter().any(has_none))
    }

    /// Passes the events that belong to no aggregate and have this idempotency key, up to the durable
    /// position `until`, to `each`. Blocks on the disk.
    pub(crate) fn find_key(
        &self,
        key: &str,
        until: u64,
        each: &mut dyn FnMut(StoredEvent<'_>, Option<Fingerprint>),
    ) -> StorageResult<()> {
        let mut journal = PointReader::new(self.journal.clone());
        for entry in self.tags.find(hash_of_key(key), (0, until))? {
            let position = entry.position;
            journal.read(position, entry.offset, |commit| {
                let (part, i) = part_of(commit, position)?;
                let line = event_line::read(part.events[i].get().as_bytes(), seed_of("", ""));
                let line = line.map_err(|_| damaged(position))?;
                if line.key.as_deref() == Some(key) && !part.is_of_stream {
                    let record = line.record(("", ""), 0, position);
                    each(line.event(&record), line.fingerprint());
                }
                Ok(())
            })?;
        }
        Ok(())
    }

    /// The events that the search may want, in order. `None` if only a scan can tell.
    fn hits(&self, search: &Search) -> StorageResult<Option<Vec<Hit>>> {
        let Some(items) = search.query.items() else {
            return Ok(None);
        };
        if items.iter().any(|item| item.tags().is_empty()) {
            return Ok(None);
        }
        let mut all = Vec::new();
        for item in items {
            match self.hits_of(item, (search.after, search.until))? {
                Some(hits) => all.extend(hits),
                None => return Ok(None),
            }
        }
        all.sort_by_key(|hit| hit.position);
        all.dedup_by_key(|hit| hit.position);
        Ok(Some(all))
    }

    /// The events that have all tags of `item`, in order.
    fn hits_of(&self, item: &QueryItem, range: (u64, u64)) -> StorageResult<Option<Vec<Hit>>> {
        let mut common: Option<Vec<Hit>> = None;
        for tag in item.tags() {
            let Some(mut hits) = self.hits_of_tag(tag, range)? else {
                return Ok(None);
            };
            if let Some(common) = common {
                let has =
                    |position| common.binary_search_by_key(&position, |hit: &Hit| hit.position);
                hits.retain(|hit| has(hit.position).is_ok());
            }
            if hits.is_empty() {
                return Ok(Some(hits));
            }
            common = Some(hits);
        }
        Ok(common)
    }

    /// The events that have `tag`, in order. `None` if a stream does not state their positions.
    fn hits_of_tag(&self, tag: &Tag, range: (u64, u64)) -> StorageResult<Option<Vec<Hit>>> {
        let entries = self.tags.find(hash_of_tag(tag.as_str()), range)?;
        let mut hits: Vec<_> = entries
            .into_iter()
            .map(|entry| Hit {
                position: entry.position,
                at: At::Offset(entry.offset),
            })
            .collect();
        for id in streams_of(tag) {
            if !self.add_hits_of_stream(&id, range, &mut hits)? {
                return Ok(None);
            }
        }
        hits.sort_by_key(|hit| hit.position);
        hits.dedup_by_key(|hit| hit.position);
        Ok(Some(hits))
    }

    /// Adds the events of a stream. False if the stream does not state their positions.
    fn add_hits_of_stream(
        &self,
        id: &StreamId,
        (after, until): (u64, u64),
        hits: &mut Vec<Hit>,
    ) -> StorageResult<bool> {
        self.wait_for_streams(until)?;
        let stream = self.streams.get(id);
        let extent = Extent::of(&stream)?;
        if extent.mark.version == 0 {
            return Ok(true);
        }
        let mut are_placed = true;
        load(&stream, StreamEnd::default(), &extent, |loaded| {
            match loaded.position {
                Some(position) if position > until => {
                    return StorageResult::Ok(ControlFlow::Break(()));
                }
                Some(position) if position > after => hits.push(Hit {
                    position,
                    at: At::Read(Box::new(RecordedEvent::new(loaded.event))),
                }),
                Some(_) => {}
                None => {
                    are_placed = false;
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(are_placed)
    }

    /// Waits until the streams have all events up to the durable position `until`. The committer
    /// gives them the events right after it has moved the head.
    fn wait_for_streams(&self, until: u64) -> StorageResult<()> {
        while self.completed.load(Ordering::Acquire) < until {
            self.health.check_failed()?;
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Passes those of `hits` that the query selects to `each`.
    fn read_hits<E: From<StorageError>>(
        &self,
        search: &Search,
        mut hits: Vec<Hit>,
        each: &mut Each<'_, E>,
    ) -> Result<(), E> {
        if search.backwards {
            hits.reverse();
        }
        let mut journal = PointReader::new(self.journal.clone());
        for Hit { position, at } in hits {
            let flow = match at {
                At::Offset(offset) => journal.read(position, offset, |commit| {
                    let (part, i) = part_of(commit, position)?;
                    let seed = seed_of(part.aggregate_type, part.id);
                    if !is_sound(part.events[i].get().as_bytes(), seed) {
                        return Err(damaged(position));
                    }
                    part.read_event(i, |event| select(&search.query, event, each))
                })?,
                At::Read(event) => {
                    let record = event.record();
                    let stored = StoredEvent::new(event.name(), event.data());
                    select(&search.query, stored.with_record(&record), each)
                }
            };
            if flow?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Reads all events in the range.
    fn scan<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut Each<'_, E>,
    ) -> Result<(), E> {
        let mut reader = Reader::new(self.journal.clone(), search.after);
        reader.read_to(search.until, |commit, first| {
            for part in commit.parts() {
                for i in part.first_of(first)..part.events.len() {
                    if part.position + i as u64 > search.until {
                        return Ok(ControlFlow::Break(()));
                    }
                    let flow = part.read_event(i, |event| select(&search.query, event, each))??;
                    if flow.is_break() {
                        return Ok(flow);
                    }
                }
            }
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Reads all events in the range, the newest first.
    fn scan_backwards<E: From<StorageError>>(
        &self,
        search: &Search,
        each: &mut Each<'_, E>,
    ) -> Result<(), E> {
        let (journal, after) = (self.journal.clone(), search.after);
        let mut reader = BackwardReader::down_to(journal, search.until + 1, after);
        let mut failed = None;
        reader.read(|commit, wanted| {
            let parts: Vec<_> = commit.parts().collect();
            for part in parts.iter().rev() {
                for i in (0..part.wanted_of(wanted)).rev() {
                    if part.position + i as u64 <= search.after {
                        return Ok(ControlFlow::Break(()));
                    }
                    let flow = part.read_event(i, |event| select(&search.query, event, each))?;
                    match flow {
                        Ok(ControlFlow::Continue(())) => {}
                        Ok(ControlFlow::Break(())) => return Ok(ControlFlow::Break(())),
                        Err(error) => {
                            failed = Some(error);
                            return Ok(ControlFlow::Break(()));
                        }
                    }
                }
            }
            StorageResult::Ok(ControlFlow::Continue(()))
        })?;
        failed.map_or(Ok(()), Err)
    }
}

/// Passes the event to `each` if `query` selects it.
fn select<E>(
    query: &Query,
    event: StoredEvent<'_>,
    each: &mut Each<'_, E>,
) -> Result<ControlFlow<()>, E> {
    if selects(query, &event) {
        each(event)
    } else {
        Ok(ControlFlow::Continue(()))
    }
}

/// The streams whose events all have `tag`, because it is made of their aggregate's name.
fn streams_of(tag: &Tag) -> impl Iterator<Item = StreamId> {
    let text = tag.as_str();
    let colons = text.match_indices(':');
    colons.filter_map(move |(colon, _)| StreamId::new(&text[..colon], &text[colon + 1..]).ok())
}

/// The part of the commit that has the event at `position`, and the event's index in it.
fn part_of<'c, 'a>(
    commit: &'c CommitLine<'a>,
    position: u64,
) -> StorageResult<(Part<'c, 'a>, usize)> {
    let part = commit.parts().find(|part| part.last() >= position);
    let part = part.ok_or_else(|| damaged(position))?;
    let i = usize::try_from(position - part.position).unwrap_or(usize::MAX);
    if i >= part.events.len() {
        return Err(damaged(position));
    }
    Ok((part, i))
}

/// The error for an event that is not as it was stored.
fn damaged(position: u64) -> StorageError {
    let text = format!("the event at position {position} is not as it was stored in the journal");
    StorageError::new(StorageErrorKind::Damaged, text)
}
