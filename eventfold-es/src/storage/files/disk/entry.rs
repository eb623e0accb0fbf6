//! The status of files, directories and entries.

use std::ffi::OsString;

/// The status of a file or a directory.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Status {
    pub(crate) kind: Kind,
    pub(crate) length: u64,
    /// No user has the permission to write to it.
    pub(crate) is_readonly: bool,
    /// The identity of the file or directory, if the system has one.
    pub(crate) identity: Option<Identity>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Dir,
    Link,
    Other,
}

/// The identity of a file or a directory, independent of its name: device and number.
pub(crate) type Identity = (u64, u64);

/// An entry of a directory. A link is not followed.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) name: OsString,
    pub(crate) kind: Kind,
}
