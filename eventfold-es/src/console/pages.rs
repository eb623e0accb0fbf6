//! The pages, one a file.

pub(crate) mod aggregate;
pub(crate) mod aggregates;
pub(crate) mod event;
pub(crate) mod letters;
pub(crate) mod log;
pub(crate) mod model;
pub(crate) mod overview;
pub(crate) mod read_side;
