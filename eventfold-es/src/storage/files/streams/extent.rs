//! Where a stream's lines are at a moment: [`Extent`].

use crate::storage::error::StorageResult;
use crate::storage::files::streams::mark::Mark;
use crate::storage::files::streams::replay::replay_pending;
use crate::storage::files::streams::stream::Stream;
use crate::storage::files::streams::unflushed::{MissingLines, UnflushedLines};

/// Where a stream's lines are: in its file, and in memory if the file lacks them. Taken before the
/// lines are read, because the stream may be written meanwhile.
#[derive(Debug)]
pub(crate) struct Extent {
    /// Where the stream ended in the journal when the extent was taken.
    pub(crate) mark: Mark,
    pub(crate) unflushed: Option<MissingLines>,
}

impl Extent {
    /// Where the lines of `stream` are now. After a crash this replays them first.
    ///
    /// # Errors
    ///
    /// Those of [`replay_pending`].
    pub(crate) fn of(stream: &Stream) -> StorageResult<Self> {
        replay_pending(stream)?;
        // The committer changes mark and lines under this lock.
        let tail = stream.tail();
        Ok(Self {
            mark: stream.mark(),
            unflushed: tail.unflushed.as_ref().map(UnflushedLines::to_read),
        })
    }
}
