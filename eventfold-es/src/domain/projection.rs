//! Read models over many streams: [`Projection`], and [`Project`] for typed events.

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::aggregate::Aggregate;
use crate::event::{DecodeError, EventSet, Recorded, StoredEvent};

/// A read model that folds the events of many streams.
///
/// A store that it is registered with ([`AggregateStoreBuilder::projection`]) brings it up to date
/// whenever it is read: it follows the journal from its own position, in the order of commits, so
/// a read costs what is new and no more. State and position are saved together.
///
/// Most programs derive this trait (see [`derive@Projection`](crate::Projection)) and implement
/// [`Project`] for each aggregate. It can as well be implemented by hand, on events as JSON:
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
/// A state that was saved before is taken up as it is. So a change of what is folded, or how, is
/// another [`VERSION`](Self::VERSION): the projection is built again by its next read, from the
/// first event on. To build it again under the same version, as after a mistake was corrected:
/// [`AggregateStore::rebuild`].
///
/// [`AggregateStoreBuilder::projection`]: crate::store::AggregateStoreBuilder::projection
/// [`AggregateStore::rebuild`]: crate::store::AggregateStore::rebuild
pub trait Projection:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names the projection on disk: its checkpoint is in `projections/<NAME>`. It is the name
    /// of a directory as it is, so it is checked when it is registered: at most 255 bytes, none of
    /// `/ \ : * ? " < > | %`, no control or direction characters, no dot at its beginning or end, no
    /// device name of Windows.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::NAME, "total");
    /// ```
    const NAME: &'static str;

    /// The version of what is folded and how, to be raised when that changes. Each has a
    /// checkpoint of its own: version 1 in `journal_checkpoint.json`, version 2 in
    /// `journal_checkpoint.v2.json`, so that an older program that is run again finds the one it
    /// left. A checkpoint that no program needs any more may be deleted while the store is closed.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::VERSION, 1);
    /// ```
    const VERSION: u32 = 1;

    /// The aggregate types whose events it folds, each an
    /// [`AGGREGATE_TYPE`](crate::domain::aggregate::Aggregate::AGGREGATE_TYPE). Events of the others are left out
    /// for good.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::default().subscriptions(), ["counter"]);
    /// ```
    fn subscriptions(&self) -> &'static [&'static str];

    /// Folds one event, which is the stream's `aggregate_type/stream_id`. It depends on its
    /// arguments alone, and ignores events that it does not know. It sees events by their
    /// stored names, old ones by the old name. If it panics, the projection cannot be read until
    /// the store is opened again.
    ///
    /// An event with an integer above `u64::MAX` or below `i64::MIN` does not come here: `event.data`
    /// has no place for it, so it cannot be taken. [`apply_stored`](Self::apply_stored) can read it.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// let mut total = Total::default();
    /// let added = eventfold::Event::new("Added", serde_json::json!({ "amount": 5 }));
    /// total.apply("counter", "c-1", &added);
    /// assert_eq!(total.value, 5);
    /// ```
    fn apply(&mut self, aggregate_type: &str, stream_id: &str, event: &eventfold::Event);

    /// Folds one event in its stored form, which is what a store calls. As it is provided, it calls
    /// [`apply`](Self::apply).
    ///
    /// # Errors
    ///
    /// Why the event cannot be read.
    fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
        let record = stored.record();
        let event = stored
            .to_eventfold()
            .map_err(|source| DecodeError::malformed(stored.name(), source))?;
        self.apply(record.aggregate_type(), record.id(), &event);
        Ok(())
    }

    /// The events that are folded by their types, for [`UnknownEvents`](crate::UnknownEvents).
    #[doc(hidden)]
    fn event_sets() -> &'static [EventSet] {
        &[]
    }
}

/// What a projection makes of the events of one type of aggregate.
///
/// Implement it for each aggregate that `#[projection(aggregates(...))]` lists. It sees each event
/// as its aggregate does: under its name of today, and with `record`, which says whose it is, where
/// it stands and when it came about.
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
}
