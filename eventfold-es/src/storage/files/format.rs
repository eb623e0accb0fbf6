//! The bytes of the journal: a [commit](commit_line). `docs/format.md` describes every file.

pub(crate) mod commit_line;
