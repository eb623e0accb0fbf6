//! What a reaction of a process manager leads to: [`Order`].

use serde::{Deserialize, Serialize};

use crate::domain::command::StoredCommand;

/// A command that is to be sent later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Milliseconds since 1970.
    pub(crate) due: u64,
    pub(crate) envelope: StoredCommand,
}

/// What a process manager wants done.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Send(StoredCommand),
    /// Under a key of its own; instead of what was scheduled under it before.
    Schedule(String, Timer),
    Cancel(String),
}

impl Order {
    /// The command that it is about.
    pub(crate) fn command(&self) -> Option<&StoredCommand> {
        match self {
            Self::Send(command) => Some(command),
            Self::Schedule(_, timer) => Some(&timer.envelope),
            Self::Cancel(_) => None,
        }
    }
}
