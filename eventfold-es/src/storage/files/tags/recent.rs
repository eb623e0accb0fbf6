//! The newest events in the committer's memory, to check conditions on them: [`Recent`].

use std::collections::VecDeque;
use std::ops::ControlFlow;

use crate::event::Tags;
use crate::storage::commit::CommitError;
use crate::storage::condition::{Clause, tags_of};
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::format::commit_line::CommitLine;
use crate::storage::files::journal::batch::JournalBatch;
use crate::storage::files::tags::find::Finder;
use crate::storage::search::Search;

/// How many events are kept at most, apart from those that are not durable yet.
const MOST: usize = if cfg!(test) { 8 } else { 4096 };

/// The newest events: those that are durable, and those of the batch that is being filled.
///
/// It is empty until the first condition is checked, so a store without conditions pays nothing.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// All events after this position are kept; `None` if events are not kept yet.
    from: Option<u64>,
    events: VecDeque<Event>,
}

/// What a query needs to know of an event.
#[derive(Debug)]
struct Event {
    position: u64,
    name: Box<str>,
    tags: Tags,
}

impl Recent {
    /// Whether events are kept.
    pub(crate) fn is_used(&self) -> bool {
        self.from.is_some()
    }

    /// Takes the events of a commit that was added to the batch. `durable` is the newest durable
    /// position.
    pub(crate) fn add(&mut self, commit: &CommitLine<'_>, durable: u64) -> StorageResult<()> {
        for part in commit.parts() {
            for i in 0..part.events.len() {
                part.read_event(i, |event| {
                    self.events.push_back(Event {
                        position: event.record().position,
                        name: event.name().into(),
                        tags: tags_of(&event),
                    });
                })?;
            }
        }
        while self.events.len() > MOST
            && let Some(first) = self.events.front()
            && first.position <= durable
        {
            self.from = Some(first.position);
            self.events.pop_front();
        }
        Ok(())
    }

    /// Forgets the events after `durable`, because their batch was not stored.
    pub(crate) fn forget_after(&mut self, durable: u64) {
        let kept = |event: &Event| event.position <= durable;
        let kept = self.events.partition_point(kept);
        self.events.truncate(kept);
    }

    /// Fails if an event is stored, or is in `batch`, that a clause of `condition` excludes. Invariant C15.
    pub(crate) fn check(
        &mut self,
        condition: &[Clause],
        batch: &JournalBatch,
        finder: &Finder,
    ) -> Result<(), CommitError> {
        let mut excludes_some = false;
        for clause in condition {
            if clause.excludes_nothing() {
                let stored = clause.after.position();
                stored.ok_or(CommitError::ConditionFailed)?;
            } else {
                excludes_some = true;
            }
        }
        // Nothing else needs the newest events.
        if !excludes_some {
            return Ok(());
        }
        let from = match self.from {
            Some(from) => from,
            None => self.start(batch).map_err(CommitError::NotStored)?,
        };
        let excluding = condition.iter().filter(|clause| !clause.excludes_nothing());
        for Clause { query, after } in excluding {
            let after = after.position().ok_or(CommitError::ConditionFailed)?;
            let newer = self.events.iter().rev();
            let mut newer = newer.take_while(|event| event.position > after);
            if newer.any(|event| query.matches(&event.name, &event.tags)) {
                return Err(CommitError::ConditionFailed);
            }
            let mut is_found = false;
            let search = Search {
                query: query.clone(),
                after,
                until: from,
                backwards: false,
            };
            finder
                .find(&search, &mut |_| {
                    is_found = true;
                    StorageResult::Ok(ControlFlow::Break(()))
                })
                .map_err(CommitError::NotStored)?;
            if is_found {
                return Err(CommitError::ConditionFailed);
            }
        }
        Ok(())
    }

    /// Keeps events from now on, with those in `batch`. Returns the position after which events are
    /// kept.
    fn start(&mut self, batch: &JournalBatch) -> StorageResult<u64> {
        for line in batch.commits() {
            self.add(&read_own(line)?, batch.durable)?;
        }
        self.from = Some(batch.durable);
        Ok(batch.durable)
    }
}

/// Reads a line of the batch.
pub(crate) fn read_own(line: &[u8]) -> StorageResult<CommitLine<'_>> {
    CommitLine::read(line).map_err(|cause| {
        let text = format!("a commit of this program cannot be read: {cause}");
        StorageError::new(StorageErrorKind::Bug, text)
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::query::{Query, QueryItem};
    use crate::event::Tag;
    use crate::storage::condition::{After, HandedOver};
    use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none};
    use crate::storage::files::format::commit_line::write_parts;
    use crate::storage::files::journal::end::End;
    use crate::{AggregateStore, NewEvent};

    /// A batch that follows `durable` events.
    fn batch(durable: u64) -> JournalBatch {
        JournalBatch {
            bytes: Vec::new(),
            end: End {
                position: durable,
                ..End::of_empty(1, 0)
            },
            durable,
            first: 0,
        }
    }

    /// Adds a commit with an event for each tag to the batch, and to `recent` if that is in use.
    fn add(recent: &mut Recent, batch: &mut JournalBatch, tags: &[&str]) {
        let mut events = EncodedEvents::new(seed_of_none());
        for tag in tags {
            events.push_tagged("Noted", b"1", Some("e"), 0, &Common::default(), [*tag]);
        }
        let start = batch.bytes.len();
        write_parts(batch, &[], Some(events.as_encoded()), &mut Vec::new());
        if recent.is_used() {
            let (_, line) = batch.bytes[start..].split_last().unwrap();
            recent.add(&read_own(line).unwrap(), batch.durable).unwrap();
        }
    }

    fn clause(tag: &str, after: u64) -> Clause {
        Clause {
            query: Query::of(QueryItem::tagged(tag.parse::<Tag>().unwrap())),
            after: After::Position(after),
        }
    }

    /// A store with an event for each tag, and its finder.
    async fn store_with(tags: &[&str]) -> (tempfile::TempDir, AggregateStore, Finder) {
        let dir = tempfile::tempdir().unwrap();
        let store = AggregateStore::open(dir.path()).await.unwrap();
        for tag in tags {
            let event = NewEvent::new("Noted", &1).unwrap();
            let event = event.with_tag(tag.parse().unwrap());
            store.append([event], None).await.unwrap();
        }
        let finder = store.inner.storage.files().finder.clone();
        (dir, store, finder)
    }

    fn holds(recent: &mut Recent, clause: Clause, batch: &JournalBatch, finder: &Finder) -> bool {
        match recent.check(&[clause], batch, finder) {
            Ok(()) => true,
            Err(CommitError::ConditionFailed) => false,
            Err(error) => panic!("{error}"),
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn the_oldest_durable_events_leave_and_those_of_the_batch_stay() {
        let (_dir, _store, finder) = store_with(&[]).await;
        let mut recent = Recent::default();
        let mut first = batch(0);
        assert!(holds(&mut recent, clause("x", 0), &first, &finder));
        let tags: Vec<_> = (1..=MOST + 4).map(|number| format!("n:{number}")).collect();
        let tags: Vec<_> = tags.iter().map(String::as_str).collect();
        add(&mut recent, &mut first, &tags);
        assert_eq!((recent.from, recent.events.len()), (Some(0), MOST + 4));

        let mut second = batch(first.end.position);
        add(&mut recent, &mut second, &["x"]);
        assert_eq!((recent.from, recent.events.len()), (Some(5), MOST));
        assert_eq!(recent.events[0].position, 6);
        assert!(!holds(&mut recent, clause("x", 5), &second, &finder));
        assert!(!holds(&mut recent, clause("n:6", 5), &second, &finder));
        assert!(holds(&mut recent, clause("n:6", 6), &second, &finder));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn events_of_a_batch_that_was_not_stored_are_forgotten() {
        let (_dir, _store, finder) = store_with(&["a", "b"]).await;
        let mut recent = Recent::default();
        let mut failed = batch(2);
        assert!(holds(&mut recent, clause("x", 0), &failed, &finder));
        add(&mut recent, &mut failed, &["x", "y"]);
        assert!(!holds(&mut recent, clause("x", 0), &failed, &finder));
        recent.forget_after(2);
        // The next batch has the same positions.
        let mut next = batch(2);
        assert!(holds(&mut recent, clause("x", 0), &next, &finder));
        add(&mut recent, &mut next, &["z"]);
        assert!(holds(&mut recent, clause("x", 0), &next, &finder));
        assert!(!holds(&mut recent, clause("z", 2), &next, &finder));
        assert!(!holds(&mut recent, clause("b", 1), &next, &finder));
        // What is durable stays.
        recent.forget_after(3);
        assert!(!holds(&mut recent, clause("z", 2), &batch(3), &finder));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_commit_that_is_only_behind_another_one_fails_with_it_and_needs_no_events() {
        let (_dir, _store, finder) = store_with(&["a"]).await;
        let mut recent = Recent::default();
        let before = Arc::<HandedOver>::default();
        let mut holds = || {
            let clause = Clause::only_behind(before.clone());
            holds(&mut recent, clause, &batch(1), &finder)
        };
        assert!(!holds());
        before.place(1);
        assert!(holds());
        before.fail();
        assert!(!holds());
        assert!(!recent.is_used());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_condition_on_more_than_the_newest_events_is_checked_on_those_before_too() {
        let (_dir, _store, finder) = store_with(&["a", "b", "c"]).await;
        let mut recent = Recent::default();
        let mut batch = batch(3);
        // Events that are in the batch when the first condition comes count as well.
        add(&mut recent, &mut batch, &["x"]);
        assert!(!recent.is_used());
        assert!(!holds(&mut recent, clause("x", 0), &batch, &finder));
        assert_eq!((recent.from, recent.events.len()), (Some(3), 1));
        for (tag, after, expected) in [
            ("b", 0, false),
            ("b", 1, false),
            ("b", 2, true),
            ("b", 3, true),
            ("b", u64::MAX, true),
            ("x", 3, false),
            ("x", 4, true),
            ("y", 0, true),
        ] {
            let clause = clause(tag, after);
            let is_so = holds(&mut recent, clause, &batch, &finder);
            assert_eq!(is_so, expected, "{tag} after {after}");
        }
        let everything = Clause {
            query: Query::all(),
            after: After::Position(3),
        };
        assert!(!holds(&mut recent, everything, &batch, &finder));
    }
}
