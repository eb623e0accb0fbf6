//! An event of a stream at the seam: [`Loaded`].

use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;

/// An event that the storage passes to the code that folds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded<'a> {
    pub(crate) version: u64,
    pub(crate) event: StoredEvent<'a>,
    pub(crate) key: Option<&'a str>,
    /// The fingerprint of the command with this key.
    pub(crate) command: Option<Fingerprint>,
    /// The event's position, if the stream states it.
    pub(crate) position: Option<u64>,
}
