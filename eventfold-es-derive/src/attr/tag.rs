//! `#[tag]` and `#[tag("name")]` on the field of an event.

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
                let meant = shown(name.as_ref());
                errors.at(
                    &attribute.meta,
                    format!("expected the tag's name in parentheses; the correct format looks like `{meant}`"),
                );
                return name.map(Self::Given);
            }
        };
        if tokens.is_empty() {
            errors.at(
                &attribute.meta,
                "`#[tag()]` is empty; write `#[tag]` for a tag with the field's name, or `#[tag(\"course\")]`",
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
        let meant = shown(name.as_ref());
        errors.at(
            tokens,
            format!("expected the tag's name as one string literal; the correct format looks like `{meant}`"),
        );
        name.map(Self::Given)
    }
}

/// The attribute with this name, or with that of an example.
fn shown(name: Option<&LitStr>) -> String {
    let name = name.map_or_else(|| "course".to_owned(), LitStr::value);
    format!("#[tag({name:?})]")
}
