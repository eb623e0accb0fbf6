//! `#[tag]` and `#[tag("name")]` on the field of an event, and `#[subject]`, which is written the same way.

use syn::parse::Parser as _;
use syn::{Attribute, LitStr, Meta, Path};

use crate::errors::Errors;

/// The name of a tag, as its attribute gives it.
pub(crate) enum TagName {
    /// That of the field.
    OfField,
    Given(LitStr),
}

impl TagName {
    /// Reads one attribute. An unreadable one is reported; if the intended name is clear, it is
    /// returned all the same.
    pub(crate) fn read(attribute: &Attribute, errors: &mut Errors) -> Option<Self> {
        let tokens = match &attribute.meta {
            Meta::Path(_) => return Some(Self::OfField),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(given) => {
                let value = &given.value;
                let name = syn::parse2::<LitStr>(quote::quote!(#value)).ok();
                let meant = shown(attribute, name.as_ref());
                errors.at(
                    &attribute.meta,
                    format!("expected the {}'s name in parentheses; the correct format looks like `{meant}`", what(attribute)),
                );
                return name.map(Self::Given);
            }
        };
        if tokens.is_empty() {
            errors.at(
                &attribute.meta,
                format!(
                    "`#[{what}()]` is empty; write `#[{what}]` for a {what} with the field's name, or `{}`",
                    shown(attribute, None),
                    what = what(attribute),
                ),
            );
            return Some(Self::OfField);
        }
        if let Ok(name) = syn::parse2::<LitStr>(tokens.clone()) {
            return Some(Self::Given(name));
        }
        // `name = "course"` or `course`.
        let given = |input: syn::parse::ParseStream<'_>| {
            let _: syn::Ident = input.parse()?;
            let _: syn::Token![=] = input.parse()?;
            input.parse::<LitStr>()
        };
        let path = syn::parse2::<Path>(tokens.clone()).ok();
        let path = path.as_ref().and_then(Path::get_ident);
        let name = given.parse2(tokens.clone()).ok().or_else(|| {
            let path = path?;
            Some(LitStr::new(&path.to_string(), path.span()))
        });
        let meant = shown(attribute, name.as_ref());
        errors.at(
            tokens,
            format!("expected the {}'s name as one string literal; the correct format looks like `{meant}`", what(attribute)),
        );
        name.map(Self::Given)
    }
}

impl TagName {
    /// The error for a field without a name that its tag could have.
    pub(crate) fn missing(attribute: &Attribute) -> String {
        format!(
            "a field without a name needs the name of its {}: `{}`",
            what(attribute),
            shown(attribute, None)
        )
    }
}

/// `tag` or `subject`.
fn what(attribute: &Attribute) -> &'static str {
    if attribute.path().is_ident("subject") {
        "subject"
    } else {
        "tag"
    }
}

/// The attribute with this name, or with that of an example.
fn shown(attribute: &Attribute, name: Option<&LitStr>) -> String {
    let what = what(attribute);
    let example = if what == "tag" { "course" } else { "customer" };
    let name = name.map_or_else(|| example.to_owned(), LitStr::value);
    format!("#[{what}({name:?})]")
}
