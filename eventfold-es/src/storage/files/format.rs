//! The bytes of the files: [an event](event_line), [a commit](commit_line), and
//! [what ends with its checksum](sealed). `docs/format.md` describes every file.

pub(crate) mod commit_line;
pub(crate) mod event_line;
pub(crate) mod sealed;
