//! Fingerprints of commands: they tell whether two commands under one idempotency key are the same.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// A fingerprint, as it is stored: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fingerprint(u64);

impl Fingerprint {
    pub(crate) fn new(fingerprint: u64) -> Self {
        Self(fingerprint)
    }

    /// Reads a fingerprint. `None` if the text is none: it cannot be compared then.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let is_ours = text.len() == 16 && text.bytes().all(|digit| digit.is_ascii_hexdigit());
        let digits = is_ours.then(|| u64::from_str_radix(text, 16));
        digits?.ok().map(Self)
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

impl Serialize for Fingerprint {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fingerprint {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let invalid = || serde::de::Error::custom("a fingerprint has 16 hexadecimal digits");
        Self::parse(&text).ok_or_else(invalid)
    }
}

/// The fingerprint of a command by its JSON. `None` if `serde_json` cannot write the command.
///
/// The order of an object's members does not matter, nor do members that are `null`. So a command
/// keeps its fingerprint when an optional field is added to it.
pub(crate) fn fingerprint_of<C: Serialize>(command: &C) -> Option<u64> {
    let value = to_value(command).ok()?;
    let mut canonical = String::new();
    write_canonical(&value, &mut canonical);
    Some(xxh3_64(canonical.as_bytes()))
}

/// Without personal data: a stored fingerprint would let somebody who guesses it find out.
#[cfg(feature = "personal")]
fn to_value<C: Serialize>(command: &C) -> serde_json::Result<Value> {
    use crate::personal::sealing::{NotStored, not_stored};

    not_stored(NotStored::Fingerprint, || serde_json::to_value(command))
}

#[cfg(not(feature = "personal"))]
fn to_value<C: Serialize>(command: &C) -> serde_json::Result<Value> {
    serde_json::to_value(command)
}

fn write_canonical(value: &Value, out: &mut String) {
    use fmt::Write as _;
    let written = match value {
        Value::Array(items) => {
            out.push('[');
            for item in items {
                write_canonical(item, out);
                out.push(',');
            }
            out.write_char(']')
        }
        Value::Object(members) => {
            let mut members: Vec<_> = members
                .iter()
                .filter(|(_, value)| !value.is_null())
                .collect();
            members.sort_unstable_by_key(|(name, _)| *name);
            out.push('{');
            for (name, value) in members {
                let _ = write!(out, "{name:?}:");
                write_canonical(value, out);
                out.push(',');
            }
            out.write_char('}')
        }
        other => write!(out, "{other}"),
    };
    debug_assert!(written.is_ok(), "writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fingerprints_ignore_the_order_of_members_and_members_that_are_null() {
        let of = |value: Value| fingerprint_of(&value);
        let one = of(json!({ "a": 1, "b": { "c": [1, null] } }));
        assert_eq!(
            one,
            of(json!({ "b": { "c": [1, null], "d": null }, "a": 1 }))
        );
        for other in [
            json!({ "a": 1, "b": { "c": [1] } }),
            json!({ "a": 1, "b": { "c": [null, 1] } }),
            json!({ "a": "1", "b": { "c": [1, null] } }),
            json!({ "a": 1, "b": {} }),
            json!([["a", 1]]),
        ] {
            assert_ne!(one, of(other.clone()), "{other}");
        }
        assert_ne!(
            of(json!({ "a": "\"},{" })),
            of(json!({ "a": "", "}": "{" }))
        );
    }

    #[test]
    fn a_fingerprint_is_read_as_it_was_written_and_other_text_is_none() {
        for fingerprint in [0, 1, u64::MAX, 0x0123_4567_89ab_cdef].map(Fingerprint) {
            let text = fingerprint.to_string();
            assert_eq!(Fingerprint::parse(&text), Some(fingerprint));
        }
        for text in [
            "",
            "1",
            "+123456789abcdef",
            "0123456789abcdefg",
            "v2:0123456789abc",
        ] {
            assert_eq!(Fingerprint::parse(text), None, "{text}");
        }
    }
}
