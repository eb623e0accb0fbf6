//! An event of a stream at the seam: [`Loaded`].

use crate::event::StoredEvent;

/// An event on its way from the storage to whoever folds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loaded<'a> {
    pub(crate) version: u64,
    pub(crate) event: StoredEvent<'a>,
    pub(crate) key: Option<&'a str>,
    /// Its position, as far as the stream states it.
    pub(crate) position: Option<u64>,
}
