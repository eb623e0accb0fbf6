//! Reads the attributes of the derives into values with their place in the source.
//!
//! Rules about a single key are checked here, by the tables in [`key`]: unknown, misplaced or
//! repeated keys, and values of the wrong form. If the intended value is clear, it is kept, so that
//! the fallback knows as much as the user wrote.

use proc_macro2::TokenStream;
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitStr, Meta};

use crate::errors::Errors;
use crate::similar;

mod entries;
mod entry;
mod history;
pub(crate) mod key;
mod list;
mod model;
mod tag;
mod value;

use entries::{Entry, Value};
use entry::{rest_of_entry, separator};
use key::{Form, Key, Place, Table};

pub(crate) use entries::Entries;
pub(crate) use history::{Retired, RetiredEvent, Step};
pub(crate) use list::{Listed, shown};
pub(crate) use model::ModelValue;
pub(crate) use tag::TagName;

impl Entries {
    /// Reads every attribute called `name`. Several count as one with all their keys.
    pub(crate) fn of(
        name: &str,
        attributes: &[Attribute],
        table: &'static Table,
        place: Place,
        errors: &mut Errors,
    ) -> Self {
        let mut entries = Self::empty();
        for attribute in ours(name, attributes, place) {
            entries.attributes.push(attribute.path().clone());
            let wanted = example_of(table, place);
            match &attribute.meta {
                Meta::List(list) if list.tokens.is_empty() => {
                    entries.unreadable = true;
                    errors.at(
                        list,
                        format!("`#[{name}()]` is empty; the correct format looks like `#[{name}({wanted})]`"),
                    );
                }
                Meta::List(list) => {
                    entries.read(
                        list.tokens.clone(),
                        &format!("#[{name}(...)]"),
                        table,
                        place,
                        errors,
                    );
                }
                meta => {
                    entries.unreadable = true;
                    errors.at(
                        meta,
                        format!("expected keys in parentheses; the correct format looks like `#[{name}({wanted})]`"),
                    );
                }
            }
        }
        entries
    }

    /// Reads the arguments of the attribute macro `name`. None are fine.
    pub(crate) fn of_arguments(
        name: &str,
        arguments: TokenStream,
        table: &'static Table,
        place: Place,
        errors: &mut Errors,
    ) -> Self {
        let mut entries = Self::empty();
        let title = format!("#[{name}(...)]");
        entries.read(arguments, &title, table, place, errors);
        entries
    }

    /// Reads `key = value, key(...)` up to the end of `tokens`.
    fn read(
        &mut self,
        tokens: TokenStream,
        title: &str,
        table: &'static Table,
        place: Place,
        errors: &mut Errors,
    ) {
        let all = |input: ParseStream<'_>| {
            while !input.is_empty() {
                self.read_one(input, title, table, place, errors);
                separator(input, errors);
            }
            Ok(())
        };
        if let Err(error) = all.parse2(tokens) {
            errors.push(error);
        }
    }

    fn read_one(
        &mut self,
        input: ParseStream<'_>,
        title: &str,
        table: &'static Table,
        place: Place,
        errors: &mut Errors,
    ) {
        let Ok(key) = input.call(Ident::parse_any) else {
            self.unreadable = true;
            let found = rest_of_entry(input);
            if let Some(meant) = name_alone(&found, table, place) {
                errors.at(
                    found,
                    format!("expected a key; the correct format looks like `{meant}`"),
                );
                return;
            }
            errors.at(
                found,
                format!(
                    "expected a key; the correct format looks like `{}`",
                    example_of(table, place)
                ),
            );
            return;
        };
        match self.known(&key, title, table, place, errors) {
            Known::Exactly(of) => self.read_value(input, key, of, errors),
            // Read without a report, so that no other key seems to be missing.
            Known::Nearly(of) if of.repeatable || self.find(of.name).is_none() => {
                let mut unheard = Errors::new();
                self.read_value(input, key, of, &mut unheard);
                let _ = unheard.finish();
            }
            _ => drop(rest_of_entry(input)),
        }
    }

    fn read_value(
        &mut self,
        input: ParseStream<'_>,
        key: Ident,
        of: &'static Key,
        errors: &mut Errors,
    ) {
        let first = self.find(of.name).map(|entry| entry.key.clone());
        if let Some(first) = first.filter(|_| !of.repeatable) {
            errors.repeated(
                &key,
                format!("`{key}` is given twice; remove one of them"),
                first,
                "first given here",
            );
            rest_of_entry(input);
            return;
        }
        let value = Value::parse(input, &key, of, errors);
        if value.is_none() {
            rest_of_entry(input);
        }
        self.given.push(Entry { key, of, value });
    }

    /// The key that `key` is or was meant to be, if it belongs here. Mistakes in it are reported.
    fn known(
        &mut self,
        key: &Ident,
        title: &str,
        table: &'static Table,
        place: Place,
        errors: &mut Errors,
    ) -> Known {
        let name = key.unraw().to_string();
        if let Some(known) = table.find(&name) {
            if known.places.contains(&place) {
                return Known::Exactly(known);
            }
            let (place, remedy) = (place.in_words(), known.elsewhere);
            errors.at(key, format!("`{name}` is not valid {place}; {remedy}"));
            return Known::No;
        }
        let valid = table.valid_in(place);
        let nearest = similar::nearest(&name, valid.clone().map(|key| key.name));
        let meant = match nearest {
            Some(meant) => table.find(meant).map(|of| (of, of.name)),
            None => valid
                .clone()
                .find(|of| of.habits.contains(&name.as_str()))
                .map(|of| (of, of.example)),
        };
        if let Some((of, shown)) = meant {
            errors.at(
                key,
                format!("unknown key `{name}` in `{title}`; did you mean `{shown}`?"),
            );
            return Known::Nearly(of);
        }
        if let Some(home) = key::home_of(&name, place) {
            let place = place.in_words();
            errors.at(
                key,
                format!("`{name}` is not valid {place}; it belongs in {home}"),
            );
            return Known::No;
        }
        self.unreadable = true;
        let names: Vec<String> = valid.map(|key| format!("`{}`", key.name)).collect();
        let names = names.join(", ");
        errors.at(
            key,
            format!("unknown key `{name}` in `{title}`; expected one of {names}"),
        );
        Known::No
    }
}

enum Known {
    Exactly(&'static Key),
    /// A misspelt key, or a name from elsewhere.
    Nearly(&'static Key),
    No,
}

/// The attributes called `name`. If a required one is missing, a misspelt one is taken for it. The
/// compiler reports the unknown attribute, and its keys are not reported as missing as well.
fn ours<'a>(name: &str, attributes: &'a [Attribute], place: Place) -> Vec<&'a Attribute> {
    let called = |is_ours: &dyn Fn(&Ident) -> bool| {
        let is_ours = |attribute: &&Attribute| attribute.path().get_ident().is_some_and(is_ours);
        attributes.iter().filter(is_ours).collect::<Vec<_>>()
    };
    let exactly = called(&|ident| ident == name);
    let must_be = [
        Place::Aggregate,
        Place::Projection,
        Place::ProcessManager,
        Place::Decision,
        Place::DecisionModel,
    ]
    .contains(&place);
    if !exactly.is_empty() || !must_be {
        return exactly;
    }
    called(&|ident| similar::nearest(&ident.to_string(), [name]).is_some())
}

/// `name = "bank-account"` for a lone `"bank-account"`, if a name is allowed there.
fn name_alone(found: &TokenStream, table: &'static Table, place: Place) -> Option<String> {
    let literal: LitStr = syn::parse2(found.clone()).ok()?;
    let key = table.find("name")?;
    let fits = matches!(key.form, Form::Text) && key.places.contains(&place);
    fits.then(|| format!("{} = {}", key.name, literal.token()))
}

/// An example of the whole attribute in this place.
fn example_of(table: &'static Table, place: Place) -> String {
    match place {
        // The two keys that every aggregate has.
        Place::Aggregate => {
            "commands(OpenAccount, Deposit), events(AccountOpened, Deposited)".to_owned()
        }
        Place::Decision => "command = Subscribe, events(Subscribed)".to_owned(),
        Place::DecisionModel => "tag = \"course\", events(CourseDefined, Subscribed)".to_owned(),
        place => table
            .valid_in(place)
            .next()
            .map_or("", |key| key.example)
            .to_owned(),
    }
}
