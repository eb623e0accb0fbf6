//! The help desk in Chromium, as people use it. Without `chromium` and `chromedriver` the tests say that they were
//! skipped.
//!
//! `cargo test --test browser`, in the directory of this package. Screenshots of every page, light and dark, wide and
//! narrow, are written to `target/helpdesk`.

mod desk;
mod killed;
mod look;
mod story;
