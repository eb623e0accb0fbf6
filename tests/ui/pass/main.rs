//! What compiles without a word: each file is a program of a user, and runs. `lints/all-forbidden.rs` is a crate of
//! its own, because some lints are of a whole crate.

// It is of a whole crate. The other lints that must hold are denied by the files themselves.
#![deny(non_ascii_idents)]
#![allow(
    clippy::all,
    clippy::pedantic,
    dead_code,
    missing_debug_implementations,
    missing_docs,
    non_camel_case_types,
    unreachable_pub,
    reason = "users need not have these lints"
)]

#[path = "attributes/cfg-and-others.rs"]
pub mod attributes_cfg_and_others;
#[path = "attributes/several-of-ours.rs"]
pub mod attributes_several_of_ours;
#[path = "decision/events-and-models-shared.rs"]
pub mod decision_events_and_models_shared;
#[path = "decision/every-form.rs"]
pub mod decision_every_form;
#[path = "decision/in-a-function.rs"]
pub mod decision_in_a_function;
#[path = "decision/names-taken.rs"]
pub mod decision_names_taken;
#[path = "decision/strict-lints.rs"]
pub mod decision_strict_lints;
#[path = "events/every-shape.rs"]
pub mod events_every_shape;
#[path = "events/stored-by-hand.rs"]
pub mod events_stored_by_hand;
#[path = "forms/by-hand-beside-derived.rs"]
pub mod forms_by_hand_beside_derived;
#[path = "forms/commands-that-are-not-serialised.rs"]
pub mod forms_commands_that_are_not_serialised;
#[path = "forms/derives-of-the-enums.rs"]
pub mod forms_derives_of_the_enums;
#[path = "forms/enum-among-the-listed.rs"]
pub mod forms_enum_among_the_listed;
#[path = "forms/enum-without-derives.rs"]
pub mod forms_enum_without_derives;
#[path = "forms/listed-commands-and-an-own-event.rs"]
pub mod forms_listed_commands_and_an_own_event;
#[path = "forms/no-commands.rs"]
pub mod forms_no_commands;
#[path = "forms/own-command-and-listed-events.rs"]
pub mod forms_own_command_and_listed_events;
#[path = "forms/own-enums.rs"]
pub mod forms_own_enums;
#[path = "history/every-form.rs"]
pub mod history_every_form;
#[path = "hygiene/names-of-ours-taken.rs"]
pub mod hygiene_names_of_ours_taken;
#[path = "hygiene/no-implicit-prelude.rs"]
pub mod hygiene_no_implicit_prelude;
#[path = "hygiene/raw-identifiers.rs"]
pub mod hygiene_raw_identifiers;
#[path = "hygiene/std-shadowed.rs"]
pub mod hygiene_std_shadowed;
#[path = "lints/all-denied.rs"]
pub mod lints_all_denied;
#[path = "lints/deprecated.rs"]
pub mod lints_deprecated;
#[path = "lints/names.rs"]
pub mod lints_names;
#[path = "methods/every-form.rs"]
pub mod methods_every_form;
#[path = "methods/of-a-macro.rs"]
pub mod methods_of_a_macro;
#[path = "methods/own-enums.rs"]
pub mod methods_own_enums;
#[path = "methods/strict.rs"]
pub mod methods_strict;
#[path = "personal/every-form.rs"]
pub mod personal_every_form;
#[path = "read_side/names-taken.rs"]
pub mod read_side_names_taken;
#[path = "read_side/strict-lints.rs"]
pub mod read_side_strict_lints;
#[path = "runtime/re-exported.rs"]
pub mod runtime_re_exported;
#[path = "shape/recursive-state.rs"]
pub mod shape_recursive_state;
#[path = "shape/tuple-struct.rs"]
pub mod shape_tuple_struct;
#[path = "shape/unit-struct.rs"]
pub mod shape_unit_struct;
#[path = "shape/where-clause.rs"]
pub mod shape_where_clause;
#[path = "size/sixty-of-each.rs"]
pub mod size_sixty_of_each;
#[path = "tag/every-field.rs"]
pub mod tag_every_field;
#[path = "types/of-a-macro.rs"]
pub mod types_of_a_macro;
#[path = "types/of-other-modules-and-crates.rs"]
pub mod types_of_other_modules_and_crates;
#[path = "types/with-arguments.rs"]
pub mod types_with_arguments;
#[path = "visibility/every-visibility.rs"]
pub mod visibility_every_visibility;
#[path = "visibility/in-a-function.rs"]
pub mod visibility_in_a_function;

/// A test for each of these programs, which runs it.
macro_rules! run {
    ($($program:ident,)*) => {
        $(
            #[test]
            fn $program() {
                crate::$program::main();
            }
        )*
    };
}

mod compiles_and_runs {
    run! {
        attributes_cfg_and_others,
        attributes_several_of_ours,
        decision_events_and_models_shared,
        decision_every_form,
        decision_in_a_function,
        decision_names_taken,
        decision_strict_lints,
        events_every_shape,
        events_stored_by_hand,
        forms_by_hand_beside_derived,
        forms_commands_that_are_not_serialised,
        forms_derives_of_the_enums,
        forms_enum_among_the_listed,
        forms_enum_without_derives,
        forms_listed_commands_and_an_own_event,
        forms_no_commands,
        forms_own_command_and_listed_events,
        forms_own_enums,
        history_every_form,
        hygiene_names_of_ours_taken,
        hygiene_no_implicit_prelude,
        hygiene_raw_identifiers,
        hygiene_std_shadowed,
        lints_all_denied,
        lints_deprecated,
        lints_names,
        methods_every_form,
        methods_of_a_macro,
        methods_own_enums,
        methods_strict,
        personal_every_form,
        read_side_names_taken,
        read_side_strict_lints,
        runtime_re_exported,
        shape_recursive_state,
        shape_tuple_struct,
        shape_unit_struct,
        shape_where_clause,
        size_sixty_of_each,
        tag_every_field,
        types_of_a_macro,
        types_of_other_modules_and_crates,
        types_with_arguments,
        visibility_every_visibility,
        visibility_in_a_function,
    }
}
