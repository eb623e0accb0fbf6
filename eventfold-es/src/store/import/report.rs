//! What an import did: [`ImportReport`].

use crate::ids::Position;

/// What an import did.
///
/// See the example of [`AggregateStore::import`](crate::AggregateStore::import).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ImportReport {
    /// How many events were stored.
    pub events: u64,
    /// How many commits they were stored in.
    pub commits: u64,
    /// How many events were passed over because the store had them.
    pub skipped: u64,
    /// How many events [`map`](crate::Import::map) dropped.
    pub dropped: u64,
    /// How many process managers came along with what they have saved.
    pub process_managers: u64,
    /// The position of the last event that was stored now, the default if there was none.
    pub position: Position,
    /// Whether each commit that was stored now ends at the position that its lines state.
    pub positions_kept: bool,
}
