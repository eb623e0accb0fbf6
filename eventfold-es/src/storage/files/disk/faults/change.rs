//! What a test notes of the changes to the disk.

use std::path::PathBuf;

/// A change to the disk, as far as it matters for what a power failure leaves.
#[derive(Debug, Clone)]
pub(crate) enum Change {
    /// A file came to be.
    Open {
        path: PathBuf,
        file: usize,
    },
    Write {
        file: usize,
        offset: u64,
        bytes: Vec<u8>,
    },
    SetLen {
        file: usize,
        length: u64,
    },
    Sync {
        file: usize,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Remove {
        path: PathBuf,
    },
    CreateDir {
        path: PathBuf,
    },
    SyncDir {
        path: PathBuf,
    },
    /// Everything on the file system of `path`.
    SyncAll {
        path: PathBuf,
    },
    /// A sync of one of these kinds failed: what it was to make durable may never be.
    FailedSync(Box<Change>),
    /// Not a change: the test was answered by then.
    Mark(u64),
}

impl Change {
    /// What kind of call a fault can make fail.
    pub(crate) fn call(&self) -> Option<Call> {
        Some(match self {
            Self::Open { .. } => Call::Open,
            Self::Write { .. } => Call::Write,
            Self::SetLen { .. } => Call::SetLen,
            Self::Sync { .. } | Self::SyncDir { .. } | Self::SyncAll { .. } => Call::Sync,
            Self::Rename { .. } | Self::Remove { .. } => Call::Rename,
            Self::CreateDir { .. } => Call::CreateDir,
            Self::FailedSync(_) | Self::Mark(_) => return None,
        })
    }
}

/// A kind of call to the system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Open,
    Write,
    SetLen,
    Sync,
    Rename,
    CreateDir,
}
