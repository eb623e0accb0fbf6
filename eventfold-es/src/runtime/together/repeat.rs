//! The answer to a group whose idempotency key is known: the events of the earlier group are read
//! from the log, so it does not matter which of its streams still knows the key.

use std::collections::HashMap;
use std::io;
use std::ops::ControlFlow;

use crate::error::TogetherError;
use crate::runtime::together::answer::CommittedTogether;
use crate::runtime::together::group::Group;
use crate::storage::loaded::Loaded;
use crate::storage::log::{Committed, Log};
use crate::storage::snapshot::KnownKey;
use crate::storage::stream::Reading;
use crate::text::Shown;

/// The answer of the earlier group. The participant `i` of `group` knows the key by `known`.
pub(crate) async fn answer(
    mut group: Box<Group>,
    i: usize,
    known: KnownKey,
    log: Log,
) -> Result<CommittedTogether, TogetherError> {
    let stream = group.participants[i].stream().clone();
    let read = move |reading: &Reading<'_>| -> io::Result<_> {
        let mut position = None;
        reading.events_from(known.version, |loaded: Loaded<'_>| -> io::Result<_> {
            position = loaded.position;
            Ok(ControlFlow::Break(()))
        })?;
        let position = position.ok_or_else(|| missing(&known.key))?;
        let parts = Parts::new(&group, &known.key);
        let first = parts.first(&log, position)?;
        read_back(&mut group, &parts, &log, first)
    };
    stream.load(read).await.map_err(TogetherError::Io)
}

fn missing(key: &str) -> io::Error {
    let text = format!(
        "the events that were stored under the idempotency key `{}` are missing",
        Shown(key)
    );
    io::Error::new(io::ErrorKind::InvalidData, text)
}

/// Tells which events in the log are those of the group: neighbours with its key, in its streams,
/// in each stream once.
struct Parts {
    key: String,
    participants: HashMap<(String, String), usize>,
}

impl Parts {
    fn new(group: &Group, key: &str) -> Self {
        let participants = group.participants.iter().enumerate();
        let participants = participants.map(|(i, participant)| {
            let stream = participant.stream().id();
            let name = (stream.aggregate_type().to_owned(), stream.id().to_owned());
            (name, i)
        });
        Self {
            key: key.to_owned(),
            participants: participants.collect(),
        }
    }

    /// The participant that the events belong to, `None` if they are not of the group, or if this
    /// participant is in `seen`.
    fn of(&self, committed: &Committed<'_>, seen: &mut [bool]) -> Option<usize> {
        let name = (
            committed.aggregate_type().to_owned(),
            committed.id().to_owned(),
        );
        let i = *self.participants.get(&name)?;
        let mut with_key = 0;
        committed.keys(|key| with_key += usize::from(key == self.key));
        let is_new = with_key == committed.len() && !seen[i];
        seen[i] |= is_new;
        is_new.then_some(i)
    }

    /// The position of the group's first event. One of its parts begins at `position`.
    fn first(&self, log: &Log, position: u64) -> io::Result<u64> {
        let mut seen = vec![false; self.participants.len()];
        let mut first = position;
        let mut is_over = false;
        log.backward_reader(Some(position)).read(|committed| {
            is_over = is_over || self.of(committed, &mut seen).is_none();
            if is_over {
                return Ok(ControlFlow::Break(()));
            }
            first = committed.position(0);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(first)
    }
}

/// Reads the events of the group, the first of which is at `first`.
fn read_back(
    group: &mut Group,
    parts: &Parts,
    log: &Log,
    first: u64,
) -> io::Result<CommittedTogether> {
    let mut seen = vec![false; group.participants.len()];
    let mut ends = vec![None; group.participants.len()];
    let mut is_over = false;
    let mut reader = log.reader(first.saturating_sub(1));
    reader.read_to(log.head(), |committed| -> io::Result<_> {
        let part = parts.of(committed, &mut seen).filter(|_| !is_over);
        let Some(i) = part else {
            is_over = true;
            return Ok(ControlFlow::Break(()));
        };
        for event in 0..committed.len() {
            let participant = &mut group.participants[i];
            committed.event(event, |event| participant.read_back(event))??;
        }
        ends[i] = Some((committed.version(committed.len() - 1), committed.last()));
        Ok(ControlFlow::Continue(()))
    })?;
    if ends.iter().all(Option::is_none) {
        return Err(missing(&parts.key));
    }
    let answers = group.participants.iter_mut().zip(ends);
    let answers = answers.map(|(participant, end)| {
        let (version, position) = end.unwrap_or_else(|| {
            let stream = participant.stream();
            (stream.durable_version(), stream.durable_position())
        });
        let stream = participant.stream().id().clone();
        (stream, participant.repeated(version, position))
    });
    Ok(CommittedTogether::new(answers.collect(), true))
}
