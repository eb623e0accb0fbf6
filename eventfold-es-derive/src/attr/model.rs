//! `#[model(course)]` on a field of a decision: the fields of the command that have the values of the
//! model's tags.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Token};

use super::entry::rest_of_entry;
use super::list::items;
use crate::errors::Errors;

const FORMAT: &str = "`#[model(course)]`, or `#[model(course = field)]` if the command's field has another name than the tag";

/// `course`, `course = course_id` or `"course-id" = subscription.course`.
pub(crate) struct ModelValue {
    pub(crate) tag: LitStr,
    /// From the command to the value: `subscription.course`.
    pub(crate) path: TokenStream,
}

impl ModelValue {
    /// Reads one attribute; `None` if some of it cannot be read.
    pub(crate) fn read_all(attribute: &Attribute, errors: &mut Errors) -> Option<Vec<Self>> {
        let tokens = match &attribute.meta {
            Meta::Path(_) => return Some(Vec::new()),
            Meta::List(list) => list.tokens.clone(),
            Meta::NameValue(given) => {
                let value = given.value.to_token_stream();
                let quoted = syn::parse2::<LitStr>(value.clone());
                let value = quoted.map_or_else(|_| value.to_string(), |quoted| quoted.value());
                errors.at(
                    &attribute.meta,
                    format!("expected the value in parentheses; the correct format looks like `#[model({value})]`"),
                );
                return None;
            }
        };
        if tokens.is_empty() {
            errors.at(
                &attribute.meta,
                "`#[model()]` is empty; write `#[model]` for a model without tags, or `#[model(course)]`",
            );
            return None;
        }
        items(tokens, errors, value).into_iter().collect()
    }
}

fn value(input: ParseStream<'_>, errors: &mut Errors) -> Option<ModelValue> {
    let start = input.span();
    if let Ok(tag) = input.parse::<LitStr>() {
        if input.peek(Token![=]) {
            let path = path_after(input, &tag.value(), errors)?;
            return Some(ModelValue { tag, path });
        }
        rest_of_entry(input);
        let meant = match syn::parse_str::<Ident>(&tag.value()) {
            Ok(field) => field.to_string(),
            Err(_) => format!("{} = field", tag.token()),
        };
        errors.at(
            &tag,
            format!("expected the name of a field of the command; the correct format looks like `#[model({meant})]`"),
        );
        return None;
    }
    let Ok(tag) = input.call(Ident::parse_any) else {
        let found = rest_of_entry(input);
        report(found, start, errors);
        return None;
    };
    let name = LitStr::new(&tag.unraw().to_string(), tag.span());
    if input.peek(Token![=]) {
        let path = path_after(input, &name.value(), errors)?;
        return Some(ModelValue { tag: name, path });
    }
    if input.peek(Token![.]) {
        let rest = rest_of_entry(input);
        let path = format!("{tag}{rest}").replace(' ', "");
        let last = path.rsplit('.').next().unwrap_or_default();
        errors.at(
            quote::quote!(#tag #rest),
            format!("expected the name of a tag before a path; the correct format looks like `#[model({last} = {path})]`"),
        );
        return None;
    }
    if !input.is_empty() && !input.peek(Token![,]) {
        let rest = rest_of_entry(input);
        report(quote::quote!(#tag #rest), start, errors);
        return None;
    }
    Some(ModelValue {
        tag: name,
        path: tag.to_token_stream(),
    })
}

/// `= subscription.course`
fn path_after(input: ParseStream<'_>, tag: &str, errors: &mut Errors) -> Option<TokenStream> {
    let _: Token![=] = input.parse().ok()?;
    let start = input.span();
    let path = rest_of_entry(input);
    if syn::parse::Parser::parse2(members, path.clone()).is_ok() {
        return Some(path);
    }
    let quoted = syn::parse2::<LitStr>(path.clone()).ok();
    match quoted.filter(|quoted| syn::parse_str::<Ident>(&quoted.value()).is_ok()) {
        Some(quoted) => errors.at(
            &quoted,
            format!("expected a field of the command without quotes; the correct format looks like `#[model({tag} = {})]`", quoted.value()),
        ),
        None => report(path, start, errors),
    }
    None
}

/// `subscription.course` or `0`
fn members(input: ParseStream<'_>) -> syn::Result<()> {
    loop {
        if input.peek(LitInt) {
            input.parse::<LitInt>()?;
        } else {
            input.call(Ident::parse_any)?;
        }
        if input.is_empty() {
            return Ok(());
        }
        input.parse::<Token![.]>()?;
    }
}

fn report(found: TokenStream, start: Span, errors: &mut Errors) {
    let text = format!("expected a field of the command; the correct format looks like {FORMAT}");
    if found.is_empty() {
        errors.at_span(start, text);
    } else {
        errors.at(found, text);
    }
}
