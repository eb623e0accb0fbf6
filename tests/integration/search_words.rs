//! The search of the documentation finds what people type: other words for what the crate has are
//! aliases of its items.

use std::path::Path;

use syn::visit::{self, Visit};

/// Words that people type who come from another library or from a book. Each is the name or an alias
/// of a public item.
const WORDS: &[&str] = &[
    "aggregate root",
    "audit log",
    "authorization",
    "backoff",
    "catch-up",
    "causation",
    "checkpoint",
    "command handler",
    "compensation",
    "correlation",
    "cqrs",
    "cursor",
    "dead letter queue",
    "dcb",
    "deadline",
    "deduplication",
    "dry run",
    "dynamic consistency boundary",
    "etag",
    "event sourcing",
    "event store",
    "exists",
    "exactly once",
    "fake",
    "given when then",
    "history",
    "idempotent",
    "in-memory",
    "middleware",
    "migration",
    "mock",
    "offset",
    "optimistic",
    "optimistic locking",
    "outbox",
    "passivation",
    "poison message",
    "property test",
    "query",
    "read model",
    "read your writes",
    "reminder",
    "replay",
    "repository",
    "retry",
    "revision",
    "saga",
    "scheduler",
    "schema evolution",
    "snapshot",
    "soft delete",
    "subscription",
    "tenant",
    "timeout",
    "timer",
    "tracing",
    "transaction",
    "unit of work",
    "upcaster",
    "view",
    "workflow",
];

/// The public items of some files.
#[derive(Default)]
struct Items {
    /// Each with its aliases.
    found: Vec<(String, Vec<String>)>,
}

impl Items {
    fn add(&mut self, name: &syn::Ident, attributes: &[syn::Attribute]) {
        let mut aliases = Vec::new();
        for attribute in attributes
            .iter()
            .filter(|attribute| attribute.path().is_ident("doc"))
        {
            // Not `doc = "..."`.
            let syn::Meta::List(list) = &attribute.meta else {
                continue;
            };
            let parsed = list.parse_nested_meta(|meta| {
                if !meta.path.is_ident("alias") {
                    return Ok(());
                }
                if meta.input.peek(syn::Token![=]) {
                    aliases.push(meta.value()?.parse::<syn::LitStr>()?.value());
                    return Ok(());
                }
                let several;
                syn::parenthesized!(several in meta.input);
                let several = several
                    .parse_terminated(<syn::LitStr as syn::parse::Parse>::parse, syn::Token![,])?;
                aliases.extend(several.iter().map(syn::LitStr::value));
                Ok(())
            });
            // Other forms of `doc(...)` have no alias.
            drop(parsed);
        }
        self.found.push((name.to_string(), aliases));
    }

    /// Reads all files below `dir`.
    fn read(&mut self, dir: &Path) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                self.read(&path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let source = std::fs::read_to_string(&path).unwrap();
                self.visit_file(&syn::parse_file(&source).unwrap());
            }
        }
    }
}

fn is_public(visibility: &syn::Visibility) -> bool {
    matches!(visibility, syn::Visibility::Public(_))
}

impl<'a> Visit<'a> for Items {
    fn visit_item(&mut self, item: &'a syn::Item) {
        match item {
            syn::Item::Struct(item) if is_public(&item.vis) => self.add(&item.ident, &item.attrs),
            syn::Item::Enum(item) if is_public(&item.vis) => self.add(&item.ident, &item.attrs),
            syn::Item::Fn(item) if is_public(&item.vis) => self.add(&item.sig.ident, &item.attrs),
            syn::Item::Mod(item) if is_public(&item.vis) => self.add(&item.ident, &item.attrs),
            syn::Item::Trait(item) if is_public(&item.vis) => self.add(&item.ident, &item.attrs),
            syn::Item::Type(item) if is_public(&item.vis) => self.add(&item.ident, &item.attrs),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, method: &'a syn::ImplItemFn) {
        if is_public(&method.vis) {
            self.add(&method.sig.ident, &method.attrs);
        }
    }

    fn visit_trait_item_fn(&mut self, method: &'a syn::TraitItemFn) {
        self.add(&method.sig.ident, &method.attrs);
    }
}

fn items() -> Vec<(String, Vec<String>)> {
    let mut items = Items::default();
    items.read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../eventfold-es/src"));
    items.found
}

#[test]
fn the_words_that_people_type_lead_to_an_item() {
    let items = items();
    let missing: Vec<_> = WORDS
        .iter()
        .filter(|word| {
            let is_it = |name: &String| name.to_lowercase() == **word;
            let mut items = items.iter();
            !items.any(|(name, aliases)| is_it(name) || aliases.iter().any(is_it))
        })
        .collect();
    assert!(missing.is_empty(), "no item has these words: {missing:?}");
}

#[test]
fn no_alias_is_the_name_of_its_item_or_comes_twice() {
    let items = items();
    assert!(items.iter().any(|(_, aliases)| !aliases.is_empty()));
    for (name, aliases) in items {
        for (i, alias) in aliases.iter().enumerate() {
            assert!(
                alias.to_lowercase() != name.to_lowercase(),
                "`{name}` has its name as an alias"
            );
            assert!(
                !aliases[..i].contains(alias),
                "`{name}` has the alias `{alias}` twice"
            );
        }
    }
}
