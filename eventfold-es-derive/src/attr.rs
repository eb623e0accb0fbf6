//! Reads `#[aggregate(...)]` and `#[event(...)]` into values with their place in the source.
//!
//! Whatever concerns one key alone is checked here, by the tables in [`key`]: unknown, misplaced
//! or repeated keys and values of the wrong form. What was meant is kept where it can be told, so
//! that the fallback knows as much as the user wrote.

use proc_macro2::{TokenStream, TokenTree};
use syn::ext::IdentExt as _;
use syn::parse::{ParseStream, Parser as _};
use syn::{Attribute, Ident, LitInt, LitStr, Meta, Path, Token, Type};

use crate::errors::Errors;
use crate::similar;

pub(crate) mod key;
mod list;
mod value;

use key::{Form, Key, Place, Table};
use value::Value;

pub(crate) use list::{Listed, shown};

/// The keys given in one place, in their order.
pub(crate) struct Entries {
    given: Vec<Entry>,
    /// The paths of the attributes read, for what is missing in them.
    attributes: Vec<Path>,
    /// Whether something could not be read at all, so that what seems missing may not be.
    unreadable: bool,
}

struct Entry {
    key: Ident,
    of: &'static Key,
    /// Nothing if the value was wrong, which then has been reported.
    value: Option<Value>,
}

impl Entries {
    /// Reads every attribute called `name`; several are one with all their keys.
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
                        format!("`#[{name}()]` says nothing; the correct format looks like `#[{name}({wanted})]`"),
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

    pub(crate) fn empty() -> Self {
        Self {
            given: Vec::new(),
            attributes: Vec::new(),
            unreadable: false,
        }
    }

    /// The path of the first attribute read.
    pub(crate) fn attribute(&self) -> Option<&Path> {
        self.attributes.first()
    }

    /// Whether something could not be read at all.
    pub(crate) fn unreadable(&self) -> bool {
        self.unreadable
    }

    /// The key, if it was given, with whatever value.
    pub(crate) fn key(&self, name: &str) -> Option<&Ident> {
        self.find(name).map(|entry| &entry.key)
    }

    pub(crate) fn text(&self, name: &str) -> Option<&LitStr> {
        self.texts(name).next()
    }

    pub(crate) fn texts(&self, name: &str) -> impl Iterator<Item = &LitStr> {
        self.values(name).filter_map(|value| match value {
            Value::Text(text) => Some(text),
            _ => None,
        })
    }

    pub(crate) fn count(&self, name: &str) -> Option<&LitInt> {
        self.values(name).find_map(|value| match value {
            Value::Count(count) => Some(count),
            _ => None,
        })
    }

    pub(crate) fn ty(&self, name: &str) -> Option<&Type> {
        self.values(name).find_map(|value| match value {
            Value::Type(ty) => Some(ty),
            _ => None,
        })
    }

    pub(crate) fn path(&self, name: &str) -> Option<&Path> {
        self.values(name).find_map(|value| match value {
            Value::Path(path) => Some(path),
            _ => None,
        })
    }

    pub(crate) fn ident(&self, name: &str) -> Option<&Ident> {
        self.values(name).find_map(|value| match value {
            Value::Ident(ident) => Some(ident),
            _ => None,
        })
    }

    pub(crate) fn listed(&self, name: &str) -> Option<&[Listed]> {
        self.values(name).find_map(|value| match value {
            Value::Listed(listed) => Some(listed.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn derives(&self, name: &str) -> Option<&[Path]> {
        self.values(name).find_map(|value| match value {
            Value::Derives(derives) => Some(derives.as_slice()),
            _ => None,
        })
    }

    pub(crate) fn keys(&self, name: &str) -> Option<&Entries> {
        self.values(name).find_map(|value| match value {
            Value::Keys(entries) => Some(entries),
            _ => None,
        })
    }

    fn find(&self, name: &str) -> Option<&Entry> {
        self.given.iter().find(|entry| entry.of.name == name)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &Value> {
        self.given
            .iter()
            .filter(move |entry| entry.of.name == name)
            .filter_map(|entry| entry.value.as_ref())
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
            // Read without a word, so that nothing else seems to be missing.
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
                format!("`{key}` is given twice; keep one of them"),
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

    /// The key that `key` is or was meant to be, if it belongs here. What is wrong with it is
    /// reported.
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
            errors.at(key, format!("`{name}` is not valid on {place}; {remedy}"));
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
        if let Some(home) = key::home_of(&name) {
            let place = place.in_words();
            errors.at(
                key,
                format!("`{name}` is not valid on {place}; it belongs in {home}"),
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
    /// Misspelt, or called as elsewhere.
    Nearly(&'static Key),
    No,
}

/// The attributes called `name`. Where one must be and is not, a misspelt one is taken for it: the
/// compiler says that it does not know it, and what it was meant to say is not missing as well.
fn ours<'a>(name: &str, attributes: &'a [Attribute], place: Place) -> Vec<&'a Attribute> {
    let called = |is_ours: &dyn Fn(&Ident) -> bool| {
        let is_ours = |attribute: &&Attribute| attribute.path().get_ident().is_some_and(is_ours);
        attributes.iter().filter(is_ours).collect::<Vec<_>>()
    };
    let exactly = called(&|ident| ident == name);
    if !exactly.is_empty() || place != Place::Aggregate {
        return exactly;
    }
    called(&|ident| similar::nearest(&ident.to_string(), [name]).is_some())
}

/// `name = "bank-account"` for a lone `"bank-account"`, where there can be a name.
fn name_alone(found: &TokenStream, table: &'static Table, place: Place) -> Option<String> {
    let literal: LitStr = syn::parse2(found.clone()).ok()?;
    let key = table.find("name")?;
    let fits = matches!(key.form, Form::Text) && key.places.contains(&place);
    fits.then(|| format!("{} = {}", key.name, literal.token()))
}

/// What the whole attribute may look like in this place.
fn example_of(table: &'static Table, place: Place) -> String {
    match place {
        // The two that every aggregate has.
        Place::Aggregate => {
            "commands(OpenAccount, Deposit), events(AccountOpened, Deposited)".to_owned()
        }
        place => table
            .valid_in(place)
            .next()
            .map_or("", |key| key.example)
            .to_owned(),
    }
}

/// Takes the comma between two entries. A forgotten one is told from a value gone wrong.
fn separator(input: ParseStream<'_>, errors: &mut Errors) {
    if input.is_empty() || input.parse::<Token![,]>().is_ok() {
        return;
    }
    if let Ok(next) = input.fork().call(Ident::parse_any) {
        errors.at(&next, format!("expected `,` before `{next}`"));
        return;
    }
    let extra = rest_of_entry(input);
    errors.at(extra, "expected `,` or the end of the list");
    let _ = input.parse::<Token![,]>();
}

/// Takes what is left of an entry, up to a comma that is not inside `<...>`.
fn rest_of_entry(input: ParseStream<'_>) -> TokenStream {
    let mut rest = TokenStream::new();
    let mut depth = 0_usize;
    let mut arrow = false;
    while !input.is_empty() && (depth > 0 || !input.peek(Token![,])) {
        let Ok(token) = input.parse::<TokenTree>() else {
            break;
        };
        if let TokenTree::Punct(punct) = &token {
            match punct.as_char() {
                '<' => depth += 1,
                '>' if !arrow => depth = depth.saturating_sub(1),
                _ => {}
            }
            arrow = punct.as_char() == '-';
        }
        rest.extend([token]);
    }
    rest
}
