//! Samples of events, for the testing kit. Without the kit, the compiler does not see them.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote};
use syn::{DataEnum, Fields, Type};

use super::message_enum::{as_event, variant_of};
use crate::ast::Enum;

/// ```ignore
/// __testing! {
///     fn __samples() -> Vec<Self> {
///         samples([MadeOfDefault::<Self>::new().__sample()])
///     }
/// }
/// ```
pub(crate) fn of_struct() -> TokenStream {
    let sample = made(&quote!(Self));
    samples(&quote!(__eventfold::samples([#sample])))
}

/// ```ignore
/// samples([
///     (|| Some(Self::Added { amount: MadeOfDefault::<u64>::new().__sample()? }))(),
///     (|| Some(Self::Reset {}))(),
/// ])
/// ```
pub(crate) fn of_variants(data: &DataEnum) -> TokenStream {
    let variants = data.variants.iter().map(|variant| {
        let ident = &variant.ident;
        let fields = fields(&variant.fields).into_iter().map(|(name, ty)| {
            let made = made(&ty.to_token_stream());
            quote!(#name: #made?)
        });
        quote! {
            (|| ::core::option::Option::Some(Self::#ident { #(#fields),* }))()
        }
    });
    samples(&quote!(__eventfold::samples([#(#variants),*])))
}

/// ```ignore
/// let mut samples = Vec::new();
/// add_samples(&mut samples, <Deposited as DomainEvent>::__samples(), Self::Deposited);
/// samples
/// ```
pub(crate) fn of_listed(events: &Enum) -> TokenStream {
    let listed = events.items.iter().map(|item| {
        let (event, variant) = (as_event(item), variant_of(item));
        quote!(__eventfold::add_samples(&mut __samples, #event::__samples(), Self::#variant);)
    });
    samples(&quote! {
        let mut __samples = ::std::vec::Vec::new();
        #(#listed)*
        __samples
    })
}

fn samples(body: &TokenStream) -> TokenStream {
    quote! {
        __eventfold::__testing! {
            fn __samples() -> ::std::vec::Vec<Self> {
                use __eventfold::NotMade as _;
                #body
            }
        }
    }
}

fn made(ty: &TokenStream) -> TokenStream {
    quote!(__eventfold::MadeOfDefault::<#ty>::new().__sample())
}

/// Each field as an initialiser names it, with its type.
fn fields(fields: &Fields) -> Vec<(TokenStream, &Type)> {
    let name = |(position, field): (usize, &syn::Field)| match &field.ident {
        Some(ident) => ident.to_token_stream(),
        None => Literal::usize_unsuffixed(position).to_token_stream(),
    };
    let named = fields.iter().enumerate();
    named
        .map(|(at, field)| (name((at, field)), &field.ty))
        .collect()
}
