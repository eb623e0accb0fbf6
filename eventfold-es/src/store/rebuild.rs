//! Building a projection again, with progress: [`Rebuild`].

use std::fmt;
use std::future::{Future, IntoFuture, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use futures_core::Stream;

use crate::domain::projection::Projection;
use crate::following::{Exclusive, Projecting};
use crate::runtime::background::blocking;
use crate::storage::Storage;
use crate::storage::log::Log;

/// How long one step takes.
pub(super) const STEP: Duration = Duration::from_millis(50);
/// How many events are folded between two looks at the clock.
pub(super) const EVENTS: u64 = 4_096;

/// A rebuild of a projection. See
/// [`AggregateStore::rebuild`](crate::store::AggregateStore::rebuild).
///
/// As a stream it yields its progress about every 50 ms, and ends with
/// [`finished`](RebuildProgress::finished) or with an error. As a future it returns at the end.
#[must_use = "it goes on only while it is polled"]
pub struct Rebuild(State);

enum State {
    Refused(io::Error),
    Idle(Box<dyn Steps>),
    Working(Step),
    Ended,
}

type Step = Pin<Box<dyn Future<Output = io::Result<(Box<dyn Steps>, RebuildProgress)>> + Send>>;

/// The progress of a [`Rebuild`].
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// # let store = AggregateStore::builder(path).projection::<Total>().open().await?;
/// # store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// let mut rebuild = store.rebuild::<Total>();
/// let progress = rebuild.next().await.expect("there is one at least")?;
/// assert!(progress.finished && progress.done == progress.total);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RebuildProgress {
    /// How many events are done, also those that the projection does not subscribe to.
    pub done: u64,
    /// How many events the store has. More may come meanwhile.
    pub total: u64,
    /// How many events were done per second so far.
    pub per_second: f64,
    /// Whether the new state has replaced the old one.
    pub finished: bool,
}

impl Rebuild {
    pub(super) fn new<P: Projection>(
        current: Arc<Exclusive<Projecting<P>>>,
        storage: Storage,
    ) -> Self {
        let rebuilt = match current.lock().and_then(|current| current.anew()) {
            Ok(rebuilt) => rebuilt,
            Err(error) => return Self::refused(error),
        };
        Self::of(Rebuilding {
            log: storage.log(),
            rebuilt: Some(rebuilt),
            current,
            start: Instant::now(),
        })
    }

    /// A rebuild in these steps.
    pub(super) fn of(steps: impl Steps + 'static) -> Self {
        Self(State::Idle(Box::new(steps)))
    }

    /// A rebuild that ends with `error` at once.
    pub(super) fn refused(error: io::Error) -> Self {
        Self(State::Refused(error))
    }

    /// The progress after the next step; `None` after the end. Dropping the future loses nothing.
    ///
    /// See the example of [`RebuildProgress`].
    pub async fn next(&mut self) -> Option<io::Result<RebuildProgress>> {
        poll_fn(|context| self.poll_step(context)).await
    }

    fn poll_step(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RebuildProgress>>> {
        loop {
            match std::mem::replace(&mut self.0, State::Ended) {
                State::Ended => return Poll::Ready(None),
                State::Refused(error) => return Poll::Ready(Some(Err(error))),
                State::Idle(mut steps) => {
                    self.0 = State::Working(Box::pin(blocking(move || {
                        let progress = steps.step()?;
                        Ok((steps, progress))
                    })));
                }
                State::Working(mut step) => {
                    let Poll::Ready(done) = step.as_mut().poll(context) else {
                        self.0 = State::Working(step);
                        return Poll::Pending;
                    };
                    return Poll::Ready(Some(done.map(|(steps, progress)| {
                        if !progress.finished {
                            self.0 = State::Idle(steps);
                        }
                        progress
                    })));
                }
            }
        }
    }
}

impl Stream for Rebuild {
    type Item = io::Result<RebuildProgress>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<RebuildProgress>>> {
        self.poll_step(context)
    }
}

impl IntoFuture for Rebuild {
    type Output = io::Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = io::Result<()>> + Send>>;

    fn into_future(mut self) -> Self::IntoFuture {
        Box::pin(poll_fn(move |context| {
            while let Some(progress) = ready!(self.poll_step(context)) {
                if let Err(error) = progress {
                    return Poll::Ready(Err(error));
                }
            }
            Poll::Ready(Ok(()))
        }))
    }
}

impl fmt::Debug for Rebuild {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match &self.0 {
            State::Refused(error) => return f.debug_tuple("Rebuild").field(error).finish(),
            State::Idle(_) => "idle",
            State::Working(_) => "working",
            State::Ended => "ended",
        };
        write!(f, "Rebuild({state})")
    }
}

/// A rebuild of a projection of any type.
pub(super) trait Steps: Send {
    /// Works for about `STEP`, or to the end.
    fn step(&mut self) -> io::Result<RebuildProgress>;
}

struct Rebuilding<P: Projection> {
    log: Log,
    current: Arc<Exclusive<Projecting<P>>>,
    /// `None` once it has replaced the current state.
    rebuilt: Option<Projecting<P>>,
    start: Instant,
}

impl<P: Projection> Steps for Rebuilding<P> {
    fn step(&mut self) -> io::Result<RebuildProgress> {
        let until = Instant::now() + STEP;
        while let Some(rebuilt) = &mut self.rebuilt {
            let head = rebuilt.head();
            if rebuilt.follow(head, EVENTS)? {
                let mut current = self.current.lock()?;
                if let Some(rebuilt) = self.rebuilt.take() {
                    current.replace_with(rebuilt)?;
                }
                let done = current.position();
                return Ok(progress(&self.log, self.start, done, (done, true)));
            }
            if Instant::now() >= until {
                let done = rebuilt.position();
                return Ok(progress(&self.log, self.start, done, (head, false)));
            }
        }
        Err(io::Error::other("the rebuild has already finished"))
    }
}

/// The progress of a rebuild that has reached a position, and is to reach another one.
#[expect(clippy::cast_precision_loss, reason = "it is for showing")]
pub(super) fn progress(
    log: &Log,
    start: Instant,
    position: u64,
    (head, finished): (u64, bool),
) -> RebuildProgress {
    let events = |until| log.count_between(0, until);
    let (done, total) = (events(position), events(head));
    RebuildProgress {
        done,
        total,
        per_second: done as f64 / start.elapsed().as_secs_f64().max(1e-9),
        finished,
    }
}
