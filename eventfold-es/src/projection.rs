//! Read models over many streams: [`Projection`].

use serde::{Serialize, de::DeserializeOwned};

/// A read model that folds the events of many streams.
///
/// A store that it is registered with ([`AggregateStoreBuilder::projection`]) brings it up to date
/// whenever it is read: it follows the journal from its own position, in the order of commits, so
/// a read costs what is new and no more. State and position are saved together.
///
/// [`AggregateStoreBuilder::projection`]: crate::AggregateStoreBuilder::projection
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
    /// Names the projection on disk: its checkpoint is in `projections/<NAME>`.
    const NAME: &'static str;

    /// The aggregate types whose events it folds, each an
    /// [`AGGREGATE_TYPE`](crate::Aggregate::AGGREGATE_TYPE).
    fn subscriptions(&self) -> &'static [&'static str];

    /// Folds one event. It depends on its arguments alone, and passes over events that it does not
    /// know.
    fn apply(&mut self, aggregate_type: &str, stream_id: &str, event: &eventfold::Event);
}
