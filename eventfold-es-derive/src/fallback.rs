//! The code that is generated beside the errors, so that one mistake does not cause errors in the
//! whole crate.
//!
//! The enums, conversions and associated types are generated as far as they are known. The impls do
//! nothing. Code that depends on a mistake is not checked further.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Generics, parse_quote};

use crate::ast::decision_model::Selects;
use crate::ast::messages::Derives;
use crate::ast::{Aggregate, Decision, DecisionModel, Enum, Event, Item, Kind, Messages, Reader};
use crate::expand::aggregate::{Types, decision_types};
use crate::expand::{self, command_enum, event_enum, message_enum, scope};

/// The enums, and an `Aggregate` that can be named.
pub(crate) fn aggregate(mut input: Aggregate<'_>) -> TokenStream {
    repair([&mut input.commands, &mut input.events], input.input);
    let mut enums = TokenStream::new();
    let mut impls = quote!(
        use __eventfold::NotListed as _;
    );
    if let Messages::Listed(commands) = &input.commands {
        enums.extend(message_enum::commands(input.owner(), commands));
        impls.extend(message_enum::impls(commands, "ListedCommand"));
        impls.extend(command_enum::serde(commands));
        if !commands.is_known {
            let (state, of) = (input.ident(), quote!(__eventfold::DecideWith<__Any>));
            impls.extend(from_any(input.input, commands, &quote!(#state: #of)));
        }
    }
    if let Messages::Listed(events) = &input.events {
        enums.extend(message_enum::events(input.owner(), events));
        impls.extend(message_enum::impls(events, "ListedEvent"));
        impls.extend(event_enum_impls(events));
        if !events.is_known {
            let (state, of) = (input.ident(), quote!(__eventfold::Evolve<__Any>));
            impls.extend(from_any(input.input, events, &quote!(#state: #of)));
        }
    }
    impls.extend(decision_types(input.input, &Types::of(&input)));
    impls.extend(aggregate_impl(&input));
    let scope = scope(&input.krate, impls);
    quote!(#enums #scope)
}

/// The impls of a generated event enum, without conversions.
fn event_enum_impls(events: &Enum) -> TokenStream {
    let ident = &events.ident;
    let mut impls = event_enum::serde(events);
    impls.extend(domain_event_impl(
        quote!(impl __eventfold::DomainEvent for #ident),
    ));
    impls
}

/// The event enum, and a `Decider` that can be named.
pub(crate) fn decision(mut input: Decision<'_>) -> TokenStream {
    repair([&mut input.events], input.input);
    if let Messages::Listed(events) = &mut input.events
        && !events.is_known
    {
        // Everything that is `Debug` converts, so the enum itself must not be.
        let paths = vec![parse_quote!(::core::clone::Clone)];
        let key = input.input.ident.clone();
        events.derives = Some(Derives { key, paths });
    }
    let mut enums = TokenStream::new();
    let mut impls = quote!(
        use __eventfold::NotListed as _;
    );
    if let Messages::Listed(events) = &input.events {
        enums.extend(message_enum::events(input.owner(), events));
        impls.extend(event_enum_impls(events));
        impls.extend(if events.is_known {
            Some(message_enum::impls(events, "ListedEvent"))
        } else {
            from_any(input.input, events, &quote!(__Any: ::core::fmt::Debug))
        });
    }
    let types = expand::decision::types(&input);
    impls.extend(decision_types(input.input, &types));
    impls.extend(decider_impl(&input, &types));
    let scope = scope(&input.krate, impls);
    quote!(#enums #scope)
}

/// ```ignore
/// impl Decider for Subscribing {
///     const NAME: &'static str = "";
///     type Command = Subscribe;
///     const COMMAND_NAME: &'static str = "";
///     const __MODELS: &'static [ModelOf<Subscribe>] = &[];
///
///     fn __take(_: &mut [ModelState]) -> Self {
///         unreachable!()
///     }
///     // __put_back, __decide
/// }
/// ```
fn decider_impl(input: &Decision<'_>, types: &Types) -> TokenStream {
    let ident = input.ident();
    let Types {
        command,
        event,
        error,
    } = types;
    let generics = with_bounds(input.input, &quote!(::core::marker::Send));
    let (generics, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics __eventfold::Decider for #ident #arguments #where_clause {
            const NAME: &'static str = "";
            type Command = #command;
            const COMMAND_NAME: &'static str = "";
            const __MODELS: &'static [__eventfold::ModelOf<#command>] = &[];

            fn __take(_: &mut [__eventfold::ModelState]) -> Self {
                ::core::unreachable!()
            }

            fn __put_back(self, _: &mut [__eventfold::ModelState]) {
                ::core::unreachable!()
            }

            fn __decide(
                &self,
                _: #command,
                _: &__eventfold::DecisionContext<'_>,
            ) -> ::core::result::Result<::std::vec::Vec<#event>, #error> {
                ::core::unreachable!()
            }
        }
    }
}

/// A model without events.
///
/// ```ignore
/// impl DecisionModel for Seats {
///     const TAGS: &'static [&'static str] = &["course"];
///     const EVENTS: &'static [EventName] = &[];
///
///     fn apply_stored(&mut self, _: StoredEvent<'_>) -> Result<(), DecodeError> {
///         unreachable!()
///     }
/// }
/// ```
pub(crate) fn decision_model(input: &DecisionModel<'_>) -> TokenStream {
    let ident = input.ident();
    // With other tags, each decision that gives them values would have an error too.
    let tags = input.tags();
    let of_aggregate = matches!(input.of, Selects::Aggregate(_)).then(|| {
        quote!(
            const __IS_OF_AGGREGATE: bool = true;
        )
    });
    let tags = if of_aggregate.is_some() {
        quote!(&[""])
    } else {
        quote!(&[#(#tags),*])
    };
    let bounds = quote!(::core::default::Default + ::core::marker::Send);
    let generics = with_bounds(input.input, &bounds);
    let (generics, arguments, where_clause) = generics.split_for_impl();
    let item = quote! {
        #[automatically_derived]
        impl #generics __eventfold::DecisionModel for #ident #arguments #where_clause {
            const TAGS: &'static [&'static str] = #tags;
            const EVENTS: &'static [__eventfold::EventName] = &[];
            #of_aggregate

            fn apply_stored(
                &mut self,
                _: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<(), __eventfold::DecodeError> {
                ::core::unreachable!()
            }
        }
    };
    scope(&input.krate, item)
}

/// If the listed types are unknown, everything with this bound converts: what is decided or evolved.
///
/// ```ignore
/// impl<Any> From<Any> for BankAccountCommand
/// where
///     BankAccount: DecideWith<Any>,
/// {
///     fn from(_: Any) -> Self {
///         unreachable!()
///     }
/// }
/// ```
fn from_any(input: &DeriveInput, unknown: &Enum, bound: &TokenStream) -> Option<TokenStream> {
    let ident = &unknown.ident;
    // With parameters, the compiler cannot exclude that `Any` is the enum itself.
    input.generics.params.is_empty().then(|| {
        quote! {
            #[automatically_derived]
            impl<__Any> ::core::convert::From<__Any> for #ident
            where
                #bound,
            {
                fn from(_: __Any) -> Self {
                    ::core::unreachable!()
                }
            }
        }
    })
}

/// A `DomainEvent` without names.
pub(crate) fn event(input: &Event<'_>) -> TokenStream {
    let ident = &input.input.ident;
    let (generics, arguments, where_clause) = input.input.generics.split_for_impl();
    let header =
        quote!(impl #generics __eventfold::DomainEvent for #ident #arguments #where_clause);
    scope(&input.krate, domain_event_impl(header))
}

/// Makes the enums compile: variants get different names, and so do the enums.
/// The last of them are the events.
fn repair<const N: usize>(mut all: [&mut Messages; N], owner: &DeriveInput) {
    let mut taken = vec![owner.ident.to_string()];
    for messages in &mut all {
        let Messages::Listed(generated) = messages else {
            continue;
        };
        let mut name = generated.ident.to_string();
        while taken.contains(&name) {
            name.push('_');
        }
        if generated.ident != name {
            generated.ident = format_ident!("{name}", span = generated.ident.span());
        }
        taken.push(name);
        repair_variants(generated);
        if !generated.is_known {
            // With a variant, code that uses a value is not taken for unreachable.
            generated
                .items
                .push(Item::new(parse_quote!(::core::primitive::bool)));
        }
    }
    if let Some(Messages::Listed(events)) = all.last_mut()
        && let Some(Derives { paths, .. }) = &mut events.derives
    {
        paths.retain(|path| {
            path.segments
                .last()
                .is_none_or(|last| last.ident != "Clone")
        });
        paths.push(parse_quote!(::core::clone::Clone));
    }
}

fn repair_variants(generated: &mut Enum) {
    let mut kept: Vec<Item> = Vec::new();
    for mut item in std::mem::take(&mut generated.items) {
        // A type listed twice would be converted twice.
        if kept.iter().any(|earlier| earlier.is_written_as(&item)) {
            continue;
        }
        item.wire_name = None;
        while kept.iter().any(|earlier| earlier.variant == item.variant) {
            item.variant = format_ident!("{}_", item.variant);
        }
        kept.push(item);
    }
    generated.items = kept;
}

/// ```ignore
/// impl Aggregate for BankAccount {
///     const AGGREGATE_TYPE: &'static str = "";
///     type Command = BankAccountCommand;
///     type DomainEvent = BankAccountEvent;
///     type Error = BankError;
///
///     fn handle(&self, _: BankAccountCommand) -> Result<Vec<BankAccountEvent>, BankError> {
///         unreachable!()
///     }
///
///     fn apply(self, _: &BankAccountEvent) -> Self {
///         unreachable!()
///     }
/// }
/// ```
fn aggregate_impl(input: &Aggregate<'_>) -> TokenStream {
    let ident = input.ident();
    let Types {
        command,
        event,
        error,
    } = Types::of(input);
    let generics = generics_of_any_shape(input.input);
    let (generics, arguments, where_clause) = generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics __eventfold::Aggregate for #ident #arguments #where_clause {
            const AGGREGATE_TYPE: &'static str = "";
            type Command = #command;
            type DomainEvent = #event;
            type Error = #error;

            fn handle(
                &self,
                _: #command,
            ) -> ::core::result::Result<::std::vec::Vec<#event>, #error> {
                ::core::unreachable!()
            }

            fn apply(self, _: &#event) -> Self {
                ::core::unreachable!()
            }
        }
    }
}

/// The generics of `input`, with the bounds of `Aggregate` that are missing because of the shape.
fn generics_of_any_shape(input: &DeriveInput) -> Generics {
    let bounds = quote! {
        ::core::default::Default
            + ::core::clone::Clone
            + __eventfold::serde::Serialize
            + __eventfold::serde::de::DeserializeOwned
            + ::core::marker::Send
            + ::core::marker::Sync
    };
    with_bounds(input, &bounds)
}

/// The generics of `input`. If the derive refuses its shape, they have these bounds.
fn with_bounds(input: &DeriveInput, bounds: &TokenStream) -> Generics {
    let mut generics = input.generics.clone();
    if matches!(input.data, Data::Union(_)) || !generics.params.is_empty() {
        let ident = &input.ident;
        // The compiler accepts a bound over a lifetime until the impl is used
        // (rust-lang/rust#48214).
        let (_, arguments, _) = input.generics.split_for_impl();
        let this = quote!(#ident #arguments);
        let clause = generics.make_where_clause();
        clause
            .predicates
            .push(parse_quote!(for<'__any> #this: #bounds));
        clause.predicates.push(parse_quote!(#this: 'static));
    }
    generics
}

/// A projection or process manager that reads nothing.
///
/// ```ignore
/// impl Projection for Totals {
///     const NAME: &'static str = "";
///
///     fn subscriptions(&self) -> &'static [&'static str] {
///         unreachable!()
///     }
///     // apply
/// }
/// ```
pub(crate) fn reader(input: &Reader<'_>) -> TokenStream {
    let ident = input.ident();
    let generics = generics_of_any_shape(input.input);
    let (generics, arguments, where_clause) = generics.split_for_impl();
    let (of, name, returned) = match input.kind {
        Kind::SqlProjection => return sql_projection(input),
        Kind::Projection => (quote!(Projection), quote!(apply), quote!(())),
        Kind::ProcessManager => (
            quote!(ProcessManager),
            quote!(react),
            quote!(::std::vec::Vec<__eventfold::CommandEnvelope>),
        ),
    };
    let item = quote! {
        #[automatically_derived]
        impl #generics __eventfold::#of for #ident #arguments #where_clause {
            const NAME: &'static str = "";

            fn subscriptions(&self) -> &'static [&'static str] {
                ::core::unreachable!()
            }

            fn #name(
                &mut self,
                _: &str,
                _: &str,
                _: &__eventfold::eventfold::Event,
            ) -> #returned {
                ::core::unreachable!()
            }
        }
    };
    scope(&input.krate, item)
}

/// ```ignore
/// impl SqlProjection for Orders where Orders: SqlSchema + Send + Sync, Orders: 'static {
///     const NAME: &'static str = "";
///     // subscriptions, event_sets, project_stored
/// }
/// ```
fn sql_projection(input: &Reader<'_>) -> TokenStream {
    let ident = input.ident();
    let bounds = quote!(__eventfold::SqlSchema + ::core::marker::Send + ::core::marker::Sync);
    let generics = with_bounds(input.input, &bounds);
    let (generics, arguments, where_clause) = generics.split_for_impl();
    let item = quote! {
        #[automatically_derived]
        impl #generics __eventfold::SqlProjection for #ident #arguments #where_clause {
            const NAME: &'static str = "";

            fn subscriptions() -> &'static [&'static str] {
                ::core::unreachable!()
            }

            fn event_sets() -> &'static [__eventfold::EventSet] {
                ::core::unreachable!()
            }

            fn project_stored(
                &self,
                _: &__eventfold::rusqlite::Transaction<'_>,
                _: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<(), __eventfold::SqlRefusal> {
                ::core::unreachable!()
            }
        }
    };
    scope(&input.krate, item)
}

/// ```ignore
/// impl DomainEvent for Deposited {
///     const NAMES: &'static [EventName] = &[];
///
///     fn name(&self) -> &'static str {
///         unreachable!()
///     }
///     // encode, decode
/// }
/// ```
fn domain_event_impl(header: TokenStream) -> TokenStream {
    quote! {
        #[automatically_derived]
        #header {
            const NAMES: &'static [__eventfold::EventName] = &[];

            fn name(&self) -> &'static str {
                ::core::unreachable!()
            }

            fn encode(
                &self,
                _: &mut ::std::vec::Vec<u8>,
            ) -> ::core::result::Result<(), __eventfold::EncodeError> {
                ::core::unreachable!()
            }

            fn decode(
                _: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<
                __eventfold::Decoded<Self>,
                __eventfold::DecodeError,
            > {
                ::core::unreachable!()
            }
        }
    }
}
