//! Longer pages on single subjects. There is nothing to call here.

#[doc = include_str!("guide/changing_events.md")]
pub mod changing_events {}

#[doc = include_str!("guide/spans_and_events.md")]
pub mod spans_and_events {}
