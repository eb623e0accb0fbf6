//! The input of `#[derive(Aggregate)]`.

use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Data, DeriveInput, Generics, Ident, Path, Type};

use super::count;
use super::history::Retired;
use super::messages::{COMMANDS, EVENTS, Messages, Owner};
use crate::attr::Entries;
use crate::attr::key::{self, Place};
use crate::case;
use crate::errors::Errors;
use crate::name::Name;
use crate::similar;

/// An aggregate's state with the content of its attributes.
pub(crate) struct Aggregate<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) name: Name,
    pub(crate) commands: Messages,
    pub(crate) events: Messages,
    /// `None` if it never refuses a command.
    pub(crate) error: Option<Type>,
    pub(crate) snapshot_every: Option<u64>,
    pub(crate) state_version: Option<u32>,
    pub(crate) skips_unknown_events: bool,
    pub(crate) retired: Vec<Retired>,
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
                format!("`{ident}` lists neither commands nor events; add `#[aggregate(commands(...), events(...))]`"),
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
            retired: retired(&entries, errors),
        }
    }

    pub(crate) fn ident(&self) -> &'a Ident {
        &self.input.ident
    }

    pub(crate) fn owner(&self) -> Owner<'_> {
        Owner {
            ident: &self.input.ident,
            vis: &self.input.vis,
            krate: &self.krate,
        }
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
        "the state must own its data",
        errors,
    );
}

/// Refuses the attribute on a field, where it would be ignored.
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

/// Only a generated enum can have retired events.
fn retired(entries: &Entries, errors: &mut Errors) -> Vec<Retired> {
    if let (Some(useless), Some(own)) = (entries.key("retired"), entries.ty("event"))
        && entries.key("events").is_none()
    {
        let own = own.to_token_stream();
        errors.at(
            useless,
            format!(
                "`retired` has no effect with `event`; put `#[event(retired(...))]` on `{own}`"
            ),
        );
    }
    Retired::read(entries)
}
