//! The rules of an aggregate.

use quote::ToTokens;
use syn::Ident;

use crate::ast::{Aggregate, Enum, Item, Messages};
use crate::attr::shown;
use crate::errors::Errors;
use crate::name::Name;

pub(crate) fn aggregate(input: &Aggregate<'_>, errors: &mut Errors) {
    input
        .name
        .check_directory("aggregate", "bank-account", errors);
    if let Messages::Listed(commands) = &input.commands {
        variants_differ("command", &commands.items, errors);
        written_names_differ(&commands.items, errors);
        name_is_free("the state", input.ident(), commands, errors);
    }
    if let Messages::Listed(events) = &input.events {
        variants_differ("event", &events.items, errors);
        events_can_be_cloned(events, errors);
        name_is_free("the state", input.ident(), events, errors);
    }
    // Only the compiled events show whether a retired name is still in use.
    super::history::retired(&input.retired, errors, |_, _| false);
    if let (Messages::Listed(commands), Messages::Listed(events)) = (&input.commands, &input.events)
        && commands.ident == events.ident
    {
        errors.repeated(
            &events.ident,
            format!(
                "the event enum and the command enum are both called `{}`; choose another name",
                events.ident
            ),
            &commands.ident,
            "the command enum's name is given here",
        );
    }
}

/// A variant has the name of its type's last segment.
pub(super) fn variants_differ(kind: &str, items: &[Item], errors: &mut Errors) {
    for (position, second) in items.iter().enumerate() {
        let Some(first) = items[..position]
            .iter()
            .find(|first| first.variant == second.variant)
        else {
            continue;
        };
        let name = &second.variant;
        let message = if second.is_written_as(first) {
            format!(
                "the {kind} `{}` is listed twice; remove one",
                shown(&second.ty)
            )
        } else {
            format!(
                "two {kind}s are called `{name}`; import one under another name, `use {} as Other{name};`, and list that",
                shown(&second.ty),
            )
        };
        errors.repeated(&second.ty, message, &first.ty, "first listed here");
    }
}

fn written_names_differ(items: &[Item], errors: &mut Errors) {
    let names: Vec<Name> = items.iter().map(Item::written_name).collect();
    for (position, second) in items.iter().enumerate() {
        if let Some(given) = &second.wire_name {
            given.check_stored("command name", "Deposit", errors);
        }
        let name = &names[position];
        let earlier = items[..position].iter().zip(&names);
        // The same variant twice is reported already.
        let first = earlier
            .filter(|(item, _)| item.variant != second.variant)
            .find(|(_, first)| first.value == name.value);
        if let Some((item, first)) = first {
            errors.repeated(
                name,
                format!(
                    "`{}` is already the name of the command `{}`; choose another",
                    name.value,
                    shown(&item.ty)
                ),
                first,
                "first used here",
            );
        }
    }
}

/// An event goes to the state, to the caller and to projections.
pub(super) fn events_can_be_cloned(events: &Enum, errors: &mut Errors) {
    let Some(derives) = &events.derives else {
        return;
    };
    let is_clone = |path: &syn::Path| {
        path.segments
            .last()
            .is_some_and(|last| last.ident == "Clone")
    };
    if !derives.paths.iter().any(is_clone) {
        errors.at(
            &derives.key,
            format!(
                "`{}` must be `Clone`; add it: `derive(Clone, ...)`",
                events.ident
            ),
        );
    }
}

pub(super) fn name_is_free(what: &str, taken: &Ident, generated: &Enum, errors: &mut Errors) {
    if &generated.ident == taken {
        errors.at(
            generated.ident.to_token_stream(),
            format!(
                "`{}` is already the name of {what}; choose another name for the enum",
                generated.ident
            ),
        );
    }
}
