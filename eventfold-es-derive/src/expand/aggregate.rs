//! `#[derive(Aggregate)]`: the enums and the impl that lead to `Decide` and `Evolve`.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::DeriveInput;

use super::message_enum::{enum_of, listed, variant_of};
use super::{command_enum, event_enum, message_enum, place};
use crate::ast::messages::Serde;
use crate::ast::{Aggregate, Item, Messages};

pub(crate) fn aggregate(input: &Aggregate<'_>) -> TokenStream {
    let mut enums = TokenStream::new();
    let mut impls = quote!(
        use __eventfold::NotListed as _;
    );
    if let Messages::Listed(commands) = &input.commands {
        enums.extend(message_enum::commands(input.owner(), commands));
        impls.extend(message_enum::impls(commands, "ListedCommand"));
        impls.extend(command_enum::serde(commands));
    }
    if let Messages::Listed(events) = &input.events {
        enums.extend(message_enum::events(input.owner(), events));
        impls.extend(message_enum::impls(events, "ListedEvent"));
        impls.extend(event_enum::impls(input.ident(), &input.retired, events));
    }
    impls.extend(decision_types(input.input, &Types::of(input)));
    impls.extend(aggregate_impl(input));
    let scope = super::scope(&input.krate, impls);
    quote!(#enums #scope)
}

/// The types that an aggregate names.
pub(crate) struct Types {
    pub(crate) command: TokenStream,
    pub(crate) event: TokenStream,
    pub(crate) error: TokenStream,
}

impl Types {
    pub(crate) fn of(input: &Aggregate<'_>) -> Self {
        Self {
            command: name_of(&input.commands),
            event: name_of(&input.events),
            error: error_or_none(input.error.as_ref()),
        }
    }
}

/// The name of an enum of messages.
pub(crate) fn name_of(messages: &Messages) -> TokenStream {
    match messages {
        Messages::Listed(generated) => generated.ident.to_token_stream(),
        Messages::Own(own) => own.to_token_stream(),
    }
}

/// The type of an error, if there is one.
pub(crate) fn error_or_none(error: Option<&syn::Type>) -> TokenStream {
    error.map_or_else(
        || quote!(::core::convert::Infallible),
        ToTokens::to_token_stream,
    )
}

/// ```ignore
/// impl DecisionTypes for BankAccount {
///     type DomainEvent = BankAccountEvent;
///     type Error = BankError;
/// }
/// ```
pub(crate) fn decision_types(input: &DeriveInput, types: &Types) -> TokenStream {
    let ident = &input.ident;
    let Types { event, error, .. } = types;
    let (generics, arguments, where_clause) = input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl #generics __eventfold::DecisionTypes for #ident #arguments #where_clause {
            type DomainEvent = #event;
            type Error = #error;
        }
    }
}

/// ```ignore
/// impl Aggregate for BankAccount {
///     const AGGREGATE_TYPE: &'static str = "bank-account";
///     const STATE_VERSION: u32 = 2;
///     const SNAPSHOT_EVERY: Option<u64> = Some(100);
///     const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Reject;
///
///     type Command = BankAccountCommand;
///     type DomainEvent = BankAccountEvent;
///     type Error = BankError;
///
///     // handle, handle_with, apply, repeat, fingerprint, encode_event, event_version, event_tags,
///     // decode_event, knows_event, command_name, command_routes, __events, __commands
/// }
/// ```
fn aggregate_impl(input: &Aggregate<'_>) -> TokenStream {
    let ident = input.ident();
    let Types {
        command,
        event,
        error,
    } = Types::of(input);
    let name = &input.name;
    let state_version = input.state_version.map(|version| {
        let version = Literal::u32_unsuffixed(version);
        quote!(const STATE_VERSION: u32 = #version;)
    });
    let snapshot_every = input.snapshot_every.map(|every| {
        let every = Literal::u64_unsuffixed(every);
        quote! {
            const SNAPSHOT_EVERY: ::core::option::Option<u64> = ::core::option::Option::Some(#every);
        }
    });
    let unknown_events = if input.skips_unknown_events {
        quote!(Skip)
    } else {
        quote!(Reject)
    };
    let decide = decide(input, &Types::of(input));
    let decision = match &input.commands {
        Messages::Listed(_) => quote!(__decide),
        Messages::Own(own) => quote_spanned! {place(own)=>
            <Self as __eventfold::DecideWith<#own>>::decide_with
        },
    };
    let apply = apply(input);
    let of_command = of_command(&command);
    let stored_form = stored_form(input, &event);
    let command_name = command_name(input);
    let command_routes = command_routes(input);
    let commands = about_commands(input);
    let (_, _, where_clause) = input.generics().split_for_impl();
    quote! {
        #decide

        #[automatically_derived]
        impl __eventfold::Aggregate for #ident #where_clause {
            const AGGREGATE_TYPE: &'static str = #name;
            #state_version
            #snapshot_every
            const UNKNOWN_EVENTS: __eventfold::UnknownEvents =
                __eventfold::UnknownEvents::#unknown_events;

            type Command = #command;
            type DomainEvent = #event;
            type Error = #error;

            fn handle(
                &self,
                __command: #command,
            ) -> ::core::result::Result<::std::vec::Vec<#event>, #error> {
                let __context = ::core::default::Default::default();
                #decision(self, __command, &__context)
            }

            fn handle_with(
                &self,
                __command: #command,
                __context: &__eventfold::DecisionContext<'_>,
            ) -> ::core::result::Result<::std::vec::Vec<#event>, #error> {
                #decision(self, __command, __context)
            }

            fn apply(mut self, __event: &#event) -> Self {
                #apply
                self
            }

            #of_command
            #stored_form
            #command_name
            #command_routes
            #commands
        }
    }
}

/// The decision on any command that is listed, for `handle` and `handle_with`. It has no bounds of an
/// aggregate, so that a state that lacks one is one error.
///
/// ```ignore
/// fn __decide(
///     state: &BankAccount,
///     command: BankAccountCommand,
///     context: &DecisionContext<'_>,
/// ) -> Result<Vec<BankAccountEvent>, BankError> {
///     match command {
///         BankAccountCommand::Deposit(command) => {
///             DecideWith::decide_with(state, ListedCommand::<Deposit>::__own(command), context)
///         }
///     }
/// }
/// ```
///
/// Unless the commands have both of serde's traits, an arm calls
/// `<BankAccount as DecideWith<Deposit>>::decide_with(state, command, context)`. A type that is
/// `Decide` is `DecideWith` too.
fn decide(input: &Aggregate<'_>, types: &Types) -> Option<TokenStream> {
    let Messages::Listed(commands) = &input.commands else {
        return None;
    };
    let state = input.ident();
    let arms = commands.items.iter().map(|item| {
        let (ty, ident, variant) = (&item.ty, enum_of(commands, item), variant_of(item));
        let listed = listed(item, "ListedCommand");
        let decide = if commands.serde() == Serde::Both {
            quote_spanned! {item.variant.span()=>
                __eventfold::DecideWith::decide_with(__state, #listed::__own(__command), __context)
            }
        } else {
            quote_spanned! {item.variant.span()=>
                <#state as __eventfold::DecideWith<#ty>>::decide_with(__state, __command, __context)
            }
        };
        quote_spanned!(item.variant.span()=> #ident::#variant(__command) => #decide,)
    });
    let Types {
        command,
        event,
        error,
    } = types;
    let (_, _, where_clause) = input.generics().split_for_impl();
    Some(quote! {
        fn __decide(
            __state: &#state,
            __command: #command,
            __context: &__eventfold::DecisionContext<'_>,
        ) -> ::core::result::Result<::std::vec::Vec<#event>, #error>
        #where_clause
        {
            match __command { #(#arms)* }
        }
    })
}

/// ```ignore
/// match event {
///     BankAccountEvent::Deposited(event) => {
///         Evolve::evolve(&mut self, ListedEvent::<Deposited>::__known(event))
///     }
/// }
/// ```
fn apply(input: &Aggregate<'_>) -> TokenStream {
    let events = match &input.events {
        Messages::Listed(events) => events,
        Messages::Own(own) => {
            let evolve = quote_spanned! {place(own)=>
                <Self as __eventfold::Evolve<#own>>::evolve
            };
            return quote!(#evolve(&mut self, __event););
        }
    };
    let arms = events.items.iter().map(|item| {
        let (ident, variant) = (enum_of(events, item), variant_of(item));
        let listed = listed(item, "ListedEvent");
        let evolve = quote_spanned! {item.variant.span()=>
            __eventfold::Evolve::evolve(&mut self, #listed::__known(__event))
        };
        quote_spanned!(item.variant.span()=> #ident::#variant(__event) => #evolve,)
    });
    quote!(match __event { #(#arms)* })
}

/// ```ignore
/// fn repeat(command: &BankAccountCommand) -> Option<BankAccountCommand> {
///     OfCommand::<BankAccountCommand>::__copy(command)
/// }
/// fn fingerprint(command: &BankAccountCommand) -> Option<u64> {
///     OfCommand::<BankAccountCommand>::__fingerprint(command)
/// }
/// ```
///
/// If the commands are not `Clone` or not `Serialize`, the functions of `OfAnyCommand` are called,
/// which return `None`.
pub(crate) fn of_command(command: &TokenStream) -> TokenStream {
    quote! {
        fn repeat(__command: &#command) -> ::core::option::Option<#command> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<#command>::__copy(__command)
        }

        fn fingerprint(__command: &#command) -> ::core::option::Option<u64> {
            use __eventfold::OfAnyCommand as _;
            __eventfold::OfCommand::<#command>::__fingerprint(__command)
        }
    }
}

/// ```ignore
/// fn encode_event(event: &BankAccountEvent, data: &mut Vec<u8>) -> Result<Cow<'static, str>, EncodeError> {
///     <BankAccountEvent as DomainEvent>::encode(event, data)?;
///     Ok(Cow::Borrowed(<BankAccountEvent as DomainEvent>::name(event)))
/// }
/// fn event_version(event: &BankAccountEvent) -> Option<u32> {
///     Some(<BankAccountEvent as DomainEvent>::schema_version(event))
/// }
/// const HAS_TAGS: bool = has_tags(<BankAccountEvent as DomainEvent>::NAMES);
/// fn event_tags(event: &BankAccountEvent, tags: &mut Tags) -> Result<(), InvalidTag> {
///     <BankAccountEvent as DomainEvent>::append_tags(event, tags)
/// }
/// fn decode_event(stored: StoredEvent<'_>) -> Result<Decoded<BankAccountEvent>, DecodeError> {
///     <BankAccountEvent as DomainEvent>::decode(stored)
/// }
/// fn knows_event(name: &str) -> bool {
///     <BankAccountEvent as DomainEvent>::knows(name)
/// }
/// fn __fingerprint() -> u64 {
///     __private::fingerprint(<BankAccountEvent as DomainEvent>::NAMES)
/// }
/// const __EVENT_NAMES: Option<&'static [EventName]> = Some(<BankAccountEvent as DomainEvent>::NAMES);
/// fn __events() -> Option<Vec<EventInfo>> {
///     let mut events = Vec::new();
///     <BankAccountEvent as DomainEvent>::__about(&mut events);
///     Some(events)
/// }
/// ```
fn stored_form(input: &Aggregate<'_>, event: &TokenStream) -> TokenStream {
    let as_event = match &input.events {
        Messages::Listed(_) => quote!(<#event as __eventfold::DomainEvent>),
        Messages::Own(own) => {
            quote_spanned!(place(own)=> <#event as __eventfold::DomainEvent>)
        }
    };
    quote! {
        fn encode_event(
            __event: &#event,
            __data: &mut ::std::vec::Vec<u8>,
        ) -> ::core::result::Result<
            ::std::borrow::Cow<'static, str>,
            __eventfold::EncodeError,
        > {
            #as_event::encode(__event, __data)?;
            ::core::result::Result::Ok(::std::borrow::Cow::Borrowed(#as_event::name(__event)))
        }

        fn event_version(__event: &#event) -> ::core::option::Option<u32> {
            ::core::option::Option::Some(#as_event::schema_version(__event))
        }

        const HAS_TAGS: bool = __eventfold::has_tags(#as_event::NAMES);

        fn event_tags(
            __event: &#event,
            __tags: &mut __eventfold::Tags,
        ) -> ::core::result::Result<(), __eventfold::InvalidTag> {
            #as_event::append_tags(__event, __tags)
        }

        fn decode_event(
            __stored: __eventfold::StoredEvent<'_>,
        ) -> ::core::result::Result<
            __eventfold::Decoded<#event>,
            __eventfold::DecodeError,
        > {
            #as_event::decode(__stored)
        }

        fn knows_event(__name: &str) -> bool {
            #as_event::knows(__name)
        }

        fn __fingerprint() -> u64 {
            __eventfold::fingerprint(#as_event::NAMES)
        }

        const __EVENT_NAMES: ::core::option::Option<&'static [__eventfold::EventName]> =
            ::core::option::Option::Some(#as_event::NAMES);

        fn __events() -> ::core::option::Option<::std::vec::Vec<__eventfold::EventInfo>> {
            let mut __events = ::std::vec::Vec::new();
            #as_event::__about(&mut __events);
            ::core::option::Option::Some(__events)
        }
    }
}

/// ```ignore
/// fn command_name(command: &BankAccountCommand) -> &'static str {
///     match command {
///         BankAccountCommand::Deposit(_) => "Deposit",
///     }
/// }
/// ```
fn command_name(input: &Aggregate<'_>) -> Option<TokenStream> {
    let Messages::Listed(commands) = &input.commands else {
        return None;
    };
    let command = Types::of(input).command;
    let arms = commands.items.iter().map(|item| {
        let (ident, variant) = (enum_of(commands, item), variant_of(item));
        let name = item.written_name();
        quote_spanned!(item.variant.span()=> #ident::#variant(_) => #name,)
    });
    (!commands.items.is_empty()).then(|| {
        quote! {
            fn command_name(__command: &#command) -> &'static str {
                match __command { #(#arms)* }
            }
        }
    })
}

/// ```ignore
/// fn command_routes(routes: &mut CommandRoutes<BankAccountCommand>) {
///     routes.add::<Deposit>();
/// }
/// ```
fn command_routes(input: &Aggregate<'_>) -> Option<TokenStream> {
    // Not `Self::Command`, which would check all bounds of an aggregate again.
    let command = Types::of(input).command;
    let add = |item: &Item| {
        let ty = &item.ty;
        quote_spanned!(item.variant.span()=> __routes.add::<#ty>();)
    };
    let items = input.commands.items();
    let routes = items.iter().map(add);
    (!items.is_empty()).then(|| {
        quote! {
            fn command_routes(__routes: &mut __eventfold::CommandRoutes<#command>) {
                #(#routes)*
            }
        }
    })
}

/// ```ignore
/// fn __commands() -> Option<Vec<CommandInfo>> {
///     use __private::NoSchema as _;
///     Some(about_commands(&[("Deposit", SchemaOf::<Deposit>::__SCHEMA)]))
/// }
/// ```
fn about_commands(input: &Aggregate<'_>) -> Option<TokenStream> {
    let Messages::Listed(commands) = &input.commands else {
        return None;
    };
    let told = commands.items.iter().map(|item| {
        let (ty, name) = (&item.ty, item.written_name());
        quote_spanned! {item.variant.span()=>
            (#name, __eventfold::SchemaOf::<#ty>::__SCHEMA)
        }
    });
    let import = (!commands.items.is_empty()).then(|| {
        quote!(
            use __eventfold::NoSchema as _;
        )
    });
    Some(quote! {
        fn __commands() -> ::core::option::Option<::std::vec::Vec<__eventfold::CommandInfo>> {
            #import
            ::core::option::Option::Some(__eventfold::about_commands(&[#(#told),*]))
        }
    })
}
