//! Support for the files of eventfold-es 0.2.0: entering lines that the journal does not have
//! ([`migrate`], which `repair` uses too), and reading its cursors.

pub(crate) mod cursor;
pub(crate) mod migrate;
