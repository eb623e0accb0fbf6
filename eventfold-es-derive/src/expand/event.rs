//! `#[derive(DomainEvent)]`: the stored names, and writing and reading the payload.

use proc_macro2::{Literal, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::Data;
use syn::ext::IdentExt as _;

use super::{history, sample, subjects, tags};
use crate::ast::event::{Names, SetVariant, Shape};
use crate::ast::history::{History, Retired, What};
use crate::ast::{Event, Subjects, Tagged};

pub(crate) fn event(input: &Event<'_>) -> TokenStream {
    let mut items = TokenStream::new();
    let body = match &input.shape {
        Shape::One(names, history, tags, subjects) => {
            items.extend(history::imports([history], &[]));
            items.extend(tags::imports(!tags.is_empty()));
            one(input, names, history, (tags, subjects))
        }
        Shape::Set(variants) => {
            let histories = variants.iter().map(|variant| &variant.history);
            items.extend(history::imports(histories, &input.retired));
            let has_tags = variants.iter().any(|variant| !variant.tags.is_empty());
            items.extend(tags::imports(has_tags));
            items.extend(names_with_retired(input, variants));
            set(input, variants)
        }
    };
    let about = about(input);
    let samples = match &input.input.data {
        Data::Enum(data) => sample::of_variants(data),
        _ => sample::of_struct(),
    };
    let ident = &input.input.ident;
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    super::scope(
        &input.krate,
        quote! {
            #items

            #[automatically_derived]
            impl __eventfold::DomainEvent for #ident #where_clause {
                #body
                #about
                #samples
            }
        },
    )
}

/// ```ignore
/// const NAMES: &'static [EventName] = &[EventName { name: "MoneyDeposited", aliases: &["Deposited"], version: Some(1), tags: &[] }];
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
///         "MoneyDeposited" | "Deposited" => {
///             check_version(stored, 1)?;
///             <Self as EventPayload>::decode_struct(stored)
///         }
///         _ => Err(stored.unknown()),
///     }
/// }
/// ```
///
/// With a `version` above 1, also `fn schema_version` for that version. With tags, also `fn append_tags`.
/// With subjects, `encode` says whose the personal data is.
fn one(
    input: &Event<'_>,
    names: &Names,
    history: &History,
    (tagged, subjects): (&[Tagged<'_>], &Subjects<'_>),
) -> TokenStream {
    let name = text(names);
    let listed = event_name(names, history, tagged);
    let append_tags = tags::of_struct(tagged);
    let pattern = pattern(names);
    let payload = payload(input);
    let decoded = history::decode(history, &quote!(#payload::decode_struct(__stored)));
    let encoded = quote!(#payload::encode_struct(self, #name, __data));
    let encoded = subjects::of_struct(&name, subjects, &encoded);
    let schema_version = (history.version > 1).then(|| {
        let version = Literal::u32_unsuffixed(history.version);
        quote!(fn schema_version(&self) -> u32 { #version })
    });
    let Signatures { encode, decode } = Signatures::new();
    quote! {
        const NAMES: &'static [__eventfold::EventName] = &[#listed];

        fn name(&self) -> &'static str {
            #name
        }

        #schema_version

        #append_tags

        #encode {
            #encoded
        }

        #decode {
            match __stored.name() {
                #pattern => #decoded
                _ => ::core::result::Result::Err(__stored.unknown()),
            }
        }
    }
}

/// ```ignore
/// const NAMES: &'static [EventName] = &[
///     EventName { name: "opened", aliases: &["Opened"], version: Some(1), tags: &[] },
///     EventName { name: "closed", aliases: &[], version: Some(1), tags: &[] },
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
///         "opened" | "Opened" => {
///             check_version(stored, 1)?;
///             <Self as EventPayload>::decode_variant(stored, "Opened")
///         }
///         "closed" => {
///             check_version(stored, 1)?;
///             <Self as EventPayload>::decode_variant(stored, "Closed")
///         }
///         _ => Err(stored.unknown()),
///     }
/// }
/// ```
fn set(input: &Event<'_>, variants: &[SetVariant<'_>]) -> TokenStream {
    let payload = payload(input);
    let listed = if has_retired_types(input) {
        quote!(&__NAMES)
    } else {
        own_names(input, variants)
    };
    let names = variants.iter().map(|variant| {
        let (ident, name) = (variant.ident, text(&variant.names));
        quote!(Self::#ident { .. } => #name,)
    });
    let encoded = variants.iter().map(|variant| {
        let (ident, name) = (variant.ident, text(&variant.names));
        // The name that serde gives the variant.
        let tag = ident.unraw().to_string();
        let encode = quote!(#payload::encode_variant(self, #tag, #name, __data));
        subjects::of_variant(ident, &name, &variant.subjects, &encode)
    });
    let decoded = variants.iter().map(|variant| {
        let (pattern, tag) = (pattern(&variant.names), variant.ident.unraw().to_string());
        let current = quote!(#payload::decode_variant(__stored, #tag));
        let decoded = history::decode(&variant.history, &current);
        quote!(#pattern => #decoded)
    });
    let schema_version = schema_version(variants);
    let append_tags = tags::of_variants(variants);
    let retired = history::retired(&input.retired);
    let unknown = quote!(::core::result::Result::Err(__stored.unknown()));
    let unknown = if retired.is_empty() {
        unknown
    } else {
        quote!({ #retired #unknown })
    };
    let Signatures { encode, decode } = Signatures::new();
    quote! {
        const NAMES: &'static [__eventfold::EventName] = #listed;

        fn name(&self) -> &'static str {
            match self { #(#names)* }
        }

        #schema_version

        #append_tags

        #encode {
            match self { #(#encoded)* }
        }

        #decode {
            match __stored.name() {
                #(#decoded)*
                _ => #unknown,
            }
        }
    }
}

/// ```ignore
/// fn schema_version(&self) -> u32 {
///     match self {
///         Self::Opened { .. } => 2,
///         _ => 1,
///     }
/// }
/// ```
fn schema_version(variants: &[SetVariant<'_>]) -> Option<TokenStream> {
    let above_1: Vec<&SetVariant<'_>> = variants
        .iter()
        .filter(|variant| variant.history.version > 1)
        .collect();
    let arms = above_1.iter().map(|variant| {
        let version = Literal::u32_unsuffixed(variant.history.version);
        let ident = variant.ident;
        quote!(Self::#ident { .. } => #version,)
    });
    let rest = (above_1.len() < variants.len()).then(|| quote!(_ => 1,));
    (!above_1.is_empty()).then(|| {
        quote! {
            fn schema_version(&self) -> u32 {
                match self { #(#arms)* #rest }
            }
        }
    })
}

/// ```ignore
/// fn __about(events: &mut Vec<EventInfo>) {
///     use __private::NoSchema as _;
///     let name = &<Self as DomainEvent>::NAMES[0];
///     events.push(about_event(name, &[(1, "in_cents")], SchemaOf::<Self>::__SCHEMA));
/// }
/// ```
///
/// For an enum, `about_variant(name, "Opened", &[], SchemaOf::<Self>::__SCHEMA)` for each variant. The
/// schema is an inherent constant if the type offers one, and otherwise that of the trait.
fn about(input: &Event<'_>) -> TokenStream {
    let schema = quote!(__eventfold::SchemaOf::<Self>::__SCHEMA);
    let name = |position: usize| {
        let position = Literal::usize_unsuffixed(position);
        quote!(&<Self as __eventfold::DomainEvent>::NAMES[#position])
    };
    let written: TokenStream = match &input.shape {
        Shape::One(_, history, ..) => {
            let (name, upcasts) = (name(0), history::upcasts(history));
            quote!(__events.push(__eventfold::about_event(#name, #upcasts, #schema));)
        }
        Shape::Set(variants) => {
            let variants = variants.iter().enumerate().map(|(position, variant)| {
                let (name, upcasts) = (name(position), history::upcasts(&variant.history));
                let tag = variant.ident.unraw().to_string();
                quote! {
                    __events.push(__eventfold::about_variant(#name, #tag, #upcasts, #schema));
                }
            });
            variants.collect()
        }
    };
    let retired = history::about_retired(&input.retired);
    history::about(&quote! {
        use __eventfold::NoSchema as _;
        #written
        #retired
    })
}

/// The names of a set, with those that are retired by name.
fn own_names(input: &Event<'_>, variants: &[SetVariant<'_>]) -> TokenStream {
    let listed = variants
        .iter()
        .map(|variant| event_name(&variant.names, &variant.history, &variant.tags));
    let retired = input
        .retired
        .iter()
        .filter_map(|retired| match &retired.what {
            What::Named(name) => Some(history::retired_name(&name.value)),
            What::Typed(_) => None,
        });
    let all = listed.chain(retired);
    quote!(&[#(#all),*])
}

fn has_retired_types(input: &Event<'_>) -> bool {
    input
        .retired
        .iter()
        .any(|retired| matches!(retired.what, What::Typed(_)))
}

/// The names of a set with those of retired types, and the check that no two are equal.
///
/// ```ignore
/// const __EVENTS: &[(&str, &[EventName])] = &[
///     ("CounterEvent", &[EventName { .. }]),
///     ("retired(Moved)", &retired_names::<{ <Moved as DomainEvent>::NAMES.len() }>(<Moved as DomainEvent>::NAMES)),
/// ];
/// // and so on, as for a generated enum
/// ```
fn names_with_retired(input: &Event<'_>, variants: &[SetVariant<'_>]) -> Option<TokenStream> {
    if !has_retired_types(input) {
        return None;
    }
    let ident = input.input.ident.unraw().to_string();
    let own = own_names(input, variants);
    let mut sets = vec![(quote!((#ident, #own)), input.input.ident.span())];
    let typed = |retired: &&Retired| matches!(retired.what, What::Typed(_));
    let typed = input.retired.iter().filter(typed);
    sets.extend(typed.map(history::retired_set));
    Some(super::event_enum::names(&ident, &sets))
}

/// `<Self as EventPayload>`, placed on the type, so that an error about serde's traits points at
/// it.
fn payload(input: &Event<'_>) -> TokenStream {
    quote_spanned!(input.input.ident.span()=> <Self as __eventfold::EventPayload>)
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

/// `EventName { name: "MoneyDeposited", aliases: &["Deposited"], version: Some(1), tags: &[] }`
fn event_name(names: &Names, history: &History, tagged: &[Tagged<'_>]) -> TokenStream {
    let name = text(names);
    let aliases = names.aliases.iter().map(|alias| &alias.value);
    let version = Literal::u32_unsuffixed(history.version);
    let tags = tags::names(tagged);
    quote! {
        __eventfold::EventName {
            name: #name,
            aliases: &[#(#aliases),*],
            version: ::core::option::Option::Some(#version),
            tags: #tags,
        }
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
