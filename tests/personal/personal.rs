//! Personal data: where it is, who can read it, and what is left of it when it is erased.

mod domain;
mod erasing;
mod support;
