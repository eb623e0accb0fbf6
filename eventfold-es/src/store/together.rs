//! Commands of several aggregates in one commit, at the store.

use crate::runtime::together::group::Together;
use crate::store::AggregateStore;

impl AggregateStore {
    /// Puts commands of several aggregates together, which take effect in one commit or not at all.
    ///
    /// See the example of [`Together`].
    #[doc(alias("transaction", "unit of work", "atomic", "several aggregates"))]
    pub fn together(&self) -> Together {
        Together::new(&self.inner)
    }
}
