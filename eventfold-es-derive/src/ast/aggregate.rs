//! The input of `#[derive(Aggregate)]`.

use quote::{ToTokens, format_ident};
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Generics, Ident, LitInt, Path, Type, TypePath, Visibility};

use crate::attr::key::{self, Place};
use crate::attr::{Entries, Listed};
use crate::case;
use crate::errors::Errors;
use crate::name::Name;
use crate::similar;

/// An aggregate's state with all that its attributes say.
pub(crate) struct Aggregate<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) name: Name,
    pub(crate) commands: Messages,
    pub(crate) events: Messages,
    /// Nothing if it never refuses a command.
    pub(crate) error: Option<Type>,
    pub(crate) snapshot_every: Option<u64>,
    pub(crate) state_version: Option<u32>,
    pub(crate) skips_unknown_events: bool,
}

/// The commands of an aggregate, or its events.
pub(crate) enum Messages {
    /// Types of which an enum is generated.
    Listed(Enum),
    /// An enum that the user has.
    Own(Box<Type>),
}

/// An enum to generate.
pub(crate) struct Enum {
    pub(crate) ident: Ident,
    /// Nothing for the default.
    pub(crate) derives: Option<Derives>,
    pub(crate) items: Vec<Item>,
    /// Whether the list could be read. If not, only the fallback sees this enum.
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
    /// Another name in the serialised form than the variant's.
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

impl<'a> Aggregate<'a> {
    pub(crate) fn read(input: &'a DeriveInput, errors: &mut Errors) -> Self {
        check_shape(input, errors);
        let entries = Entries::of(
            "aggregate",
            &input.attrs,
            &key::AGGREGATE,
            Place::Aggregate,
            errors,
        );
        refuse_on_fields(input, errors);
        if entries.attribute().is_none() {
            let ident = &input.ident;
            errors.at(
                ident,
                format!("`{ident}` says neither its commands nor its events; add `#[aggregate(commands(...), events(...))]`"),
            );
        }
        let snapshot = entries.keys("snapshot");
        Self {
            input,
            krate: super::runtime(&entries),
            name: entries.text("name").map_or_else(
                || {
                    Name::new(
                        case::kebab(&input.ident.unraw().to_string()),
                        input.ident.span(),
                    )
                },
                |name| name.clone().into(),
            ),
            commands: COMMANDS.read(input, &entries, errors),
            events: EVENTS.read(input, &entries, errors),
            error: entries.ty("error").cloned(),
            snapshot_every: snapshot
                .and_then(|keys| keys.count("every"))
                .and_then(|n| count(n, errors)),
            state_version: snapshot
                .and_then(|keys| keys.count("version"))
                .and_then(|n| count(n, errors)),
            skips_unknown_events: skips_unknown_events(&entries, errors),
        }
    }

    pub(crate) fn ident(&self) -> &'a Ident {
        &self.input.ident
    }

    pub(crate) fn vis(&self) -> &'a Visibility {
        &self.input.vis
    }

    pub(crate) fn generics(&self) -> &'a Generics {
        &self.input.generics
    }
}

fn check_shape(input: &DeriveInput, errors: &mut Errors) {
    let ident = &input.ident;
    let keyword = match &input.data {
        Data::Struct(_) => None,
        Data::Enum(data) => Some(data.enum_token.to_token_stream()),
        Data::Union(data) => Some(data.union_token.to_token_stream()),
    };
    if let Some(keyword) = keyword {
        errors.at(
            quote::quote!(#keyword #ident),
            "`Aggregate` can only be derived for a struct; keep the state in one struct and the alternatives in a field of it",
        );
    }
    super::refuse_parameters(
        input,
        "Aggregate",
        "a stored stream belongs to one concrete type, so write the types out",
        "the state is kept for long, so let it own its data",
        errors,
    );
}

/// The attribute on a field would be ignored.
fn refuse_on_fields(input: &DeriveInput, errors: &mut Errors) {
    let Data::Struct(data) = &input.data else {
        return;
    };
    let attributes = data.fields.iter().flat_map(|field| &field.attrs);
    for attribute in attributes.filter(|attribute| attribute.path().is_ident("aggregate")) {
        errors.at(
            attribute.path(),
            "`#[aggregate(...)]` is not valid on a field; put it on the struct",
        );
    }
}

/// The keys about one kind of message, which the other kind has as well.
struct Kind {
    list: &'static str,
    own: &'static str,
    options: &'static str,
    suffix: &'static str,
}

const COMMANDS: Kind = Kind {
    list: "commands",
    own: "command",
    options: "command_enum",
    suffix: "Command",
};

const EVENTS: Kind = Kind {
    list: "events",
    own: "event",
    options: "event_enum",
    suffix: "Event",
};

impl Kind {
    fn read(&self, input: &DeriveInput, entries: &Entries, errors: &mut Errors) -> Messages {
        let Self {
            list,
            own,
            options,
            suffix,
        } = self;
        match (entries.key(list), entries.key(own)) {
            (Some(listed), Some(whole)) => errors.repeated(
                whole,
                format!("`{own}` and `{list}` exclude each other; list the types and have an enum generated, or name the one you have"),
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

    /// Reports that neither form is given, unless something unread may be it.
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
    /// A type as a variant called as its last segment.
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

    /// Whether both are written in the same way, and so certainly the same type.
    pub(crate) fn is_written_as(&self, other: &Self) -> bool {
        let text = |item: &Self| item.ty.to_token_stream().to_string();
        text(self) == text(other)
    }

    /// What it is called when serialised.
    pub(crate) fn written_name(&self) -> Name {
        self.wire_name
            .clone()
            .unwrap_or_else(|| Name::of_ident(&self.variant))
    }
}

/// A number from 1 up. Nothing can be had every 0 events, and versions start at 1.
fn count<N>(literal: &LitInt, errors: &mut Errors) -> Option<N>
where
    N: std::str::FromStr<Err: std::fmt::Display> + PartialOrd + From<u8>,
{
    match literal.base10_parse::<N>() {
        Ok(number) if number >= N::from(1) => return Some(number),
        Ok(_) => errors.at(literal, "`0` is too small; write `1` or more"),
        Err(_) if literal.base10_digits().starts_with('-') => {
            errors.at(
                literal,
                format!("`{literal}` is too small; write `1` or more"),
            );
        }
        Err(_) => errors.at(
            literal,
            format!("`{literal}` is too large; write a smaller number"),
        ),
    }
    None
}

fn skips_unknown_events(entries: &Entries, errors: &mut Errors) -> bool {
    let Some(literal) = entries.text("unknown_events") else {
        return false;
    };
    let value = literal.value();
    if !["reject", "skip"].contains(&value.as_str()) {
        let remedy = match similar::nearest(&value, ["reject", "skip"]) {
            Some(meant) => format!("did you mean `\"{meant}\"`?"),
            None => "write `\"reject\"` to fail on an event without a known name, or `\"skip\"` to leave it out".to_owned(),
        };
        errors.at(literal, format!("unknown value `{value}`; {remedy}"));
    }
    value == "skip"
}
