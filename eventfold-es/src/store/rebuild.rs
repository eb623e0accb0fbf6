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
const STEP: Duration = Duration::from_millis(50);
/// How many events are folded between two looks at the clock.
const EVENTS: u64 = 4_096;

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
    /// A rebuild of what serves as `current`.
    pub(super) fn new<T: Rebuilt>(current: Arc<Exclusive<T>>, storage: &Storage) -> Self {
        let rebuilt = match current.lock().and_then(|current| current.anew()) {
            Ok(rebuilt) => rebuilt,
            Err(error) => return Self::refused(error),
        };
        Self(State::Idle(Box::new(Rebuilding {
            log: storage.log(),
            rebuilt: Some(rebuilt),
            current,
            start: Instant::now(),
        })))
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

/// A rebuild of any type.
trait Steps: Send {
    /// Works for about `STEP`, or to the end.
    fn step(&mut self) -> io::Result<RebuildProgress>;
}

/// What is built again beside what serves.
pub(super) trait Rebuilt: Send + Sized + 'static {
    /// The same before the first event.
    fn anew(&self) -> io::Result<Self>;

    /// The position of the newest durable event.
    fn head(&self) -> u64;

    /// It has all events up to here.
    fn position(&self) -> u64;

    /// Takes about so many events, at most up to `head`. True if it has reached `head`.
    fn take_some(&mut self, head: u64, events: u64) -> io::Result<bool>;

    /// Lets `rebuilt` take the place of this one, which serves.
    fn replace_with(&mut self, rebuilt: Self) -> io::Result<()>;
}

impl<P: Projection> Rebuilt for Projecting<P> {
    fn anew(&self) -> io::Result<Self> {
        self.anew()
    }

    fn head(&self) -> u64 {
        self.head()
    }

    fn position(&self) -> u64 {
        self.position()
    }

    fn take_some(&mut self, head: u64, events: u64) -> io::Result<bool> {
        self.follow(head, events)
    }

    fn replace_with(&mut self, rebuilt: Self) -> io::Result<()> {
        self.replace_with(rebuilt)
    }
}

struct Rebuilding<T> {
    log: Log,
    current: Arc<Exclusive<T>>,
    /// `None` once it has replaced the current one.
    rebuilt: Option<T>,
    start: Instant,
}

impl<T: Rebuilt> Steps for Rebuilding<T> {
    fn step(&mut self) -> io::Result<RebuildProgress> {
        let until = Instant::now() + STEP;
        while let Some(rebuilt) = &mut self.rebuilt {
            let head = rebuilt.head();
            if rebuilt.take_some(head, EVENTS)? {
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
fn progress(
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
