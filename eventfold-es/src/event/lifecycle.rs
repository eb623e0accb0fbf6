//! What a store notes about an aggregate itself: [`LifecycleEvent`]. What follows from it:
//! [`Lifecycle`].

use std::borrow::Cow;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock::from_unix_millis;
use crate::event::{DecodeError, StoredEvent};
use crate::text::Shown;

/// The stored names that begin with this are the store's own. No event of a program may have one.
pub(crate) const RESERVED: &str = "eventfold:";

const ENDED: &str = "eventfold:ended";
const ARCHIVED: &str = "eventfold:archived";
const UNARCHIVED: &str = "eventfold:unarchived";

/// What a store noted about an aggregate itself, in the place of an event of its stream.
///
/// It has a version and a position as an event has, but it is none of the aggregate's events:
/// [`Evolve`](crate::Evolve) never sees it, and a decision model neither. A projection gets it as
/// [`Project::lifecycle`](crate::Project::lifecycle), a process manager as
/// [`React::lifecycle`](crate::React::lifecycle), and whoever reads events finds it with
/// [`RecordedEvent::lifecycle`](crate::RecordedEvent::lifecycle).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let added = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.end::<Counter>("c-1", "merged into c-2").await?;
///
/// let mut events = store.subscribe(added.position);
/// let last = events.next().await.expect("it has come")?;
/// let reason = "merged into c-2".to_owned();
/// assert_eq!(last.lifecycle()?, Some(LifecycleEvent::Ended { reason }));
/// # Ok(())
/// # }
/// ```
#[doc(alias("tombstone"))]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LifecycleEvent {
    /// The aggregate is over: [`AggregateStore::end`](crate::AggregateStore::end).
    Ended {
        /// Why, as whoever ended it said.
        reason: String,
    },
    /// The aggregate is archived: [`AggregateStore::archive`](crate::AggregateStore::archive).
    Archived,
    /// It is no more archived: [`AggregateStore::unarchive`](crate::AggregateStore::unarchive).
    Unarchived,
}

/// The payload of [`LifecycleEvent::Ended`].
#[derive(Serialize, Deserialize)]
struct Reason<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

impl LifecycleEvent {
    /// The stored name.
    ///
    /// ```
    /// # use eventfold_es::LifecycleEvent;
    /// assert_eq!(LifecycleEvent::Archived.name(), "eventfold:archived");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ended { .. } => ENDED,
            Self::Archived => ARCHIVED,
            Self::Unarchived => UNARCHIVED,
        }
    }

    /// The payload as JSON.
    pub(crate) fn data(&self) -> serde_json::Result<Vec<u8>> {
        match self {
            Self::Ended { reason } => serde_json::to_vec(&Reason {
                reason: reason.into(),
            }),
            Self::Archived | Self::Unarchived => Ok(b"{}".to_vec()),
        }
    }

    /// What the store noted with `stored`; `None` if that is an event.
    ///
    /// # Errors
    ///
    /// The payload cannot be read. Or the name is reserved and unknown: a newer version of this crate
    /// wrote it.
    #[inline]
    pub(crate) fn of(stored: StoredEvent<'_>) -> Result<Option<Self>, DecodeError> {
        if stored.name().starts_with(RESERVED) && stored.record().is_of_aggregate() {
            return Self::read(stored).map(Some);
        }
        Ok(None)
    }

    #[cold]
    fn read(stored: StoredEvent<'_>) -> Result<Self, DecodeError> {
        match stored.name() {
            ENDED => {
                let Reason { reason } = stored.payload()?;
                Ok(Self::Ended {
                    reason: reason.into_owned(),
                })
            }
            ARCHIVED => Ok(Self::Archived),
            UNARCHIVED => Ok(Self::Unarchived),
            name => {
                let text = format!(
                    "the name `{}` is reserved for the store, and this version does not know it",
                    Shown(name)
                );
                let source = <serde_json::Error as serde::de::Error>::custom(text);
                Err(DecodeError::malformed(name, source))
            }
        }
    }
}

impl StoredEvent<'_> {
    /// What the store noted about an aggregate itself with this; `None` if it is an event.
    ///
    /// # Errors
    ///
    /// [`DecodeError::Malformed`] if a newer version of this crate noted it, or if it is damaged.
    ///
    /// ```
    /// # use eventfold_es::StoredEvent;
    /// assert!(StoredEvent::new("Added", r#"{"amount":5}"#).lifecycle()?.is_none());
    /// # Ok::<(), eventfold_es::DecodeError>(())
    /// ```
    pub fn lifecycle(&self) -> Result<Option<LifecycleEvent>, DecodeError> {
        LifecycleEvent::of(*self)
    }
}

/// Whether an aggregate has ended or is archived.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// counter.send(Add(5)).await?;
/// assert!(counter.lifecycle().await?.takes_commands());
///
/// store.archive::<Counter>("c-1").await?;
/// assert!(counter.lifecycle().await?.archived.is_some());
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Lifecycle {
    /// That it has ended; `None` if it has not.
    pub ended: Option<Ended>,
    /// When it was archived; `None` if it is not archived.
    pub archived: Option<SystemTime>,
}

/// That an aggregate has ended.
///
/// See the example of [`AggregateStore::end`](crate::AggregateStore::end).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Ended {
    /// Why, as whoever ended it said.
    pub reason: String,
    /// When.
    pub when: SystemTime,
}

impl Lifecycle {
    /// Whether the aggregate takes commands: it has not ended and is not archived.
    ///
    /// See the example of [`Lifecycle`].
    #[must_use]
    pub fn takes_commands(&self) -> bool {
        self.ended.is_none() && self.archived.is_none()
    }
}

/// [`Lifecycle`] as an actor has it and as a snapshot keeps it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Standing {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) ended: Option<End>,
    /// When it was archived, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) archived: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct End {
    pub(crate) reason: String,
    /// In milliseconds since 1970.
    pub(crate) ms: u64,
}

impl Standing {
    /// Whether the aggregate takes commands.
    #[inline]
    pub(crate) fn is_usual(&self) -> bool {
        self.ended.is_none() && self.archived.is_none()
    }

    /// Whether a further `event` would change nothing.
    pub(crate) fn has(&self, event: &LifecycleEvent) -> bool {
        match event {
            LifecycleEvent::Ended { .. } => self.ended.is_some(),
            LifecycleEvent::Archived => self.archived.is_some(),
            LifecycleEvent::Unarchived => self.archived.is_none(),
        }
    }

    /// Takes what was noted at `ms`, in milliseconds since 1970. The first end stays.
    pub(crate) fn take(&mut self, event: LifecycleEvent, ms: u64) {
        match event {
            LifecycleEvent::Ended { reason } => {
                self.ended.get_or_insert(End { reason, ms });
            }
            LifecycleEvent::Archived => {
                self.archived.get_or_insert(ms);
            }
            LifecycleEvent::Unarchived => self.archived = None,
        }
    }
}

impl From<&Standing> for Lifecycle {
    fn from(standing: &Standing) -> Self {
        let ended = standing.ended.as_ref().map(|end| Ended {
            reason: end.reason.clone(),
            when: from_unix_millis(end.ms),
        });
        Self {
            ended,
            archived: standing.archived.map(from_unix_millis),
        }
    }
}
