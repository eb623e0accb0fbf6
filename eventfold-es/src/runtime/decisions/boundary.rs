//! The locks on tags, and the states that are kept with them: [`Decisions`], [`Boundary`].

use std::any::TypeId;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::OwnedMutexGuard;

use crate::event::{StoredEvent, Tag, Tags};
use crate::runtime::decisions::flight::Flight;
use crate::runtime::decisions::folded::Folded;
use crate::storage::condition::tags_of;
use crate::sync::lock;

/// How many tags are kept in memory at most, apart from those in use.
const MOST_TAGS: usize = 4096;

/// The tags that decisions of a store have used lately.
#[derive(Default)]
pub(crate) struct Decisions {
    by_name: Mutex<HashMap<Arc<str>, Arc<OneTag>>>,
    uses: AtomicU64,
}

/// A tag, with the states of the models whose first tag it is.
#[derive(Default)]
struct OneTag {
    locked: Arc<tokio::sync::Mutex<Locked>>,
    /// Commits with this tag of decisions that do not lock it.
    others: Mutex<Vec<Flight>>,
    /// When it was used last.
    used: AtomicU64,
}

/// What only the decision that has the lock may use.
#[derive(Default)]
pub(crate) struct Locked {
    /// By model, tags, and a number that tells equal models of one decision apart.
    states: HashMap<StateKey, Folded>,
    /// The newest commit of a decision that had the lock.
    newest: Option<Flight>,
}

/// Names a state.
pub(crate) type StateKey = (TypeId, Tags, usize);

/// The lock on a whole store, for models without tags.
pub(crate) const EVERYTHING: &str = "";

/// The tags that one decision has locked.
pub(crate) struct Boundary {
    tags: Vec<(Arc<str>, OwnedMutexGuard<Locked>)>,
}

impl Decisions {
    /// Locks these names, in their order. Waits until the commits of other decisions that concern them
    /// are answered.
    pub(crate) async fn lock(&self, names: BTreeSet<String>) -> Boundary {
        let used: Vec<_> = names.into_iter().map(|name| self.get(name)).collect();
        let mut tags = Vec::with_capacity(used.len());
        for (name, tag) in used {
            let guard = tag.locked.clone().lock_owned().await;
            let others = std::mem::take(&mut *lock(&tag.others));
            for flight in others {
                flight.landed().await;
            }
            tags.push((name, guard));
        }
        Boundary { tags }
    }

    /// Forgets all states once nobody uses them: they may have personal data that was erased.
    #[cfg(feature = "personal")]
    pub(crate) async fn forget_states(&self) {
        let tags: Vec<_> = lock(&self.by_name).values().cloned().collect();
        for tag in tags {
            tag.locked.lock().await.states.clear();
        }
    }

    /// How many tags are in memory.
    pub(crate) fn len(&self) -> usize {
        lock(&self.by_name).len()
    }

    /// The tag called `name`.
    fn get(&self, name: String) -> (Arc<str>, Arc<OneTag>) {
        let now = self.uses.fetch_add(1, Ordering::Relaxed);
        let mut by_name = lock(&self.by_name);
        if let Some((name, tag)) = by_name.get_key_value(&*name) {
            tag.used.store(now, Ordering::Relaxed);
            return (name.clone(), tag.clone());
        }
        if by_name.len() >= MOST_TAGS {
            forget_oldest(&mut by_name);
        }
        let name: Arc<str> = name.into();
        let tag = Arc::<OneTag>::default();
        tag.used.store(now, Ordering::Relaxed);
        by_name.insert(name.clone(), tag.clone());
        (name, tag)
    }

    /// Tells the tags of `events` that `boundary` does not lock about a commit.
    fn tell_others(&self, events: &[StoredEvent<'_>], boundary: &Boundary, flight: &Flight) {
        let by_name = lock(&self.by_name);
        let tags: BTreeSet<_> = events.iter().flat_map(|event| tags_of(event)).collect();
        let names = tags.iter().map(Tag::as_str).chain([EVERYTHING]);
        for name in names.filter(|name| !boundary.has(name)) {
            if let Some(tag) = by_name.get(name) {
                let mut others = lock(&tag.others);
                others.retain(|flight| !flight.has_landed());
                others.push(flight.clone());
            }
        }
    }
}

/// Forgets the half of the tags that nobody uses and that were used least lately.
fn forget_oldest(by_name: &mut HashMap<Arc<str>, Arc<OneTag>>) {
    let mut uses: Vec<u64> = by_name
        .values()
        .map(|tag| tag.used.load(Ordering::Relaxed))
        .collect();
    let middle = uses.len() / 2;
    let (_, oldest_kept, _) = uses.select_nth_unstable(middle);
    let oldest_kept = *oldest_kept;
    by_name.retain(|_, tag| {
        let is_in_use = Arc::strong_count(tag) > 1 || Arc::strong_count(&tag.locked) > 1;
        is_in_use || tag.used.load(Ordering::Relaxed) >= oldest_kept
    });
}

impl Boundary {
    fn has(&self, name: &str) -> bool {
        self.tags.iter().any(|(known, _)| &**known == name)
    }

    fn locked(&mut self, name: &str) -> Option<&mut Locked> {
        let tag = self.tags.iter_mut().find(|(known, _)| &**known == name);
        tag.map(|(_, locked)| &mut **locked)
    }

    /// Takes a state out. It is kept with the tag called `name`. It has the events of all commits of
    /// decisions on this tag.
    pub(crate) fn take(&mut self, name: &str, key: &StateKey) -> Option<Folded> {
        let folded = self.locked(name)?.states.remove(key)?;
        (!folded.has_failed()).then_some(folded)
    }

    /// The newest commit of a decision on the tag called `name`.
    pub(crate) fn newest(&self, name: &str) -> Option<Flight> {
        let mut tags = self.tags.iter();
        let (_, locked) = tags.find(|(known, _)| &**known == name)?;
        locked.newest.clone()
    }

    /// Puts a state in its place.
    pub(crate) fn put(&mut self, name: &str, key: StateKey, folded: Folded) {
        if let Some(locked) = self.locked(name) {
            locked.states.insert(key, folded);
        }
    }

    /// Lets all states of the locked tags take the events of a commit, and tells other tags about it.
    pub(crate) fn take_commit(
        &mut self,
        events: &[StoredEvent<'_>],
        flight: &Flight,
        decisions: &Decisions,
    ) {
        for (_, locked) in &mut self.tags {
            locked
                .states
                .retain(|_, folded| !folded.has_failed() && folded.take(events, flight));
            locked.newest = Some(flight.clone());
        }
        decisions.tell_others(events, self, flight);
    }

    /// The commits of decisions that what is read here may be based on.
    pub(crate) fn basis(&self) -> Vec<Flight> {
        let newest = self
            .tags
            .iter()
            .filter_map(|(_, locked)| locked.newest.clone());
        newest.filter(|flight| !flight.has_landed()).collect()
    }
}
