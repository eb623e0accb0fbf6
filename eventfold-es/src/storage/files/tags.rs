//! Events by their tags: the index from tags to events, searches, and the check of conditions.

pub(crate) mod entry;
pub(crate) mod file;
pub(crate) mod find;
pub(crate) mod index;
pub(crate) mod recent;

#[cfg(test)]
mod tests;
