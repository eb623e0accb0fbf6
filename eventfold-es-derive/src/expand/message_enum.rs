//! The enums of commands and of events that are generated from lists of types.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, Path};

use super::at;
use crate::ast::{Aggregate, Enum, Item};

/// ```ignore
/// /// The commands of `BankAccount`.
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// #[serde(crate = "::eventfold_es::__private::serde", tag = "type", content = "data")]
/// pub enum BankAccountCommand {
///     /// The command `Deposit`.
///     #[serde(rename = "deposit")]
///     Deposit(Deposit),
/// }
/// ```
///
/// serde's attributes are only there if one of its traits is derived.
pub(crate) fn commands(input: &Aggregate<'_>, commands: &Enum) -> TokenStream {
    let krate = &input.krate;
    let (derives, with_serde) = match &commands.derives {
        Some(derives) => {
            let with_serde = derives.paths.iter().any(is_serde);
            (
                derives
                    .paths
                    .iter()
                    .map(ToTokens::to_token_stream)
                    .collect(),
                with_serde,
            )
        }
        None => (
            vec![
                quote!(::core::fmt::Debug),
                quote!(::core::clone::Clone),
                quote!(#krate::__private::serde::Serialize),
                quote!(#krate::__private::serde::Deserialize),
            ],
            true,
        ),
    };
    let serde_path = quote!(#krate::__private::serde)
        .to_string()
        .replace(' ', "");
    let form =
        with_serde.then(|| quote!(#[serde(crate = #serde_path, tag = "type", content = "data")]));
    let variants = commands.items.iter().map(|item| {
        let name = item.wire_name.as_ref().filter(|_| with_serde);
        let rename = name.map(|name| quote!(#[serde(rename = #name)]));
        variant("command", item, rename)
    });
    definition(input, commands, "commands", &derives, form, variants)
}

/// ```ignore
/// /// The events of `BankAccount`.
/// #[derive(Debug, Clone)]
/// pub enum BankAccountEvent {
///     /// The event `Deposited`.
///     Deposited(Deposited),
/// }
/// ```
///
/// serde's traits are implemented by the stored names, so they are left out of the derives.
pub(crate) fn events(input: &Aggregate<'_>, events: &Enum) -> TokenStream {
    let derives = match &events.derives {
        Some(derives) => {
            let derives = derives.paths.iter().filter(|path| !is_serde(path));
            derives.map(ToTokens::to_token_stream).collect()
        }
        None => vec![quote!(::core::fmt::Debug), quote!(::core::clone::Clone)],
    };
    let variants = events.items.iter().map(|item| variant("event", item, None));
    definition(input, events, "events", &derives, None, variants)
}

/// ```ignore
/// impl From<Deposit> for BankAccountCommand {
///     fn from(command: Deposit) -> Self {
///         Self::Deposit(command)
///     }
/// }
/// ```
pub(crate) fn from_impls(generated: &Enum) -> impl Iterator<Item = TokenStream> {
    let ident = &generated.ident;
    generated.items.iter().map(move |item| {
        let (ty, variant) = (&item.ty, variant_of(item));
        quote_spanned! {at(item.variant.span())=>
            #[automatically_derived]
            impl ::core::convert::From<#ty> for #ident {
                fn from(__message: #ty) -> Self {
                    Self::#variant(__message)
                }
            }
        }
    })
}

/// The variant's name, where its type stands in the list.
pub(crate) fn variant_of(item: &Item) -> Ident {
    let mut variant = item.variant.clone();
    variant.set_span(at(variant.span()));
    variant
}

fn definition(
    input: &Aggregate<'_>,
    generated: &Enum,
    what: &str,
    derives: &[TokenStream],
    form: Option<TokenStream>,
    variants: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let (vis, ident) = (input.vis(), &generated.ident);
    let doc = format!(" The {what} of `{}`.", input.ident().unraw());
    quote! {
        #[doc = #doc]
        #[allow(deprecated)]
        #[derive(#(#derives),*)]
        #form
        #vis enum #ident {
            #(#variants)*
        }
    }
}

fn variant(what: &str, item: &Item, rename: Option<TokenStream>) -> TokenStream {
    let (ty, variant) = (&item.ty, variant_of(item));
    let doc = format!(" The {what} `{}`.", item.variant.unraw());
    quote! {
        #[doc = #doc]
        #rename
        #variant(#ty),
    }
}

fn is_serde(path: &Path) -> bool {
    let last = path.segments.last();
    last.is_some_and(|last| last.ident == "Serialize" || last.ident == "Deserialize")
}
