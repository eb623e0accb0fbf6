//! The result of a process manager's reaction: [`Order`].

use serde::{Deserialize, Serialize};

use crate::domain::command::StoredCommand;

/// A command to send later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Milliseconds since 1970.
    pub(crate) due: u64,
    pub(crate) envelope: StoredCommand,
}

/// One step that a process manager orders.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    Send(StoredCommand),
    /// With its key. It replaces what was scheduled under this key before.
    Schedule(String, Timer),
    Cancel(String),
}

impl Order {
    /// The order's command, if it has one.
    pub(crate) fn command(&self) -> Option<&StoredCommand> {
        match self {
            Self::Send(command) => Some(command),
            Self::Schedule(_, timer) => Some(&timer.envelope),
            Self::Cancel(_) => None,
        }
    }
}
