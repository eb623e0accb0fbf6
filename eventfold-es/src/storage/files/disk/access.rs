//! How a file is opened.

/// What becomes of a file's content when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// It must be there, and stays.
    Existing,
    /// It stays, or the file is created.
    Create,
    /// A new file takes the place of one that may be there.
    New,
}

/// What a file is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write(Open),
    /// To be written, and created if need be; a link is refused.
    Own,
}
