//! Reading events that were stored in an older shape, or under a name that is not written any more.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Path;

use crate::ast::history::{History, Retired, What};
use crate::attr::shown;

/// The items that [`decode`] and [`retired`] need in scope.
pub(crate) fn imports<'a>(
    histories: impl IntoIterator<Item = &'a History>,
    retired: &[Retired],
) -> Option<TokenStream> {
    let has_steps = histories
        .into_iter()
        .any(|history| !history.steps().is_empty())
        || retired.iter().any(|retired| retired.into.is_some());
    has_steps.then(|| {
        quote! {
            use __eventfold::Infallible as _;
        }
    })
}

/// Reads an event of any version. `current` reads one of the current version.
///
/// ```ignore
/// {
///     let upcast = Upcast::of(stored, 3)?;
///     if upcast.is_current() {
///         return <Self as EventPayload>::decode_struct(stored);
///     }
///     let event = upcast.first(1, "v1_to_v2", v1_to_v2)?.__result()?;
///     let event = upcast.then(2, "v2_to_v3", v2_to_v3, event)?.__result()?;
///     upcast.last::<Self, _>(event)
/// }
/// ```
pub(crate) fn decode(history: &History, current: &TokenStream) -> TokenStream {
    let version = Literal::u32_unsuffixed(history.version);
    let Some(last) = history.steps().last() else {
        return quote! {{
            __eventfold::check_version(__stored, #version)?;
            #current
        }};
    };
    let steps = history.steps().iter().enumerate().map(|(position, step)| {
        let (from, path, text) = (
            Literal::u32_unsuffixed(step.from),
            &step.path,
            text_of(&step.path),
        );
        let span = place(path);
        let (method, before) = match position {
            0 => (quote_spanned!(span=> first), None),
            _ => (quote_spanned!(span=> then), Some(quote_spanned!(span=> , __event))),
        };
        quote_spanned! {span=>
            let __event = __eventfold::Upcast::#method(&__upcast, #from, #text, #path #before)?.__result()?;
        }
    });
    let last = quote_spanned!(place(&last.path)=> __eventfold::Upcast::last::<Self, _>(&__upcast, __event));
    quote! {{
        let __upcast = __eventfold::Upcast::of(__stored, #version)?;
        if __eventfold::Upcast::is_current(&__upcast) {
            return #current;
        }
        #(#steps)*
        #last
    }}
}

/// Reads retired events, before an event is reported as unknown.
///
/// ```ignore
/// if stored.name() == "Suspended" {
///     return Ok(Decoded::none());
/// }
/// if stored.name() == "OpenedWithDeposit" {
///     let upcast = Upcast::of(stored, 1)?;
///     let events = upcast.first(1, "split_opened", split_opened)?.__result()?;
///     return upcast.last::<Self, _>(events);
/// }
/// if <Moved as DomainEvent>::knows(stored.name()) {
///     let upcast = Upcast::any(stored)?;
///     let mut events = Vec::new();
///     for event in <Moved as DomainEvent>::decode(stored)? {
///         let event = upcast.retired("moved", moved, event).__result()?;
///         events.extend(upcast.last::<Self, _>(event)?);
///     }
///     return Ok(Decoded::many(events));
/// }
/// ```
pub(crate) fn retired(retired: &[Retired]) -> TokenStream {
    let one = |retired: &Retired| {
        let none = quote!(return ::core::result::Result::Ok(__eventfold::Decoded::none()););
        match (&retired.what, &retired.into) {
            (What::Named(name), None) => {
                let name = &name.value;
                quote!(if __stored.name() == #name { #none })
            }
            (What::Named(name), Some(path)) => {
                let (name, text) = (&name.value, text_of(path));
                let span = place(path);
                let read = quote_spanned! {span=>
                    let __event =
                        __eventfold::Upcast::first(&__upcast, 1, #text, #path)?.__result()?;
                };
                let last =
                    quote_spanned!(span=> __eventfold::Upcast::last::<Self, _>(&__upcast, __event));
                quote! {
                    if __stored.name() == #name {
                        let __upcast = __eventfold::Upcast::of(__stored, 1)?;
                        #read
                        return #last;
                    }
                }
            }
            (What::Typed(ty), None) => {
                let event = as_event(ty);
                quote!(if #event::knows(__stored.name()) { #none })
            }
            (What::Typed(ty), Some(path)) => {
                let (event, text) = (as_event(ty), text_of(path));
                let span = place(path);
                let read = quote_spanned! {span=>
                    let __event =
                        __eventfold::Upcast::retired(&__upcast, #text, #path, __event).__result()?;
                };
                let last = quote_spanned!(span=> __eventfold::Upcast::last::<Self, _>(&__upcast, __event)?);
                quote! {
                    if #event::knows(__stored.name()) {
                        let __upcast = __eventfold::Upcast::any(__stored)?;
                        let mut __events = ::std::vec::Vec::new();
                        for __event in #event::decode(__stored)? {
                            #read
                            ::core::iter::Extend::extend(&mut __events, #last);
                        }
                        return ::core::result::Result::Ok(__eventfold::Decoded::many(__events));
                    }
                }
            }
        }
    };
    retired.iter().map(one).collect()
}

/// The function that tells the events.
pub(crate) fn about(body: &TokenStream) -> TokenStream {
    quote! {
        fn __about(__events: &mut ::std::vec::Vec<__eventfold::EventInfo>) {
            #body
        }
    }
}

/// `&[(1, "in_cents")]`
pub(crate) fn upcasts(history: &History) -> TokenStream {
    let steps = history.steps().iter().map(|step| {
        let (from, by) = (Literal::u32_unsuffixed(step.from), text_of(&step.path));
        quote!((#from, #by))
    });
    quote!(&[#(#steps),*])
}

/// Tells the retired events.
///
/// ```ignore
/// add_retired(events, "Suspended", None);
/// add_retired_type(events, <Moved as DomainEvent>::__about, Some("moved"));
/// ```
pub(crate) fn about_retired(retired: &[Retired]) -> TokenStream {
    let one = |retired: &Retired| {
        let by = retired.into.as_ref().map(text_of);
        let by = by.map_or_else(
            || quote!(::core::option::Option::None),
            |by| quote!(::core::option::Option::Some(#by)),
        );
        match &retired.what {
            What::Named(name) => {
                let name = &name.value;
                quote!(__eventfold::add_retired(__events, #name, #by);)
            }
            What::Typed(ty) => {
                let event = as_event(ty);
                quote!(__eventfold::add_retired_type(__events, #event::__about, #by);)
            }
        }
    };
    retired.iter().map(one).collect()
}

/// The names of a retired event with its text for errors, as an entry of `__EVENTS`, and its place.
///
/// ```ignore
/// ("retired(\"Suspended\")", &[EventName { name: "Suspended", aliases: &[], version: None, tags: &[] }])
/// ```
pub(crate) fn retired_set(retired: &Retired) -> (TokenStream, Span) {
    match &retired.what {
        What::Named(name) => {
            let shown = format!("retired(\"{}\")", name.value);
            let name_of = retired_name(&name.value);
            (quote!((#shown, &[#name_of])), name.span)
        }
        What::Typed(ty) => {
            let (shown, event) = (format!("retired({})", shown(ty)), as_event(ty));
            let names = quote! {
                &__eventfold::retired_names::<{ #event::NAMES.len() }>(#event::NAMES)
            };
            (quote!((#shown, #names)), place(&ty.path))
        }
    }
}

/// `EventName { name: "Suspended", aliases: &[], version: None, tags: &[] }`
pub(crate) fn retired_name(name: &str) -> TokenStream {
    quote! {
        __eventfold::EventName {
            name: #name,
            aliases: &[],
            version: ::core::option::Option::None,
            tags: &[],
        }
    }
}

fn as_event(ty: &syn::TypePath) -> TokenStream {
    quote_spanned!(place(&ty.path)=> <#ty as __eventfold::DomainEvent>)
}

/// A path as an error shows it.
fn text_of(path: &Path) -> String {
    path.to_token_stream().to_string().replace(' ', "")
}

fn place(path: &Path) -> Span {
    let last = path.segments.last();
    last.expect("a parsed path has a segment").ident.span()
}
