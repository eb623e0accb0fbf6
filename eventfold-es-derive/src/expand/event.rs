//! `#[derive(DomainEvent)]`: the stored names, and the way to and from the payload.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::at;
use crate::ast::Event;
use crate::ast::event::{Names, SetVariant, Shape};

pub(crate) fn event(input: &Event<'_>) -> TokenStream {
    let body = match &input.shape {
        Shape::One(names) => one(input, names),
        Shape::Set(variants) => set(input, variants),
    };
    let ident = &input.input.ident;
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    super::scope(
        &input.krate,
        quote! {
            #[automatically_derived]
            impl __eventfold::DomainEvent for #ident #where_clause { #body }
        },
    )
}

/// ```ignore
/// const NAMES: &'static [EventName] = &[EventName { name: "MoneyDeposited", aliases: &["Deposited"] }];
///
/// fn name(&self) -> &'static str {
///     "MoneyDeposited"
/// }
///
/// fn encode(&self, data: &mut Vec<u8>) -> Result<(), EncodeError> {
///     <Self as EventPayload>::encode_struct(self, "MoneyDeposited", data)
/// }
///
/// fn decode(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError> {
///     match stored.name() {
///         "MoneyDeposited" | "Deposited" => <Self as EventPayload>::decode_struct(stored),
///         _ => Err(stored.unknown()),
///     }
/// }
/// ```
fn one(input: &Event<'_>, names: &Names) -> TokenStream {
    let name = text(names);
    let listed = event_name(names);
    let pattern = pattern(names);
    let payload = payload(input);
    let Signatures { encode, decode } = Signatures::new();
    quote! {
        const NAMES: &'static [__eventfold::EventName] = &[#listed];

        fn name(&self) -> &'static str {
            #name
        }

        #encode {
            #payload::encode_struct(self, #name, __data)
        }

        #decode {
            match __stored.name() {
                #pattern => #payload::decode_struct(__stored),
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
}

/// ```ignore
/// const NAMES: &'static [EventName] = &[
///     EventName { name: "opened", aliases: &["Opened"] },
///     EventName { name: "closed", aliases: &[] },
/// ];
///
/// fn name(&self) -> &'static str {
///     match self {
///         Self::Opened { .. } => "opened",
///         Self::Closed { .. } => "closed",
///     }
/// }
///
/// fn encode(&self, data: &mut Vec<u8>) -> Result<(), EncodeError> {
///     match self {
///         Self::Opened { .. } => <Self as EventPayload>::encode_variant(self, "Opened", "opened", data),
///         Self::Closed { .. } => <Self as EventPayload>::encode_variant(self, "Closed", "closed", data),
///     }
/// }
///
/// fn decode(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError> {
///     match stored.name() {
///         "opened" | "Opened" => <Self as EventPayload>::decode_variant(stored, "Opened"),
///         "closed" => <Self as EventPayload>::decode_variant(stored, "Closed"),
///         _ => Err(stored.unknown()),
///     }
/// }
/// ```
fn set(input: &Event<'_>, variants: &[SetVariant<'_>]) -> TokenStream {
    let payload = payload(input);
    let listed = variants.iter().map(|variant| event_name(&variant.names));
    let names = variants.iter().map(|variant| {
        let (ident, name) = (variant.ident, text(&variant.names));
        quote!(Self::#ident { .. } => #name,)
    });
    let encoded = variants.iter().map(|variant| {
        let (ident, name) = (variant.ident, text(&variant.names));
        // As serde calls the variant.
        let tag = ident.unraw().to_string();
        quote! {
            Self::#ident { .. } => #payload::encode_variant(self, #tag, #name, __data),
        }
    });
    let decoded = variants.iter().map(|variant| {
        let (pattern, tag) = (pattern(&variant.names), variant.ident.unraw().to_string());
        quote!(#pattern => #payload::decode_variant(__stored, #tag),)
    });
    let Signatures { encode, decode } = Signatures::new();
    quote! {
        const NAMES: &'static [__eventfold::EventName] = &[#(#listed),*];

        fn name(&self) -> &'static str {
            match self { #(#names)* }
        }

        #encode {
            match self { #(#encoded)* }
        }

        #decode {
            match __stored.name() {
                #(#decoded)*
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
}

/// `<Self as EventPayload>`, placed on the type, so that an error about serde's traits points there.
fn payload(input: &Event<'_>) -> TokenStream {
    quote_spanned!(at(input.input.ident.span())=> <Self as __eventfold::EventPayload>)
}

struct Signatures {
    encode: TokenStream,
    decode: TokenStream,
}

impl Signatures {
    fn new() -> Self {
        Self {
            encode: quote! {
                fn encode(
                    &self,
                    __data: &mut ::std::vec::Vec<u8>,
                ) -> ::core::result::Result<(), __eventfold::EncodeError>
            },
            decode: quote! {
                fn decode(
                    __stored: __eventfold::StoredEvent<'_>,
                ) -> ::core::result::Result<
                    __eventfold::Decoded<Self>,
                    __eventfold::DecodeError,
                >
            },
        }
    }
}

/// `EventName { name: "MoneyDeposited", aliases: &["Deposited"] }`
fn event_name(names: &Names) -> TokenStream {
    let name = text(names);
    let aliases = names.aliases.iter().map(|alias| &alias.value);
    quote! {
        __eventfold::EventName { name: #name, aliases: &[#(#aliases),*] }
    }
}

/// `"MoneyDeposited" | "Deposited"`
fn pattern(names: &Names) -> TokenStream {
    let all = std::iter::once(&names.name)
        .chain(&names.aliases)
        .map(|name| &name.value);
    quote!(#(#all)|*)
}

fn text(names: &Names) -> TokenStream {
    names.name.value.to_token_stream()
}
