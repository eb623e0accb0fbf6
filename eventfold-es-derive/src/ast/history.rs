//! The history of an event: the versions of its payload, and events that are not written any more.

use syn::{Ident, LitInt, Path, TypePath};

use super::count;
use crate::attr::{self, Entries, RetiredEvent};
use crate::errors::Errors;
use crate::name::Name;

/// The versions of one event's payload.
pub(crate) struct History {
    /// The version that is written.
    pub(crate) version: u32,
    /// `version = 3`, as it is written.
    pub(crate) given: Option<LitInt>,
    /// Whether the version is a number from 1 up.
    pub(crate) is_known: bool,
    /// The key `upcast`, if it was given.
    pub(crate) upcast: Option<Ident>,
    /// In the order of their versions. `None` if they could not be read.
    pub(crate) steps: Option<Vec<Step>>,
}

/// The function that makes the next version from one version.
pub(crate) struct Step {
    pub(crate) from: u32,
    pub(crate) number: LitInt,
    pub(crate) path: Path,
}

/// An event that is read and not written any more.
pub(crate) struct Retired {
    pub(crate) what: What,
    /// Its current form; `None` if it has no meaning any more.
    pub(crate) into: Option<Path>,
}

/// The name or the type of a retired event.
pub(crate) enum What {
    Named(Name),
    Typed(TypePath),
}

impl History {
    pub(super) fn read(entries: &Entries, errors: &mut Errors) -> Self {
        let given = entries.count("version").cloned();
        let version = given
            .as_ref()
            .and_then(|version| count::<u32>(version, errors));
        let read = |step: &attr::Step, errors: &mut Errors| {
            let from = count(&step.from, errors)?;
            Some(Step {
                from,
                number: step.from.clone(),
                path: step.path.clone(),
            })
        };
        let steps = match (entries.key("upcast"), entries.steps("upcast")) {
            (None, _) => Some(Vec::new()),
            (Some(_), given) => given.and_then(|steps| {
                let steps = steps.iter().map(|step| read(step, errors));
                // All of them are read, so that each mistake is reported.
                let steps: Vec<Option<Step>> = steps.collect();
                steps.into_iter().collect()
            }),
        };
        let steps = steps.map(|mut steps: Vec<Step>| {
            steps.sort_by_key(|step| step.from);
            steps
        });
        Self {
            version: version.unwrap_or(1),
            is_known: version.is_some() || entries.key("version").is_none(),
            given,
            upcast: entries.key("upcast").cloned(),
            steps,
        }
    }

    pub(crate) fn steps(&self) -> &[Step] {
        self.steps.as_deref().unwrap_or_default()
    }
}

impl Retired {
    pub(super) fn read(entries: &Entries) -> Vec<Self> {
        let given = entries.retired("retired").unwrap_or_default();
        let read = |retired: &attr::Retired| Self {
            what: match &retired.what {
                RetiredEvent::Name(name) => What::Named(name.clone().into()),
                RetiredEvent::Type(ty) => What::Typed((**ty).clone()),
            },
            into: retired.into.clone(),
        };
        given.iter().map(read).collect()
    }
}
