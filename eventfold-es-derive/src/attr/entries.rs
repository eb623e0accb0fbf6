//! The keys that were given, and the questions of the next phase about them.

use syn::{Ident, LitInt, LitStr, Path, Type};

use super::history::{Retired, Step};
use super::key::Key;
use super::list::Listed;

/// The keys given in one place, in their order.
pub(crate) struct Entries {
    pub(super) given: Vec<Entry>,
    /// The paths of the attributes that were read, for errors about missing keys.
    pub(super) attributes: Vec<Path>,
    /// Whether some part could not be read, so that a key may only seem to be missing.
    pub(super) unreadable: bool,
}

pub(super) struct Entry {
    pub(super) key: Ident,
    pub(super) of: &'static Key,
    /// `None` if the value was wrong. The mistake is then reported already.
    pub(super) value: Option<Value>,
}

/// A value in its key's [`Form`](super::key::Form).
pub(crate) enum Value {
    Text(LitStr),
    Texts(Vec<LitStr>),
    Count(LitInt),
    Type(Type),
    Path(Path),
    Ident(Ident),
    Listed(Vec<Listed>),
    Derives(Vec<Path>),
    Steps(Vec<Step>),
    Retired(Vec<Retired>),
    Keys(Entries),
}

impl Entries {
    pub(crate) fn empty() -> Self {
        Self {
            given: Vec::new(),
            attributes: Vec::new(),
            unreadable: false,
        }
    }

    /// The path of the first attribute read.
    pub(crate) fn attribute(&self) -> Option<&Path> {
        self.attributes.first()
    }

    /// Whether some part could not be read.
    pub(crate) fn unreadable(&self) -> bool {
        self.unreadable
    }

    /// The key, if it was given, even with a wrong value.
    pub(crate) fn key(&self, name: &str) -> Option<&Ident> {
        self.find(name).map(|entry| &entry.key)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&LitStr> {
        self.texts(name).next()
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &LitStr> {
        self.values(name).filter_map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    pub(crate) fn listed_texts(&self, name: &str) -> Option<&[LitStr]> {
        self.values(name).find_map(|value| match value {
            Value::Texts(texts) => Some(texts.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn count(&self, name: &str) -> Option<&LitInt> {
        self.values(name).find_map(|value| match value {
            Value::Count(count) => Some(count),
            _ => None,
        })
    }

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        self.values(name).find_map(|value| match value {
            Value::Type(ty) => Some(ty),
            _ => None,
        })
    }

    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.values(name).find_map(|value| match value {
            Value::Path(path) => Some(path),
            _ => None,
        })
    }

    pub(crate) fn ident(&self, name: &str) -> Option<&Ident> {
        self.values(name).find_map(|value| match value {
            Value::Ident(ident) => Some(ident),
            _ => None,
        })
    }

    pub(crate) fn listed(&self, name: &str) -> Option<&[Listed]> {
        self.values(name).find_map(|value| match value {
            Value::Listed(listed) => Some(listed.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn steps(&self, name: &str) -> Option<&[Step]> {
        self.values(name).find_map(|value| match value {
            Value::Steps(steps) => Some(steps.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn retired(&self, name: &str) -> Option<&[Retired]> {
        self.values(name).find_map(|value| match value {
            Value::Retired(retired) => Some(retired.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn derives(&self, name: &str) -> Option<&[Path]> {
        self.values(name).find_map(|value| match value {
            Value::Derives(derives) => Some(derives.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn keys(&self, name: &str) -> Option<&Entries> {
        self.values(name).find_map(|value| match value {
            Value::Keys(entries) => Some(entries),
            _ => None,
        })
    }

    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        self.given.iter().find(|entry| entry.of.name == name)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.given
            .iter()
            .filter(move |entry| entry.of.name == name)
            .filter_map(|entry| entry.value.as_ref())
    }
}
