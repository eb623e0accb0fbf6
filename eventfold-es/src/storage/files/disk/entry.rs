//! What is at a path.

use std::ffi::OsString;

/// What is at a path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) length: u64,
    /// Nobody may write to it.
    pub(crate) is_readonly: bool,
    /// Which file or directory it is, where the system tells.
    pub(crate) identity: Option<Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Link,
    Other,
}

/// What tells a file or a directory from all others, whatever it is called: device and number.
pub(crate) type Identity = (u64, u64);

/// An entry of a directory. What a link leads to is not looked at.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}
