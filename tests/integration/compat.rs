//! What this crate shares with the published eventfold-es 0.2.0: programs and data.
//!
//! * [`programs`](self) are written against 0.2.0's public API. The same text is compiled against
//!   both crates (as [`published`] and [`current`]) and makes the same assertions on both.
//! * [`taking_over`]: directories that 0.2.0 wrote, opened by this crate.
//! * [`giving_back`]: streams that this crate wrote, read and continued by `eventfold` and 0.2.0.
//! * [`golden`]: such a directory, kept under version control.
//! * [`differences`]: every behaviour that differs on purpose, with the reason.

// The programs are compiled once for each crate.
#[allow(clippy::duplicate_mod)]
mod current;
mod differences;
mod domain;
mod files;
mod giving_back;
mod golden;
#[allow(clippy::duplicate_mod)]
mod published;
mod taking_over;
