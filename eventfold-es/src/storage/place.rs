//! A place in a stream at the seam: [`Place`].

use crate::storage::files::streams::end::StreamEnd;

/// A place in a stream up to which it was read; the default is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place(StreamEnd);

impl Place {
    pub(crate) fn of_files(end: StreamEnd) -> Self {
        Self(end)
    }

    pub(crate) fn in_files(self) -> StreamEnd {
        self.0
    }

    /// The place behind the event of that version and position.
    pub(crate) fn behind(version: u64, position: u64) -> Self {
        Self(StreamEnd {
            version,
            position,
            ..StreamEnd::default()
        })
    }

    /// The version of the last event before it, 0 if there is none.
    pub(crate) fn version(self) -> u64 {
        self.0.version
    }
}
