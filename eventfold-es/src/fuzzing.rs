//! What the targets in `fuzz/` call: a decoder, and what must hold of all that it accepts.
//!
//! Built by `cargo fuzz` only.

use crate::ids::{decode, encode};
use crate::storage::files::fuzzing as engine;

/// Bytes as a segment of the journal.
pub fn journal(bytes: &[u8]) {
    engine::journal(bytes);
    let right = engine::with_right_checksums(bytes);
    engine::journal(&right);
    engine::commits(&right);
}

/// Bytes as a compressed segment: as they are, and compressed, with one byte of the file changed.
pub fn compressed(bytes: &[u8]) {
    engine::compressed(bytes);
    if let [block, place, further, other, rest @ ..] = bytes {
        let place = usize::from(*place) << 4 | usize::from(*further);
        engine::compressed_again(rest, usize::from(*block) + 1, (place, *other));
    }
}

/// Bytes as a line of a stream's file, and as the payload of a new event.
pub fn event_line(bytes: &[u8]) {
    engine::foreign_line(bytes);
    engine::sealed_line(bytes);
    engine::new_event(bytes);
}

/// Text as an id, and as the name of a directory.
pub fn stream_id(text: &str) {
    if let Ok(name) = encode(text) {
        assert_eq!(decode(&name).as_deref(), Some(text));
        assert!((1..=255).contains(&name.len()));
        assert!(!name.contains(['/', '\\', '\0']) && !name.starts_with('.'));
        assert!(!name.ends_with(['.', ' ']));
    }
    if let Some(decoded) = decode(text) {
        assert_eq!(encode(&decoded).as_deref(), Ok(text));
    }
}
