//! Loading a past state of an aggregate, beside its actor.

use std::io;
use std::ops::ControlFlow;

use crate::clock::from_unix_millis;
use crate::domain::aggregate::Aggregate;
use crate::ids::{Position, Version};
use crate::runtime::actor::head::Head;
use crate::runtime::committed::Past;
use crate::storage::loaded::Loaded;
use crate::storage::log::Log;
use crate::storage::place::Place;
use crate::storage::stream::{Reading, Stream};

/// Which events of a stream a past state has.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Until {
    /// Those up to this version, which the stream must have.
    Version(u64),
    /// Those before this position.
    Before(u64),
    /// Those before the first event that is later than this time in milliseconds since 1970.
    Time(u64),
}

/// The state of `stream` with these events. It is folded from the newest snapshot that has none of the
/// others, or from the first event on, one event at a time. Blocks on the disk.
pub(crate) fn load_until<A: Aggregate>(
    stream: &Stream,
    log: &Log,
    until: Until,
) -> io::Result<Past<A>> {
    let reading = &stream.read();
    let (mut head, start) = match until {
        // Which of its events is the latest one is unknown.
        Until::Time(_) => None,
        until => Head::<A>::from_snapshot(stream, reading)?.filter(|(_, at)| has(until, *at)),
    }
    .unwrap_or_else(|| (Head::empty(stream), Place::default()));
    let mut last = (!start.is_beginning()).then(|| Last::of_place(start));
    let mut found = None;
    reading.events(start, |loaded| {
        let is_after = match until {
            Until::Version(version) => loaded.version > version,
            Until::Time(ms) => loaded.event.record().unix_millis() > ms,
            Until::Before(before) => match (loaded.position, found) {
                (Some(position), _) => position >= before,
                (None, Some(version)) => loaded.version > version,
                (None, None) => {
                    let after = last.as_ref().map_or(0, |last: &Last| last.position);
                    let there =
                        newest_in_log(stream, log, (after, before - 1), |event| event.1 < before)?;
                    let version = there.map_or(loaded.version - 1, |(version, _)| version);
                    found = Some(version);
                    loaded.version > version
                }
            },
        };
        if is_after {
            return Ok(ControlFlow::Break(()));
        }
        head.fold(stream, loaded)?;
        last = Some(Last::of(loaded));
        io::Result::Ok(ControlFlow::Continue(()))
    })?;
    if let Until::Version(version) = until
        && version > head.version
    {
        let text = format!(
            "stream {} has no version {version} yet: it is at version {}",
            stream.id(),
            head.version
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let last = last.map(|last| last.completed(stream, log, reading));
    let last = last.transpose()?;
    Ok(Past {
        state: head.state,
        version: Version::new(head.version),
        position: Position::new(last.as_ref().map_or(0, |last| last.position)),
        time: last.and_then(|last| last.ms).map(from_unix_millis),
    })
}

/// Whether a state with the events up to `place` has only wanted events.
fn has(until: Until, place: Place) -> bool {
    match until {
        Until::Version(version) => place.version() <= version,
        // After an event of another program the position is not known.
        Until::Before(before) => place.position() > 0 && place.position() < before,
        Until::Time(_) => false,
    }
}

/// The last event of a state, as far as it is known.
#[derive(Debug, Clone, Copy)]
struct Last {
    version: u64,
    /// 0 if it is unknown, because another program wrote the event.
    position: u64,
    ms: Option<u64>,
}

impl Last {
    fn of(loaded: Loaded<'_>) -> Self {
        Self {
            version: loaded.version,
            position: loaded.position.unwrap_or(0),
            ms: Some(loaded.event.record().unix_millis()),
        }
    }

    fn of_place(place: Place) -> Self {
        Self {
            version: place.version(),
            position: place.position(),
            ms: None,
        }
    }

    /// Looks up what is not known yet.
    fn completed(self, stream: &Stream, log: &Log, reading: &Reading<'_>) -> io::Result<Self> {
        let mut last = self;
        if last.ms.is_none() {
            reading.events_from(last.version, |loaded| {
                last = Self::of(loaded);
                io::Result::Ok(ControlFlow::Break(()))
            })?;
        }
        if last.position == 0 {
            let there = newest_in_log(stream, log, (0, log.head()), |event| {
                event.0 <= last.version
            })?;
            last.position = there.map_or(0, |(_, position)| position);
        }
        Ok(last)
    }
}

/// The version and the position of the newest event of the stream that is wanted, if those before it are
/// wanted too. It is after the position `after` and about up to `until`. Reads the log, which knows the
/// positions of the events that other programs wrote.
fn newest_in_log(
    stream: &Stream,
    log: &Log,
    (after, until): (u64, u64),
    is_wanted: impl Fn((u64, u64)) -> bool,
) -> io::Result<Option<(u64, u64)>> {
    let (id, mut newest) = (stream.id(), None);
    log.reader(after).read_to(until, |committed| {
        if committed.aggregate_type() != id.aggregate_type() || committed.id() != id.id() {
            return Ok(ControlFlow::Continue(()));
        }
        for i in 0..committed.len() {
            let event = (committed.version(i), committed.position(i));
            if !is_wanted(event) {
                return Ok(ControlFlow::Break(()));
            }
            newest = Some(event);
        }
        io::Result::Ok(ControlFlow::Continue(()))
    })?;
    Ok(newest)
}
