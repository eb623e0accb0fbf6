//! One entry of a list: its end, whatever its content, and the type that it may be.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::ParseStream;
use syn::{Ident, Token, Type, TypePath};

use crate::errors::Errors;

/// Takes the comma between two entries. Tells a forgotten comma from a wrong value.
pub(super) fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    if let Ok(next) = input.fork().call(Ident::parse_any) {
        errors.at(&next, format!("expected `,` before `{next}`"));
        return;
    }
    let extra = rest_of_entry(input);
    errors.at(extra, "expected `,` or the end of the list");
    let _ = input.parse::<Token![,]>();
}

/// Takes the rest of an entry, up to a comma that is not inside `<...>`.
pub(super) fn rest_of_entry(input: ParseStream<'_>) -> TokenStream {
    let mut rest = TokenStream::new();
    let mut depth = 0_usize;
    let mut arrow = false;
    while !input.is_empty() && (depth > 0 || !input.peek(Token![,])) {
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth = depth.saturating_sub(1),
                _ => {}
            }
            arrow = punct.as_char() == '-';
        }
        rest.extend([token]);
    }
    rest
}

/// The path of a type, through the invisible groups around a `macro_rules!` variable.
pub(super) fn path_of(ty: Type) -> Option<TypePath> {
    match ty {
        Type::Group(group) => path_of(*group.elem),
        Type::Path(path) if path.qself.is_none() => Some(path),
        _ => None,
    }
}
