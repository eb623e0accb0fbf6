//! The streams' files: where each file ends, which thread writes to it, how it is loaded.

pub(crate) mod cache;
pub(crate) mod content;
pub(crate) mod end;
pub(crate) mod ends;
pub(crate) mod extent;
pub(crate) mod file;
mod file_ahead;
pub(crate) mod handle;
pub(crate) mod high_water;
pub(crate) mod listing;
pub(crate) mod load;
pub(crate) mod loader;
pub(crate) mod mark;
pub(crate) mod pack;
pub(crate) mod replay;
pub(crate) mod rotated;
pub(crate) mod seek;
pub(crate) mod stream;
pub(crate) mod unflushed;
pub(crate) mod unreplayed;
pub(crate) mod writer;
