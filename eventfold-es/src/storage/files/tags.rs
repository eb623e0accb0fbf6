//! Events by their tags: the index from tags to events, searches, and the check of conditions.

pub(crate) mod find;
pub(crate) mod recent;
