//! `#[derive(Projection)]`, `#[derive(SqlProjection)]` and `#[derive(ProcessManager)]`: the impls that
//! lead to `Project`, `ProjectSql` and `React`, and for events that belong to no aggregate to `Evolve`,
//! `ProjectSqlEvent` and `ReactTo`.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::TypePath;
use syn::ext::IdentExt as _;

use super::event_enum;
use crate::ast::{Kind, Reader};
use crate::attr::shown;

pub(crate) fn reader(input: &Reader<'_>) -> TokenStream {
    let (types, names) = (types_differ(input), names_differ(input));
    let item = match input.kind {
        Kind::Projection => projection(input),
        Kind::SqlProjection => sql_projection(input),
        Kind::ProcessManager => process_manager(input),
    };
    let import = quote!(
        use __eventfold::NotListed as _;
    );
    super::scope(&input.krate, quote!(#import #types #names #item))
}

/// The check that no two aggregates are stored under one name. There is one for each aggregate
/// after the first, placed on it.
///
/// ```ignore
/// const __AGGREGATES: &Events = &[
///     ("BankAccount", &[aggregate_name(EventSet::of::<BankAccount>().aggregate_type())]),
///     ("Loan", &[aggregate_name(EventSet::of::<Loan>().aggregate_type())]),
/// ];
/// const __SHARED: Shared<2> = shared_names::<2, { slots(__AGGREGATES) }>(__AGGREGATES);
/// const _: () = assert_type_is_new("Totals", __AGGREGATES, &__SHARED, 1);
/// ```
fn types_differ(input: &Reader<'_>) -> Option<TokenStream> {
    let names = input.aggregates.iter().map(|ty| {
        let (name, events) = (shown(ty), events_of(ty));
        let stored = quote!(__eventfold::aggregate_name(#events.aggregate_type()));
        (quote!((#name, &[#stored])), place(ty))
    });
    let sets: Vec<_> = names.collect();
    let reader = input.ident().unraw().to_string();
    let checks = event_enum::all_differ("assert_type_is_new", &reader, "__AGGREGATES", &sets)?;
    let listed = sets.iter().map(|(set, _)| set);
    Some(quote! {
        const __AGGREGATES: &__eventfold::Events = &[#(#listed),*];
        #checks
    })
}

/// The check that no two listed events share a stored name. There is one for each event after the
/// first, placed on it. The block keeps its names apart from those of the aggregates.
///
/// ```ignore
/// const _: () = {
///     const __EVENTS: &Events = &[
///         ("CourseDefined", <CourseDefined as DomainEvent>::NAMES),
///         ("Subscribed", <Subscribed as DomainEvent>::NAMES),
///     ];
///     const __SHARED: Shared<2> = shared_names::<2, { slots(__EVENTS) }>(__EVENTS);
///     const _: () = assert_names_are_new("Courses", __EVENTS, &__SHARED, 1);
/// };
/// ```
fn names_differ(input: &Reader<'_>) -> Option<TokenStream> {
    let names = input.events.iter().map(|ty| {
        let (name, event) = (shown(ty), as_event(ty));
        (quote!((#name, #event::NAMES)), place(ty))
    });
    let sets: Vec<_> = names.collect();
    let reader = input.ident().unraw().to_string();
    let checks = event_enum::all_differ("assert_names_are_new", &reader, "__EVENTS", &sets)?;
    let listed = sets.iter().map(|(set, _)| set);
    Some(quote! {
        const _: () = {
            const __EVENTS: &__eventfold::Events = &[#(#listed),*];
            #checks
        };
    })
}

/// ```ignore
/// impl Projection for Totals {
///     const NAME: &'static str = "totals";
///     const VERSION: u32 = 2;
///
///     // subscriptions, event_sets
///
///     fn apply(&mut self, aggregate_type: &str, id: &str, event: &eventfold::Event) {
///         apply_eventfold(self, aggregate_type, id, event)
///     }
///
///     fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
///         let aggregate_type = stored.record().aggregate_type();
///         if aggregate_type == EventSet::of::<BankAccount>().aggregate_type() {
///             return ListedAggregate::<BankAccount>::__project(self, stored);
///         }
///         // Only with `events(Subscribed)`.
///         if aggregate_type.is_empty() && <Subscribed as DomainEvent>::knows(stored.name()) {
///             return ListedEvent::<Subscribed>::__fold(self, stored);
///         }
///         Ok(())
///     }
/// }
/// ```
fn projection(input: &Reader<'_>) -> TokenStream {
    let (ident, name, version) = (input.ident(), &input.name, version(input));
    let read = read(input, &quote!(&self));
    let dispatched = dispatched(
        input,
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedAggregate::<#ty>::__project(self, __stored)),
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedEvent::<#ty>::__fold(self, __stored)),
    );
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl __eventfold::Projection for #ident #where_clause {
            const NAME: &'static str = #name;
            #version

            #read

            fn apply(
                &mut self,
                __aggregate_type: &str,
                __id: &str,
                __event: &__eventfold::eventfold::Event,
            ) {
                __eventfold::apply_eventfold(self, __aggregate_type, __id, __event);
            }

            fn apply_stored(
                &mut self,
                __stored: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<(), __eventfold::DecodeError> {
                #dispatched
            }
        }
    }
}

fn version(input: &Reader<'_>) -> Option<TokenStream> {
    input.version.map(|version| {
        let version = Literal::u32_unsuffixed(version);
        quote!(const VERSION: u32 = #version;)
    })
}

/// ```ignore
/// impl SqlProjection for Orders {
///     const NAME: &'static str = "orders";
///     const VERSION: u32 = 2;
///
///     // subscriptions and event_sets without a receiver
///
///     fn project_stored(&self, tx: &Transaction<'_>, stored: StoredEvent<'_>) -> Result<(), SqlRefusal> {
///         // As `apply_stored` of a projection, with
///         return ListedAggregate::<Order>::__project_sql(self, tx, stored);
///     }
/// }
/// ```
fn sql_projection(input: &Reader<'_>) -> TokenStream {
    let (ident, name, version) = (input.ident(), &input.name, version(input));
    let read = read(input, &TokenStream::new());
    let dispatched = dispatched(
        input,
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedAggregate::<#ty>::__project_sql(self, __tx, __stored)),
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedEvent::<#ty>::__project_sql(self, __tx, __stored)),
    );
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl __eventfold::SqlProjection for #ident #where_clause {
            const NAME: &'static str = #name;
            #version

            #read

            fn project_stored(
                &self,
                __tx: &__eventfold::rusqlite::Transaction<'_>,
                __stored: __eventfold::StoredEvent<'_>,
            ) -> ::core::result::Result<(), __eventfold::SqlRefusal> {
                #dispatched
            }
        }
    }
}

/// ```ignore
/// impl ProcessManager for Fulfilment {
///     const NAME: &'static str = "fulfilment";
///
///     // subscriptions, event_sets; react and react_stored as those of a projection
///
///     fn targets<T: Targets>(targets: &mut T) {
///         <Inventory as DispatchTarget>::add_to(targets);
///         <Subscribing as DecisionTarget>::add_to(targets);
///     }
///
///     fn on_dead_letter(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
///         Self::not_sent(self, letter, out)
///     }
/// }
/// ```
fn process_manager(input: &Reader<'_>) -> TokenStream {
    let (ident, name) = (input.ident(), &input.name);
    let read = read(input, &quote!(&self));
    let dispatched = dispatched(
        input,
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedAggregate::<#ty>::__react(self, __stored, __out)),
        |ty| quote_spanned!(place(ty)=> __eventfold::ListedEvent::<#ty>::__react(self, __stored, __out)),
    );
    let targets = input.dispatches.iter().map(
        |ty| quote_spanned!(place(ty)=> <#ty as __eventfold::DispatchTarget>::add_to(__targets);),
    );
    let decisions = input.decides.iter().map(
        |ty| quote_spanned!(place(ty)=> <#ty as __eventfold::DecisionTarget>::add_to(__targets);),
    );
    let has_targets = !input.dispatches.is_empty() || !input.decides.is_empty();
    let targets = has_targets.then(|| {
        quote! {
            fn targets<__T: __eventfold::Targets>(__targets: &mut __T) {
                #(#targets)*
                #(#decisions)*
            }
        }
    });
    let on_dead_letter = input.on_dead_letter.as_ref().map(|function| {
        quote! {
            fn on_dead_letter(
                &mut self,
                __letter: &__eventfold::DeadLetter,
                __out: &mut __eventfold::Outbox<'_>,
            ) {
                #function(self, __letter, __out)
            }
        }
    });
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl __eventfold::ProcessManager for #ident #where_clause {
            const NAME: &'static str = #name;

            #read
            #targets
            #on_dead_letter

            fn react(
                &mut self,
                __aggregate_type: &str,
                __id: &str,
                __event: &__eventfold::eventfold::Event,
            ) -> ::std::vec::Vec<__eventfold::CommandEnvelope> {
                __eventfold::react_eventfold(self, __aggregate_type, __id, __event)
            }

            fn react_stored(
                &mut self,
                __stored: __eventfold::StoredEvent<'_>,
                __out: &mut __eventfold::Outbox<'_>,
            ) -> ::core::result::Result<(), __eventfold::DecodeError> {
                #dispatched
            }
        }
    }
}

/// ```ignore
/// fn subscriptions(&self) -> &'static [&'static str] {
///     // With `events(...)` also `""`, for the events that belong to no aggregate.
///     const { &[EventSet::of::<BankAccount>().aggregate_type()] }
/// }
///
/// fn event_sets() -> &'static [EventSet] {
///     const {
///         &[
///             EventSet::of::<BankAccount>(),
///             // For each of `events(...)`.
///             EventSet::of_event(
///                 <Subscribed as DomainEvent>::knows,
///                 || fingerprint(<Subscribed as DomainEvent>::NAMES),
///                 <Subscribed as DomainEvent>::__about,
///             ),
///         ]
///     }
/// }
/// ```
fn read(input: &Reader<'_>, receiver: &TokenStream) -> TokenStream {
    let types = input.aggregates.iter().map(|ty| {
        let events = events_of(ty);
        quote!(#events.aggregate_type())
    });
    let types = types.chain((!input.events.is_empty()).then(|| quote!("")));
    let sets = input.aggregates.iter().map(events_of);
    let sets = sets.chain(input.events.iter().map(|ty| {
        let event = as_event(ty);
        quote_spanned! {place(ty)=>
            __eventfold::EventSet::of_event(
                #event::knows,
                || __eventfold::fingerprint(#event::NAMES),
                #event::__about,
            )
        }
    }));
    quote! {
        fn subscriptions(#receiver) -> &'static [&'static str] {
            const { &[#(#types),*] }
        }

        fn event_sets() -> &'static [__eventfold::EventSet] {
            const { &[#(#sets),*] }
        }
    }
}

/// Passes an event to the code that reads it, by its aggregate's type. An event that belongs to no
/// aggregate is passed on by its name; those that are not listed are for others.
fn dispatched(
    input: &Reader<'_>,
    of_aggregate: impl Fn(&TypePath) -> TokenStream,
    of_none: impl Fn(&TypePath) -> TokenStream,
) -> TokenStream {
    let arms = input.aggregates.iter().map(|ty| {
        let (events, read) = (events_of(ty), of_aggregate(ty));
        quote! {
            if __aggregate_type == #events.aggregate_type() {
                return #read;
            }
        }
    });
    let others = input.events.iter().map(|ty| {
        let (event, read) = (as_event(ty), of_none(ty));
        quote_spanned! {place(ty)=>
            if __aggregate_type.is_empty() && #event::knows(__stored.name()) {
                return #read;
            }
        }
    });
    quote! {
        let __aggregate_type = __stored.record().aggregate_type();
        #(#arms)*
        #(#others)*
        ::core::result::Result::Ok(())
    }
}

/// `EventSet::of::<BankAccount>()`: every bound on an aggregate is required in this one way, so
/// that all errors about a missing impl are the same one.
fn events_of(ty: &TypePath) -> TokenStream {
    quote_spanned!(place(ty)=> __eventfold::EventSet::of::<#ty>())
}

/// `<Subscribed as DomainEvent>`, placed so that all errors about a missing impl are the same one.
fn as_event(ty: &TypePath) -> TokenStream {
    quote_spanned!(place(ty)=> <#ty as __eventfold::DomainEvent>)
}

/// The place of an error about a listed type: its last segment.
fn place(ty: &TypePath) -> Span {
    let last = ty.path.segments.last();
    last.expect("a parsed path has a segment").ident.span()
}
