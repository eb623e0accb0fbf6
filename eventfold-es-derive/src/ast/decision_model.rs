//! The input of `#[derive(DecisionModel)]`.

use quote::ToTokens as _;
use syn::{Data, DeriveInput, Ident, Path, Type, TypePath};

use crate::attr::Entries;
use crate::attr::key::{self, Place};
use crate::errors::Errors;
use crate::name::Name;

/// A decision model with the content of its attributes.
pub(crate) struct DecisionModel<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) of: Selects,
    pub(crate) events: Vec<TypePath>,
}

/// Which of its events a model is folded from.
pub(crate) enum Selects {
    /// Those with all of these tags; all events if there are none.
    Tagged(Vec<Name>),
    /// Those of one stream of an aggregate.
    Aggregate(Box<Type>),
}

impl<'a> DecisionModel<'a> {
    pub(crate) fn read(input: &'a DeriveInput, errors: &mut Errors) -> Self {
        check_shape(input, errors);
        let entries = Entries::of(
            "decision_model",
            &input.attrs,
            &key::DECISION_MODEL,
            Place::DecisionModel,
            errors,
        );
        super::refuse_inside("decision_model", input, errors);
        check_events(input, &entries, errors);
        let listed = entries.listed("events").unwrap_or_default();
        Self {
            input,
            krate: super::runtime(&entries),
            of: selects(&entries, errors),
            events: listed.iter().map(|listed| listed.ty.clone()).collect(),
        }
    }

    pub(crate) fn ident(&self) -> &'a Ident {
        &self.input.ident
    }

    pub(crate) fn tags(&self) -> &[Name] {
        match &self.of {
            Selects::Tagged(tags) => tags,
            Selects::Aggregate(_) => &[],
        }
    }
}

fn check_shape(input: &DeriveInput, errors: &mut Errors) {
    let ident = &input.ident;
    if let Data::Union(data) = &input.data {
        let keyword = data.union_token.to_token_stream();
        errors.at(
            quote::quote!(#keyword #ident),
            "`DecisionModel` cannot be derived for a union; keep the state in a struct or an enum",
        );
    }
    super::refuse_parameters(
        input,
        "DecisionModel",
        "a state that is kept belongs to one concrete type, so write the types out",
        "the state must own its data",
        errors,
    );
}

/// Reports that no events are given, unless an unread part may give them.
fn check_events(input: &DeriveInput, entries: &Entries, errors: &mut Errors) {
    if entries.key("events").is_some() || entries.unreadable() {
        return;
    }
    let ident = &input.ident;
    match entries.attribute() {
        Some(path) => errors.at(
            path,
            format!("`events(...)` is missing; list the event types that `{ident}` is folded from"),
        ),
        None => errors.at(
            ident,
            format!("`{ident}` does not say which events it is folded from; add `#[decision_model(tag = \"...\", events(...))]`"),
        ),
    }
}

fn selects(entries: &Entries, errors: &mut Errors) -> Selects {
    let given = ["tag", "tags", "aggregate"].map(|name| entries.key(name));
    let mut given = given.into_iter().flatten();
    if let (Some(first), Some(second)) = (given.next(), given.next()) {
        let remedy = if second == "aggregate" {
            "the events of one stream have the tag of their aggregate, so remove one"
        } else {
            "write all of them in `tags(...)`"
        };
        errors.repeated(
            second,
            format!("`{first}` and `{second}` cannot both be given; {remedy}"),
            first,
            &format!("`{first}` is given here"),
        );
    }
    if let Some(aggregate) = entries.ty("aggregate") {
        return Selects::Aggregate(Box::new(aggregate.clone()));
    }
    let one = entries.text("tag").into_iter();
    let several = entries.listed_texts("tags").unwrap_or_default();
    let tags = one.chain(several).cloned();
    Selects::Tagged(tags.map(Name::from).collect())
}
