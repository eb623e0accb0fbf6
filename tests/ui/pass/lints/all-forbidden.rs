//! A crate that forbids every lint which generated code could set off, where an `allow` is an error.
//! serde's derives write some, so its traits are implemented by hand.
#![allow(clippy::pedantic)]
#![forbid(
    // Each that is off unless asked for.
    absolute_paths_not_starting_with_crate,
    ambiguous_negative_literals,
    closure_returning_async_block,
    deprecated_safe_2024,
    deref_into_dyn_supertrait,
    edition_2024_expr_fragment_specifier,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements,
    ffi_unwind_calls,
    if_let_rescope,
    impl_trait_overcaptures,
    impl_trait_redundant_captures,
    keyword_idents_2018,
    keyword_idents_2024,
    let_underscore_drop,
    macro_use_extern_crate,
    meta_variable_misuse,
    missing_copy_implementations,
    missing_debug_implementations,
    missing_docs,
    missing_unsafe_on_extern,
    non_ascii_idents,
    redundant_imports,
    redundant_lifetimes,
    rust_2021_incompatible_closure_captures,
    rust_2021_incompatible_or_patterns,
    rust_2021_prefixes_incompatible_syntax,
    rust_2021_prelude_collisions,
    rust_2024_guarded_string_incompatible_syntax,
    rust_2024_incompatible_pat,
    rust_2024_prelude_collisions,
    single_use_lifetimes,
    tail_expr_drop_order,
    trivial_casts,
    trivial_numeric_casts,
    unit_bindings,
    unnameable_types,
    unreachable_pub,
    unsafe_attr_outside_unsafe,
    unsafe_code,
    unsafe_op_in_unsafe_fn,
    unused_extern_crates,
    unused_import_braces,
    unused_lifetimes,
    unused_macro_rules,
    unused_qualifications,
    unused_results,
    variant_size_differences,
    // Those of the others that code can set off.
    bare_trait_objects,
    confusable_idents,
    const_item_mutation,
    dead_code,
    deprecated,
    dropping_copy_types,
    dropping_references,
    function_item_references,
    irrefutable_let_patterns,
    map_unit_fn,
    mismatched_lifetime_syntaxes,
    mixed_script_confusables,
    non_camel_case_types,
    non_fmt_panics,
    non_local_definitions,
    non_snake_case,
    non_upper_case_globals,
    noop_method_call,
    opaque_hidden_inferred_bound,
    path_statements,
    private_bounds,
    private_interfaces,
    redundant_semicolons,
    refining_impl_trait_internal,
    refining_impl_trait_reachable,
    trivial_bounds,
    type_alias_bounds,
    uncommon_codepoints,
    unconditional_recursion,
    unexpected_cfgs,
    unfulfilled_lint_expectations,
    unreachable_code,
    unreachable_patterns,
    unused_allocation,
    unused_assignments,
    unused_attributes,
    unused_braces,
    unused_comparisons,
    unused_doc_comments,
    unused_imports,
    unused_labels,
    unused_macros,
    unused_must_use,
    unused_mut,
    unused_parens,
    unused_unsafe,
    unused_variables,
    // Whole groups.
    future_incompatible,
    keyword_idents,
    let_underscore,
    nonstandard_style,
    refining_impl_trait,
    rust_2018_compatibility,
    rust_2018_idioms,
    rust_2021_compatibility,
    rust_2024_compatibility,
    unused,
)]

use eventfold_es::prelude::*;
use std::convert::Infallible;

/// Implements serde's traits, without any `allow`.
macro_rules! serde {
    ($($ty:ty),* $(,)?) => {
        $(
            impl serde::Serialize for $ty {
                fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                    serializer.serialize_unit()
                }
            }

            impl<'de> serde::Deserialize<'de> for $ty {
                fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
                    Err(serde::de::Error::custom("never read"))
                }
            }
        )*
    };
}

serde!(
    Account_, Open, Close, Opened, Ended, MovedAway, Own, Total, Forward
);

/// An account. Its name is no upper camel case when something is added to it.
#[derive(Debug, Clone, Default, Aggregate)]
#[aggregate(
    commands(Open, Close = "end"),
    events(Opened, Ended),
    retired("Suspended", "Reopened" = split, MovedAway, gone::Closed = ended),
    snapshot(every = 3, version = 2)
)]
pub struct Account_ {
    /// Who owns it.
    pub owners: Vec<String>,
}

/// Opens it.
#[derive(Debug, Clone, Copy)]
pub struct Open;

/// Closes it.
#[derive(Debug, Clone, Copy)]
pub struct Close;

/// It was opened.
#[derive(Debug, Clone, Default, DomainEvent)]
#[event(name = "opened", alias = "Opened", version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
pub struct Opened {
    /// Who owns it.
    pub owner: String,
}

const fn v1_to_v2((): ()) -> Result<String, Infallible> {
    Ok(String::new())
}

const fn v2_to_v3(owner: String, _: &Recorded<'_>) -> Opened {
    Opened { owner }
}

fn split(owner: String) -> Vec<Account_Event> {
    events![Opened { owner }]
}

/// It ended.
#[derive(Debug, Clone, DomainEvent)]
#[event(rename_all = "kebab-case", retired("Lost"))]
pub enum Ended {
    /// By hand.
    #[event(version = 2, upcast(1 = closed))]
    Closed {
        /// Why.
        reason: String,
    },
    /// Into another.
    Merged(String),
    /// For no reason.
    Nothing,
}

const fn closed((): ()) -> Ended {
    Ended::Nothing
}

/// It moved, once.
#[derive(Debug, Clone, Copy, DomainEvent)]
pub struct MovedAway;

/// What is gone.
pub mod gone {
    use eventfold_es::prelude::*;

    /// It was closed.
    #[derive(Debug, Clone, Copy, DomainEvent)]
    pub struct Closed;

    serde!(Closed);
}

fn ended(_: gone::Closed) -> Option<Account_Event> {
    None
}

impl Decide<Open> for Account_ {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened::default()])
    }
}

impl Decide<Close> for Account_ {
    fn decide(&self, _: Close) -> Decision<Self> {
        Ok(events![Ended::Nothing])
    }
}

impl Evolve<Opened> for Account_ {
    fn evolve(&mut self, event: &Opened) {
        self.owners.push(event.owner.clone());
    }
}

impl Evolve<Ended> for Account_ {
    fn evolve(&mut self, _: &Ended) {
        self.owners.clear();
    }
}

/// An aggregate with enums of its own.
#[derive(Debug, Clone, Copy, Default, Aggregate)]
#[aggregate(command = Open, event = Opened)]
pub struct Own;

impl Decide<Open> for Own {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened::default()])
    }
}

impl Evolve<Opened> for Own {
    fn evolve(&mut self, _: &Opened) {}
}

/// How much happened.
#[derive(Debug, Clone, Copy, Default, Projection)]
#[projection(aggregates(Account_, Own), version = 2)]
pub struct Total(pub u64);

impl Project<Account_> for Total {
    fn project(&mut self, _: &Account_Event, _: &Recorded<'_>) {
        self.0 += 1;
    }
}

impl Project<Own> for Total {
    fn project(&mut self, _: &Opened, _: &Recorded<'_>) {
        self.0 += 1;
    }
}

/// Closes what was opened.
#[derive(Debug, Clone, Copy, Default, ProcessManager)]
#[process_manager(aggregates(Account_, Own), dispatches(Account_))]
pub struct Forward;

impl React<Account_> for Forward {
    fn react_to(&mut self, _: &Account_Event, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        drop(out.send::<Account_>(record.id(), Close));
    }
}

impl React<Own> for Forward {
    fn react_to(&mut self, _: &Opened, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

fn main() {
    let events = Account_::default().handle(Open.into());
    assert!(events.is_ok_and(|events| events.len() == 1));
}
