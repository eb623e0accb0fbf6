//! Reading events ahead of a caller that takes them one by one: [`Ahead`].

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::event::RecordedEvent;
use crate::following::subscription::filter::Filter;
use crate::storage::error::StorageResult;
use crate::storage::log::Committed;

/// How many events are read ahead at most.
pub(crate) const AHEAD: usize = 256;
/// At this many bytes of events, reading ahead stops.
const AHEAD_BYTES: usize = 1024 * 1024;
/// How many events are examined in one go if all of them are left out.
pub(crate) const LOOKED_AT: u64 = 16 * 1024;

/// A source of events.
pub(crate) trait Source: Sized + Send + 'static {
    /// Reads the next events that match the filter, if there are any.
    fn read(
        self,
        filter: Arc<Filter>,
    ) -> impl Future<Output = (Events, Then<Self>)> + Send + 'static;
}

/// The events of one read.
pub(crate) type Events = VecDeque<RecordedEvent>;

/// What comes after the events of one read.
pub(crate) enum Then<S> {
    More(S),
    End,
    Failed(io::Error),
}

/// The events of a source that match a filter.
pub(crate) struct Ahead<S> {
    pub(crate) filter: Arc<Filter>,
    ready: Events,
    state: State<S>,
}

enum State<S> {
    Idle(S),
    Reading(Pin<Box<dyn Future<Output = (Events, Then<S>)> + Send>>),
    /// The error is still to be delivered.
    Ending(io::Error),
    Ended,
}

impl<S: Source> Ahead<S> {
    pub(crate) fn of(source: S) -> Self {
        Self::in_state(State::Idle(source))
    }

    /// No events; it ends with `error` at once.
    pub(crate) fn failed(error: io::Error) -> Self {
        Self::in_state(State::Ending(error))
    }

    fn in_state(state: State<S>) -> Self {
        Self {
            filter: Arc::default(),
            ready: Events::new(),
            state,
        }
    }

    pub(crate) fn narrowed(mut self, narrow: impl FnOnce(&mut Filter)) -> Self {
        narrow(Arc::make_mut(&mut self.filter));
        self
    }

    /// The source, unless its reading has begun.
    pub(crate) fn source(&mut self) -> Option<&mut S> {
        match &mut self.state {
            State::Idle(source) => Some(source),
            _ => None,
        }
    }

    pub(crate) fn poll_event(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RecordedEvent>>> {
        loop {
            while let Some(event) = self.ready.pop_front() {
                // It may have been read ahead before the filter was narrowed down.
                if self.filter.takes(&event) {
                    return Poll::Ready(Some(Ok(event)));
                }
            }
            self.state = match std::mem::replace(&mut self.state, State::Ended) {
                State::Idle(source) => State::Reading(Box::pin(source.read(self.filter.clone()))),
                State::Reading(mut reading) => match reading.as_mut().poll(context) {
                    Poll::Pending => {
                        self.state = State::Reading(reading);
                        return Poll::Pending;
                    }
                    Poll::Ready((events, then)) => {
                        self.ready = events;
                        match then {
                            Then::More(source) => State::Idle(source),
                            Then::End => State::Ended,
                            Then::Failed(error) => State::Ending(error),
                        }
                    }
                },
                State::Ending(error) => return Poll::Ready(Some(Err(error))),
                State::Ended => return Poll::Ready(None),
            };
        }
    }

    /// How many events are ready.
    pub(crate) fn ready(&self) -> usize {
        self.ready.len()
    }

    pub(crate) fn state_name(&self) -> &'static str {
        match &self.state {
            State::Idle(_) => "idle",
            State::Reading(_) => "reading",
            State::Ending(_) | State::Ended => "ended",
        }
    }
}

/// Takes the events that match a filter, until there are enough.
pub(crate) struct Taking<'a> {
    filter: &'a Filter,
    /// How many events are enough.
    most: usize,
    events: &'a mut Events,
    bytes: usize,
}

impl<'a> Taking<'a> {
    pub(crate) fn new(filter: &'a Filter, most: usize, events: &'a mut Events) -> Self {
        Self {
            filter,
            most,
            events,
            bytes: 0,
        }
    }

    pub(crate) fn takes_stream(&self, committed: &Committed<'_>) -> bool {
        let (aggregate_type, id) = (committed.aggregate_type(), committed.id());
        self.filter.takes_stream(aggregate_type, id)
    }

    /// Takes the event with index `i`, if it matches.
    pub(crate) fn take(&mut self, committed: &Committed<'_>, i: usize) -> StorageResult<()> {
        committed.event(i, |stored| {
            if self.filter.takes_name(stored.name()) && self.filter.takes_tags(stored.record()) {
                self.bytes += stored.data().len();
                self.events.push_back(RecordedEvent::new(stored));
            }
        })
    }

    /// Breaks off once there are enough events.
    pub(crate) fn flow(&self) -> ControlFlow<()> {
        if self.events.len() >= self.most || self.bytes >= AHEAD_BYTES {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
