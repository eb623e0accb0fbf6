//! What is wrong with an open storage: [`Trouble`].

use std::time::Duration;

use crate::ids::StreamId;
use crate::storage::error::StorageError;

/// A write that takes longer than this is reported.
const STALLED: Duration = Duration::from_secs(10);

/// Something that is wrong with an open storage.
#[derive(Debug, Clone)]
pub(crate) enum Trouble {
    /// It is closed.
    Closed,
    /// It takes no more commits until it is opened again.
    Failed(StorageError),
    /// The newest batch, so long ago, was not stored. The next one may be.
    Refused(StorageError, Duration),
    /// The disk has been busy with one batch for so long.
    Stalled(Duration),
    /// The files of these streams could not be written, so they take no commits.
    Unwritable(Vec<StreamId>),
}

impl Trouble {
    /// A write that has been under way for `time`, if that is too long.
    pub(crate) fn stalled(time: Duration) -> Option<Self> {
        (time >= STALLED).then_some(Self::Stalled(time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_takes_ten_seconds_is_a_trouble_and_a_shorter_one_is_none() {
        assert!(Trouble::stalled(Duration::from_millis(9_999)).is_none());
        let stalled = Trouble::stalled(Duration::from_secs(10));
        assert!(matches!(stalled, Some(Trouble::Stalled(time)) if time.as_secs() == 10));
    }
}
