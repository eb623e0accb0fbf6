//! Bytes that all storages share: [an event](event_line) as it is stored, and [JSON objects](sealed) that
//! end with their own checksum.

pub(crate) mod event_line;
pub(crate) mod sealed;
