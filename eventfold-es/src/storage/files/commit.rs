//! The path of a commit to the disk: [`queue`], [`committer`], [`batch`], the journal, the answer.

pub(crate) mod batch;
pub(crate) mod committer;
pub(crate) mod delay;
pub(crate) mod queue;
pub(crate) mod request;
pub(crate) mod span;
