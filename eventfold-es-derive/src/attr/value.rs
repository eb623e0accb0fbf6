//! The values of keys. Each is read by its form. A wrong one is reported with the correct format.

use proc_macro2::{TokenStream, TokenTree};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::punctuated::Punctuated;
use syn::{Ident, LitStr, Path, Token, Type, token};

use super::entries::{Entries, Value};
use super::entry::{path_of, rest_of_entry};
use super::key::{Form, Key};
use super::{history, list};
use crate::errors::Errors;

impl Value {
    /// Reads the value after `key`, or reports why it cannot be read.
    ///
    /// A value with a mistake is also returned, if the intended value is clear.
    pub(super) fn parse(
        input: ParseStream<'_>,
        key: &Ident,
        of: &'static Key,
        errors: &mut Errors,
    ) -> Option<Self> {
        match of.form {
            Form::Text => assigned(input, key, of, "a string literal", errors).map(Self::Text),
            Form::Texts => {
                let tokens = parenthesized(input, key, of, errors)?;
                list::texts(tokens, key, of, errors).map(Self::Texts)
            }
            Form::Count => assigned(input, key, of, "a whole number", errors).map(Self::Count),
            Form::Type => assigned(input, key, of, "a type", errors).map(Self::Type),
            Form::Path => {
                // Read as a type, so that a path from a `macro_rules!` variable is recognised.
                let ty: Type = assigned(input, key, of, "a path", errors)?;
                let tokens = ty.to_token_stream();
                match path_of(ty) {
                    Some(ty) => Some(Self::Path(ty.path)),
                    None => wrong(tokens, "a path", of, errors).map(Self::Path),
                }
            }
            Form::Ident => assigned(input, key, of, "a name", errors).map(Self::Ident),
            Form::Commands | Form::Events | Form::Aggregates => {
                let tokens = parenthesized(input, key, of, errors)?;
                Some(Self::Listed(list::types(tokens, key, of, errors)))
            }
            Form::Derives => {
                let tokens = parenthesized(input, key, of, errors)?;
                list::derives(tokens, of, errors).map(Self::Derives)
            }
            Form::Steps => {
                let tokens = parenthesized(input, key, of, errors)?;
                history::steps(tokens, key, of, errors).map(Self::Steps)
            }
            Form::Retired => {
                let tokens = parenthesized(input, key, of, errors)?;
                history::retired(tokens, key, of, errors).map(Self::Retired)
            }
            Form::Keys(table, place) => {
                let tokens = parenthesized(input, key, of, errors)?;
                if tokens.is_empty() {
                    let format = of.example;
                    errors.at(
                        key,
                        format!("`{key}()` is empty; the correct format looks like `{format}`"),
                    );
                }
                let mut entries = Entries::empty();
                entries.read(tokens, &format!("{key}(...)"), table, place, errors);
                Some(Self::Keys(entries))
            }
        }
    }
}

/// `= value`
fn assigned<T: Parse>(
    input: ParseStream<'_>,
    key: &Ident,
    of: &Key,
    what: &str,
    errors: &mut Errors,
) -> Option<T> {
    let format = of.example;
    if input.is_empty() || input.peek(Token![,]) {
        errors.at(
            key,
            format!("`{key}` needs a value; the correct format looks like `{format}`"),
        );
        return None;
    }
    let Ok(equals) = input.parse::<Token![=]>() else {
        let found = rest_of_entry(input);
        let meant = behind_another_sign(&found).and_then(|inner| syn::parse2::<T>(inner).ok());
        let format = several(&found, of)
            .or_else(|| Some(format!("{} = {}", of.name, behind_another_sign(&found)?)))
            .filter(|_| meant.is_some() || of.repeatable)
            .unwrap_or_else(|| format.to_owned());
        let list = match (of.form, of.name) {
            (Form::Type, "command" | "event") => {
                format!(", or `{key}s(...)` for types to list")
            }
            _ => String::new(),
        };
        errors.at(
            found,
            format!("expected `=` after `{key}`; the correct format looks like `{format}`{list}"),
        );
        return meant;
    };
    if input.is_empty() || input.peek(Token![,]) {
        errors.at(
            equals,
            format!("expected {what} after `=`; the correct format looks like `{format}`"),
        );
        return None;
    }
    let ahead = input.fork();
    if let Ok(value) = ahead.parse::<T>() {
        // A value is followed by a comma, or by the next key if the comma was forgotten.
        if ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(Ident::peek_any) {
            input.advance_to(&ahead);
            return Some(value);
        }
    }
    wrong(rest_of_entry(input), what, of, errors)
}

/// Reports a value of the wrong form. If it only has unneeded quotes, the intended value is clear
/// and is returned.
fn wrong<T: Parse>(found: TokenStream, what: &str, of: &Key, errors: &mut Errors) -> Option<T> {
    let quoted = syn::parse2::<LitStr>(found.clone()).ok();
    let meant = quoted.as_ref().and_then(|quoted| quoted.parse::<T>().ok());
    let unquoted = if quoted.is_some() {
        " without quotes"
    } else {
        ""
    };
    // The user's own value in the correct format, if it fits.
    let value = match (&meant, quoted) {
        (Some(_), Some(quoted)) => Some(quoted.value()),
        (None, None) if matches!(of.form, Form::Text) => syn::parse2::<Path>(found.clone())
            .is_ok()
            .then(|| format!("\"{}\"", found.to_string().replace(' ', ""))),
        _ => None,
    };
    let example = several(&found, of)
        .or_else(|| Some(format!("{} = {}", of.name, value?)))
        .unwrap_or_else(|| of.example.to_owned());
    errors.at(
        found,
        format!("expected {what}{unquoted}; the correct format looks like `{example}`"),
    );
    meant
}

/// The value in `("value")` or `: "value"`, where `= "value"` is correct.
fn behind_another_sign(found: &TokenStream) -> Option<TokenStream> {
    let mut tokens = found.clone().into_iter();
    match tokens.next()? {
        TokenTree::Group(group) if tokens.next().is_none() => Some(group.stream()),
        TokenTree::Punct(sign) if sign.as_char() == ':' => Some(tokens.collect()),
        _ => None,
    }
}

/// The key repeated for each of `["one", "two"]` or `("one", "two")`, if it may be repeated.
fn several(found: &TokenStream, of: &Key) -> Option<String> {
    let Some(TokenTree::Group(group)) = found.clone().into_iter().next() else {
        return None;
    };
    let values = Punctuated::<LitStr, Token![,]>::parse_terminated
        .parse2(group.stream())
        .ok()?;
    let repeated: Vec<String> = values
        .iter()
        .map(|value| format!("{} = {}", of.name, value.to_token_stream()))
        .collect();
    (of.repeatable && !repeated.is_empty()).then(|| repeated.join(", "))
}

/// `( ... )`: the content of the parentheses.
fn parenthesized(
    input: ParseStream<'_>,
    key: &Ident,
    of: &Key,
    errors: &mut Errors,
) -> Option<TokenStream> {
    let format = of.example;
    if input.is_empty() || input.peek(Token![,]) {
        errors.at(
            key,
            format!(
                "`{key}` needs a list in parentheses; the correct format looks like `{format}`"
            ),
        );
        return None;
    }
    if input.peek(token::Paren) {
        return match input.parse() {
            Ok(TokenTree::Group(group)) => Some(group.stream()),
            _ => None,
        };
    }
    let found = rest_of_entry(input);
    let mut tokens = found.clone().into_iter();
    let meant = match (tokens.next(), tokens.next()) {
        (Some(TokenTree::Group(group)), None) => Some(group.stream()),
        _ => None,
    };
    let right = match (of.form, &meant) {
        (_, Some(list)) => format!("`{}({list})`", of.name),
        (Form::Commands | Form::Events, None) => {
            let one = of.name.trim_end_matches('s');
            format!("`{format}`, or `{one} = Type` for an enum of your own")
        }
        _ => format!("`{format}`"),
    };
    errors.at(
        found,
        format!(
            "expected a list in parentheses after `{key}`; the correct format looks like {right}"
        ),
    );
    meant
}
