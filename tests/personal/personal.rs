//! Personal data: where it is, who can read it, and what is left of it when it is erased.

mod attacks;
mod cipher;
mod domain;
mod erasing;
mod events;
mod killed;
mod kit;
mod reading;
mod support;
