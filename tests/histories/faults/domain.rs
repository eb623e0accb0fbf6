//! What the processes do: lists that grow, in aggregates and by tags.
//!
//! Each element says the digest of the state that it was decided on, so a decision on an old state
//! shows.

use eventfold_es::prelude::*;
use histories::{Element, digest};
use serde::{Deserialize, Serialize};

/// A list that is an aggregate.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Append, Look, Refuse), events(Appended), error = Refused)]
pub(crate) struct List {
    pub(crate) length: u64,
    pub(crate) digest: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Append {
    pub(crate) elements: Vec<Element>,
}

/// Changes nothing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Look;

/// Is always refused.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Refuse;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Appended {
    pub(crate) element: Element,
    /// The digest before it.
    pub(crate) basis: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("refused at {length} elements")]
pub(crate) struct Refused {
    pub(crate) length: u64,
    pub(crate) digest: u64,
}

impl Decide<Append> for List {
    fn decide(&self, Append { elements }: Append) -> Decision<Self> {
        let mut basis = self.digest;
        let appended = elements.into_iter().map(|element| {
            let before = basis;
            basis = digest(basis, element);
            ListEvent::Appended(Appended {
                element,
                basis: before,
            })
        });
        Ok(appended.collect())
    }
}

impl Decide<Look> for List {
    fn decide(&self, Look: Look) -> Decision<Self> {
        Ok(events![])
    }
}

impl Decide<Refuse> for List {
    fn decide(&self, Refuse: Refuse) -> Decision<Self> {
        let List { length, digest } = *self;
        Err(Refused { length, digest })
    }
}

impl Evolve<Appended> for List {
    fn evolve(&mut self, appended: &Appended) {
        self.length += 1;
        self.digest = digest(self.digest, appended.element);
    }
}

/// An element of two lists by tags.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Marked {
    #[tag]
    pub(crate) left: String,
    #[tag]
    pub(crate) right: String,
    pub(crate) element: Element,
    pub(crate) left_basis: u64,
    pub(crate) right_basis: u64,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "left", events(Marked))]
pub(crate) struct Left(List);

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "right", events(Marked))]
pub(crate) struct Right(List);

impl Evolve<Marked> for Left {
    fn evolve(&mut self, marked: &Marked) {
        self.0.length += 1;
        self.0.digest = digest(self.0.digest, marked.element);
    }
}

impl Evolve<Marked> for Right {
    fn evolve(&mut self, marked: &Marked) {
        self.0.length += 1;
        self.0.digest = digest(self.0.digest, marked.element);
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) left: String,
    pub(crate) right: String,
    pub(crate) element: Element,
    pub(crate) refuse: bool,
}

/// Both lists when they were looked at.
#[derive(Debug, thiserror::Error)]
#[error("refused")]
pub(crate) struct NotMarked {
    pub(crate) left: List,
    pub(crate) right: List,
}

#[derive(Decision)]
#[decision(command = Mark, events(Marked), error = NotMarked)]
pub(crate) struct Marking {
    #[model(left)]
    left_list: Left,
    #[model(right)]
    right_list: Right,
}

impl Decide<Mark> for Marking {
    fn decide(&self, mark: Mark) -> Decision<Self> {
        let (left_list, right_list) = (&self.left_list.0, &self.right_list.0);
        let Mark {
            left,
            right,
            element,
            refuse,
        } = mark;
        if refuse {
            return Err(NotMarked {
                left: left_list.clone(),
                right: right_list.clone(),
            });
        }
        Ok(events![Marked {
            left,
            right,
            element,
            left_basis: left_list.digest,
            right_basis: right_list.digest,
        }])
    }
}

/// The list that is copied.
pub(crate) const ORIGINAL: &str = "l-0";
/// Where its elements are appended again.
pub(crate) const COPY: &str = "copy";
/// Where some of them are appended at the same time.
pub(crate) const SECOND_COPY: &str = "second copy";
/// The tags of others.
pub(crate) const COPIED_TAG: &str = "copied";
/// A copy of an element differs in this bit.
pub(crate) const COPIED: Element = 1 << 63;

/// Where the copy of an element goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CopiedTo {
    Copy,
    BothCopies,
    Tags,
}

impl CopiedTo {
    pub(crate) fn of(element: Element) -> Self {
        match element % 8 {
            0 => Self::BothCopies,
            1 => Self::Tags,
            _ => Self::Copy,
        }
    }
}

/// Copies one list into others.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "copying", aggregates(List), dispatches(List))]
pub(crate) struct Copying;

impl React<List> for Copying {
    fn react_to(&mut self, event: &ListEvent, recorded: &Recorded<'_>, out: &mut Outbox<'_>) {
        let ListEvent::Appended(Appended { element, .. }) = event;
        if recorded.id() != ORIGINAL {
            return;
        }
        let append = || Append {
            elements: vec![element | COPIED],
        };
        match CopiedTo::of(*element) {
            CopiedTo::Copy => drop(out.send::<List>(COPY, append())),
            CopiedTo::BothCopies => drop(out.together(|t| {
                t.send::<List>(COPY, append())
                    .send::<List>(SECOND_COPY, append())
            })),
            CopiedTo::Tags => drop(out.decide::<Marking>(Mark {
                left: COPIED_TAG.to_owned(),
                right: COPIED_TAG.to_owned(),
                element: element | COPIED,
                refuse: false,
            })),
        }
    }
}

/// All elements of all lists that are aggregates, as one.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "everything", aggregates(List))]
pub(crate) struct Everything(pub(crate) List);

impl Project<List> for Everything {
    fn project(&mut self, event: &ListEvent, _: &Recorded<'_>) {
        let ListEvent::Appended(Appended { element, .. }) = event;
        self.0.length += 1;
        self.0.digest = digest(self.0.digest, *element);
    }
}
