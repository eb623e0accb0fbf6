//! A search for events: [`Search`].

use crate::domain::query::Query;

/// Which events a reader wants, and in which order.
#[derive(Debug, Clone)]
pub(crate) struct Search {
    pub(crate) query: Query,
    /// Only events after this position.
    pub(crate) after: u64,
    /// Only events up to this position, which must be durable.
    pub(crate) until: u64,
    /// The newest first.
    pub(crate) backwards: bool,
}
