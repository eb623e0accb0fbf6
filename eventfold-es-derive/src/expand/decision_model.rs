//! `#[derive(DecisionModel)]`: the impl that leads to `Evolve`.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::TypePath;
use syn::ext::IdentExt as _;

use super::event_enum;
use crate::ast::DecisionModel;
use crate::ast::decision_model::Selects;
use crate::attr::shown;

/// ```ignore
/// // The names of the events, as for a generated event enum.
///
/// // One for each event, placed on it.
/// const _: () = assert_event_has_tags("Seats", "Subscribed", <Subscribed as DomainEvent>::NAMES, &["course"]);
///
/// impl DecisionModel for Seats {
///     const TAGS: &'static [&'static str] = &["course"];
///     const EVENTS: &'static [EventName] = &__NAMES;
///
///     fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
///         if <Subscribed as DomainEvent>::knows(stored.name()) {
///             return ListedEvent::<Subscribed>::__fold(self, stored);
///         }
///         Err(stored.unknown())
///     }
/// }
/// ```
pub(crate) fn decision_model(input: &DecisionModel<'_>) -> TokenStream {
    let ident = input.ident();
    let sets = input.events.iter().map(|ty| {
        let (event, name) = (as_event(ty), shown(ty));
        (quote!((#name, #event::NAMES)), place(ty))
    });
    let names = event_enum::names(&ident.unraw().to_string(), &sets.collect::<Vec<_>>());
    let checks = checks(input);
    let (tags, is_of_aggregate) = match &input.of {
        Selects::Tagged(tags) => (quote!(&[#(#tags),*]), None),
        Selects::Aggregate(aggregate) => {
            let aggregate = as_aggregate(aggregate);
            (
                quote!(&[#aggregate::AGGREGATE_TYPE]),
                Some(quote!(
                    const __IS_OF_AGGREGATE: bool = true;
                )),
            )
        }
    };
    let folded = input.events.iter().map(|ty| {
        let event = as_event(ty);
        quote_spanned! {place(ty)=>
            if #event::knows(__stored.name()) {
                return __eventfold::ListedEvent::<#ty>::__fold(self, __stored);
            }
        }
    });
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    super::scope(
        &input.krate,
        quote! {
            use __eventfold::NotListed as _;

            #names
            #(#checks)*

            #[automatically_derived]
            impl __eventfold::DecisionModel for #ident #where_clause {
                const TAGS: &'static [&'static str] = #tags;
                const EVENTS: &'static [__eventfold::EventName] = &__NAMES;
                #is_of_aggregate

                fn apply_stored(
                    &mut self,
                    __stored: __eventfold::StoredEvent<'_>,
                ) -> ::core::result::Result<(), __eventfold::DecodeError> {
                    #(#folded)*
                    ::core::result::Result::Err(__stored.unknown())
                }
            }
        },
    )
}

/// The check of each event that it has the model's tags, or is of the aggregate.
fn checks(input: &DecisionModel<'_>) -> Vec<TokenStream> {
    let model = input.ident().unraw().to_string();
    let check = |ty: &TypePath| {
        let (event, name) = (as_event(ty), shown(ty));
        match &input.of {
            Selects::Tagged(tags) if tags.is_empty() => None,
            Selects::Tagged(tags) => {
                let tags = tags.iter().map(|tag| &tag.value);
                Some(quote_spanned! {place(ty)=>
                    const _: () = __eventfold::assert_event_has_tags(
                        #model,
                        #name,
                        #event::NAMES,
                        &[#(#tags),*],
                    );
                })
            }
            Selects::Aggregate(aggregate) => {
                let text = aggregate.to_token_stream().to_string().replace(' ', "");
                let aggregate = as_aggregate(aggregate);
                Some(quote_spanned! {place(ty)=>
                    const _: () = __eventfold::assert_event_is_of(
                        #model,
                        #name,
                        #event::NAMES,
                        (#text, #aggregate::AGGREGATE_TYPE, #aggregate::__EVENT_NAMES),
                    );
                })
            }
        }
    };
    input.events.iter().filter_map(check).collect()
}

/// `<Subscribed as DomainEvent>`, placed so that all errors about a missing impl are the same one.
fn as_event(ty: &TypePath) -> TokenStream {
    quote_spanned!(place(ty)=> <#ty as __eventfold::DomainEvent>)
}

fn as_aggregate(ty: &syn::Type) -> TokenStream {
    quote_spanned!(super::place(ty)=> <#ty as __eventfold::Aggregate>)
}

/// The place of an error about a listed type: its last segment.
fn place(ty: &TypePath) -> Span {
    let last = ty.path.segments.last();
    last.expect("a parsed path has a segment").ident.span()
}
