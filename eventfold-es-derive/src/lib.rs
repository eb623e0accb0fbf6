//! The derive macros of `eventfold-es`. They are documented, and meant to be used, there.
//!
//! An input goes through four phases, one module each. `attr` reads the attributes by a table of
//! keys, `ast` represents what the user wrote, `check` applies the rules, and `expand` writes the
//! code. The first three collect every mistake in `errors` and go on. `expand` cannot fail. After a
//! mistake `fallback` writes the code instead.

use proc_macro::TokenStream;
use quote::ToTokens as _;
use syn::{DeriveInput, parse_macro_input};

mod ast;
mod attr;
mod case;
mod check;
mod errors;
mod expand;
mod fallback;
mod name;
mod similar;

#[cfg(test)]
mod tests;

/// See `eventfold_es::Aggregate`.
#[proc_macro_derive(Aggregate, attributes(aggregate))]
pub fn derive_aggregate(input: TokenStream) -> TokenStream {
    aggregate(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::aggregate_impl`.
#[proc_macro_attribute]
pub fn aggregate_impl(arguments: TokenStream, item: TokenStream) -> TokenStream {
    methods(arguments.into(), item.into()).into()
}

/// See `eventfold_es::DomainEvent`.
#[proc_macro_derive(DomainEvent, attributes(event, personal, subject, tag))]
pub fn derive_domain_event(input: TokenStream) -> TokenStream {
    domain_event(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::Projection`.
#[proc_macro_derive(Projection, attributes(projection))]
pub fn derive_projection(input: TokenStream) -> TokenStream {
    projection(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::SqlProjection`.
#[proc_macro_derive(SqlProjection, attributes(projection))]
pub fn derive_sql_projection(input: TokenStream) -> TokenStream {
    sql_projection(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::ProcessManager`.
#[proc_macro_derive(ProcessManager, attributes(process_manager))]
pub fn derive_process_manager(input: TokenStream) -> TokenStream {
    process_manager(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::Decision`.
#[proc_macro_derive(Decision, attributes(decision, model))]
pub fn derive_decision(input: TokenStream) -> TokenStream {
    decision(&parse_macro_input!(input as DeriveInput)).into()
}

/// See `eventfold_es::DecisionModel`.
#[proc_macro_derive(DecisionModel, attributes(decision_model))]
pub fn derive_decision_model(input: TokenStream) -> TokenStream {
    decision_model(&parse_macro_input!(input as DeriveInput)).into()
}

fn aggregate(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let input = ast::Aggregate::read(input, &mut errors);
    check::aggregate(&input, &mut errors);
    match errors.finish() {
        Ok(()) => expand::generated(expand::aggregate::aggregate(&input)),
        Err(mut found) => {
            found.extend(expand::generated(fallback::aggregate(input)));
            found
        }
    }
}

/// The block is written as it is, also after a mistake.
fn methods(
    arguments: proc_macro2::TokenStream,
    item: proc_macro2::TokenStream,
) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let block = match syn::parse2::<ast::ImplBlock>(item.clone()) {
        Ok(block) => block,
        Err(error) => {
            errors.push(ast::impl_block::unreadable(&item, error));
            let mut found = errors.finish().err().unwrap_or_default();
            found.extend(item);
            return found;
        }
    };
    let mut input = ast::AggregateImpl::read(arguments, block, &mut errors);
    check::aggregate_impl(&mut input, &mut errors);
    let mut written = input.block.to_token_stream();
    written.extend(errors.finish().err());
    written.extend(expand::methods::impls(&input).map(expand::generated));
    written
}

fn domain_event(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let input = ast::Event::read(input, &mut errors);
    check::event(&input, &mut errors);
    match errors.finish() {
        Ok(()) => expand::generated(expand::event::event(&input)),
        Err(mut found) => {
            found.extend(expand::generated(fallback::event(&input)));
            found
        }
    }
}

fn decision(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let input = ast::Decision::read(input, &mut errors);
    check::decision(&input, &mut errors);
    match errors.finish() {
        Ok(()) => expand::generated(expand::decision::decision(&input)),
        Err(mut found) => {
            found.extend(expand::generated(fallback::decision(input)));
            found
        }
    }
}

fn decision_model(input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let input = ast::DecisionModel::read(input, &mut errors);
    check::decision_model(&input, &mut errors);
    match errors.finish() {
        Ok(()) => expand::generated(expand::decision_model::decision_model(&input)),
        Err(mut found) => {
            found.extend(expand::generated(fallback::decision_model(&input)));
            found
        }
    }
}

fn projection(input: &DeriveInput) -> proc_macro2::TokenStream {
    reader(ast::Kind::Projection, input)
}

fn sql_projection(input: &DeriveInput) -> proc_macro2::TokenStream {
    reader(ast::Kind::SqlProjection, input)
}

fn process_manager(input: &DeriveInput) -> proc_macro2::TokenStream {
    reader(ast::Kind::ProcessManager, input)
}

fn reader(kind: ast::Kind, input: &DeriveInput) -> proc_macro2::TokenStream {
    let mut errors = errors::Errors::new();
    let input = ast::Reader::read(kind, input, &mut errors);
    check::reader(&input, &mut errors);
    match errors.finish() {
        Ok(()) => expand::generated(expand::reader::reader(&input)),
        Err(mut found) => {
            found.extend(expand::generated(fallback::reader(&input)));
            found
        }
    }
}
