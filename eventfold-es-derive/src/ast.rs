//! What the user wrote, as the later phases ask for it.
//!
//! An input becomes one of these types whatever is wrong with it: mistakes go to the collector,
//! and what could not be read has the default it would have if it had not been written.

use syn::Path;
use syn::parse_quote;

use crate::attr::Entries;

pub(crate) mod aggregate;
pub(crate) mod event;

pub(crate) use aggregate::{Aggregate, Enum, Item, Messages};
pub(crate) use event::Event;

/// The path of the runtime crate in generated code.
fn runtime(entries: &Entries) -> Path {
    let given = entries.path("crate");
    given
        .cloned()
        .unwrap_or_else(|| parse_quote!(::eventfold_es))
}
