//! What a decision may depend on besides the state and the command: [`DecisionContext`].

use std::time::SystemTime;

use serde_json::Value;

use crate::clock::from_unix_millis;
use crate::ids::Version;

/// Where and when a command is decided, and who sent it.
///
/// [`DecideWith`](crate::DecideWith) and [`Aggregate::handle_with`](crate::Aggregate::handle_with)
/// get one. A later reader finds the same in the [`Recorded`](crate::Recorded) of each event: its
/// stream, its time, its actor.
///
/// A decision depends only on the state, the command and this context. So a test that sets them sees
/// the same decision as a store: see `testing::given`.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use eventfold_es::{CommandContext, DecisionContext, ManualClock, prelude::*};
/// # use eventfold_es::__private::example::*;
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(commands(Note), events(Noted))]
/// struct Diary {
///     entries: Vec<String>,
/// }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Note;
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Noted { entry: String }
/// # impl Evolve<Noted> for Diary {
/// #     fn evolve(&mut self, event: &Noted) { self.entries.push(event.entry.clone()); }
/// # }
///
/// impl DecideWith<Note> for Diary {
///     fn decide_with(&self, _: Note, context: &DecisionContext<'_>) -> Decision<Self> {
///         let entry = format!(
///             "{}/{} {}: {} at {}",
///             context.aggregate_type(),
///             context.id(),
///             u64::from(context.version()),
///             context.actor().unwrap_or("nobody"),
///             context.unix_millis(),
///         );
///         Ok(events![Noted { entry }])
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_millis(1_500));
/// let store = AggregateStore::builder(path).clock(clock).open().await?;
/// let diary = store.get::<Diary>("d-1").await?;
/// diary.send_with(Note, CommandContext::default().with_actor("ann")).await?;
/// assert_eq!(diary.state().await?.entries, ["diary/d-1 0: ann at 1500"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, Default)]
pub struct DecisionContext<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) id: &'a str,
    pub(crate) version: u64,
    /// Milliseconds since 1970.
    pub(crate) ms: u64,
    pub(crate) actor: Option<&'a str>,
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) causation_id: Option<&'a str>,
    pub(crate) metadata: Option<&'a Value>,
}

impl<'a> DecisionContext<'a> {
    /// The aggregate's type. Empty outside a store, and for a [decision](crate::Decider), which belongs to
    /// no aggregate.
    ///
    /// See the example of [`DecisionContext`].
    #[must_use]
    pub fn aggregate_type(&self) -> &'a str {
        self.aggregate_type
    }

    /// The aggregate's own id. Empty outside a store, and for a [decision](crate::Decider).
    ///
    /// See the example of [`DecisionContext`].
    #[must_use]
    pub fn id(&self) -> &'a str {
        self.id
    }

    /// The version of the state that the command is decided on: the number of events before. 0 for
    /// an aggregate that does not exist yet, for a [decision](crate::Decider), and outside a store.
    ///
    /// See the example of [`DecisionContext`].
    #[must_use]
    pub fn version(&self) -> Version {
        Version::new(self.version)
    }

    /// The time of the command, to the millisecond. Its events are recorded with the same time. It
    /// is the time of the store's clock when the command is first decided, and stays the same if
    /// the command is decided again. The beginning of 1970 outside a store.
    ///
    /// The clock may go back, so a command may see an earlier time than the command before it.
    ///
    /// ```
    /// # use std::time::SystemTime;
    /// # use eventfold_es::DecisionContext;
    /// assert_eq!(DecisionContext::default().time(), SystemTime::UNIX_EPOCH);
    /// ```
    #[must_use]
    pub fn time(&self) -> SystemTime {
        from_unix_millis(self.ms)
    }

    /// [`time`](Self::time) in milliseconds since 1970.
    ///
    /// See the example of [`DecisionContext`].
    #[must_use]
    pub fn unix_millis(&self) -> u64 {
        self.ms
    }

    /// Who sent the command, if its [`CommandContext`](crate::CommandContext) says so.
    ///
    /// See the example of [`DecisionContext`].
    #[must_use]
    pub fn actor(&self) -> Option<&'a str> {
        self.actor
    }

    /// The id of the request or the workflow that the command belongs to, if its
    /// [`CommandContext`](crate::CommandContext) has one.
    ///
    /// ```
    /// # use eventfold_es::DecisionContext;
    /// assert_eq!(DecisionContext::default().correlation_id(), None);
    /// ```
    #[must_use]
    pub fn correlation_id(&self) -> Option<&'a str> {
        self.correlation_id
    }

    /// The id of the event or the message that led to the command, if its
    /// [`CommandContext`](crate::CommandContext) has one.
    ///
    /// ```
    /// # use eventfold_es::DecisionContext;
    /// assert_eq!(DecisionContext::default().causation_id(), None);
    /// ```
    #[must_use]
    pub fn causation_id(&self) -> Option<&'a str> {
        self.causation_id
    }

    /// The metadata of the command's [`CommandContext`](crate::CommandContext), if it has some.
    ///
    /// ```
    /// # use eventfold_es::DecisionContext;
    /// assert!(DecisionContext::default().metadata().is_none());
    /// ```
    #[must_use]
    pub fn metadata(&self) -> Option<&'a Value> {
        self.metadata
    }
}
