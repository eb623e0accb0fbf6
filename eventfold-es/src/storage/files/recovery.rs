//! Opening a store, also after a crash: [`open`] calls [`scan`] and [`redo`], and moves the
//! [`redo_point`].

pub(crate) mod newest;
pub(crate) mod open;
pub(crate) mod redo;
pub(crate) mod redo_point;
pub(crate) mod scan;
