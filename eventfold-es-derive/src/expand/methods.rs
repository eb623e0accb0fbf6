//! `#[aggregate_impl]`: the impls of `Decide`, `DecideWith` and `Evolve` that call the methods.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Ident, Type};

use crate::ast::{AggregateImpl, Handler, Handles};

/// ```ignore
/// const _: () = {
///     use ::eventfold_es::__private as __eventfold;
///     use __eventfold::NotAnAggregate as _;
///
///     impl Decide<Deposit> for BankAccount { .. }
///     impl Evolve<Deposited> for BankAccount { .. }
/// };
/// ```
///
/// The block itself is written beside it, as the user wrote it.
pub(crate) fn impls(input: &AggregateImpl) -> Option<TokenStream> {
    if input.handlers.is_empty() {
        return None;
    }
    let impls = input.handlers.iter().map(|handler| imp(input, handler));
    let scope = super::scope(
        &input.krate,
        quote! {
            use __eventfold::NotAnAggregate as _;
            #(#impls)*
        },
    );
    let cfgs = &input.cfgs;
    Some(quote!(#(#cfgs)* #scope))
}

fn imp(input: &AggregateImpl, handler: &Handler) -> TokenStream {
    let (state, message, attrs) = (&input.block.self_ty, &handler.message, &handler.attrs);
    let at = message.span();
    let trait_ = Ident::new(
        match handler.handles {
            Handles::Command => "Decide",
            Handles::CommandInContext => "DecideWith",
            Handles::Event => "Evolve",
        },
        at,
    );
    let header = quote_spanned!(at=> impl __eventfold::#trait_<#message> for);
    let method = match handler.handles {
        Handles::Command => decide(handler),
        Handles::CommandInContext => decide_with(handler),
        Handles::Event => evolve(handler),
    };
    // An error about the whole impl is at the message.
    let body = quote_spanned!(at=> { #method });
    quote! {
        #(#attrs)*
        #[automatically_derived]
        #header #state #body
    }
}

/// ```ignore
/// fn decide(&self, command: Deposit) -> Decision<Self> {
///     Methods::<Self>::has_command::<Deposit>();
///     Methods::<Self>::decision(Self::deposit(self, command))
/// }
/// ```
fn decide(handler: &Handler) -> TokenStream {
    let message = &handler.message;
    let (command, returned) = (named(handler, "__command"), decision_type(handler));
    let body = decision(handler, quote!(self, __command));
    quote! {
        fn decide(&self, #command: #message) -> #returned {
            #body
        }
    }
}

/// ```ignore
/// fn decide_with(&self, command: Deposit, context: &DecisionContext<'_>) -> Decision<Self> {
///     Methods::<Self>::has_command::<Deposit>();
///     Methods::<Self>::decision(Self::deposit(self, command, context))
/// }
/// ```
fn decide_with(handler: &Handler) -> TokenStream {
    let message = &handler.message;
    let (command, context) = (named(handler, "__command"), named(handler, "__context"));
    let returned = decision_type(handler);
    // An error about the type of the context is at that type.
    let at = handler
        .context
        .as_ref()
        .map_or(Span::call_site(), Type::span);
    let passed = Ident::new("__context", at);
    let body = decision(handler, quote!(self, __command, #passed));
    quote! {
        fn decide_with(
            &self,
            #command: #message,
            #context: &__eventfold::DecisionContext<'_>,
        ) -> #returned {
            #body
        }
    }
}

/// ```ignore
/// fn evolve(&mut self, event: &Deposited) {
///     Methods::<Self>::has_event::<Deposited>();
///     Self::deposited(self, event)
/// }
/// ```
fn evolve(handler: &Handler) -> TokenStream {
    let (message, method) = (&handler.message, &handler.method);
    let event = named(handler, "__event");
    let body = if handler.is_sound {
        let is_listed =
            quote_spanned!(message.span()=> __eventfold::Methods::<Self>::has_event::<#message>(););
        quote!(#is_listed Self::#method(self, __event))
    } else {
        quote!(::core::unreachable!())
    };
    quote! {
        fn evolve(&mut self, #event: &#message) {
            #body
        }
    }
}

/// The call of a method that decides. An error about a command that is not listed is at the command,
/// one about the returned type is there.
fn decision(handler: &Handler, arguments: TokenStream) -> TokenStream {
    if !handler.is_sound {
        return quote!(::core::unreachable!());
    }
    let message = &handler.message;
    let is_listed =
        quote_spanned!(message.span()=> __eventfold::Methods::<Self>::has_command::<#message>(););
    let returned = handler.returned.as_ref();
    let at = returned.map_or(Span::call_site(), Type::span);
    let mut method = handler.method.clone();
    method.set_span(at);
    let decision =
        quote_spanned!(at=> __eventfold::Methods::<Self>::decision(Self::#method(#arguments)));
    quote!(#is_listed #decision)
}

/// `Decision<Self>`, at the command: an error says that the type is not an aggregate.
fn decision_type(handler: &Handler) -> TokenStream {
    quote_spanned!(handler.message.span()=> __eventfold::Decision<Self>)
}

/// The name of a parameter; `_` in a stand-in.
fn named(handler: &Handler, name: &str) -> TokenStream {
    if handler.is_sound {
        Ident::new(name, Span::call_site()).to_token_stream()
    } else {
        quote!(_)
    }
}
