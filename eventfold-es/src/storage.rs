//! Storage, whose unit is the commit: nothing above this module knows where events are kept.

pub(crate) mod commit;
pub(crate) mod files;
