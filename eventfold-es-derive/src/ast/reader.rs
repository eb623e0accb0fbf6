//! The input of `#[derive(Projection)]`, `#[derive(SqlProjection)]` and `#[derive(ProcessManager)]`: types that read the
//! events of aggregates, and events that belong to none.

use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Ident, Path, TypePath};

use super::count;
use crate::attr::Entries;
use crate::attr::key::{self, Place};
use crate::case;
use crate::errors::Errors;
use crate::name::Name;

/// A projection, a read model in SQL or a process manager with the content of its attributes.
pub(crate) struct Reader<'a> {
    pub(crate) kind: Kind,
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) name: Name,
    /// The aggregates whose events it reads.
    pub(crate) aggregates: Vec<TypePath>,
    /// The events that it reads although they belong to no aggregate.
    pub(crate) events: Vec<TypePath>,
    /// `None` for the first version.
    pub(crate) version: Option<u32>,
    /// The aggregates that it sends commands to, if it lists them.
    pub(crate) dispatches: Vec<TypePath>,
    /// The decisions that it sends commands to, if it lists them.
    pub(crate) decides: Vec<TypePath>,
    /// The function that answers the failures of its commands.
    pub(crate) on_dead_letter: Option<Path>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Projection,
    SqlProjection,
    ProcessManager,
}

impl Kind {
    pub(crate) fn derive(self) -> &'static str {
        match self {
            Self::Projection => "Projection",
            Self::SqlProjection => "SqlProjection",
            Self::ProcessManager => "ProcessManager",
        }
    }

    pub(crate) fn attribute(self) -> &'static str {
        match self {
            Self::Projection | Self::SqlProjection => "projection",
            Self::ProcessManager => "process_manager",
        }
    }

    pub(crate) fn in_words(self) -> &'static str {
        match self {
            Self::Projection => "projection",
            Self::SqlProjection => "read model",
            Self::ProcessManager => "process manager",
        }
    }

    /// How it handles events.
    fn verb(self) -> &'static str {
        match self {
            Self::Projection | Self::SqlProjection => "projects",
            Self::ProcessManager => "reacts to",
        }
    }
}

impl<'a> Reader<'a> {
    pub(crate) fn read(kind: Kind, input: &'a DeriveInput, errors: &mut Errors) -> Self {
        check_shape(kind, input, errors);
        let (table, place) = match kind {
            Kind::Projection | Kind::SqlProjection => (&key::PROJECTION, Place::Projection),
            Kind::ProcessManager => (&key::PROCESS_MANAGER, Place::ProcessManager),
        };
        let entries = Entries::of(kind.attribute(), &input.attrs, table, place, errors);
        super::refuse_inside(kind.attribute(), input, errors);
        check_reads(kind, input, &entries, errors);
        let types = |key: &str| {
            let listed = entries.listed(key).unwrap_or_default();
            listed.iter().map(|listed| listed.ty.clone()).collect()
        };
        let own_name = || {
            let name = case::kebab(&input.ident.unraw().to_string());
            Name::new(name, input.ident.span())
        };
        Self {
            kind,
            input,
            krate: super::runtime(&entries),
            name: entries
                .text("name")
                .map_or_else(own_name, |name| name.clone().into()),
            aggregates: types("aggregates"),
            events: types("events"),
            version: entries.count("version").and_then(|n| count(n, errors)),
            dispatches: types("dispatches"),
            decides: types("decides"),
            on_dead_letter: entries.path("on_dead_letter").cloned(),
        }
    }

    pub(crate) fn ident(&self) -> &'a Ident {
        &self.input.ident
    }
}

/// Reports that neither aggregates nor events are given, unless an unread part may give them.
fn check_reads(kind: Kind, input: &DeriveInput, entries: &Entries, errors: &mut Errors) {
    let is_given = |key| entries.key(key).is_some();
    if is_given("aggregates") || is_given("events") || entries.unreadable() {
        return;
    }
    let (ident, verb, attribute) = (&input.ident, kind.verb(), kind.attribute());
    match entries.attribute() {
        Some(path) => errors.at(
            path,
            format!("`aggregates(...)` is missing; list the aggregates whose events `{ident}` {verb}, or in `events(...)` events that belong to no aggregate"),
        ),
        None => errors.at(
            ident,
            format!("`{ident}` does not say whose events it {verb}; add `#[{attribute}(aggregates(...))]`, or `#[{attribute}(events(...))]` for events that belong to no aggregate"),
        ),
    }
}

fn check_shape(kind: Kind, input: &DeriveInput, errors: &mut Errors) {
    let ident = &input.ident;
    let derive = kind.derive();
    if let Data::Union(data) = &input.data {
        let keyword = data.union_token.to_token_stream();
        errors.at(
            quote::quote!(#keyword #ident),
            format!(
                "`{derive}` cannot be derived for a union; keep the state in a struct or an enum"
            ),
        );
    }
    super::refuse_parameters(
        input,
        derive,
        "a checkpoint belongs to one concrete type, so write the types out",
        "the state must own its data",
        errors,
    );
}
