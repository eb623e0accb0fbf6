//! `verify`, which finds damage, and `repair`, which repairs it as far as possible.

pub(crate) mod audit;
pub(crate) mod progress;
pub(crate) mod repair;
pub(crate) mod survey;
