//! The impls of a generated event enum. Its names and its stored form are those of the listed
//! types.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::message_enum::{as_event, variant_of};
use super::{history, sample, tags};
use crate::ast::history::Retired;
use crate::ast::{Enum, Item};
use crate::attr::shown;

/// All impls of the enum of `owner`.
pub(crate) fn impls(owner: &Ident, retired: &[Retired], events: &Enum) -> TokenStream {
    let names = names(&owner.unraw().to_string(), &sets(retired, events));
    let imports = history::imports([], retired);
    let domain_event = domain_event(retired, events);
    let serde = serde(events);
    quote!(#imports #names #domain_event #serde)
}

/// The names, one listed type after the other, and the check that no two share one.
///
/// ```ignore
/// const __EVENTS: &Events = &[
///     ("AccountOpened", <AccountOpened as DomainEvent>::NAMES),
///     ("Deposited", <Deposited as DomainEvent>::NAMES),
/// ];
/// const __NAMES: [EventName; count_names(__EVENTS)] = concat_names(__EVENTS);
/// const __SHARED: Shared<2> = shared_names::<2, { slots(__EVENTS) }>(__EVENTS);
/// // One for each type but the first, placed on that type.
/// const _: () = assert_names_are_new("BankAccount", __EVENTS, &__SHARED, 1);
/// ```
pub(crate) fn names(owner: &str, sets: &[(TokenStream, Span)]) -> TokenStream {
    let listed = sets.iter().map(|(set, _)| set);
    let checks = all_differ("assert_names_are_new", owner, "__EVENTS", sets);
    quote! {
        const __EVENTS: &__eventfold::Events = &[#(#listed),*];
        const __NAMES: [__eventfold::EventName; __eventfold::count_names(__EVENTS)] =
            __eventfold::concat_names(__EVENTS);
        #checks
    }
}

/// The check `assert` that no set shares a name with an earlier one. `list` is the list of the
/// sets.
pub(crate) fn all_differ(
    assert: &str,
    owner: &str,
    list: &str,
    sets: &[(TokenStream, Span)],
) -> Option<TokenStream> {
    let count = Literal::usize_unsuffixed(sets.len());
    let later = sets.iter().enumerate().skip(1);
    let checks = later.map(|(position, (_, span))| {
        let position = Literal::usize_unsuffixed(position);
        let (assert, list) = (Ident::new(assert, *span), Ident::new(list, *span));
        quote_spanned! {*span=>
            const _: () = __eventfold::#assert(#owner, #list, &__SHARED, #position);
        }
    });
    (sets.len() > 1).then(|| {
        let list = format_ident!("{list}");
        quote! {
            const __SHARED: __eventfold::Shared<#count> =
                __eventfold::shared_names::<#count, { __eventfold::slots(#list) }>(#list);
            #(#checks)*
        }
    })
}

/// The sets of names of the listed types, and those of the retired events.
fn sets(retired: &[Retired], events: &Enum) -> Vec<(TokenStream, Span)> {
    let listed = events.items.iter().map(|item| {
        let (event, ty) = (as_event(item), shown(&item.ty));
        (quote!((#ty, #event::NAMES)), item.variant.span())
    });
    let retired = retired.iter().map(history::retired_set);
    listed.chain(retired).collect()
}

/// ```ignore
/// impl DomainEvent for BankAccountEvent {
///     const NAMES: &'static [EventName] = &__NAMES;
///
///     fn name(&self) -> &'static str {
///         match self {
///             Self::Deposited(event) => <Deposited as DomainEvent>::name(event),
///         }
///     }
///
///     fn schema_version(&self) -> u32 {
///         match self {
///             Self::Deposited(event) => <Deposited as DomainEvent>::schema_version(event),
///         }
///     }
///
///     fn append_tags(&self, tags: &mut Tags) -> Result<(), InvalidTag> {
///         match self {
///             Self::Deposited(event) => <Deposited as DomainEvent>::append_tags(event, tags),
///         }
///     }
///
///     fn encode(&self, data: &mut Vec<u8>) -> Result<(), EncodeError> {
///         match self {
///             Self::Deposited(event) => <Deposited as DomainEvent>::encode(event, data),
///         }
///     }
///
///     fn decode(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError> {
///         if <Deposited as DomainEvent>::knows(stored.name()) {
///             return <Deposited as DomainEvent>::decode(stored).map(Self::Deposited);
///         }
///         Err(stored.unknown())
///     }
///
///     fn __about(events: &mut Vec<EventInfo>) {
///         <Deposited as DomainEvent>::__about(events);
///     }
/// }
/// ```
fn domain_event(retired: &[Retired], events: &Enum) -> TokenStream {
    let ident = &events.ident;
    let arms = |method: TokenStream, more: TokenStream| -> TokenStream {
        let arm = |item: &Item| {
            let (event, variant) = (as_event(item), variant_of(item));
            quote_spanned! {item.variant.span()=>
                Self::#variant(__event) => #event::#method(__event #more),
            }
        };
        events.items.iter().map(arm).collect()
    };
    let names = arms(quote!(name), quote!());
    let versions = arms(quote!(schema_version), quote!());
    let tagged = arms(quote!(append_tags), quote!(, __tags));
    let append_tags = tags::function(&quote!(match self { #tagged }));
    let about = events.items.iter().map(|item| {
        let event = as_event(item);
        quote_spanned!(item.variant.span()=> #event::__about(__events);)
    });
    let about_retired = history::about_retired(retired);
    let about = history::about(&quote!(#(#about)* #about_retired));
    let retired = history::retired(retired);
    let samples = sample::of_listed(events);
    let encoded = arms(quote!(encode), quote!(, __data));
    let decoded = events.items.iter().map(|item| {
        let (event, variant) = (as_event(item), variant_of(item));
        quote_spanned! {item.variant.span()=>
            if #event::knows(__stored.name()) {
                return ::core::result::Result::Ok(
                    #event::decode(__stored)?.map(Self::#variant),
                );
            }
        }
    });
    quote! {
        #[automatically_derived]
        impl __eventfold::DomainEvent for #ident {
            const NAMES: &'static [__eventfold::EventName] = &__NAMES;

            fn name(&self) -> &'static str {
                match self { #names }
            }

            fn schema_version(&self) -> u32 {
                match self { #versions }
            }

            #append_tags

            fn encode(
                &self,
                __data: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), __eventfold::EncodeError> {
                match self { #encoded }
            }

            fn decode(
                __stored: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<
                __eventfold::Decoded<Self>,
                __eventfold::DecodeError,
            > {
                #(#decoded)*
                #retired
                ::core::result::Result::Err(__stored.unknown())
            }

            #about
            #samples
        }
    }
}

/// ```ignore
/// impl Serialize for BankAccountEvent {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         serialize_event(self, serializer)
///     }
/// }
///
/// impl<'de> Deserialize<'de> for BankAccountEvent {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///         deserialize_event(deserializer)
///     }
/// }
/// ```
pub(crate) fn serde(events: &Enum) -> TokenStream {
    let ident = &events.ident;
    let serde = quote!(__eventfold::serde);
    quote! {
        #[automatically_derived]
        impl #serde::Serialize for #ident {
            fn serialize<__S: #serde::Serializer>(
                &self,
                __serializer: __S,
            ) -> ::core::result::Result<
                <__S as #serde::Serializer>::Ok,
                <__S as #serde::Serializer>::Error,
            > {
                __eventfold::serialize_event(self, __serializer)
            }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #ident {
            fn deserialize<__D: #serde::Deserializer<'de>>(
                __deserializer: __D,
            ) -> ::core::result::Result<Self, <__D as #serde::Deserializer<'de>>::Error> {
                __eventfold::deserialize_event(__deserializer)
            }
        }
    }
}
