//! The commands and the events of an aggregate: a list of types, or an enum of the user.

use quote::{ToTokens, format_ident};
use syn::{DeriveInput, Ident, Path, Type, TypePath, Visibility};

use crate::attr::{Entries, Listed};
use crate::errors::Errors;
use crate::name::Name;

/// The type that has generated enums beside it.
#[derive(Clone, Copy)]
pub(crate) struct Owner<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) vis: &'a Visibility,
    pub(crate) krate: &'a Path,
}

/// The commands of an aggregate, or its events.
pub(crate) enum Messages {
    /// Types from which an enum is generated.
    Listed(Enum),
    /// An enum of the user.
    Own(Box<Type>),
}

/// An enum to generate.
pub(crate) struct Enum {
    pub(crate) ident: Ident,
    /// `None` for the default.
    pub(crate) derives: Option<Derives>,
    pub(crate) items: Vec<Item>,
    /// Whether the list could be read. If not, only the fallback uses this enum.
    pub(crate) is_known: bool,
}

/// Which of serde's two traits a generated enum has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Serde {
    None,
    One,
    Both,
}

/// `derive(Debug, Clone)`
pub(crate) struct Derives {
    pub(crate) key: Ident,
    pub(crate) paths: Vec<Path>,
}

/// A listed type: one variant of the generated enum.
pub(crate) struct Item {
    pub(crate) ty: TypePath,
    pub(crate) variant: Ident,
    /// The name in the serialised form, if it differs from the variant's.
    pub(crate) wire_name: Option<Name>,
}

impl Messages {
    pub(crate) fn items(&self) -> &[Item] {
        match self {
            Self::Listed(listed) => &listed.items,
            Self::Own(_) => &[],
        }
    }
}

/// The keys for one kind of message. The other kind has the same keys.
pub(super) struct Kind {
    list: &'static str,
    own: &'static str,
    options: &'static str,
    suffix: &'static str,
}

pub(super) const COMMANDS: Kind = Kind {
    list: "commands",
    own: "command",
    options: "command_enum",
    suffix: "Command",
};

pub(super) const EVENTS: Kind = Kind {
    list: "events",
    own: "event",
    options: "event_enum",
    suffix: "Event",
};

impl Kind {
    pub(super) fn read(
        &self,
        input: &DeriveInput,
        entries: &Entries,
        errors: &mut Errors,
    ) -> Messages {
        let Self {
            list,
            own,
            options,
            suffix,
        } = self;
        match (entries.key(list), entries.key(own)) {
            (Some(listed), Some(whole)) => errors.repeated(
                whole,
                format!(
                    "`{own}` and `{list}` cannot both be given; list the types to have an \
                         enum generated, or name your own enum"
                ),
                listed,
                &format!("`{list}` is given here"),
            ),
            (None, None) => self.report_missing(input, entries, errors),
            (None, Some(_)) => {
                if let Some(useless) = entries.key(options) {
                    errors.at(
                        useless,
                        format!("`{options}` has no effect with `{own}`; remove it, or list the types in `{list}(...)`"),
                    );
                }
            }
            (Some(_), None) => {}
        }
        if let (Some(own), None) = (entries.ty(own), entries.key(list)) {
            return Messages::Own(Box::new(own.clone()));
        }
        let options = entries.keys(options);
        let named = options.and_then(|options| options.ident("name")).cloned();
        let listed = entries.listed(list);
        Messages::Listed(Enum {
            ident: named.unwrap_or_else(|| format_ident!("{}{suffix}", input.ident)),
            derives: options.and_then(Derives::read),
            items: listed.unwrap_or_default().iter().map(Item::read).collect(),
            is_known: listed.is_some(),
        })
    }

    /// Reports that neither form is given, unless an unread part may be one of them.
    fn report_missing(&self, input: &DeriveInput, entries: &Entries, errors: &mut Errors) {
        let Self { list, own, .. } = self;
        let Some(attribute) = entries.attribute().filter(|_| !entries.unreadable()) else {
            return;
        };
        let ident = &input.ident;
        errors.at(
            attribute,
            format!("`{list}(...)` is missing; list the {own} types of `{ident}`, or name an enum of your own with `{own} = Type`"),
        );
    }
}

impl Enum {
    /// Both by default.
    pub(crate) fn serde(&self) -> Serde {
        let Some(derives) = &self.derives else {
            return Serde::Both;
        };
        match derives.paths.iter().filter(|path| is_serde(path)).count() {
            0 => Serde::None,
            1 => Serde::One,
            _ => Serde::Both,
        }
    }
}

/// Whether a derive is serde's `Serialize` or `Deserialize`.
pub(crate) fn is_serde(derive: &Path) -> bool {
    let last = derive.segments.last();
    last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize")
}

impl Derives {
    fn read(options: &Entries) -> Option<Self> {
        let paths = options.derives("derive")?.to_vec();
        let key = options.key("derive")?.clone();
        Some(Self { key, paths })
    }
}

impl Item {
    /// A type as a variant, named like its last segment.
    pub(crate) fn new(ty: TypePath) -> Self {
        let last = ty.path.segments.last();
        let variant = last.expect("a parsed path has a segment").ident.clone();
        Self {
            ty,
            variant,
            wire_name: None,
        }
    }

    fn read(listed: &Listed) -> Self {
        Self {
            wire_name: listed.wire_name.clone().map(Name::from),
            ..Self::new(listed.ty.clone())
        }
    }

    /// Whether both are written in the same way, so that they are certainly the same type.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        let text = |item: &Self| item.ty.to_token_stream().to_string();
        text(self) == text(other)
    }

    /// The name when serialised.
    pub(crate) fn written_name(&self) -> Name {
        self.wire_name
            .clone()
            .unwrap_or_else(|| Name::of_ident(&self.variant))
    }
}
