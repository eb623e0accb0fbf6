//! The input of `#[derive(DomainEvent)]`.

use quote::ToTokens;
use syn::{Attribute, Data, DataEnum, DeriveInput, Fields, Ident, LitStr, Path, Variant};

use super::history::{History, Retired};
use super::subjects::{self, Subjects};
use super::tags::{self, Tagged};
use crate::attr::Entries;
use crate::attr::key::{self, Place};
use crate::case::Case;
use crate::errors::Errors;
use crate::name::Name;
use crate::similar;

/// An event, or a set of events, with the content of its attributes.
pub(crate) struct Event<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) shape: Shape<'a>,
    /// Events of a set that are not written any more.
    pub(crate) retired: Vec<Retired>,
}

pub(crate) enum Shape<'a> {
    /// A struct is one event.
    One(Names, History, Vec<Tagged<'a>>, Subjects<'a>),
    /// An enum is a set: each variant is one event.
    Set(Vec<SetVariant<'a>>),
}

pub(crate) struct SetVariant<'a> {
    pub(crate) ident: &'a Ident,
    pub(crate) names: Names,
    pub(crate) history: History,
    pub(crate) tags: Vec<Tagged<'a>>,
    pub(crate) subjects: Subjects<'a>,
}

/// The names of one event in its stored form.
pub(crate) struct Names {
    /// The name that is written.
    pub(crate) name: Name,
    /// Older names that are also read.
    pub(crate) aliases: Vec<Name>,
}

impl<'a> Event<'a> {
    pub(crate) fn read(input: &'a DeriveInput, errors: &mut Errors) -> Self {
        let place = match &input.data {
            Data::Enum(_) => Place::EventEnum,
            _ => Place::EventStruct,
        };
        check_shape(input, errors);
        let entries = Entries::of("event", &input.attrs, &key::EVENT, place, errors);
        tags::refuse(&input.attrs, "an event", errors);
        subjects::refuse(&input.attrs, "an event", errors);
        let shape = match &input.data {
            Data::Enum(data) => Shape::Set(variants(data, case(&entries, errors), errors)),
            Data::Struct(data) => {
                refuse_on_fields(&data.fields, errors);
                let tags = Tagged::read(&data.fields, errors);
                let subjects = Subjects::read(&data.fields, errors);
                one(input, &entries, (tags, subjects), errors)
            }
            Data::Union(_) => one(input, &entries, (Vec::new(), Subjects::none()), errors),
        };
        Self {
            input,
            krate: super::runtime(&entries),
            shape,
            retired: Retired::read(&entries),
        }
    }
}

fn one<'a>(
    input: &DeriveInput,
    entries: &Entries,
    (tags, subjects): (Vec<Tagged<'a>>, Subjects<'a>),
    errors: &mut Errors,
) -> Shape<'a> {
    let names = Names::read(entries, Name::of_ident(&input.ident));
    Shape::One(names, History::read(entries, errors), tags, subjects)
}

impl Names {
    fn read(entries: &Entries, default: Name) -> Self {
        Self {
            name: entries
                .text("name")
                .map_or(default, |name| name.clone().into()),
            aliases: entries.texts("alias").cloned().map(Name::from).collect(),
        }
    }
}

fn check_shape(input: &DeriveInput, errors: &mut Errors) {
    let ident = &input.ident;
    match &input.data {
        Data::Union(data) => {
            let keyword = data.union_token.to_token_stream();
            errors.at(
                quote::quote!(#keyword #ident),
                "`DomainEvent` cannot be derived for a union; an event is a struct, or an enum with a variant for each",
            );
        }
        Data::Enum(data) if data.variants.is_empty() => errors.at(
            ident,
            format!("`{ident}` has no variants; give it one for each event"),
        ),
        _ => {}
    }
    super::refuse_parameters(
        input,
        "DomainEvent",
        "a stored name belongs to one concrete type, so write the types out",
        "an event must own its data",
        errors,
    );
}

fn variants<'a>(
    data: &'a DataEnum,
    case: Option<Case>,
    errors: &mut Errors,
) -> Vec<SetVariant<'a>> {
    let read = |variant: &'a Variant| {
        refuse_on_fields(&variant.fields, errors);
        tags::refuse(&variant.attrs, "a variant", errors);
        subjects::refuse(&variant.attrs, "a variant", errors);
        let entries = Entries::of(
            "event",
            &variant.attrs,
            &key::EVENT,
            Place::EventVariant,
            errors,
        );
        let mut default = Name::of_ident(&variant.ident);
        if let Some(case) = case {
            default.value = case.apply(&default.value);
        }
        SetVariant {
            ident: &variant.ident,
            names: Names::read(&entries, default),
            history: History::read(&entries, errors),
            tags: Tagged::read(&variant.fields, errors),
            subjects: Subjects::read(&variant.fields, errors),
        }
    };
    data.variants.iter().map(read).collect()
}

fn case(entries: &Entries, errors: &mut Errors) -> Option<Case> {
    let literal: &LitStr = entries.text("rename_all")?;
    let value = literal.value();
    let case = Case::from_name(&value);
    if case.is_none() {
        let remedy = if let Some(meant) = similar::nearest(&value, Case::names()) {
            format!("did you mean `\"{meant}\"`?")
        } else {
            let names: Vec<String> = Case::names().map(|name| format!("`\"{name}\"`")).collect();
            format!("expected one of {}", names.join(", "))
        };
        errors.at(literal, format!("unknown case `{value}`; {remedy}"));
    }
    case
}

/// Refuses the attribute on a field, where it would be ignored.
fn refuse_on_fields(fields: &Fields, errors: &mut Errors) {
    let attributes = fields.iter().flat_map(|field| &field.attrs);
    for attribute in attributes.filter(|attribute: &&Attribute| attribute.path().is_ident("event"))
    {
        errors.at(
            attribute.path(),
            "`#[event(...)]` is not valid on a field; a field's stored name is serde's: `#[serde(rename = \"...\")]`",
        );
    }
}
