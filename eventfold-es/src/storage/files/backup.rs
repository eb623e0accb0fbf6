//! Copies of a store: a backup, and what makes a store of one.
//!
//! A backup is a directory with a part of a store's journal, and beside it, in `backup/`, what the
//! journal cannot show: where that part ends ([`manifest`]), and the files of process managers
//! ([`kept`]). Everything else is made of the journal again, but for what was dropped from it ([`begin`]). Opening a backup makes a store of it,
//! which begins a new timeline ([`promote`]).

pub(crate) mod begin;
pub(crate) mod copy;
pub(crate) mod follow;
pub(crate) mod kept;
pub(crate) mod live;
pub(crate) mod manifest;
pub(crate) mod meta;
pub(crate) mod pace;
pub(crate) mod promote;
pub(crate) mod restore;
pub(crate) mod source;
pub(crate) mod take;
pub(crate) mod target;
