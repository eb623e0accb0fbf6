//! The serialised form of a generated command enum: adjacently tagged, `{"type": .., "data": ..}`.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::message_enum::{this, variant_of};
use crate::ast::messages::Serde;
use crate::ast::{Enum, Item};

/// ```ignore
/// impl Serialize for BankAccountCommand {
///     fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
///         match self {
///             Self::Deposit(command) => <Deposit as CommandPayload>::serialize_as(
///                 command, "BankAccountCommand", "Deposit", serializer,
///             ),
///         }
///     }
/// }
///
/// impl<'de> Deserialize<'de> for BankAccountCommand {
///     fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
///         <Self as CommandSet>::deserialize_tagged("BankAccountCommand", deserializer)
///     }
/// }
///
/// impl CommandSet for BankAccountCommand {
///     const NAMES: &'static [&'static str] = &["Deposit"];
///
///     fn deserialize_named<'de, D: Deserializer<'de>>(name: &'static str, data: D) -> Result<Self, D::Error> {
///         match name {
///             "Deposit" => <Deposit as CommandPayload>::deserialize_from(data).map(Self::Deposit),
///             _ => Err(unknown_variant(name, <Self as CommandSet>::NAMES)),
///         }
///     }
/// }
/// ```
pub(crate) fn serde(commands: &Enum) -> Option<TokenStream> {
    if commands.serde() != Serde::Both {
        return None;
    }
    let ident = &commands.ident;
    let serde = quote!(__eventfold::serde);
    let title = ident.unraw().to_string();
    let names = commands.items.iter().map(Item::written_name);
    let written = commands.items.iter().map(|item| {
        let (payload, variant) = (payload(item), variant_of(item));
        let name = item.written_name();
        quote_spanned! {item.variant.span()=>
            Self::#variant(__command) => {
                #payload::serialize_as(__command, #title, #name, __serializer)
            }
        }
    });
    let read = commands.items.iter().map(|item| {
        let (payload, variant) = (payload(item), variant_of(item));
        let name = item.written_name();
        quote_spanned! {item.variant.span()=>
            #name => #payload::deserialize_from(__data).map(Self::#variant),
        }
    });
    let this = this(commands);
    Some(quote! {
        #[automatically_derived]
        impl #serde::Serialize for #ident {
            fn serialize<__S: #serde::Serializer>(
                &self,
                __serializer: __S,
            ) -> ::core::result::Result<
                <__S as #serde::Serializer>::Ok,
                <__S as #serde::Serializer>::Error,
            > {
                match #this { #(#written)* }
            }
        }

        #[automatically_derived]
        impl<'de> #serde::Deserialize<'de> for #ident {
            fn deserialize<__D: #serde::Deserializer<'de>>(
                __deserializer: __D,
            ) -> ::core::result::Result<Self, <__D as #serde::Deserializer<'de>>::Error> {
                <Self as __eventfold::CommandSet>::deserialize_tagged(#title, __deserializer)
            }
        }

        #[automatically_derived]
        impl __eventfold::CommandSet for #ident {
            const NAMES: &'static [&'static str] = &[#(#names),*];

            fn deserialize_named<'de, __D: #serde::Deserializer<'de>>(
                __name: &'static str,
                __data: __D,
            ) -> ::core::result::Result<Self, <__D as #serde::Deserializer<'de>>::Error> {
                match __name {
                    #(#read)*
                    _ => ::core::result::Result::Err(
                        <<__D as #serde::Deserializer<'de>>::Error as #serde::de::Error>::unknown_variant(
                            __name,
                            <Self as __eventfold::CommandSet>::NAMES,
                        ),
                    ),
                }
            }
        }
    })
}

/// `<Deposit as CommandPayload>`, placed so that all errors about a missing impl are the same one.
fn payload(item: &Item) -> TokenStream {
    let ty = &item.ty;
    quote_spanned!(item.variant.span()=> <#ty as __eventfold::CommandPayload>)
}
