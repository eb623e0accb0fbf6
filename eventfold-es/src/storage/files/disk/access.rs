//! How a file is opened.

/// What happens to a file's content when it is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Open {
    /// The file must exist. Its content stays.
    Existing,
    /// The content stays. A missing file is created.
    Create,
    /// A new file replaces an existing one.
    New,
}

/// The purpose for which a file is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    Read,
    Write(Open),
    /// For writing. A missing file is created, and a link is refused.
    Own,
}
