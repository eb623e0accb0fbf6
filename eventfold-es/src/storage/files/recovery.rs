//! Opening a store, after a crash too: [`open`] leads through [`scan`], [`redo`] and the
//! [`redo_point`].

pub(crate) mod open;
pub(crate) mod redo;
pub(crate) mod redo_point;
pub(crate) mod scan;
