//! Bytes that all storages share: a stored [event](event_line), and [JSON objects](sealed) that end
//! with their own checksum.

pub(crate) mod event_line;
pub(crate) mod sealed;
