//! The history of events: the steps in `upcast(...)`, and the names in `retired(...)`.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::ParseStream;
use syn::{Ident, LitInt, LitStr, Path, Token, Type, TypePath};

use super::entry::{path_of, rest_of_entry};
use super::key::Key;
use super::list::items;
use crate::errors::Errors;

/// `1 = v1_to_v2`: the function that makes the next version from version 1.
pub(crate) struct Step {
    pub(crate) from: LitInt,
    pub(crate) path: Path,
}

/// An event that is not written any more.
pub(crate) struct Retired {
    pub(crate) what: RetiredEvent,
    /// The function that returns its current form; `None` if it has no meaning any more.
    pub(crate) into: Option<Path>,
}

pub(crate) enum RetiredEvent {
    /// `"OpenedWithDeposit"`
    Name(LitStr),
    /// `OpenedWithDeposit`, which knows its names and versions.
    Type(Box<TypePath>),
}

/// The steps in `upcast(...)`, `None` if one of them cannot be read.
pub(super) fn steps(
    tokens: TokenStream,
    key: &Ident,
    of: &Key,
    errors: &mut Errors,
) -> Option<Vec<Step>> {
    says_something(&tokens, key, of, errors)?;
    let items = items(tokens, errors, |input, errors| {
        if !input.peek(LitInt) {
            let found = rest_of_entry(input);
            let format = of.example;
            errors.at(
                found,
                format!(
                    "expected the version at which the step begins; the correct format looks \
                         like `{format}`"
                ),
            );
            return None;
        }
        let from: LitInt = input.parse().ok()?;
        if !input.peek(Token![=]) {
            rest_of_entry(input);
            errors.at(
                &from,
                format!("expected the path of a function: `{from} = path`"),
            );
            return None;
        }
        let path = function(input, of, errors)?;
        Some(Step { from, path })
    });
    items.into_iter().collect()
}

/// The events in `retired(...)`. An unreadable entry is reported and left out.
pub(super) fn retired(
    tokens: TokenStream,
    key: &Ident,
    of: &Key,
    errors: &mut Errors,
) -> Option<Vec<Retired>> {
    says_something(&tokens, key, of, errors)?;
    let items = items(tokens, errors, |input, errors| {
        let what = if input.peek(LitStr) {
            RetiredEvent::Name(input.parse().ok()?)
        } else {
            let ty = input.fork().parse::<Type>().is_ok();
            let found = if ty {
                input.parse().ok()?
            } else {
                Type::Verbatim(rest_of_entry(input))
            };
            let tokens = found.to_token_stream();
            let Some(ty) = path_of(found) else {
                rest_of_entry(input);
                let format = of.example;
                errors.at(
                    tokens,
                    format!("expected the stored name of an event in quotes, or its type; the correct format looks like `{format}`"),
                );
                return None;
            };
            RetiredEvent::Type(Box::new(ty))
        };
        let into = if input.peek(Token![=]) {
            Some(function(input, of, errors)?)
        } else {
            None
        };
        Some(Retired { what, into })
    });
    Some(items.into_iter().flatten().collect())
}

fn says_something(tokens: &TokenStream, key: &Ident, of: &Key, errors: &mut Errors) -> Option<()> {
    if !tokens.is_empty() {
        return Some(());
    }
    let format = of.example;
    errors.at(
        key,
        format!("`{key}()` is empty; the correct format looks like `{format}`"),
    );
    None
}

/// `= path`
fn function(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<Path> {
    let equals: Token![=] = input.parse().ok()?;
    let format = of.example;
    if input.is_empty() || input.peek(Token![,]) {
        errors.at(
            equals,
            format!("expected the path of a function after `=`; the correct format looks like `{format}`"),
        );
        return None;
    }
    let ahead = input.fork();
    let is_type = ahead.parse::<Type>().is_ok() && (ahead.is_empty() || ahead.peek(Token![,]));
    let found = if is_type {
        input.parse().ok()?
    } else {
        Type::Verbatim(rest_of_entry(input))
    };
    let tokens = found.to_token_stream();
    let path = path_of(found).map(|path| path.path);
    if path.is_none() {
        let is_quoted = syn::parse2::<LitStr>(tokens.clone()).is_ok();
        let unquoted = if is_quoted { " without quotes" } else { "" };
        errors.at(
            tokens,
            format!("expected the path of a function{unquoted}; the correct format looks like `{format}`"),
        );
    }
    path
}
