//! The tags of an event: the fields that are marked `#[tag]`.

use quote::ToTokens as _;
use syn::{Attribute, Field, Fields, Ident, Index, Member};

use crate::attr::TagName;
use crate::errors::Errors;
use crate::name::Name;

/// A field whose value is a tag's.
pub(crate) struct Tagged<'a> {
    pub(crate) member: Member,
    pub(crate) field: &'a Field,
    /// Usually one.
    pub(crate) names: Vec<Name>,
}

impl<'a> Tagged<'a> {
    /// The tagged fields.
    pub(super) fn read(fields: &'a Fields, errors: &mut Errors) -> Vec<Self> {
        let mut tagged = Vec::new();
        for (position, field) in fields.iter().enumerate() {
            let names: Vec<Name> = attributes(&field.attrs)
                .filter_map(|attribute| name(attribute, field.ident.as_ref(), errors))
                .collect();
            if names.is_empty() {
                continue;
            }
            let member = match &field.ident {
                Some(ident) => Member::Named(ident.clone()),
                None => Member::Unnamed(Index::from(position)),
            };
            tagged.push(Self {
                member,
                field,
                names,
            });
        }
        tagged
    }
}

pub(super) fn name(
    attribute: &Attribute,
    field: Option<&Ident>,
    errors: &mut Errors,
) -> Option<Name> {
    match (TagName::read(attribute, errors)?, field) {
        (TagName::Given(name), _) => Some(name.into()),
        (TagName::OfField, Some(field)) => Some(Name::of_ident(field)),
        (TagName::OfField, None) => {
            errors.at(&attribute.meta, TagName::missing(attribute));
            None
        }
    }
}

/// Refuses `#[tag]` on what is not a field. `what` is it.
pub(super) fn refuse(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attribute in attributes(attrs) {
        errors.at(
            attribute.path().to_token_stream(),
            format!(
                "`#[tag]` is not valid on {what}; put it on the field whose value is the tag's"
            ),
        );
    }
}

fn attributes(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attrs
        .iter()
        .filter(|attribute| attribute.path().is_ident("tag"))
}
