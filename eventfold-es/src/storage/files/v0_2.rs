//! What exists for directories of eventfold-es 0.2.0, and for nothing else.

pub(crate) mod cursor;
pub(crate) mod migrate;
