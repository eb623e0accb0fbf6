//! Read models over many streams: [`Projection`].

use serde::{Serialize, de::DeserializeOwned};

use crate::event::{DecodeError, StoredEvent};

/// A read model that folds the events of many streams.
///
/// A store that it is registered with ([`AggregateStoreBuilder::projection`]) brings it up to date
/// whenever it is read: it follows the journal from its own position, in the order of commits, so
/// a read costs what is new and no more. State and position are saved together.
///
/// After a change of what it folds, or how, build it again
/// ([`AggregateStore::rebuild_projection`]): the state that was saved before is taken up as it is.
///
/// [`AggregateStoreBuilder::projection`]: crate::AggregateStoreBuilder::projection
/// [`AggregateStore::rebuild_projection`]: crate::AggregateStore::rebuild_projection
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
pub trait Projection:
    Default + Clone + Serialize + DeserializeOwned + Send + Sync + 'static
{
    /// Names the projection on disk: its checkpoint is in `projections/<NAME>`. It is used as the
    /// name of a directory as it is.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::NAME, "total");
    /// ```
    const NAME: &'static str;

    /// The aggregate types whose events it folds, each an
    /// [`AGGREGATE_TYPE`](crate::Aggregate::AGGREGATE_TYPE). Events of the others are passed over
    /// for good.
    ///
    /// ```
    /// # use eventfold_es::{Projection, __private::example::Total};
    /// assert_eq!(Total::default().subscriptions(), ["counter"]);
    /// ```
    fn subscriptions(&self) -> &'static [&'static str];

    /// Folds one event, which is the stream's `aggregate_type/stream_id`. It depends on its
    /// arguments alone, and passes over events that it does not know. It sees events by their
    /// stored names, old ones by the old name. If it panics, the projection cannot be read until
    /// the store is opened again.
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
}
