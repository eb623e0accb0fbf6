//! Passivation: an aggregate that nobody uses leaves memory. [`Passivator`] has the thread that
//! waits for that, one for each store. The first actor starts it when nobody waits for the actor.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SendError, Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use crate::sync::lock;
use crate::thread::OnDemand;

/// An aggregate that leaves memory after its idle time.
pub(crate) trait Passivate: Send + Sync {
    /// When its idle time ends unless it is used; `None` if never.
    fn deadline(&self) -> Option<Instant>;

    /// Asks it to leave memory; false if it has too much to do.
    fn passivate(&self) -> bool;
}

/// Passes live aggregates to the thread.
#[derive(Debug)]
pub(crate) struct Passivator {
    jobs: Sender<Job>,
    thread: OnDemand,
    arrivals: Arc<Mutex<Arrivals>>,
}

enum Job {
    /// Some aggregate's idle time ends before the thread would check.
    Watch,
    /// Ends the thread. The thread runs this function last.
    End(Box<dyn FnOnce() + Send>),
}

/// New aggregates for the thread, which takes them whenever it is awake. They come with each
/// activation. Their time nearly always ends later than that of the aggregates that the thread has.
#[derive(Default)]
struct Arrivals {
    waiting: Vec<Weak<dyn Passivate>>,
    /// When the thread checks them at the latest.
    looked_at: Option<Instant>,
}

impl std::fmt::Debug for Arrivals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Arrivals")
            .field("waiting", &self.waiting.len())
            .field("looked_at", &self.looked_at)
            .finish()
    }
}

impl Passivator {
    pub(crate) fn new() -> Self {
        let (jobs, queue) = channel();
        let arrivals = Arc::<Mutex<Arrivals>>::default();
        let thread = Thread {
            arrivals: arrivals.clone(),
            watched: BinaryHeap::new(),
            count: 0,
        };
        Self {
            jobs,
            thread: OnDemand::new("eventfold-idle", move || thread.run(&queue)),
            arrivals,
        }
    }

    /// Passivates `aggregate` after its idle time, which ends at `deadline` if it is not used. Its actor
    /// [starts](Self::start) the thread.
    pub(crate) fn watch(&self, aggregate: Weak<dyn Passivate>, deadline: Instant) {
        let mut arrivals = lock(&self.arrivals);
        // Those that have left memory go, once there is no more room for others.
        if arrivals.waiting.len() == arrivals.waiting.capacity() {
            let is_there = |waiting: &Weak<dyn Passivate>| waiting.strong_count() > 0;
            arrivals.waiting.retain(is_there);
        }
        arrivals.waiting.push(aggregate);
        let is_urgent = arrivals.looked_at.is_none_or(|at| deadline < at);
        if is_urgent {
            // One message is enough.
            arrivals.looked_at = Some(deadline);
            let _ = self.jobs.send(Job::Watch);
        }
    }

    /// Makes sure that the thread runs. Starting it takes time: the caller keeps nobody waiting.
    pub(crate) fn start(&self) {
        if let Err(error) = self.thread.start() {
            tracing::error!(%error, "idle aggregates stay in memory: no thread could be started that waits for them");
        }
    }

    /// How many aggregates wait for the thread.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> usize {
        lock(&self.arrivals).waiting.len()
    }

    /// Ends the thread, which runs `last` at its end.
    pub(crate) fn end(&self, last: impl FnOnce() + Send + 'static) {
        // Only a panic can have ended the thread early. Then nothing else would run `last`.
        if let Err(SendError(Job::End(last))) = self.jobs.send(Job::End(Box::new(last))) {
            last();
        } else if self.thread.start().is_err() {
            // There is no thread to be had. `last` must be run all the same.
            self.thread.finish();
        }
    }
}

struct Thread {
    arrivals: Arc<Mutex<Arrivals>>,
    watched: BinaryHeap<Reverse<Watched>>,
    /// How many were watched so far. It numbers the aggregates.
    count: u64,
}

struct Watched {
    deadline: Instant,
    /// Makes the order total.
    number: u64,
    aggregate: Weak<dyn Passivate>,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Job>) {
        loop {
            let job = match self.next_deadline() {
                None => queue.recv().map_err(RecvTimeoutError::from),
                Some(at) => queue.recv_timeout(at.saturating_duration_since(Instant::now())),
            };
            match job {
                Ok(Job::End(last)) => return last(),
                Ok(Job::Watch) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.passivate_idle();
        }
    }

    /// When the first idle time ends. Takes the arrivals first.
    fn next_deadline(&mut self) -> Option<Instant> {
        let arrivals = self.arrivals.clone();
        let mut arrivals = lock(&arrivals);
        for aggregate in arrivals.waiting.drain(..) {
            self.watch(aggregate);
        }
        arrivals.looked_at = self.watched.peek().map(|Reverse(first)| first.deadline);
        arrivals.looked_at
    }

    fn watch(&mut self, aggregate: Weak<dyn Passivate>) {
        let deadline = aggregate.upgrade().and_then(|there| there.deadline());
        if let Some(deadline) = deadline {
            self.count += 1;
            if self.watched.len() == self.watched.capacity() {
                let is_there =
                    |Reverse(watched): &Reverse<Watched>| watched.aggregate.strong_count() > 0;
                self.watched.retain(is_there);
            }
            self.watched.push(Reverse(Watched {
                deadline,
                number: self.count,
                aggregate,
            }));
        }
    }

    fn passivate_idle(&mut self) {
        let now = Instant::now();
        while let Some(Reverse(first)) = self.watched.peek() {
            if first.deadline > now {
                return;
            }
            let Some(Reverse(due)) = self.watched.pop() else {
                return;
            };
            let Some(aggregate) = due.aggregate.upgrade() else {
                continue;
            };
            let is_idle = aggregate.deadline().is_some_and(|deadline| deadline <= now);
            if !is_idle || !aggregate.passivate() {
                self.watch(due.aggregate);
            }
        }
    }
}

impl PartialEq for Watched {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Watched {}

impl PartialOrd for Watched {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Watched {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.deadline, self.number).cmp(&(other.deadline, other.number))
    }
}
