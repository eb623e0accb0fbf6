//! The names of records at the seam: [`Follower`], [`RecordName`].

/// The kinds of followers. Each follower has records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Follower {
    Projection,
    ProcessManager,
}

impl Follower {
    /// What it is called in texts.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Projection => "projection",
            Self::ProcessManager => "process manager",
        }
    }
}

/// The name of a record, unique among the records of one follower.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum RecordName {
    /// The state and the position of a version of the follower.
    Checkpoint(u32),
    /// The checkpoint of eventfold-es 0.2.0.
    OldCheckpoint,
    /// The events that a version of the follower skipped.
    Skipped(u32),
    DeadLetters,
    /// The note that the process manager continues in a restored store.
    Restored,
}
