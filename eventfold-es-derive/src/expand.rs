//! Generates the code. Nothing can fail here: the input is already checked.
//!
//! Generated code means the same whatever the user's modules define. Its paths start with `::core`,
//! `::std` or `__eventfold` (see [`scope`]), its locals with `__`, and trait items are written
//! `<Type as Trait>::item`. Tokens have the place of their list entry, so that a compiler error
//! about an entry points at it. Invariant R4.

use proc_macro2::{Group, Ident, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::spanned::Spanned as _;
use syn::{Path, Type};

pub(crate) mod aggregate;
pub(crate) mod command_enum;
pub(crate) mod decision;
pub(crate) mod decision_model;
pub(crate) mod event;
pub(crate) mod event_enum;
pub(crate) mod history;
pub(crate) mod message_enum;
pub(crate) mod methods;
pub(crate) mod reader;
pub(crate) mod sample;
pub(crate) mod subjects;
mod tags;

/// The impls of one derive, in a separate scope.
///
/// ```ignore
/// const _: () = {
///     use ::eventfold_es::__private as __eventfold;
///
///     impl Trait for Type { .. }
/// };
/// ```
///
/// The runtime is named once: if it is missing, there is one error.
pub(crate) fn scope(krate: &Path, items: impl ToTokens) -> TokenStream {
    quote! {
        const _: () = {
            use #krate::__private as __eventfold;

            #items
        };
    }
}

/// The place of an error about a whole type: its last segment.
pub(crate) fn place(ty: &Type) -> Span {
    match ty {
        Type::Group(group) => place(&group.elem),
        Type::Path(path) => {
            let last = path.path.segments.last();
            last.expect("a parsed path has a segment").ident.span()
        }
        ty => ty.span(),
    }
}

/// `tokens` in their place, but marked as generated, even those that the user wrote.
///
/// The compiler's lints ignore generated code. So reading a deprecated event causes no warning, and
/// names may be made from the user's, in any style. An `allow` would do the same, but is an error
/// where the user has a `forbid`.
pub(crate) fn generated(tokens: TokenStream) -> TokenStream {
    tokens.into_iter().map(generated_token).collect()
}

fn generated_token(mut token: TokenTree) -> TokenTree {
    match &mut token {
        TokenTree::Group(group) => {
            let span = as_generated(group.span());
            *group = Group::new(group.delimiter(), generated(group.stream()));
            group.set_span(span);
        }
        // It leads to the crate of the macro in which it was written.
        TokenTree::Ident(ident) if *ident == "$crate" => {}
        TokenTree::Ident(ident) => {
            let span = as_generated(ident.span());
            // Generated code has this crate's edition, which reserves words that other editions do
            // not.
            if ["async", "await", "gen", "try"]
                .iter()
                .any(|word| ident == word)
            {
                *ident = Ident::new_raw(&ident.to_string(), span);
            } else {
                ident.set_span(span);
            }
        }
        token => token.set_span(as_generated(token.span())),
    }
    token
}

fn as_generated(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}
