//! The result of a process manager's reaction: [`Order`].

use serde::{Deserialize, Serialize};

use crate::domain::command::StoredCommand;

/// A command to send later.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Timer {
    /// Milliseconds since 1970.
    pub(crate) due: u64,
    pub(crate) envelope: StoredCommand,
    /// The commands to send if the command fails: the first of them, and if that fails too, the
    /// next.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) or_send: Vec<StoredCommand>,
    /// Whether it answers the failure of another command.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) answers_failure: bool,
}

/// One step that a process manager orders.
#[derive(Debug, Clone)]
pub(crate) enum Order {
    /// A command, and those to send if it fails, as in a [`Timer`].
    Send(StoredCommand, Vec<StoredCommand>),
    /// With its key. It replaces what was scheduled under this key before.
    Schedule(String, Timer),
    Cancel(String),
}

impl Order {
    /// The order's commands: the first one, and those to send if it fails.
    pub(crate) fn commands(&self) -> impl Iterator<Item = &StoredCommand> {
        let (first, or_send) = match self {
            Self::Send(command, or_send) => (Some(command), or_send.as_slice()),
            Self::Schedule(_, timer) => (Some(&timer.envelope), timer.or_send.as_slice()),
            Self::Cancel(_) => (None, [].as_slice()),
        };
        first.into_iter().chain(or_send)
    }

    /// The list of the commands to send if its command fails.
    pub(crate) fn or_send(&mut self) -> Option<&mut Vec<StoredCommand>> {
        match self {
            Self::Send(_, or_send) => Some(or_send),
            Self::Schedule(_, timer) => Some(&mut timer.or_send),
            Self::Cancel(_) => None,
        }
    }
}
