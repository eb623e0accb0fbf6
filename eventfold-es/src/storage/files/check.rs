//! `verify`, which finds what is damaged, and `repair`, which mends what can be mended.

pub(crate) mod audit;
pub(crate) mod repair;
pub(crate) mod survey;
