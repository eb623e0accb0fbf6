//! The bytes of the files: [an event](event_line), and [a commit](commit_line).

pub(crate) mod commit_line;
pub(crate) mod event_line;
