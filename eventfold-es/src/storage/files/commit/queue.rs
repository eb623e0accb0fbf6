//! The requests on their way to the committer.
//!
//! Pending commits are in two buffers, one for the senders and one for the committer. The committer
//! swaps them. So no thread frees memory of another, which could make one wait for the other.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use crate::storage::encoding::event_line::{Encoded, EncodedEvents, spare};
use crate::storage::files::commit::request::Request;
use crate::storage::files::commit::request::StreamCommit;
use crate::storage::files::commit::span::Span;
use crate::storage::files::journal;

/// Makes the two ends of a queue.
pub(crate) fn channel() -> (Sender, Receiver) {
    let queue = Arc::<Queue>::default();
    let sender = Sender(queue.clone());
    let taken = Buffer::default();
    (sender, Receiver { queue, taken })
}

#[derive(Debug, Default)]
struct Queue {
    state: Mutex<State>,
    /// Whether the buffer has requests. A receiver that polls reads this without the lock, so that
    /// it does not block the senders.
    has_some: AtomicBool,
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

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Swaps the waiting requests for `taken`, which has none left.
    fn hand_over(&self, state: &mut State, taken: &mut Buffer) {
        self.has_some.store(false, Ordering::Release);
        taken.swap(&mut state.buffer);
    }
}

/// The senders' end. When it is dropped, the committer ends.
#[derive(Debug)]
pub(crate) struct Sender(Arc<Queue>);

impl Sender {
    /// Sends a commit of these events, or gives it back if the receiver is closed.
    pub(crate) fn commit(
        &self,
        commit: StreamCommit,
        events: EncodedEvents,
    ) -> Result<(), StreamCommit> {
        let mut state = self.0.state();
        if state.has_no_receiver {
            return Err(commit);
        }
        let start = state.buffer.events.len();
        let is_tagged = events.is_tagged();
        let (bytes, later) = events.into_parts();
        state.buffer.events.extend_from_slice(&bytes);
        let end = state.buffer.events.len();
        spare::give_back(bytes);
        let span = Span {
            start,
            end,
            later,
            is_tagged,
        };
        self.push(state, Request::Commit(commit, span));
        Ok(())
    }

    /// Sends a request other than a commit, or gives it back if the receiver is closed.
    pub(crate) fn send(&self, request: Request) -> Result<(), Request> {
        let state = self.0.state();
        if state.has_no_receiver {
            return Err(request);
        }
        self.push(state, request);
        Ok(())
    }

    /// How many requests the receiver has not taken.
    pub(crate) fn waiting(&self) -> usize {
        self.0.state().buffer.requests.len()
    }

    fn push(&self, mut state: MutexGuard<'_, State>, request: Request) {
        state.buffer.requests.push_back(request);
        self.0.has_some.store(true, Ordering::Release);
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
pub(crate) struct Receiver {
    queue: Arc<Queue>,
    taken: Buffer,
}

impl Receiver {
    /// The next request; waits for it. `None` if there will be no more.
    pub(crate) fn recv(&mut self) -> Option<Request> {
        if self.taken.requests.is_empty() {
            let mut state = self.queue.state();
            while state.buffer.requests.is_empty() && !state.has_no_sender {
                state.is_asleep = true;
                let woken = self.queue.arrived.wait(state);
                state = woken.unwrap_or_else(PoisonError::into_inner);
            }
            state.is_asleep = false;
            self.queue.hand_over(&mut state, &mut self.taken);
        }
        self.taken.requests.pop_front()
    }

    /// The next request, if one is waiting.
    pub(crate) fn try_recv(&mut self) -> Option<Request> {
        if self.taken.requests.is_empty() && self.queue.has_some.load(Ordering::Acquire) {
            let mut state = self.queue.state();
            self.queue.hand_over(&mut state, &mut self.taken);
        }
        self.taken.requests.pop_front()
    }

    /// Puts the last received request back, so that it is received again.
    pub(crate) fn put_back(&mut self, request: Request) {
        self.taken.requests.push_front(request);
    }

    /// How many requests it has taken and not returned.
    pub(crate) fn taken(&self) -> usize {
        self.taken.requests.len()
    }

    /// How many requests are waiting.
    pub(crate) fn waiting(&self) -> usize {
        self.taken.requests.len() + self.queue.state().buffer.requests.len()
    }

    /// The events of the commit that was received last.
    pub(crate) fn events<'a>(&'a self, span: &'a Span) -> Encoded<'a> {
        Encoded::new(&self.taken.events[span.start..span.end], &span.later)
    }

    /// Takes no more requests, and returns the waiting ones.
    pub(crate) fn close(&mut self) -> impl Iterator<Item = Request> {
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
        // Callers that wait for an answer learn that there is none.
        drop(self.close());
    }
}

impl Buffer {
    /// Swaps with `other`. This one has no requests left.
    fn swap(&mut self, other: &mut Self) {
        journal::empty(&mut self.events);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::StreamId;
    use crate::storage::encoding::event_line::Common;
    use crate::storage::files::layout::StreamLayout;
    use crate::storage::files::streams::high_water::HighWaterMarks;
    use crate::storage::files::streams::stream::Streams;

    fn commit(events: &[&str]) -> (StreamCommit, EncodedEvents) {
        let layout = StreamLayout::new(std::path::Path::new("."));
        let streams = Streams::new(layout, HighWaterMarks::unknown());
        let mut encoded = EncodedEvents::new(42);
        for event in events {
            encoded.push(event, b"null", "e-1", 1, &Common::default());
        }
        let commit = StreamCommit {
            stream: streams.get(&StreamId::new("a", "b").unwrap()),
            epoch: 1,
            expected: 0,
            snapshot: None,
            done: Box::new(|_| {}),
        };
        (commit, encoded)
    }

    #[test]
    fn commits_are_received_in_order_with_their_own_events_across_swaps() {
        let (sender, mut receiver) = channel();
        let all: [&[&str]; 5] = [&["A"], &["B", "C"], &["D"], &["E", "F", "G"], &["H"]];
        let mut expected = Vec::new();
        for (i, events) in all.into_iter().enumerate() {
            let (commit, encoded) = commit(events);
            let sent = encoded.as_encoded().iter().map(<[u8]>::to_vec);
            let sent: Vec<_> = sent.collect();
            assert!(sender.commit(commit, encoded).is_ok());
            expected.push(sent);
            if i % 2 == 1 {
                // Both are taken at once, and the first is put back once.
                let first = receiver.recv().unwrap();
                receiver.put_back(first);
                for sent in expected.drain(..) {
                    let Some(Request::Commit(_, span)) = receiver.try_recv() else {
                        panic!("a commit is waiting");
                    };
                    let events = receiver.events(&span);
                    assert_eq!(events.count(), sent.len() as u64);
                    assert!(events.iter().eq(sent.iter().map(Vec::as_slice)));
                }
                assert!(receiver.try_recv().is_none());
            }
        }
        assert_eq!(receiver.waiting(), 1);
    }

    #[test]
    fn a_polling_receiver_gets_the_requests_sent_after_each_swap() {
        let (sender, mut receiver) = channel();
        for _ in 0..3 {
            assert!(receiver.try_recv().is_none());
            for _ in 0..2 {
                assert!(sender.send(Request::Close).is_ok());
            }
            assert!(receiver.try_recv().is_some());
            assert!(receiver.recv().is_some());
        }
    }

    #[test]
    fn a_buffer_is_empty_when_it_is_filled_again() {
        let (sender, mut receiver) = channel();
        for _ in 0..4 {
            let (commit, events) = commit(&["A"]);
            assert!(sender.commit(commit, events).is_ok());
            let Some(Request::Commit(_, span)) = receiver.try_recv() else {
                panic!("a commit is waiting");
            };
            assert_eq!(span.start, 0);
        }
    }

    #[test]
    fn a_closed_receiver_returns_and_refuses_requests_and_ends_once_its_sender_is_dropped() {
        let (sender, mut receiver) = channel();
        for event in ["A", "B", "C"] {
            let (commit, events) = commit(&[event]);
            assert!(sender.commit(commit, events).is_ok());
            if event == "B" {
                // Both are taken, one is served.
                assert!(receiver.try_recv().is_some());
            }
        }
        assert_eq!(receiver.close().count(), 2);
        let (second, events) = commit(&["B"]);
        assert!(sender.commit(second, events).is_err());
        assert!(sender.send(Request::Close).is_err());

        let (sender, mut receiver) = channel();
        assert!(sender.send(Request::Close).is_ok());
        drop(sender);
        assert!(receiver.recv().is_some());
        assert!(receiver.recv().is_none());
    }
}
