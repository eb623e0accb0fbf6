//! A place in a stream at the seam: [`Place`].

use crate::storage::files::streams::end::StreamEnd;

/// The place up to which a stream was read. The default is the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Place(StreamEnd);

impl Place {
    pub(crate) fn of_files(end: StreamEnd) -> Self {
        Self(end)
    }

    pub(crate) fn in_files(self) -> StreamEnd {
        self.0
    }

    /// The place after the event of this version and position.
    pub(crate) fn behind(version: u64, position: u64) -> Self {
        Self(StreamEnd {
            version,
            position,
            ..StreamEnd::default()
        })
    }

    /// The position of the last event before this place, 0 if there is none.
    pub(crate) fn position(self) -> u64 {
        self.0.position
    }

    pub(crate) fn is_beginning(self) -> bool {
        self.version() == 0
    }

    /// The version of the last event before this place, 0 if there is none.
    pub(crate) fn version(self) -> u64 {
        self.0.version
    }
}
