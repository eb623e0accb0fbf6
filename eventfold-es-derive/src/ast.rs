//! The user's input, in the form that the later phases need.
//!
//! Every input becomes one of these types, whatever its mistakes: mistakes go to the collector, and
//! an unreadable part gets the default of a missing one.

use syn::{Attribute, Data, DeriveInput, Fields, GenericParam, LitInt, Path, parse_quote};

use crate::attr::Entries;
use crate::errors::Errors;

pub(crate) mod aggregate;
pub(crate) mod decision;
pub(crate) mod decision_model;
pub(crate) mod event;
pub(crate) mod history;
pub(crate) mod impl_block;
pub(crate) mod messages;
pub(crate) mod methods;
pub(crate) mod reader;
pub(crate) mod subjects;
pub(crate) mod tags;

pub(crate) use aggregate::Aggregate;
pub(crate) use decision::Decision;
pub(crate) use decision_model::DecisionModel;
pub(crate) use event::Event;
pub(crate) use impl_block::ImplBlock;
pub(crate) use messages::{Enum, Item, Messages, Owner};
pub(crate) use methods::{AggregateImpl, Handler, Handles};
pub(crate) use reader::{Kind, Reader};
pub(crate) use subjects::Subjects;
pub(crate) use tags::Tagged;

/// The path of the runtime crate in generated code.
fn runtime(entries: &Entries) -> Path {
    let given = entries.path("crate");
    given
        .cloned()
        .unwrap_or_else(|| parse_quote!(::eventfold_es))
}

/// Refuses generic types, with the reason for types and constants or the one for lifetimes.
fn refuse_parameters(
    input: &DeriveInput,
    derive: &str,
    one_type: &str,
    owned: &str,
    errors: &mut Errors,
) {
    let parameters = &input.generics.params;
    let is_lifetime = |parameter: &GenericParam| matches!(parameter, GenericParam::Lifetime(_));
    if parameters.is_empty() {
        return;
    }
    let (what, reason) = if parameters.iter().all(is_lifetime) {
        ("that borrows", owned)
    } else {
        ("with parameters", one_type)
    };
    errors.at(
        &input.generics,
        format!("`{derive}` cannot be derived for a type {what}; {reason}"),
    );
}

/// Refuses the attribute on a variant or a field, where it would be ignored.
fn refuse_inside(name: &str, input: &DeriveInput, errors: &mut Errors) {
    let mut refuse = |attributes: &[Attribute], what: &str| {
        for attribute in attributes {
            if attribute.path().is_ident(name) {
                errors.at(
                    attribute.path(),
                    format!("`#[{name}(...)]` is not valid on a {what}; put it on the type"),
                );
            }
        }
    };
    let refuse_fields = |fields: &Fields, refuse: &mut dyn FnMut(&[Attribute], &str)| {
        for field in fields {
            refuse(&field.attrs, "field");
        }
    };
    match &input.data {
        Data::Struct(data) => refuse_fields(&data.fields, &mut refuse),
        Data::Enum(data) => {
            for variant in &data.variants {
                refuse(&variant.attrs, "variant");
                refuse_fields(&variant.fields, &mut refuse);
            }
        }
        // Refused as a whole.
        Data::Union(_) => {}
    }
}

/// A number from 1 up. An interval of 0 events makes no sense, and versions start at 1.
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
