//! The stored form of derived events.

use std::borrow::Cow;

use serde::de::{DeserializeOwned, Error as _};
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::{
    DecodeError, Decoded, DomainEvent, EncodeError, StoredEvent, decode_variant, encode_variant,
    value,
};

/// An event with the `data` of its stored form.
///
/// The impl requires serde's traits, the trait does not, and the impl is not recommended. So the
/// compiler reports the event once, without a list of the types that implement serde's traits.
#[diagnostic::on_unimplemented(
    message = "the event `{Self}` cannot be stored",
    label = "serde's `Serialize` or `Deserialize` is missing",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`"
)]
pub trait EventPayload: Sized {
    /// Appends the payload of an event struct to `data`.
    fn encode_struct(&self, name: &'static str, data: &mut Vec<u8>) -> Result<(), EncodeError>;

    /// Reads an event struct from its payload.
    fn decode_struct(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError>;

    /// Appends the content of an event enum's `variant` to `data`.
    fn encode_variant(
        &self,
        variant: &'static str,
        name: &'static str,
        data: &mut Vec<u8>,
    ) -> Result<(), EncodeError>;

    /// Reads an event enum's `variant` from its content.
    fn decode_variant(
        stored: StoredEvent<'_>,
        variant: &'static str,
    ) -> Result<Decoded<Self>, DecodeError>;
}

#[diagnostic::do_not_recommend]
impl<E: Serialize + DeserializeOwned> EventPayload for E {
    fn encode_struct(&self, name: &'static str, data: &mut Vec<u8>) -> Result<(), EncodeError> {
        serde_json::to_writer(data, self).map_err(|source| EncodeError::new(name, source))
    }

    fn decode_struct(stored: StoredEvent<'_>) -> Result<Decoded<Self>, DecodeError> {
        stored.payload().map(Decoded::one)
    }

    fn encode_variant(
        &self,
        variant: &'static str,
        name: &'static str,
        data: &mut Vec<u8>,
    ) -> Result<(), EncodeError> {
        encode_variant(self, variant, name, data)
    }

    fn decode_variant(
        stored: StoredEvent<'_>,
        variant: &'static str,
    ) -> Result<Decoded<Self>, DecodeError> {
        decode_variant(stored, variant).map(Decoded::one)
    }
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
    let data = std::str::from_utf8(&data);
    let tagged = Tagged {
        name: Cow::Borrowed(event.name()),
        data: value::read(data.map_err(S::Error::custom)?).map_err(S::Error::custom)?,
    };
    tagged.serialize(serializer)
}

/// The inverse of [`serialize_event`].
pub fn deserialize_event<'de, E: DomainEvent, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<E, D::Error> {
    let tagged = Tagged::deserialize(deserializer)?;
    let data = tagged.data.to_string();
    let events = E::decode(StoredEvent::new(&tagged.name, &data)).map_err(D::Error::custom)?;
    events.into_one().map_err(|events| {
        let count = events.as_slice().len();
        D::Error::custom(format!(
            "`{}` is {count} events today, not one",
            tagged.name
        ))
    })
}
