//! serde's attributes on an event enum.
//!
//! Such an enum goes through serde in its default form, where the stored name replaces the
//! variant's. serde's attributes for the name or the form would be lost without an error.

use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Attribute, Data, DeriveInput, Expr, ExprLit, Meta, Token};

use crate::errors::Errors;

/// Refuses attributes that change a variant's name or the form of the enum.
pub(super) fn event_enum(input: &DeriveInput, errors: &mut Errors) {
    for meta in serde(&input.attrs) {
        if let Some(message) = on_enum(&meta) {
            errors.at(meta.path(), message);
        }
    }
    let Data::Enum(data) = &input.data else {
        return;
    };
    for meta in data
        .variants
        .iter()
        .flat_map(|variant| serde(&variant.attrs))
    {
        if let Some(message) = on_variant(&meta) {
            errors.at(meta.path(), message);
        }
    }
}

fn on_enum(meta: &Meta) -> Option<String> {
    let key = meta.path().get_ident()?.to_string();
    let message = match key.as_str() {
        "rename_all" => {
            let case = value(meta).unwrap_or_else(|| "\"kebab-case\"".to_owned());
            format!(
                "serde's `rename_all` cannot rename stored events; write `#[event(rename_all = {case})]`"
            )
        }
        "rename" => "serde's `rename` has no effect on stored events; remove it".to_owned(),
        "tag" | "content" | "untagged" => {
            format!(
                "serde's `{key}` cannot change how an event is stored, `type` is its name and `data` its payload; remove it"
            )
        }
        "from" | "try_from" | "into" | "remote" | "variant_identifier" | "field_identifier" => {
            format!("serde's `{key}` hides the variants, which are stored one by one; remove it")
        }
        _ => return None,
    };
    Some(message)
}

fn on_variant(meta: &Meta) -> Option<String> {
    let key = meta.path().get_ident()?.to_string();
    let message = match key.as_str() {
        "rename" | "alias" => {
            let ours = if key == "rename" { "name" } else { "alias" };
            let name = value(meta).unwrap_or_else(|| "\"...\"".to_owned());
            format!("serde's `{key}` cannot name a stored event; write `#[event({ours} = {name})]`")
        }
        "skip" | "skip_serializing" | "skip_deserializing" => {
            format!("serde's `{key}` would lose events, every variant is stored and read; remove it")
        }
        "other" => "serde's `other` cannot take unknown events; remove it, the aggregate's `unknown_events` says what happens to them".to_owned(),
        "untagged" => "serde's `untagged` would lose the event's name; remove it".to_owned(),
        _ => return None,
    };
    Some(message)
}

/// The content of the `#[serde(...)]` attributes. serde reports what cannot be read.
fn serde(attributes: &[Attribute]) -> Vec<Meta> {
    let ours = attributes
        .iter()
        .filter(|attribute| attribute.path().is_ident("serde"));
    ours.filter_map(|attribute| {
        attribute
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .ok()
    })
    .flatten()
    .collect()
}

/// The literal in `key = "literal"`, as written.
fn value(meta: &Meta) -> Option<String> {
    let Expr::Lit(ExprLit { lit, .. }) = &meta.require_name_value().ok()?.value else {
        return None;
    };
    Some(lit.to_token_stream().to_string())
}
