//! The condition of a commit: which events must not have been stored before it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::domain::query::Query;
use crate::event::{StoredEvent, Tag, Tags};

/// A part of a condition: no event after `after` matches the query.
#[derive(Debug, Clone)]
pub(crate) struct Clause {
    pub(crate) query: Query,
    pub(crate) after: After,
}

impl Clause {
    /// The commit is stored only if `commit` is, which was handed over before.
    pub(crate) fn only_behind(commit: Arc<HandedOver>) -> Self {
        Self {
            query: Query::nothing(),
            after: After::Commit(commit),
        }
    }

    /// Whether it excludes no event, as [`only_behind`](Self::only_behind).
    pub(crate) fn excludes_nothing(&self) -> bool {
        self.query.items().is_some_and(<[_]>::is_empty)
    }
}

/// Up to where the events are known to whoever makes a commit.
#[derive(Debug, Clone)]
pub(crate) enum After {
    Position(u64),
    /// Up to a commit that was handed over earlier and may not have its position yet. If it is not
    /// stored, the condition fails.
    Commit(Arc<HandedOver>),
}

/// What became of a commit that was handed over.
#[derive(Debug)]
pub(crate) struct HandedOver(AtomicU64);

impl Default for HandedOver {
    fn default() -> Self {
        Self(AtomicU64::new(Self::WAITS))
    }
}

impl HandedOver {
    /// The commit is not examined yet.
    const WAITS: u64 = u64::MAX - 1;
    /// The commit is not stored.
    const FAILED: u64 = u64::MAX;

    /// The commit's last event has this position, unless it [fails](Self::fail) later. 0 for a commit
    /// without events in an empty store.
    pub(crate) fn place(&self, position: u64) {
        self.0.store(position, Ordering::Release);
    }

    pub(crate) fn fail(&self) {
        self.0.store(Self::FAILED, Ordering::Release);
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.0.load(Ordering::Acquire) == Self::FAILED
    }

    /// The position of the commit's last event; `None` if it has none, or none yet.
    pub(crate) fn position(&self) -> Option<u64> {
        let position = self.0.load(Ordering::Acquire);
        (position != Self::WAITS && position != Self::FAILED).then_some(position)
    }
}

impl After {
    /// The position after which events are not known; `None` if the commit before is not stored.
    pub(crate) fn position(&self) -> Option<u64> {
        match self {
            Self::Position(position) => Some(*position),
            Self::Commit(commit) => commit.position(),
        }
    }
}

/// The tags of a stored event, with the name of its aggregate. Tags of other programs that are not
/// valid are left out.
pub(crate) fn tags_of(event: &StoredEvent<'_>) -> Tags {
    let record = event.record();
    let own = record.tags().filter_map(|tag| tag.parse().ok());
    own.chain(aggregate_tag(record.aggregate_type(), record.id()))
        .collect()
}

/// The tag that all events of an aggregate have without storing it. `None` for events that belong
/// to none, and if the name cannot be a tag.
pub(crate) fn aggregate_tag(aggregate_type: &str, id: &str) -> Option<Tag> {
    if aggregate_type.is_empty() {
        return None;
    }
    format!("{aggregate_type}:{id}").parse().ok()
}

/// Whether `query` selects the event.
pub(crate) fn selects(query: &Query, event: &StoredEvent<'_>) -> bool {
    query.items().is_none() || query.matches(event.name(), &tags_of(event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_that_was_handed_over_has_a_position_once_it_is_placed_until_it_fails() {
        let commit = Arc::<HandedOver>::default();
        let after = After::Commit(commit.clone());
        assert_eq!(after.position(), None);
        // A commit without events in an empty store.
        for position in [0, 7] {
            commit.place(position);
            assert_eq!(after.position(), Some(position));
        }
        assert!(!commit.has_failed());
        commit.fail();
        assert!(commit.has_failed());
        assert_eq!(after.position(), None);
    }
}
