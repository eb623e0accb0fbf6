//! A state of a model that stays folded in memory: [`Folded`].

use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};

use crate::domain::decider::{Fold, ModelOf};
use crate::domain::decision_model::ModelState;
use crate::domain::query::Query;
use crate::error::guarded;
use crate::event::StoredEvent;
use crate::runtime::decisions::flight::Flight;
use crate::storage::Storage;
use crate::storage::condition::{After, tags_of};
use crate::storage::error::{StorageError, StorageErrorKind};
use crate::storage::search::Search;
use crate::sync::lock;

/// The state of a model, with the place in the log up to which it has all events.
pub(crate) struct Folded {
    pub(crate) state: ModelState,
    /// The events that it is folded from.
    pub(crate) query: Query,
    pub(crate) after: After,
    fold: Fold,
}

/// Why a state cannot be brought up to date.
pub(crate) enum FoldError {
    Storage(StorageError),
    Panicked(Box<dyn std::any::Any + Send>),
}

impl From<StorageError> for FoldError {
    fn from(error: StorageError) -> Self {
        Self::Storage(error)
    }
}

impl Folded {
    /// The state before any event.
    pub(crate) fn fresh<C>(model: &ModelOf<C>, query: Query) -> Self {
        Self {
            state: model.fresh(),
            query,
            after: After::Position(0),
            fold: model.folding(),
        }
    }

    /// Whether the state is of no use, because it has events of a commit that failed.
    pub(crate) fn has_failed(&self) -> bool {
        matches!(&self.after, After::Commit(commit) if commit.has_failed())
    }

    /// Takes those of the events of a commit that the model reads. If its code panics, the state is of
    /// no use any more, and this returns false.
    pub(crate) fn take(&mut self, events: &[StoredEvent<'_>], flight: &Flight) -> bool {
        for event in events {
            if !self.query.matches(event.name(), &tags_of(event)) {
                continue;
            }
            let folded = guarded(|| (self.fold)(&mut self.state, *event));
            if !matches!(folded, Ok(Ok(()))) {
                return false;
            }
            self.after = After::Commit(flight.commit.clone());
        }
        true
    }

    /// Brings the state up to the newest durable event, unless it already has later ones.
    pub(crate) async fn catch_up(self, storage: &Storage) -> Result<Self, FoldError> {
        let head = storage.head();
        let Some(after) = self.after.position().filter(|after| *after < head) else {
            return Ok(self);
        };
        let search = Search {
            query: self.query.clone(),
            after,
            until: head,
            backwards: false,
        };
        let mut this = self;
        if !storage.has_none(&search) {
            this = this.read(storage, search).await?;
        }
        this.after = After::Position(head);
        Ok(this)
    }

    /// Folds the events that `search` selects.
    async fn read(self, storage: &Storage, search: Search) -> Result<Self, FoldError> {
        let shared = Arc::new(Mutex::new(Some(self)));
        let reading = shared.clone();
        let fold = move |event: StoredEvent<'_>| {
            let mut reading = lock(&reading);
            let Some(this) = &mut *reading else {
                return Ok(ControlFlow::Break(()));
            };
            match guarded(|| (this.fold)(&mut this.state, event)) {
                Ok(Ok(())) => Ok(ControlFlow::Continue(())),
                Ok(Err(error)) => {
                    let position = event.record().position;
                    Err(FoldError::Storage(StorageError::event(position, error)))
                }
                Err(panic) => Err(FoldError::Panicked(panic)),
            }
        };
        storage.find(search, fold).await?;
        let this = lock(&shared).take();
        this.ok_or_else(|| {
            let text = "the state of a decision model is gone";
            StorageError::new(StorageErrorKind::Bug, text).into()
        })
    }
}
