//! Read models over many streams: [`Projection`], and [`Project`] for typed events.

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::aggregate::Aggregate;
use crate::event::{DecodeError, EventSet, LifecycleEvent, Recorded, StoredEvent};

/// A read model that folds the events of many streams.
///
/// Register it with a store ([`AggregateStoreBuilder::projection`]). The store brings it up to date
/// whenever it is read. It follows the journal from its own position, in the order of commits, so a
/// read costs only the new events. State and position are saved together.
///
/// Most programs derive this trait (see [`derive@Projection`](crate::Projection)) and implement
/// [`Project`] for each aggregate, and [`Evolve`](crate::Evolve) for each event that belongs to no
/// aggregate. You can also implement it by hand, on events as JSON:
///
/// ```
/// use eventfold_es::Projection;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize)]
/// struct Orders {
///     placed: u64,
/// }
///
/// impl Projection for Orders {
///     const NAME: &'static str = "orders";
///
///     fn subscriptions(&self) -> &'static [&'static str] {
///         &["order"]
///     }
///
///     fn apply(&mut self, _type: &str, _id: &str, event: &eventfold::Event) {
///         if event.event_type == "OrderPlaced" {
///             self.placed += 1;
///         }
///     }
/// }
/// ```
///
/// # When it changes
///
/// A saved state is used as it is. So if you change what is folded, or how, raise
/// [`VERSION`](Self::VERSION): the next read builds the projection again from the first event on.
/// To build it again under the same version, after a mistake was corrected for example, call
/// [`AggregateStore::rebuild`].
///
/// [`AggregateStoreBuilder::projection`]: crate::store::AggregateStoreBuilder::projection
/// [`AggregateStore::rebuild`]: crate::store::AggregateStore::rebuild
#[doc(alias(
    "read model",
    "view",
    "materialized view",
    "query model",
    "denormalizer"
))]
pub trait Projection:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names the projection on disk: its checkpoint is in `projections/<NAME>`. The name is used
    /// unchanged as a directory name, so it is checked at registration: at most 255 bytes, none of
    /// `/ \ : * ? " < > | %`, no control or direction characters, no dot at its beginning or end,
    /// no device name of Windows.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::NAME, "total");
    /// ```
    const NAME: &'static str;

    /// The version of what is folded and how. Raise it when that changes. Each version has its own
    /// checkpoint: version 1 in `journal_checkpoint.json`, version 2 in
    /// `journal_checkpoint.v2.json`. So an older program that runs again finds its own checkpoint.
    /// A checkpoint that no program needs any more may be deleted while the store is closed.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::VERSION, 1);
    /// ```
    const VERSION: u32 = 1;

    /// The aggregate types whose events it folds, each an
    /// [`AGGREGATE_TYPE`](crate::domain::aggregate::Aggregate::AGGREGATE_TYPE). Events of other
    /// types never reach it. The empty text `""` stands for the events that [belong to no
    /// aggregate](Recorded::is_of_aggregate).
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::default().subscriptions(), ["counter"]);
    /// ```
    fn subscriptions(&self) -> &'static [&'static str];

    /// Folds one event of the stream `aggregate_type/stream_id`. It depends on its arguments alone,
    /// and ignores events that it does not know. It gets events under their stored names, old ones
    /// under the old name. If it panics, the projection cannot be read until the store is opened
    /// again.
    ///
    /// An event with an integer above `u64::MAX` or below `i64::MIN` does not reach this function,
    /// since `event.data` cannot hold it: the projection cannot take the event.
    /// [`apply_stored`](Self::apply_stored) can read it.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// let mut total = Total::default();
    /// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
    /// total.apply("counter", "c-1", &added);
    /// assert_eq!(total.value, 5);
    /// ```
    fn apply(&mut self, aggregate_type: &str, stream_id: &str, event: &eventfold::Event);

    /// Folds one event in its stored form. A store calls this function. By default it calls
    /// [`apply`](Self::apply), and leaves out what the store noted about an aggregate itself
    /// ([`StoredEvent::lifecycle`]).
    ///
    /// # Errors
    ///
    /// Why the event cannot be read.
    fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
        if stored.lifecycle()?.is_some() {
            return Ok(());
        }
        let record = stored.record();
        let event = stored
            .to_eventfold()
            .map_err(|source| DecodeError::malformed(stored.name(), source))?;
        self.apply(record.aggregate_type(), record.id(), &event);
        Ok(())
    }

    /// The events that it folds by their types, for [`UnknownEvents`](crate::UnknownEvents).
    #[doc(hidden)]
    fn event_sets() -> &'static [EventSet] {
        &[]
    }
}

/// How a projection folds the events of one type of aggregate.
///
/// Implement it for each aggregate that `#[projection(aggregates(...))]` lists. It gets each event
/// as its aggregate does, under its current name. `record` has the event's stream, its position and
/// its time.
///
/// ```
/// # use eventfold_es::__private::example::{Counter, CounterEvent};
/// use eventfold_es::{Project, Projection, Recorded};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
/// #[projection(aggregates(Counter))]
/// struct Largest {
///     amount: u64,
///     added_to: String,
/// }
///
/// impl Project<Counter> for Largest {
///     fn project(&mut self, event: &CounterEvent, record: &Recorded<'_>) {
///         let CounterEvent::Added { amount } = event;
///         if *amount > self.amount {
///             self.amount = *amount;
///             self.added_to = record.id().to_owned();
///         }
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not project the events of `{A}`",
    label = "no `impl Project<{A}> for {Self}`",
    note = "write `impl Project<{A}> for {Self}`, or remove `{A}` from the aggregates of `{Self}`"
)]
pub trait Project<A: Aggregate> {
    /// Folds `event` into the projection. It depends on its arguments alone. If it panics, the
    /// projection cannot be read until the store is opened again.
    ///
    /// See the example of [`Project`].
    fn project(&mut self, event: &A::DomainEvent, record: &Recorded<'_>);

    /// Folds what the store noted about the aggregate itself: that it has ended, is archived or is no
    /// more archived. By default it does nothing. What was said of [`project`](Self::project) holds
    /// here too.
    ///
    /// ```
    /// use eventfold_es::{prelude::*, LifecycleEvent};
    /// # use eventfold_es::__private::example::Counter;
    /// use serde::{Deserialize, Serialize};
    ///
    /// /// Why counters have ended.
    /// #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
    /// #[projection(name = "reasons", aggregates(Counter))]
    /// struct Reasons(Vec<String>);
    ///
    /// impl Project<Counter> for Reasons {
    ///     fn project(&mut self, _: &<Counter as Aggregate>::DomainEvent, _: &Recorded<'_>) {}
    ///
    ///     fn lifecycle(&mut self, noted: &LifecycleEvent, record: &Recorded<'_>) {
    ///         if let LifecycleEvent::Ended { reason } = noted {
    ///             self.0.push(format!("{}: {reason}", record.id()));
    ///         }
    ///     }
    /// }
    /// ```
    fn lifecycle(&mut self, _noted: &LifecycleEvent, _record: &Recorded<'_>) {}
}
