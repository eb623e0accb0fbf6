//! The enums of commands and of events that are generated from lists of types.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, Path};

use crate::ast::messages::{Serde, is_serde};
use crate::ast::{Aggregate, Enum, Item};

/// ```ignore
/// /// The commands of `BankAccount`.
/// #[derive(Debug, Clone)]
/// pub enum BankAccountCommand {
///     /// The command `Deposit`.
///     Deposit(Deposit),
/// }
/// ```
///
/// serde's traits are implemented in [`command_enum`](super::command_enum). If only one of them
/// is wanted, serde derives it:
///
/// ```ignore
/// #[derive(Debug, Serialize)]
/// #[serde(crate = "::eventfold_es::__private::serde", tag = "type", content = "data")]
/// pub enum BankAccountCommand {
///     /// The command `Deposit`.
///     #[serde(rename = "deposit")]
///     Deposit(Deposit),
/// }
/// ```
pub(crate) fn commands(input: &Aggregate<'_>, commands: &Enum) -> TokenStream {
    let krate = &input.krate;
    let by_serde = commands.serde() == Serde::One;
    let derives = derives(commands, |path| by_serde || !is_serde(path));
    let serde = quote!(#krate::__private::serde)
        .to_string()
        .replace(' ', "");
    let form = by_serde.then(|| quote!(#[serde(crate = #serde, tag = "type", content = "data")]));
    let variants = commands.items.iter().map(|item| {
        let name = item.wire_name.as_ref().filter(|_| by_serde);
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
/// serde's traits are implemented by the stored names, in [`event_enum`](super::event_enum).
pub(crate) fn events(input: &Aggregate<'_>, events: &Enum) -> TokenStream {
    let derives = derives(events, |path| !is_serde(path));
    let variants = events.items.iter().map(|item| variant("event", item, None));
    definition(input, events, "events", &derives, None, variants)
}

/// The derives that the user wants and `is_kept` lets through, or the default.
fn derives(generated: &Enum, is_kept: impl Fn(&Path) -> bool) -> Vec<TokenStream> {
    match &generated.derives {
        Some(derives) => {
            let kept = derives.paths.iter().filter(|path| is_kept(path));
            kept.map(ToTokens::to_token_stream).collect()
        }
        None => vec![quote!(::core::fmt::Debug), quote!(::core::clone::Clone)],
    }
}

/// ```ignore
/// impl From<Deposit> for BankAccountCommand {
///     fn from(command: Deposit) -> Self {
///         Self::Deposit(command)
///     }
/// }
/// ```
pub(crate) fn from_impls(generated: &Enum) -> impl Iterator<Item = TokenStream> {
    generated.items.iter().map(move |item| {
        let (ty, ident, variant) = (&item.ty, enum_of(generated, item), variant_of(item));
        quote_spanned! {item.variant.span()=>
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
    placed(&item.variant, item)
}

/// `<Deposited as DomainEvent>`, placed so that each error that it is none is the same one.
pub(crate) fn as_event(item: &Item) -> TokenStream {
    let ty = &item.ty;
    quote_spanned!(item.variant.span()=> <#ty as __eventfold::DomainEvent>)
}

/// The enum's name, where an item of it is the subject.
pub(crate) fn enum_of(generated: &Enum, item: &Item) -> Ident {
    placed(&generated.ident, item)
}

fn placed(ident: &Ident, item: &Item) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(item.variant.span());
    ident
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
    let derive = (!derives.is_empty()).then(|| quote!(#[derive(#(#derives),*)]));
    quote! {
        #[doc = #doc]
        #derive
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
