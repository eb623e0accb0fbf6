//! Marks on pages: events of no stream, which a decision stores.

use eventfold_es_derive::{Decision, DecisionModel, DomainEvent};
use serde::{Deserialize, Serialize};

use crate::{Decide, Evolve};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(crate = crate)]
pub(crate) struct Marked {
    #[tag]
    pub(crate) page: u64,
    pub(crate) mark: u64,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "page", events(Marked), crate = crate)]
pub(crate) struct Page(u64);

impl Evolve<Marked> for Page {
    fn evolve(&mut self, _: &Marked) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) page: u64,
    pub(crate) mark: u64,
}

/// Knows no keys: a mark that is decided twice shows.
#[derive(Decision)]
#[decision(command = Mark, events(Marked), crate = crate)]
pub(crate) struct Marking {
    #[model(page)]
    page: Page,
}

impl Decide<Mark> for Marking {
    fn decide(&self, Mark { page, mark }: Mark) -> crate::Decision<Self> {
        assert!(self.page.0 < 1_000);
        Ok(vec![Marked { page, mark }.into()])
    }
}
