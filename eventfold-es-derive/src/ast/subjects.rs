//! Whose the personal data of an event is: the fields marked `#[subject]` and `#[personal(...)]`.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens as _;
use syn::{Attribute, Field, Fields, Index, Member, Meta};

use super::tags;
use crate::errors::Errors;
use crate::name::Name;

/// The subjects of an event, and its fields with personal data.
pub(crate) struct Subjects<'a> {
    pub(crate) subjects: Vec<Subject<'a>>,
    pub(crate) personal: Vec<Personal<'a>>,
}

/// A field that says whose the personal data is.
pub(crate) struct Subject<'a> {
    pub(crate) member: Member,
    pub(crate) field: &'a Field,
    pub(crate) name: Name,
}

/// A field whose type names `Personal`, or which is marked `#[personal(...)]`.
pub(crate) struct Personal<'a> {
    pub(crate) member: Member,
    pub(crate) field: &'a Field,
    /// The field that it names as its subject.
    pub(crate) of: Option<Member>,
}

impl<'a> Subjects<'a> {
    pub(super) fn read(fields: &'a Fields, errors: &mut Errors) -> Self {
        let (mut subjects, mut personal) = (Vec::new(), Vec::new());
        for (position, field) in fields.iter().enumerate() {
            let member = match &field.ident {
                Some(ident) => Member::Named(ident.clone()),
                None => Member::Unnamed(Index::from(position)),
            };
            if let Some(attribute) = only("subject", field, errors)
                && let Some(name) = tags::name(attribute, field.ident.as_ref(), errors)
            {
                let member = member.clone();
                subjects.push(Subject {
                    member,
                    field,
                    name,
                });
            }
            let marked = only("personal", field, errors);
            if marked.is_some() || names_personal(field.ty.to_token_stream()) {
                let of = marked.and_then(|attribute| of(attribute, errors));
                personal.push(Personal { member, field, of });
            }
        }
        Self { subjects, personal }
    }

    pub(crate) fn none() -> Self {
        Self {
            subjects: Vec::new(),
            personal: Vec::new(),
        }
    }
}

/// The attribute of the field with this name. A second one is refused.
fn only<'a>(name: &str, field: &'a Field, errors: &mut Errors) -> Option<&'a Attribute> {
    let mut found = attributes(name, &field.attrs);
    let first = found.next()?;
    for second in found {
        errors.repeated(
            second.path(),
            format!("`#[{name}]` is given twice; remove one"),
            first.path(),
            "first given here",
        );
    }
    Some(first)
}

/// The field that `#[personal(field)]` names.
fn of(attribute: &Attribute, errors: &mut Errors) -> Option<Member> {
    let named = match &attribute.meta {
        Meta::List(list) => syn::parse2::<Member>(list.tokens.clone()).ok(),
        Meta::Path(_) | Meta::NameValue(_) => None,
    };
    if named.is_none() {
        errors.at(
            &attribute.meta,
            "expected the field that says whose it is; the correct format looks like `#[personal(customer)]`",
        );
    }
    named
}

/// Whether a type is `Personal`, or has it as an argument. An alias is not seen through.
fn names_personal(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "Personal",
        TokenTree::Group(group) => names_personal(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Refuses the attributes on what is not a field. `what` is it.
pub(super) fn refuse(attrs: &[Attribute], what: &str, errors: &mut Errors) {
    for attribute in attributes("subject", attrs) {
        errors.at(
            attribute.path(),
            format!(
                "`#[subject]` is not valid on {what}; put it on the field that says whose the personal data is"
            ),
        );
    }
    for attribute in attributes("personal", attrs) {
        errors.at(
            attribute.path(),
            format!(
                "`#[personal]` is not valid on {what}; put it on a field of the type `Personal`"
            ),
        );
    }
}

fn attributes<'a>(name: &str, attrs: &'a [Attribute]) -> impl Iterator<Item = &'a Attribute> {
    attrs
        .iter()
        .filter(move |attribute| attribute.path().is_ident(name))
}
