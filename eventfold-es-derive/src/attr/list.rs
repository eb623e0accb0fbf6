//! Lists in parentheses: of types, and of derives.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::parse::{ParseStream, Parser as _};
use syn::{Ident, LitStr, Path, PathArguments, Token, Type, TypePath};

use super::entry::{path_of, rest_of_entry, separator};
use super::key::{Form, Key};
use crate::errors::Errors;

/// A type in `commands(...)`, `events(...)` or `aggregates(...)`.
pub(crate) struct Listed {
    pub(crate) ty: TypePath,
    /// The name when serialised, if it was given.
    pub(crate) wire_name: Option<LitStr>,
}

/// The types in `commands(...)` and similar lists. An entry that is not a type is reported and left
/// out.
pub(super) fn types(
    tokens: TokenStream,
    key: &Ident,
    of: &Key,
    errors: &mut Errors,
) -> Vec<Listed> {
    let is_needed = matches!(of.form, Form::Events | Form::Aggregates);
    if is_needed && tokens.is_empty() {
        lists_nothing(key, of, errors);
    }
    let items = items(tokens, errors, |input, errors| {
        let ty = listed_type(input, of, errors)?;
        let mut wire_name = None;
        match of.form {
            Form::Commands => wire_name = self::wire_name(input, &ty, errors),
            Form::Events => refuse_stored_name(input, &ty, "an event", "event", errors),
            _ => refuse_stored_name(input, &ty, "an aggregate", "aggregate", errors),
        }
        Some(Listed { ty, wire_name })
    });
    items.into_iter().flatten().collect()
}

/// The string literals in a list, if all of them can be read.
pub(super) fn texts(
    tokens: TokenStream,
    key: &Ident,
    of: &Key,
    errors: &mut Errors,
) -> Option<Vec<LitStr>> {
    if tokens.is_empty() {
        lists_nothing(key, of, errors);
    }
    let items = items(tokens, errors, |input, errors| {
        if input.fork().parse::<LitStr>().is_ok() {
            return input.parse().ok();
        }
        let (found, format) = (rest_of_entry(input), of.example);
        errors.at(
            found,
            format!("expected a string literal; the correct format looks like `{format}`"),
        );
        None
    });
    items.into_iter().collect()
}

fn lists_nothing(key: &Ident, of: &Key, errors: &mut Errors) {
    let (lacks, format) = (of.empty, of.example);
    errors.at(
        key,
        format!("`{key}()` lists nothing{lacks}; the correct format looks like `{format}`"),
    );
}

/// The derives in `derive(...)`, if all of them can be read.
pub(super) fn derives(tokens: TokenStream, of: &Key, errors: &mut Errors) -> Option<Vec<Path>> {
    let items = items(tokens, errors, |input, errors| {
        if input.fork().parse::<Path>().is_ok() {
            return input.parse().ok();
        }
        let found = rest_of_entry(input);
        let format = of.example;
        errors.at(
            found,
            format!("expected the path of a derive; the correct format looks like `{format}`"),
        );
        None
    });
    items.into_iter().collect()
}

/// The items between the commas. `None` for an item that `item` has reported.
pub(super) fn items<T>(
    tokens: TokenStream,
    errors: &mut Errors,
    mut item: impl FnMut(ParseStream<'_>, &mut Errors) -> Option<T>,
) -> Vec<Option<T>> {
    let mut items = Vec::new();
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            items.push(item(input, errors));
            separator(input, errors);
        }
        Ok(())
    };
    if let Err(error) = all.parse2(tokens) {
        errors.push(error);
    }
    items
}

fn listed_type(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<TypePath> {
    if input.peek(Token![#]) {
        let found = rest_of_entry(input);
        errors.at(
            found,
            "attributes are not allowed in this list; put them on the type",
        );
        return None;
    }
    let ty = match input.fork().parse::<Type>() {
        Ok(_) => input.parse::<Type>().ok()?,
        Err(_) => Type::Verbatim(rest_of_entry(input)),
    };
    let tokens = ty.to_token_stream();
    let path = path_of(ty);
    if path.is_none() {
        let is_quoted = syn::parse2::<LitStr>(tokens.clone()).is_ok();
        let unquoted = if is_quoted { " without quotes" } else { "" };
        let format = of.example;
        errors.at(
            tokens,
            format!(
                "expected the name of a type{unquoted}; the correct format looks like `{format}`"
            ),
        );
    }
    path
}

/// The `= "wire-name"` after a command, if there is one.
fn wire_name(input: ParseStream<'_>, ty: &TypePath, errors: &mut Errors) -> Option<LitStr> {
    let _: Token![=] = input.parse().ok()?;
    if input.fork().parse::<LitStr>().is_ok() {
        return input.parse().ok();
    }
    let found = rest_of_entry(input);
    let right = format!("{} = \"wire-name\"", shown(ty));
    errors.at(
        found,
        format!("expected a string literal; the correct format looks like `{right}`"),
    );
    None
}

/// Refuses a name for a listed event or aggregate: code that reads it elsewhere must know the name.
fn refuse_stored_name(
    input: ParseStream<'_>,
    ty: &TypePath,
    what: &str,
    attribute: &str,
    errors: &mut Errors,
) {
    if !input.peek(Token![=]) {
        return;
    }
    let extra = rest_of_entry(input);
    let name = extra.clone().into_iter().nth(1);
    let name = name.map_or_else(|| "\"...\"".to_owned(), |name| name.to_string());
    let ty = shown(ty);
    errors.at(
        extra,
        format!(
            "{what}'s stored name stands on the {attribute}; put `#[{attribute}(name = {name})]` on `{ty}`"
        ),
    );
}

/// A type as a message shows it.
pub(crate) fn shown(ty: &TypePath) -> String {
    let segments = ty.path.segments.iter().map(|segment| {
        let arguments = match &segment.arguments {
            PathArguments::None => "",
            _ => "<..>",
        };
        format!("{}{arguments}", segment.ident)
    });
    let start = ty.path.leading_colon.map_or("", |_| "::");
    format!("{start}{}", segments.collect::<Vec<_>>().join("::"))
}
