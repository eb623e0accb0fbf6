//! The requests on their way to the committer.
//!
//! Commits under way lie in two buffers, one for those who send and one for the committer, which
//! swaps them: no memory changes hands, so that giving it back makes no thread wait for another.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::commit::{Commit, Request};
use super::line::{Encoded, EncodedEvents};

/// How much memory for events is kept from one swap to the next.
const MOST_MEMORY: usize = 1024 * 1024;

/// Makes the two ends of a queue.
pub(super) fn channel() -> (Sender, Receiver) {
    let queue = Arc::<Queue>::default();
    let sender = Sender(queue.clone());
    let taken = Buffer::default();
    (sender, Receiver { queue, taken })
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    arrived: Condvar,
}

#[derive(Debug, Default)]
struct State {
    buffer: Buffer,
    /// The receiver sleeps until something arrives.
    is_asleep: bool,
    has_no_sender: bool,
    has_no_receiver: bool,
}

/// Requests, and the events of the commits among them.
#[derive(Default)]
struct Buffer {
    requests: VecDeque<Request>,
    events: Vec<u8>,
}

/// Where the encoded events of a commit are in the buffer.
#[derive(Debug)]
pub(super) struct Place {
    start: usize,
    end: usize,
    /// Where the events after the first begin, from `start` on.
    later: Vec<usize>,
}

impl Place {
    /// How many bytes the events take.
    pub(super) fn size(&self) -> usize {
        self.end - self.start
    }

    pub(super) fn count(&self) -> usize {
        self.later.len() + 1
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The end of those who ask. When it is dropped the committer ends.
#[derive(Debug)]
pub(super) struct Sender(Arc<Queue>);

impl Sender {
    /// Sends a commit of these events, or gives it back if nobody takes it any more.
    pub(super) fn commit(&self, commit: Commit, events: EncodedEvents) -> Result<(), Commit> {
        let mut state = self.0.state();
        if state.has_no_receiver {
            return Err(commit);
        }
        let start = state.buffer.events.len();
        let (bytes, later) = events.into_parts();
        state.buffer.events.extend_from_slice(&bytes);
        let end = state.buffer.events.len();
        let place = Place { start, end, later };
        self.push(state, Request::Commit(commit, place));
        Ok(())
    }

    /// Sends what is no commit, or gives it back if nobody takes it any more.
    pub(super) fn send(&self, request: Request) -> Result<(), Request> {
        let state = self.0.state();
        if state.has_no_receiver {
            return Err(request);
        }
        self.push(state, request);
        Ok(())
    }

    fn push(&self, mut state: MutexGuard<'_, State>, request: Request) {
        state.buffer.requests.push_back(request);
        let is_asleep = std::mem::take(&mut state.is_asleep);
        drop(state);
        if is_asleep {
            self.0.arrived.notify_one();
        }
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        self.0.state().has_no_sender = true;
        self.0.arrived.notify_one();
    }
}

/// The committer's end.
#[derive(Debug)]
pub(super) struct Receiver {
    queue: Arc<Queue>,
    taken: Buffer,
}

impl Receiver {
    /// The next request; waits for it. `None` if there will be no more.
    pub(super) fn recv(&mut self) -> Option<Request> {
        if self.taken.requests.is_empty() {
            let mut state = self.queue.state();
            while state.buffer.requests.is_empty() && !state.has_no_sender {
                state.is_asleep = true;
                let woken = self.queue.arrived.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.is_asleep = false;
            self.taken.swap(&mut state.buffer);
        }
        self.taken.requests.pop_front()
    }

    /// The next request if there is one.
    pub(super) fn try_recv(&mut self) -> Option<Request> {
        if self.taken.requests.is_empty() {
            self.taken.swap(&mut self.queue.state().buffer);
        }
        self.taken.requests.pop_front()
    }

    /// Takes a request back that was received last, to be received again.
    pub(super) fn put_back(&mut self, request: Request) {
        self.taken.requests.push_front(request);
    }

    /// How many requests wait.
    pub(super) fn waiting(&self) -> usize {
        self.taken.requests.len() + self.queue.state().buffer.requests.len()
    }

    /// The events of a commit that was received last.
    pub(super) fn events<'a>(&'a self, place: &'a Place) -> Encoded<'a> {
        Encoded::new(&self.taken.events[place.start..place.end], &place.later)
    }

    /// Takes no more requests, and returns those that wait.
    pub(super) fn close(&mut self) -> impl Iterator<Item = Request> {
        let mut state = self.queue.state();
        state.has_no_receiver = true;
        let rest = std::mem::take(&mut state.buffer.requests);
        std::mem::take(&mut self.taken.requests)
            .into_iter()
            .chain(rest)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        // Whoever waits for an answer learns that there is none.
        drop(self.close());
    }
}

impl Buffer {
    /// Swaps with `other`, when nothing is left in this one.
    fn swap(&mut self, other: &mut Self) {
        self.events.clear();
        self.events.shrink_to(MOST_MEMORY);
        std::mem::swap(self, other);
    }
}

impl std::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Buffer")
            .field("requests", &self.requests.len())
            .field("events", &self.events.len())
            .finish()
    }
}
