//! What generated code names. Not part of the public interface: it changes without notice.

use std::borrow::Cow;

pub use core::convert::Into;
pub use serde;
pub use std::vec;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

pub use crate::bus::CommandRoutes;
use crate::event::{
    DecodeError, DomainEvent, EncodeError, EventName, StoredEvent, decode_variant, encode_variant,
};

/// Appends the content of a derived event enum's `variant` to `data`.
pub fn encode_variant_of<E: Serialize>(
    event: &E,
    variant: &'static str,
    name: &'static str,
    data: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    encode_variant(event, variant, name, data)
}

/// Reads a derived event enum's `variant` from its payload.
pub fn decode_variant_of<'de, E: Deserialize<'de>>(
    stored: StoredEvent<'de>,
    variant: &'static str,
) -> Result<E, DecodeError> {
    decode_variant(stored, variant)
}

/// Appends the payload of a derived event struct to `data`.
pub fn encode_struct<E: Serialize>(
    event: &E,
    name: &'static str,
    data: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    serde_json::to_writer(data, event).map_err(|source| EncodeError::new(name, source))
}

/// `Aggregate::encode_event` by way of `DomainEvent`.
pub fn encode_event<E: DomainEvent>(
    event: &E,
    data: &mut Vec<u8>,
) -> Result<Cow<'static, str>, EncodeError> {
    event.encode(data)?;
    Ok(Cow::Borrowed(event.name()))
}

/// The names of several events, one after the other.
///
/// # Panics
///
/// If `N` is not the number of names, which the macros count.
pub const fn concat_names<const N: usize>(sets: &[&[EventName]]) -> [EventName; N] {
    let mut all = [EventName {
        name: "",
        aliases: &[],
    }; N];
    let (mut set, mut filled) = (0, 0);
    while set < sets.len() {
        let mut name = 0;
        while name < sets[set].len() {
            all[filled] = sets[set][name];
            filled += 1;
            name += 1;
        }
        set += 1;
    }
    assert!(filled == N, "names counted wrongly");
    all
}

/// Whether no name or alias stands twice in `names`.
pub const fn names_are_unique(names: &[EventName]) -> bool {
    let mut i = 0;
    while i < names.len() {
        let mut j = i;
        while j < names.len() {
            if clash(names[i], names[j], i == j) {
                return false;
            }
            j += 1;
        }
        i += 1;
    }
    true
}

const fn clash(a: EventName, b: EventName, same: bool) -> bool {
    let mut i = 0;
    while i <= a.aliases.len() {
        // Position 0 is the name itself. Within one event, each pair is looked at once.
        let mut j = if same { i + 1 } else { 0 };
        while j <= b.aliases.len() {
            let left = if i == 0 { a.name } else { a.aliases[i - 1] };
            let right = if j == 0 { b.name } else { b.aliases[j - 1] };
            if str_eq(left, right) {
                return true;
            }
            j += 1;
        }
        i += 1;
    }
    false
}

const fn str_eq(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    let mut i = 0;
    while i < a.len() {
        if a[i] != b[i] {
            return false;
        }
        i += 1;
    }
    true
}

#[derive(Serialize, Deserialize)]
struct Tagged<'a> {
    #[serde(rename = "type")]
    name: Cow<'a, str>,
    #[serde(default)]
    data: serde_json::Value,
}

/// Serialises an event of a generated enum as `{"type": <stored name>, "data": <payload>}`.
pub fn serialize_event<E: DomainEvent, S: Serializer>(
    event: &E,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    let mut data = Vec::new();
    event.encode(&mut data).map_err(S::Error::custom)?;
    let tagged = Tagged {
        name: Cow::Borrowed(event.name()),
        data: serde_json::from_slice(&data).map_err(S::Error::custom)?,
    };
    tagged.serialize(serializer)
}

/// The inverse of [`serialize_event`].
pub fn deserialize_event<'de, E: DomainEvent, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<E, D::Error> {
    let tagged = Tagged::deserialize(deserializer)?;
    let data = tagged.data.to_string();
    E::decode(StoredEvent::new(&tagged.name, &data)).map_err(D::Error::custom)
}
