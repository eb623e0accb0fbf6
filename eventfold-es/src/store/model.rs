//! What the types that a store was opened with say: [`AggregateStore::model`].

use crate::model::Model;
use crate::store::AggregateStore;

impl AggregateStore {
    /// What the types say that are registered with the store: its projections and process managers, the
    /// aggregates and events that they read, what the process managers send commands to, and the types
    /// registered by [`aggregate_type`](crate::AggregateStoreBuilder::aggregate_type) and
    /// [`decision`](crate::AggregateStoreBuilder::decision).
    ///
    /// Other aggregates and decisions need no registration, so the store does not know of them before
    /// they are used, and they are not in it. [`Model::and`] adds them. Nothing is read from the disk.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let store = AggregateStore::in_memory().projection::<Total>().open().await?;
    /// let model = store.model().and(eventfold_es::model![Counter]);
    /// println!("{}", model.markdown());
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("schema", "documentation", "diagram", "event catalog", "mermaid"))]
    pub fn model(&self) -> Model {
        let mut model = Model::default();
        for about in &self.read_side.about {
            about(&mut model);
        }
        model
    }
}
