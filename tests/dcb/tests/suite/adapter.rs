//! A store as the suite uses it. Payload and metadata are bytes there and JSON here, so they are
//! stored as texts of hexadecimal digits.

use std::io;

use bytes::Bytes;
use eventfold_es::{AggregateStore, NewEvent, Position, RecordedEvent, Tag, Tags};
use futures_core::Stream;
use futures_util::{StreamExt, stream};
use happenstance_core::{
    AppendCondition, AppendError, ConditionViolated, Event, EventId, Query, ReadOptions,
    RecordedAt, SendEventStore, SequencePosition, SequencedEvent, StoreId,
};

/// The member of an event's metadata that has the metadata of the suite.
const METADATA: &str = "metadata";

/// A handle to a store, which has the identity `id`.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    pub(crate) store: AggregateStore,
    pub(crate) id: StoreId,
}

impl SendEventStore for Handle {
    type Error = io::Error;

    fn read(
        &self,
        query: &Query,
        options: ReadOptions,
    ) -> impl Stream<Item = Result<SequencedEvent, io::Error>> + Send {
        let (low, high) = if options.backwards {
            (options.to, options.from)
        } else {
            (options.from, options.to)
        };
        let mut read = self.store.query(our_query(query));
        if let Some(low) = low {
            read = read.after(our_position(low.get() - 1));
        }
        if let Some(high) = high {
            read = read.until(our_position(high.get()));
        }
        if options.backwards {
            read = read.backwards();
        }
        if let Some(limit) = options.limit {
            read = read.limit(limit);
        }
        let id = self.id;
        stream::once(read.read())
            .map(move |found| match found {
                Ok(found) => found.events.iter().map(|event| theirs(id, event)).collect(),
                Err(error) => vec![Err(error)],
            })
            .flat_map(stream::iter)
    }

    async fn append(
        &self,
        events: &[Event],
        condition: Option<&AppendCondition>,
    ) -> Result<SequencePosition, AppendError<io::Error>> {
        if events.is_empty() {
            // The store says so by the kind of an I/O error.
            let refused = self.store.append([], condition.map(our_condition)).await;
            let is_input = |error: &io::Error| error.kind() == io::ErrorKind::InvalidInput;
            assert!(
                matches!(&refused, Err(eventfold_es::AppendError::Io(error)) if is_input(error)),
                "{refused:?}"
            );
            return Err(AppendError::NoEvents);
        }
        let events: io::Result<Vec<_>> = events.iter().map(ours).collect();
        let events = events.map_err(AppendError::Store)?;
        let appended = self
            .store
            .append(events, condition.map(our_condition))
            .await;
        match appended {
            Ok(position) => their_position(position).map_err(AppendError::Store),
            Err(eventfold_es::AppendError::ConditionFailed) => {
                Err(ConditionViolated::unspecified().into())
            }
            Err(error) => Err(AppendError::Store(io::Error::other(error))),
        }
    }

    async fn head(&self) -> Result<Option<SequencePosition>, io::Error> {
        Ok(SequencePosition::new(number(self.store.head())))
    }

    async fn contains_event_id(&self, id: EventId) -> Result<bool, io::Error> {
        if id.store() != self.id {
            return Ok(false);
        }
        let at = id.position().get();
        let there = self
            .store
            .query(eventfold_es::Query::all())
            .after(our_position(at - 1))
            .until(our_position(at));
        Ok(!there.read().await?.events.is_empty())
    }
}

fn our_query(query: &Query) -> eventfold_es::Query {
    let Some(items) = query.items() else {
        return eventfold_es::Query::all();
    };
    let items = items.iter().map(|item| {
        let types = item.types().iter().map(|name| name.as_str().to_owned());
        eventfold_es::QueryItem::new(types, our_tags(item.tags())).expect("it names something")
    });
    eventfold_es::Query::of_items(items).expect("there are items")
}

fn our_tags(tags: &happenstance_core::Tags) -> Tags {
    let tag = |tag: &happenstance_core::Tag| tag.as_str().parse::<Tag>();
    tags.iter()
        .map(tag)
        .collect::<Result<_, _>>()
        .expect("what is a tag there is one here")
}

fn our_condition(condition: &AppendCondition) -> eventfold_es::AppendCondition {
    let after = |guard: &happenstance_core::Guard| {
        our_position(guard.after.map_or(0, SequencePosition::get))
    };
    let (first, others) = condition.guards().split_first().expect("never empty");
    let first = eventfold_es::AppendCondition::no_event_matches(our_query(&first.query))
        .after(after(first));
    others.iter().fold(first, |condition, guard| {
        let condition = condition.and_no_event_matches(our_query(&guard.query));
        condition.after(after(guard))
    })
}

fn ours(event: &Event) -> io::Result<NewEvent> {
    let new = NewEvent::new(event.event_type().as_str(), &hex(event.data()))?;
    let new = new.with_tags(our_tags(event.tags()));
    Ok(match event.metadata() {
        Some(bytes) => {
            let member = (METADATA.to_owned(), hex(bytes).into());
            new.with_metadata(serde_json::Map::from_iter([member]))
        }
        None => new,
    })
}

/// A position as a number, which is its form in JSON.
fn number(position: Position) -> u64 {
    let number = serde_json::to_value(position).expect("a number");
    number.as_u64().expect("a number")
}

fn our_position(number: u64) -> Position {
    serde_json::from_value(number.into()).expect("any number is a position")
}

fn their_position(position: Position) -> io::Result<SequencePosition> {
    SequencePosition::new(number(position)).ok_or_else(|| io::Error::other("the position 0"))
}

fn theirs(id: StoreId, event: &RecordedEvent) -> io::Result<SequencedEvent> {
    let data: String = serde_json::from_str(event.data())?;
    let there = Event::new(event.name(), unhex(&data)?).map_err(io::Error::other)?;
    let tags: Result<happenstance_core::Tags, _> = event.tags().map(str::parse).collect();
    let mut there = there.with_tags(tags.map_err(io::Error::other)?);
    if let Some(metadata) = event.metadata() {
        let text = metadata[METADATA]
            .as_str()
            .ok_or_else(|| io::Error::other("no metadata"))?;
        there = there.with_metadata(unhex(text)?);
    }
    let position = their_position(event.position())?;
    let millis = i64::try_from(event.unix_millis()).map_err(io::Error::other)?;
    Ok(SequencedEvent::new(
        position,
        EventId::new(id, position),
        RecordedAt::from_millis(millis),
        there,
    ))
}

fn hex(bytes: &[u8]) -> String {
    let digit = |digit: u8| char::from_digit(digit.into(), 16).expect("less than 16");
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

fn unhex(digits: &str) -> io::Result<Bytes> {
    let pairs = digits.as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).map_err(io::Error::other)?;
        u8::from_str_radix(pair, 16).map_err(io::Error::other)
    };
    pairs.map(byte).collect()
}
