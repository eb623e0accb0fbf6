//! `#[derive(Decision)]`: the event enum, and the impl that leads to `Decide`.

use proc_macro2::{Literal, Span, TokenStream};
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Member, Type};

use super::aggregate::{self, Types};
use super::{event_enum, message_enum};
use crate::ast::decision::Model;
use crate::ast::{Decision, Messages};

pub(crate) fn decision(input: &Decision<'_>) -> TokenStream {
    let mut enums = TokenStream::new();
    let mut impls = quote!(
        use __eventfold::NoSchema as _;
        use __eventfold::NotListed as _;
    );
    if let Messages::Listed(events) = &input.events {
        enums.extend(message_enum::events(input.owner(), events));
        impls.extend(message_enum::impls(events, "ListedEvent"));
        impls.extend(event_enum::impls(input.ident(), &[], events));
    }
    let types = types(input);
    impls.extend(aggregate::decision_types(input.input, &types));
    impls.extend(input.models.iter().map(check));
    impls.extend(decider(input, &types));
    let scope = super::scope(&input.krate, impls);
    quote!(#enums #scope)
}

/// The types that a decision names. The command is `()` if a mistake hides it.
pub(crate) fn types(input: &Decision<'_>) -> Types {
    let command = input.command.as_ref();
    Types {
        command: command.map_or_else(|| quote!(()), quote::ToTokens::to_token_stream),
        event: aggregate::name_of(&input.events),
        error: aggregate::error_or_none(input.error.as_ref()),
    }
}

/// The check that the values which are given are those of the model's tags, placed on the first of
/// them.
///
/// ```ignore
/// const _: () = assert_values_are_given(
///     "Seats",
///     <Seats as DecisionModel>::TAGS,
///     <Seats as DecisionModel>::__IS_OF_AGGREGATE,
///     &["course"],
/// );
/// ```
fn check(model: &Model<'_>) -> TokenStream {
    let as_model = as_model(model.ty);
    let text = model.ty.to_token_stream().to_string().replace(' ', "");
    let given = model.values.iter().map(|value| value.tag.value());
    quote_spanned! {place(model)=>
        const _: () = __eventfold::assert_values_are_given(
            #text,
            #as_model::TAGS,
            #as_model::__IS_OF_AGGREGATE,
            &[#(#given),*],
        );
    }
}

/// ```ignore
/// impl Decider for Subscribing {
///     const NAME: &'static str = "subscribing";
///     type Command = Subscribe;
///     const COMMAND_NAME: &'static str = "Subscribe";
///     const __COMMAND_SCHEMA: Schema = SchemaOf::<Subscribe>::__SCHEMA;
///
///     // repeat, fingerprint
///
///     const __MODELS: &'static [ModelOf<Subscribe>] = &[
///         ModelOf::new(<Seats as DecisionModel>::__ERASED, "seats", |command, tags| {
///             add_value(<Seats as DecisionModel>::__tag("course"), &command.course, tags)?;
///             Ok(())
///         }),
///     ];
///
///     fn __take(states: &mut [ModelState]) -> Self {
///         Self { seats: <Seats as DecisionModel>::__take(&mut states[0]) }
///     }
///
///     fn __put_back(self, states: &mut [ModelState]) {
///         <Seats as DecisionModel>::__put_back(self.seats, &mut states[0]);
///     }
///
///     fn __decide(&self, command: Subscribe, context: &DecisionContext<'_>) -> Result<Vec<SubscribingEvent>, SubscribeError> {
///         <Self as DecidesCommand<Subscribe>>::decide_command(self, command, context)
///     }
/// }
/// ```
fn decider(input: &Decision<'_>, types: &Types) -> TokenStream {
    let (ident, name) = (input.ident(), &input.name);
    let Types {
        command,
        event,
        error,
    } = types;
    let at = input
        .command
        .as_ref()
        .map_or_else(Span::call_site, super::place);
    let command_name = input
        .command
        .as_ref()
        .map_or_else(String::new, last_segment);
    let decide = quote_spanned! {at=>
        <Self as __eventfold::DecidesCommand<#command>>::decide_command
    };
    let of_command = aggregate::of_command(command);
    let models = input.models.iter().map(model);
    let numbered = || {
        input.models.iter().enumerate().map(|(position, model)| {
            let position = Literal::usize_unsuffixed(position);
            (&model.member, as_model(model.ty), position)
        })
    };
    let taken = numbered().map(|(member, as_model, position)| {
        quote!(#member: #as_model::__take(&mut __states[#position]),)
    });
    let put_back = numbered().map(|(member, as_model, position)| {
        quote!(#as_model::__put_back(self.#member, &mut __states[#position]);)
    });
    let (_, _, where_clause) = input.input.generics.split_for_impl();
    quote! {
        #[automatically_derived]
        impl __eventfold::Decider for #ident #where_clause {
            const NAME: &'static str = #name;
            type Command = #command;
            const COMMAND_NAME: &'static str = #command_name;
            const __COMMAND_SCHEMA: __eventfold::Schema = __eventfold::SchemaOf::<#command>::__SCHEMA;

            #of_command

            const __MODELS: &'static [__eventfold::ModelOf<#command>] = &[#(#models),*];

            fn __take(__states: &mut [__eventfold::ModelState]) -> Self {
                Self { #(#taken)* }
            }

            fn __put_back(self, __states: &mut [__eventfold::ModelState]) {
                #(#put_back)*
            }

            fn __decide(
                &self,
                __command: #command,
                __context: &__eventfold::DecisionContext<'_>,
            ) -> ::core::result::Result<::std::vec::Vec<#event>, #error> {
                #decide(self, __command, __context)
            }
        }
    }
}

/// ```ignore
/// ModelOf::new(<Seats as DecisionModel>::__ERASED, "seats", |command, tags| {
///     add_value(<Seats as DecisionModel>::__tag("course"), &command.course, tags)?;
///     Ok(())
/// })
/// ```
///
/// The name of an aggregate's tag is known to its model alone, so a single tag is asked for.
fn model(model: &Model<'_>) -> TokenStream {
    let as_model = as_model(model.ty);
    let field = match &model.member {
        Member::Named(ident) => ident.unraw().to_string(),
        Member::Unnamed(index) => index.index.to_string(),
    };
    let added = model.values.iter().map(|value| {
        let (name, path) = (value.tag.value(), &value.path);
        let tag = if model.values.len() == 1 {
            quote!(#as_model::__tag(#name))
        } else {
            quote!(#name)
        };
        quote_spanned! {path.span()=>
            __eventfold::add_value(#tag, &__command.#path, __tags)?;
        }
    });
    let (command, tags) = if model.values.is_empty() {
        (quote!(_), quote!(_))
    } else {
        (quote!(__command), quote!(__tags))
    };
    quote! {
        __eventfold::ModelOf::new(#as_model::__ERASED, #field, |#command, #tags| {
            #(#added)*
            ::core::result::Result::Ok(())
        })
    }
}

/// `<Seats as DecisionModel>`
fn as_model(ty: &Type) -> TokenStream {
    quote_spanned!(ty.span()=> <#ty as __eventfold::DecisionModel>)
}

/// The place of an error about the values of a model.
fn place(model: &Model<'_>) -> Span {
    match (model.values.first(), model.attribute) {
        (Some(value), _) => value.tag.span(),
        (None, Some(attribute)) => attribute.path().span(),
        (None, None) => model.ty.span(),
    }
}

/// The name of the last segment of a type.
fn last_segment(ty: &Type) -> String {
    match ty {
        Type::Group(group) => last_segment(&group.elem),
        Type::Path(path) => {
            let last = path.path.segments.last();
            let last = last.expect("a parsed path has a segment");
            last.ident.unraw().to_string()
        }
        ty => ty.to_token_stream().to_string(),
    }
}
