//! Generates the code. Nothing can fail here: what comes in has been checked.
//!
//! Whatever the user's modules define, generated code means the same: its paths start with
//! `::core`, `::std` or `__eventfold` (see [`scope`]), its locals with `__`, and trait items are
//! written `<Type as Trait>::item`. Tokens are placed on the list entry they serve, so that an
//! error of the compiler's about an entry points at it.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::Path;

pub(crate) mod aggregate;
pub(crate) mod command_enum;
pub(crate) mod event;
pub(crate) mod event_enum;
pub(crate) mod history;
pub(crate) mod message_enum;
pub(crate) mod reader;
pub(crate) mod sample;

/// The impls of one derive, in a scope of their own.
///
/// ```ignore
/// #[allow(deprecated)]
/// const _: () = {
///     use ::eventfold_es::__private as __eventfold;
///
///     impl Trait for Type { .. }
/// };
/// ```
///
/// A command or event may well be deprecated, and still has to be read. The runtime is named once:
/// if it is not there, that is one error.
pub(crate) fn scope(krate: &Path, items: impl ToTokens) -> TokenStream {
    quote! {
        #[allow(deprecated)]
        const _: () = {
            use #krate::__private as __eventfold;

            #items
        };
    }
}

/// The place of `span` for generated tokens, which the compiler's lints then know to be generated.
pub(crate) fn at(span: Span) -> Span {
    span.resolved_at(Span::call_site())
}
