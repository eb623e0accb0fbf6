//! The values of keys. Each is read by its form; a wrong one is reported with the correct format.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::discouraged::Speculative as _;
use syn::parse::{Parse, ParseStream, Parser as _};
use syn::{Ident, LitInt, LitStr, Path, PathArguments, Token, Type, TypePath, token};

use super::key::{Form, Key};
use super::{Entries, rest_of_entry, separator};
use crate::errors::Errors;

/// A value in its key's [`Form`].
pub(crate) enum Value {
    Text(LitStr),
    Count(LitInt),
    Type(Type),
    Path(Path),
    Ident(Ident),
    Listed(Vec<Listed>),
    Derives(Vec<Path>),
    Keys(Entries),
}

/// A type in `commands(...)` or `events(...)`.
#[derive(Clone)]
pub(crate) struct Listed {
    pub(crate) ty: TypePath,
    /// What it is called when serialised, if that was given.
    pub(crate) wire_name: Option<LitStr>,
}

impl Listed {
    /// The last segment, which names the variant.
    pub(crate) fn ident(&self) -> &Ident {
        let last = self.ty.path.segments.last();
        &last.expect("a parsed path has a segment").ident
    }
}

impl Value {
    /// Reads what follows `key`, or reports why it cannot be.
    pub(super) fn parse(
        input: ParseStream<'_>,
        key: &Ident,
        of: &'static Key,
        errors: &mut Errors,
    ) -> Option<Self> {
        match of.form {
            Form::Text => assigned(input, key, of, "a string literal", errors).map(Self::Text),
            Form::Count => assigned(input, key, of, "a whole number", errors).map(Self::Count),
            Form::Type => assigned(input, key, of, "a type", errors).map(Self::Type),
            Form::Path => {
                // By way of a type, so that a path from a `macro_rules!` variable is seen as well.
                let ty: Type = assigned(input, key, of, "a path", errors)?;
                let tokens = ty.to_token_stream();
                match path_of(ty) {
                    Some(ty) => Some(Self::Path(ty.path)),
                    None => wrong(tokens, "a path", of, errors).map(Self::Path),
                }
            }
            Form::Ident => assigned(input, key, of, "a name", errors).map(Self::Ident),
            Form::Commands => listed(input, key, of, errors, command).map(Self::Listed),
            Form::Events => listed(input, key, of, errors, event).map(Self::Listed),
            Form::Derives => listed(input, key, of, errors, derive).map(Self::Derives),
            Form::Keys(table, place) => {
                let tokens = parenthesized(input, key, of, errors)?;
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
        errors.at(
            found,
            format!("expected `=` after `{key}`; the correct format looks like `{format}`"),
        );
        return None;
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
        // What follows a value is a comma, or the next key if the comma was forgotten.
        if ahead.is_empty() || ahead.peek(Token![,]) || ahead.peek(Ident::peek_any) {
            input.advance_to(&ahead);
            return Some(value);
        }
    }
    wrong(rest_of_entry(input), what, of, errors)
}

/// Reports a value of the wrong form. With quotes too many it is clear what was meant, which is
/// returned.
fn wrong<T: Parse>(found: TokenStream, what: &str, of: &Key, errors: &mut Errors) -> Option<T> {
    let quoted = syn::parse2::<LitStr>(found.clone()).ok();
    let meant = quoted.as_ref().and_then(|quoted| quoted.parse::<T>().ok());
    let unquoted = if quoted.is_some() {
        " without quotes"
    } else {
        ""
    };
    // The user's own value in the correct format, where it fits.
    let value = match (&meant, quoted) {
        (Some(_), Some(quoted)) => Some(quoted.value()),
        (None, None) if matches!(of.form, Form::Text) => syn::parse2::<Path>(found.clone())
            .is_ok()
            .then(|| format!("\"{}\"", found.to_string().replace(' ', ""))),
        _ => None,
    };
    let example = value.map_or(of.example.to_owned(), |value| {
        format!("{} = {value}", of.name)
    });
    errors.at(
        found,
        format!("expected {what}{unquoted}; the correct format looks like `{example}`"),
    );
    meant
}

/// `( ... )`: what is between the parentheses.
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
        let read = |input: ParseStream<'_>| {
            let content;
            syn::parenthesized!(content in input);
            content.parse::<TokenStream>()
        };
        return read(input).ok();
    }
    let whole = match of.name {
        "commands" | "events" => {
            let one = of.name.trim_end_matches('s');
            format!(", or `{one} = Type` for an enum of your own")
        }
        _ => String::new(),
    };
    let found = rest_of_entry(input);
    errors.at(
        found,
        format!("expected a list in parentheses after `{key}`; the correct format looks like `{format}`{whole}"),
    );
    None
}

/// `(item, item)`. An item that cannot be read is reported and left out.
fn listed<T>(
    input: ParseStream<'_>,
    key: &Ident,
    of: &'static Key,
    errors: &mut Errors,
    mut item: impl FnMut(ParseStream<'_>, &Key, &mut Errors) -> Option<T>,
) -> Option<Vec<T>> {
    let tokens = parenthesized(input, key, of, errors)?;
    if tokens.is_empty() && matches!(of.form, Form::Events) {
        let format = of.example;
        errors.at(key, format!("`{key}()` lists nothing, but a state is made of events; the correct format looks like `{format}`"));
    }
    let mut items = Vec::new();
    let all = |input: ParseStream<'_>| {
        while !input.is_empty() {
            match item(input, of, errors) {
                Some(item) => items.push(item),
                None => drop(rest_of_entry(input)),
            }
            separator(input, errors);
        }
        Ok(())
    };
    if let Err(error) = all.parse2(tokens) {
        errors.push(error);
    }
    Some(items)
}

/// `path::Type`, or `path::Type = "wire-name"`.
fn command(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<Listed> {
    let ty = listed_type(input, of, errors)?;
    let wire_name = wire_name(input, &ty, errors);
    Some(Listed { ty, wire_name })
}

/// `path::Type`
fn event(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<Listed> {
    let ty = listed_type(input, of, errors)?;
    if input.peek(Token![=]) {
        let extra = rest_of_entry(input);
        let name = extra
            .clone()
            .into_iter()
            .nth(1)
            .map_or("\"...\"".to_owned(), |name| name.to_string());
        errors.at(
            extra,
            format!(
                "an event's stored name stands on the event; put `#[event(name = {name})]` on `{}`",
                shown(&ty)
            ),
        );
    }
    Some(Listed {
        ty,
        wire_name: None,
    })
}

/// `Debug` or `serde::Serialize`
fn derive(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<Path> {
    let ahead = input.fork();
    if ahead.parse::<Path>().is_ok() {
        return input.parse().ok();
    }
    let found = rest_of_entry(input);
    errors.at(
        found,
        format!(
            "expected a derive; the correct format looks like `{}`",
            of.example
        ),
    );
    None
}

/// The `= "wire-name"` behind a command, if there is one.
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

fn listed_type(input: ParseStream<'_>, of: &Key, errors: &mut Errors) -> Option<TypePath> {
    if input.peek(Token![#]) {
        let found = rest_of_entry(input);
        errors.at(
            found,
            "attributes cannot stand in this list; put them on the type",
        );
        return None;
    }
    let ahead = input.fork();
    let found = match ahead.parse::<Type>() {
        Ok(_) => input.parse::<Type>().ok()?,
        Err(_) => Type::Verbatim(rest_of_entry(input)),
    };
    let tokens = found.to_token_stream();
    let ty = path_of(found);
    if ty.is_none() {
        let is_quoted = syn::parse2::<LitStr>(tokens.clone()).is_ok();
        let unquoted = if is_quoted { " without quotes" } else { "" };
        errors.at(
            tokens,
            format!(
                "expected the name of a type{unquoted}; the correct format looks like `{}`",
                of.example
            ),
        );
    }
    ty
}

/// The path that a type is, through the invisible groups around a `macro_rules!` variable.
fn path_of(ty: Type) -> Option<TypePath> {
    match ty {
        Type::Group(group) => path_of(*group.elem),
        Type::Path(path) if path.qself.is_none() => Some(path),
        _ => None,
    }
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
    let start = if ty.path.leading_colon.is_some() {
        "::"
    } else {
        ""
    };
    format!("{start}{}", segments.collect::<Vec<_>>().join("::"))
}
