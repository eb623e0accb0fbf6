//! What follows the log outside of the store: [`Follower`].

use std::error::Error;
use std::fmt;
use std::future::Future;

use crate::domain::aggregate::Aggregate;
use crate::event::{DomainEvent, RecordedEvent};
use crate::ids::Position;

/// Feeds something outside of the store with its events: a search index, another database, a
/// message broker.
///
/// The follower keeps the position that it has reached together with what it made of the events, in
/// one transaction if its place has transactions. So after a crash both are there or neither, and
/// each event takes effect once. Register it with the store
/// ([`AggregateStoreBuilder::follower`](crate::AggregateStoreBuilder::follower)). The store reads the
/// log, calls [`apply`](Self::apply) with one batch after the other, tries again what failed, and says
/// in [`read_side`](crate::AggregateStore::read_side) how far it is.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # use std::collections::HashMap;
/// # use std::sync::{Arc, Mutex};
/// #[derive(Default)]
/// struct Index {
///     words: HashMap<String, u64>,
///     position: Position,
/// }
///
/// struct Search(Arc<Mutex<Index>>);
///
/// impl Follower for Search {
///     const NAME: &'static str = "search";
///     type Error = DecodeError;
///
///     fn reads(&self) -> Reads {
///         Reads::nothing().aggregate::<Counter>()
///     }
///
///     async fn position(&mut self) -> Result<Position, Self::Error> {
///         Ok(self.0.lock().unwrap().position)
///     }
///
///     async fn apply(&mut self, batch: &Batch) -> Result<(), Self::Error> {
///         let mut index = self.0.lock().unwrap(); // a transaction of the other database
///         for event in batch.events() {
///             for CounterEvent::Added { amount } in event.decode::<Counter>()? {
///                 *index.words.entry(event.id().to_owned()).or_default() += amount;
///             }
///         }
///         index.position = batch.position();
///         Ok(())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let index = Arc::new(Mutex::new(Index::default()));
/// let store = AggregateStore::in_memory().follower(Search(index.clone())).open().await?;
/// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.wait_for_follower::<Search>(done.position).await?;
/// assert_eq!(index.lock().unwrap().words["c-1"], 5);
/// # Ok(())
/// # }
/// ```
#[doc(alias(
    "sink",
    "subscriber",
    "search index",
    "message broker",
    "outbox",
    "change data capture",
    "read side processor"
))]
pub trait Follower: Send + 'static {
    /// Names the follower. What it skipped is recorded in `projections/<NAME>`, so the rules for the
    /// name are those of [`Projection::NAME`](crate::Projection::NAME), and no projection has the same
    /// name.
    ///
    /// See the example of [`Follower`].
    const NAME: &'static str;

    /// Why a position could not be read, or a batch not be applied. `anyhow::Error` and
    /// `Box<dyn Error + Send + Sync>` are such types too.
    type Error: Into<Box<dyn Error + Send + Sync>>;

    /// The events that it gets. It is asked once, when the store is opened.
    ///
    /// See the example of [`Follower`].
    fn reads(&self) -> Reads;

    /// The position that it keeps: it has all events up to there. A follower that begins returns
    /// `Position::default()` for all events, or any other position that it wants to begin after, such
    /// as the [head](crate::AggregateStore::head) at that time.
    ///
    /// The store asks for it before the first batch, and again after a batch that failed: its
    /// transaction may have been committed all the same.
    ///
    /// See the example of [`Follower`].
    fn position(&mut self) -> impl Future<Output = Result<Position, Self::Error>> + Send;

    /// Takes a batch and keeps [`Batch::position`], both or neither. If the place has no transactions,
    /// make it so that a batch may be applied twice, and keep the position last.
    ///
    /// A batch may have no events: then only the position moves on. The future is polled on a thread
    /// that may block, within a runtime of tokio. A shutdown of the store waits for the batch that is
    /// under way, so set time limits for what it waits for.
    ///
    /// See the example of [`Follower`].
    fn apply(&mut self, batch: &Batch) -> impl Future<Output = Result<(), Self::Error>> + Send;

    /// How many events a batch has at most: 1,000 by default. A commit is not divided, so it may be
    /// more by the events of one commit.
    ///
    /// ```
    /// # use eventfold_es::{Batch, Follower, Position, Reads};
    /// struct Broker;
    ///
    /// impl Follower for Broker {
    ///     const NAME: &'static str = "broker";
    ///     type Error = std::io::Error;
    ///
    ///     fn batch_size(&self) -> usize {
    ///         100
    ///     }
    /// #   fn reads(&self) -> Reads { Reads::everything() }
    /// #   async fn position(&mut self) -> Result<Position, Self::Error> { Ok(Position::default()) }
    /// #   async fn apply(&mut self, _: &Batch) -> Result<(), Self::Error> { Ok(()) }
    ///     // …
    /// }
    /// # assert_eq!(Broker.batch_size(), 100);
    /// ```
    fn batch_size(&self) -> usize {
        1_000
    }
}

/// The events that a [`Follower`] gets.
///
/// ```
/// # use eventfold_es::{Reads, __private::example::*};
/// let some = Reads::nothing().aggregate::<Counter>();
/// let all = Reads::everything();
/// # let _ = (some, all);
/// ```
#[derive(Debug, Clone, Default)]
pub struct Reads {
    everything: bool,
    types: Vec<&'static str>,
    /// Each knows the names of an event that belongs to no aggregate.
    events: Vec<fn(&str) -> bool>,
}

impl Reads {
    /// No events; the other functions add some.
    ///
    /// See the example of [`Reads`].
    #[must_use]
    pub fn nothing() -> Self {
        Self::default()
    }

    /// All events of the store.
    ///
    /// See the example of [`Reads`].
    #[must_use]
    pub fn everything() -> Self {
        Self {
            everything: true,
            ..Self::default()
        }
    }

    /// Also the events of the aggregate `A`. [`RecordedEvent::decode`] reads them.
    ///
    /// See the example of [`Reads`].
    #[must_use]
    pub fn aggregate<A: Aggregate>(mut self) -> Self {
        self.types.push(A::AGGREGATE_TYPE);
        self
    }

    /// Also the events of `E` that belong to no aggregate, under their current names and their aliases.
    /// [`RecordedEvent::decode_as`] reads them.
    ///
    /// ```
    /// # use eventfold_es::{DomainEvent, Reads, __private::example::*};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    /// struct Refunded {
    ///     #[tag]
    ///     invoice: u64,
    /// }
    ///
    /// let reads = Reads::nothing().aggregate::<Counter>().event::<Refunded>();
    /// # let _ = reads;
    /// ```
    #[must_use]
    pub fn event<E: DomainEvent>(mut self) -> Self {
        self.events.push(E::knows);
        self
    }

    /// All events of these types of aggregates; `""` stands for those that belong to none.
    #[cfg_attr(
        not(feature = "sqlite"),
        expect(dead_code, reason = "for projections in SQL")
    )]
    pub(crate) fn of_types(types: &[&'static str]) -> Self {
        Self {
            everything: false,
            types: types.to_vec(),
            events: Vec::new(),
        }
    }

    /// Whether events of this type of aggregate may be among them.
    pub(crate) fn reads_type(&self, aggregate_type: &str) -> bool {
        self.everything
            || self.types.contains(&aggregate_type)
            || (aggregate_type.is_empty() && !self.events.is_empty())
    }

    /// Whether an event of such a type is among them.
    pub(crate) fn reads_event(&self, aggregate_type: &str, name: &str) -> bool {
        self.everything
            || self.types.contains(&aggregate_type)
            || self.events.iter().any(|knows| knows(name))
    }
}

/// Some events in the order of the store, and the position that has been reached with them. See
/// [`Follower::apply`].
///
/// ```
/// # use eventfold_es::Batch;
/// fn show(batch: &Batch) {
///     println!("{} events after position {}", batch.events().len(), batch.after());
/// }
/// # let _ = show;
/// ```
pub struct Batch {
    pub(crate) events: Vec<RecordedEvent>,
    pub(crate) after: u64,
    pub(crate) position: u64,
}

impl Batch {
    /// The events. Those that the follower does not [read](Follower::reads) are left out.
    ///
    /// See the example of [`Batch`].
    #[must_use]
    pub fn events(&self) -> &[RecordedEvent] {
        &self.events
    }

    /// The position that the follower has kept so far. If several processes may feed the same place,
    /// a transaction that finds another position there must fail: then another process has gone on.
    ///
    /// See the example of [`Batch`].
    #[must_use]
    pub fn after(&self) -> Position {
        Position::new(self.after)
    }

    /// The position to keep. All events up to here are in this batch or in an earlier one.
    ///
    /// See the example of [`Follower`].
    #[must_use]
    pub fn position(&self) -> Position {
        Position::new(self.position)
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("after", &self.after)
            .field("position", &self.position)
            .field("events", &self.events.len())
            .finish()
    }
}
