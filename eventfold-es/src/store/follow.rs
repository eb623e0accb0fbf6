//! A warm copy of a store: [`Follow`].

use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime};

use crate::clock::from_unix_millis;
use crate::ids::Position;
use crate::runtime::background::{blocking, within};
use crate::storage::files::backup::follow::Following;
use crate::storage::files::backup::pace::Pace;
use crate::store::AggregateStore;
use crate::store::backup::while_awaited;

/// How long a copy waits before it looks for new events again.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// A copy that follows a store. See [`AggregateStore::follow`].
#[must_use = "it goes on only while it is polled"]
pub struct Follow {
    state: State,
    /// Up to where the copy has the store.
    followed: Followed,
}

enum State {
    Idle(Box<Following>),
    Working(Step),
    Failed,
}

type Step = Pin<Box<dyn Future<Output = io::Result<(Box<Following>, Followed)>> + Send>>;

/// Up to where a copy has the store that it follows.
///
/// See the example of [`AggregateStore::follow`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Followed {
    /// Of the newest event in the copy.
    pub position: Position,
    /// The time of the newest commit in the copy; 1970 if there is none.
    pub time: SystemTime,
}

impl Follow {
    /// Up to where the copy has the store.
    ///
    /// See the example of [`AggregateStore::follow`].
    #[must_use]
    pub fn followed(&self) -> Followed {
        self.followed
    }

    /// Waits for new events, copies them, and returns up to where the copy is then. Call it in a loop:
    /// the copy goes on only while it is polled. Dropping the future loses nothing.
    ///
    /// # Errors
    ///
    /// As [`AggregateStore::follow`]. After an error the copy is whole up to where it was; follow again.
    ///
    /// See the example of [`AggregateStore::follow`].
    pub async fn next(&mut self) -> io::Result<Followed> {
        loop {
            let before = self.followed;
            let after = poll_fn(|context| {
                loop {
                    match std::mem::replace(&mut self.state, State::Failed) {
                        State::Failed => {
                            let text = "the copy has failed before: follow again";
                            return Poll::Ready(Err(io::Error::other(text)));
                        }
                        State::Idle(mut following) => {
                            self.state = State::Working(Box::pin(blocking(move || {
                                let mut pace = Pace::new(None, None, Arc::default());
                                let end = following.step(&mut pace)?;
                                Ok((following, Followed::at(end.position, end.ms)))
                            })));
                        }
                        State::Working(mut step) => {
                            let Poll::Ready(done) = step.as_mut().poll(context) else {
                                self.state = State::Working(step);
                                return Poll::Pending;
                            };
                            return Poll::Ready(done.map(|(following, followed)| {
                                self.state = State::Idle(following);
                                followed
                            }));
                        }
                    }
                }
            });
            self.followed = after.await?;
            if self.followed != before {
                return Ok(self.followed);
            }
            within(LOOK_AGAIN, std::future::pending::<()>()).await?;
        }
    }
}

impl Followed {
    fn at(position: u64, ms: u64) -> Self {
        Self {
            position: Position::new(position),
            time: from_unix_millis(ms),
        }
    }
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let followed = &self.followed;
        f.debug_struct("Follow")
            .field("followed", followed)
            .finish_non_exhaustive()
    }
}

impl AggregateStore {
    /// Brings the copy in `dir` up to the store in `source` and keeps it there, usually within a tenth
    /// of a second, while another process writes the store. `dir` is empty, missing, or has a backup or
    /// a copy of this store.
    ///
    /// The copy is a [backup](Self::backup): [opening](Self::open) it makes a store of it, with a new
    /// timeline, for the case that the first one is lost. It has what is known to be durable: the
    /// commits that were answered in the last moment may be missing. A store of a new timeline is not
    /// followed into the old copy.
    ///
    /// # Errors
    ///
    /// As [`backup_of`](Self::backup_of).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (dir, to) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// # let (path, to) = (dir.path(), to.path());
    /// # let store = AggregateStore::open(path).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// # counter.send(Add(5)).await?;
    /// let mut follow = AggregateStore::follow(path, to).await?;
    /// # counter.send(Add(5)).await?;
    /// while follow.followed().position < store.head() {
    ///     println!("at {}", follow.next().await?.position);
    /// }
    /// drop(follow);
    ///
    /// let promoted = AggregateStore::open(to).await?;
    /// assert_eq!(promoted.head(), store.head());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("replica", "replicate", "standby", "mirror", "failover"))]
    pub async fn follow(source: impl AsRef<Path>, dir: impl AsRef<Path>) -> io::Result<Follow> {
        let (source, dir) = (source.as_ref().to_owned(), dir.as_ref().to_owned());
        let begun = while_awaited(move |given_up| {
            let mut pace = Pace::new(None, None, given_up);
            Following::begin(&source, &dir, &mut pace)
        });
        let (following, taken) = begun.await?;
        Ok(Follow {
            state: State::Idle(Box::new(following)),
            followed: Followed::at(taken.position, taken.ms),
        })
    }
}
