//! The input of `#[derive(Decision)]`.

use quote::ToTokens as _;
use syn::ext::IdentExt as _;
use syn::{Attribute, Data, DeriveInput, Field, Ident, Index, Member, Path, Type};

use super::messages::{EVENTS, Messages, Owner};
use crate::attr::key::{self, Place};
use crate::attr::{Entries, ModelValue};
use crate::case;
use crate::errors::Errors;
use crate::name::Name;

/// A decision with the content of its attributes.
pub(crate) struct Decision<'a> {
    pub(crate) input: &'a DeriveInput,
    pub(crate) krate: Path,
    pub(crate) name: Name,
    /// `None` only after a mistake.
    pub(crate) command: Option<Type>,
    pub(crate) events: Messages,
    /// `None` if it never refuses a command.
    pub(crate) error: Option<Type>,
    pub(crate) models: Vec<Model<'a>>,
}

/// A field of a decision.
pub(crate) struct Model<'a> {
    pub(crate) member: Member,
    pub(crate) ty: &'a Type,
    /// `#[model]`, for errors about what is missing in it. `None` only after a mistake.
    pub(crate) attribute: Option<&'a Attribute>,
    pub(crate) values: Vec<ModelValue>,
}

impl<'a> Decision<'a> {
    pub(crate) fn read(input: &'a DeriveInput, errors: &mut Errors) -> Self {
        check_shape(input, errors);
        let entries = Entries::of(
            "decision",
            &input.attrs,
            &key::DECISION,
            Place::Decision,
            errors,
        );
        super::refuse_inside("decision", input, errors);
        check_keys(input, &entries, errors);
        let own_name = || {
            let name = case::kebab(&input.ident.unraw().to_string());
            Name::new(name, input.ident.span())
        };
        Self {
            input,
            krate: super::runtime(&entries),
            name: entries
                .text("name")
                .map_or_else(own_name, |name| name.clone().into()),
            command: entries.ty("command").cloned(),
            events: EVENTS.read(input, &entries, errors),
            error: entries.ty("error").cloned(),
            models: models(input, errors),
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
}

fn check_shape(input: &DeriveInput, errors: &mut Errors) {
    let ident = &input.ident;
    let keyword = match &input.data {
        Data::Struct(data) => {
            if data.fields.is_empty() {
                errors.at(
                    ident,
                    format!("`{ident}` has no models; give it a field marked `#[model(...)]` for each model that the decision depends on"),
                );
            }
            None
        }
        Data::Enum(data) => Some(data.enum_token.to_token_stream()),
        Data::Union(data) => Some(data.union_token.to_token_stream()),
    };
    if let Some(keyword) = keyword {
        errors.at(
            quote::quote!(#keyword #ident),
            "`Decision` can only be derived for a struct; each field of it is a model",
        );
    }
    super::refuse_parameters(
        input,
        "Decision",
        "a decision has one concrete type, so write the types out",
        "a decision must own its models",
        errors,
    );
}

/// Reports what every decision has, unless an unread part may give it.
fn check_keys(input: &DeriveInput, entries: &Entries, errors: &mut Errors) {
    let ident = &input.ident;
    match entries.attribute() {
        None => errors.at(
            ident,
            format!("`{ident}` does not say what it decides; add `#[decision(command = ..., events(...))]`"),
        ),
        Some(path) if entries.key("command").is_none() && !entries.unreadable() => errors.at(
            path,
            format!("`command` is missing; name the type of the command that `{ident}` decides: `command = Type`"),
        ),
        Some(_) => {}
    }
}

fn models<'a>(input: &'a DeriveInput, errors: &mut Errors) -> Vec<Model<'a>> {
    let Data::Struct(data) = &input.data else {
        return Vec::new();
    };
    let read = |(position, field)| model(position, field, errors);
    data.fields.iter().enumerate().map(read).collect()
}

fn model<'a>(position: usize, field: &'a Field, errors: &mut Errors) -> Model<'a> {
    let member = match &field.ident {
        Some(ident) => Member::Named(ident.clone()),
        None => Member::Unnamed(Index::from(position)),
    };
    let mut attributes = field
        .attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("model"));
    let attribute = attributes.next();
    match (attribute, attributes.next()) {
        (None, _) => {
            let (what, field) = match &field.ident {
                Some(ident) => (format!("`{ident}`"), ident.to_token_stream()),
                None => ("this field".to_owned(), field.ty.to_token_stream()),
            };
            errors.at(
                field,
                format!("{what} is not marked as a model; write `#[model(course)]` above it, with the field of the command that has the value of the model's tag, or `#[model]` for a model without tags"),
            );
        }
        (Some(first), Some(second)) => errors.repeated(
            second.path(),
            "`#[model]` is given twice; write all values in one: `#[model(course, student)]`",
            first.path(),
            "first given here",
        ),
        (Some(_), None) => {}
    }
    let values = attribute.and_then(|attribute| ModelValue::read_all(attribute, errors));
    Model {
        member,
        ty: &field.ty,
        attribute: attribute.filter(|_| values.is_some()),
        values: values.unwrap_or_default(),
    }
}
