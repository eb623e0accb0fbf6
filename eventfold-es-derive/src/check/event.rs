//! The rules of an event's stored names.

use syn::Ident;

use crate::ast::Event;
use crate::ast::event::{Names, Shape};
use crate::errors::Errors;
use crate::name::Name;

pub(crate) fn event(input: &Event<'_>, errors: &mut Errors) {
    let mut used = Vec::new();
    match &input.shape {
        Shape::One(names, history, tags, subjects) => {
            check(&input.input.ident, names, &mut used, errors);
            super::history::versions(history, errors);
            super::tags::tags(tags, errors);
            super::subjects::subjects(&input.input.ident, subjects, errors);
        }
        Shape::Set(variants) => {
            for variant in variants {
                check(variant.ident, &variant.names, &mut used, errors);
                super::history::versions(&variant.history, errors);
                super::tags::tags(&variant.tags, errors);
                super::subjects::subjects(variant.ident, &variant.subjects, errors);
            }
            super::history::retired(&input.retired, errors, |name, errors| {
                let first = used.iter().find(|used| used.name.value == name.value);
                if let Some(first) = first {
                    first.refuse_retired(name, errors);
                }
                first.is_some()
            });
            super::serde::event_enum(input.input, errors);
        }
    }
}

/// A name or an alias that some event has.
struct Used<'a> {
    name: &'a Name,
    by: &'a Ident,
    is_alias: bool,
}

fn check<'a>(by: &'a Ident, names: &'a Names, used: &mut Vec<Used<'a>>, errors: &mut Errors) {
    names
        .name
        .check_stored("event name", "MoneyDeposited", errors);
    for alias in &names.aliases {
        alias.check_stored("alias", "Deposited", errors);
    }
    let all = std::iter::once(&names.name).chain(&names.aliases);
    for (position, name) in all.enumerate() {
        let this = Used {
            name,
            by,
            is_alias: position > 0,
        };
        let first = used.iter().find(|first| first.name.value == name.value);
        match first {
            Some(first) => this.refuse(first, errors),
            None => used.push(this),
        }
    }
}

impl Used<'_> {
    /// Reports that the retired event `name` is still this one.
    fn refuse_retired(&self, name: &Name, errors: &mut Errors) {
        let is = if self.is_alias {
            "an alias"
        } else {
            "the name"
        };
        errors.repeated(
            name,
            format!(
                "`{}` cannot be retired, because it is {is} of `{}`; remove one of the two",
                name.value, self.by
            ),
            self.name,
            "used here",
        );
    }

    /// Reports that `first` has this name already.
    fn refuse(&self, first: &Used<'_>, errors: &mut Errors) {
        let (name, by) = (&self.name.value, first.by);
        if self.is_alias && !first.is_alias && self.by == first.by {
            errors.at(
                self.name,
                format!(
                    "`{name}` is the event's name already; an alias is an older name, so remove it"
                ),
            );
            return;
        }
        let message = match (self.is_alias, first.is_alias) {
            (true, true) if self.by == first.by => {
                format!("alias `{name}` is given twice; remove one")
            }
            (true, true) => format!(
                "`{name}` is already an alias of `{by}`; an old name belongs to one event, so remove one"
            ),
            (true, false) => format!(
                "alias `{name}` is also the name of `{by}`; an alias is an older name that no other event has"
            ),
            (false, true) => format!(
                "event name `{name}` is also an alias of `{by}`; a stored name belongs to one \
                 event, so remove the alias or choose another name"
            ),
            (false, false) => format!(
                "event name `{name}` is already used by `{by}`; a stored name belongs to one \
                 event, so choose another"
            ),
        };
        errors.repeated(self.name, message, first.name, "first used here");
    }
}

#[cfg(test)]
mod tests {
    use syn::parse_quote;

    use super::*;

    #[test]
    fn each_clash_of_names_is_reported_once() {
        let input: syn::DeriveInput = parse_quote! {
            enum Event {
                #[event(alias = "Old", alias = "Old")]
                Opened,
                #[event(name = "Opened", alias = "Old")]
                Started,
                #[event(alias = "Closed")]
                Closed,
                Old,
            }
        };
        let mut errors = Errors::new();
        let parsed = Event::read(&input, &mut errors);
        event(&parsed, &mut errors);
        let found = errors.finish().unwrap_err().to_string();
        // Every clash but the own name given as an alias shows the first place too.
        assert_eq!(found.matches("compile_error").count(), 4 * 2 + 1, "{found}");
    }
}
