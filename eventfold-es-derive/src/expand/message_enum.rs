//! The enums of commands and of events that are generated from lists of types.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::{Ident, Path};

use crate::ast::messages::{Serde, is_serde};
use crate::ast::{Enum, Item, Owner};

/// ```ignore
/// /// The commands of `BankAccount`.
/// pub enum BankAccountCommand {
///     /// The command `Deposit`.
///     Deposit(Deposit),
/// }
/// ```
///
/// The enum has the derives that the user gives, if any; otherwise see [`impls`]. serde's traits
/// are implemented in [`command_enum`](super::command_enum). If only one of them is wanted, serde
/// derives it:
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
pub(crate) fn commands(owner: Owner<'_>, commands: &Enum) -> TokenStream {
    let krate = owner.krate;
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
    definition(owner, commands, "commands", &derives, form, variants)
}

/// ```ignore
/// /// The events of `BankAccount`.
/// pub enum BankAccountEvent {
///     /// The event `Deposited`.
///     Deposited(Deposited),
/// }
/// ```
///
/// serde's traits are implemented with the stored names, in [`event_enum`](super::event_enum).
pub(crate) fn events(owner: Owner<'_>, events: &Enum) -> TokenStream {
    let derives = derives(events, |path| !is_serde(path));
    let variants = events.items.iter().map(|item| variant("event", item, None));
    definition(owner, events, "events", &derives, None, variants)
}

/// The derives that the user wants and that `is_kept` keeps.
fn derives(generated: &Enum, is_kept: impl Fn(&Path) -> bool) -> Vec<TokenStream> {
    let derives = generated.derives.iter().flat_map(|derives| &derives.paths);
    let kept = derives.filter(|path| is_kept(path));
    kept.map(ToTokens::to_token_stream).collect()
}

/// ```ignore
/// impl From<Deposit> for BankAccountCommand {
///     fn from(command: Deposit) -> Self {
///         Self::Deposit(command)
///     }
/// }
/// ```
///
/// If the user gives no derives, their impls follow. They use a listed type only if it is of the
/// listed kind. `by` is `ListedCommand` or `ListedEvent`.
///
/// ```ignore
/// impl Clone for BankAccountCommand {
///     fn clone(&self) -> Self {
///         match self {
///             Self::Deposit(command) => Self::Deposit(ListedCommand::<Deposit>::__clone(command)),
///         }
///     }
/// }
///
/// impl Debug for BankAccountCommand {
///     fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
///         match self {
///             Self::Deposit(command) => formatter
///                 .debug_tuple("Deposit")
///                 .field(ListedCommand::<Deposit>::__debug(command))
///                 .finish(),
///         }
///     }
/// }
/// ```
pub(crate) fn impls(generated: &Enum, by: &str) -> TokenStream {
    let from = from_impls(generated);
    let default = generated.derives.is_none().then(|| default(generated, by));
    quote!(#(#from)* #default)
}

fn default(generated: &Enum, by: &str) -> TokenStream {
    let ident = &generated.ident;
    let cloned = generated.items.iter().map(|item| {
        let (listed, variant) = (listed(item, by), variant_of(item));
        quote_spanned! {item.variant.span()=>
            Self::#variant(__message) => Self::#variant(#listed::__clone(__message)),
        }
    });
    let shown = generated.items.iter().map(|item| {
        let (listed, variant) = (listed(item, by), variant_of(item));
        let name = item.variant.unraw().to_string();
        quote_spanned! {item.variant.span()=>
            Self::#variant(__message) => {
                __formatter.debug_tuple(#name).field(#listed::__debug(__message)).finish()
            }
        }
    });
    let this = this(generated);
    quote! {
        #[automatically_derived]
        impl ::core::clone::Clone for #ident {
            fn clone(&self) -> Self {
                match #this { #(#cloned)* }
            }
        }

        #[automatically_derived]
        impl ::core::fmt::Debug for #ident {
            fn fmt(&self, __formatter: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                match #this { #(#shown)* }
            }
        }
    }
}

/// The value to match. A reference to an enum without variants is still a value to match.
pub(crate) fn this(generated: &Enum) -> TokenStream {
    if generated.items.is_empty() {
        quote!(*self)
    } else {
        quote!(self)
    }
}

/// `ListedEvent::<Deposited>`, where `by` is `ListedEvent`.
pub(crate) fn listed(item: &Item, by: &str) -> TokenStream {
    let (ty, by) = (&item.ty, Ident::new(by, item.variant.span()));
    quote_spanned!(item.variant.span()=> __eventfold::#by::<#ty>)
}

fn from_impls(generated: &Enum) -> impl Iterator<Item = TokenStream> {
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

/// The variant's name, at the place of its type in the list.
pub(crate) fn variant_of(item: &Item) -> Ident {
    placed(&item.variant, item)
}

/// `<Deposited as DomainEvent>`, placed so that all errors about a missing impl are the same one.
pub(crate) fn as_event(item: &Item) -> TokenStream {
    let ty = &item.ty;
    quote_spanned!(item.variant.span()=> <#ty as __eventfold::DomainEvent>)
}

/// The enum's name, for errors about an item of it.
pub(crate) fn enum_of(generated: &Enum, item: &Item) -> Ident {
    placed(&generated.ident, item)
}

fn placed(ident: &Ident, item: &Item) -> Ident {
    let mut ident = ident.clone();
    ident.set_span(item.variant.span());
    ident
}

fn definition(
    owner: Owner<'_>,
    generated: &Enum,
    what: &str,
    derives: &[TokenStream],
    form: Option<TokenStream>,
    variants: impl Iterator<Item = TokenStream>,
) -> TokenStream {
    let (vis, ident) = (owner.vis, &generated.ident);
    let doc = format!(" The {what} of `{}`.", owner.ident.unraw());
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
