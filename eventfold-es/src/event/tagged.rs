//! Event enums written by hand, in serde's adjacently tagged form (`tag = "type"`, `content =
//! "data"`), as in eventfold-es 0.2.0.

use std::borrow::Cow;

use serde::de::value::{MapAccessDeserializer, StrDeserializer};
use serde::de::{self, DeserializeOwned, DeserializeSeed, MapAccess};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::event::{DecodeError, EncodeError, StoredEvent};

/// Appends the payload of `event` to `data` and returns its tag.
pub(crate) fn encode<E: Serialize>(
    event: &E,
    data: &mut Vec<u8>,
) -> Result<Cow<'static, str>, EncodeError> {
    #[derive(Deserialize)]
    struct Tagged<'a> {
        #[serde(borrow, rename = "type")]
        name: Cow<'a, str>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }

    let unnamed = |source| EncodeError::new(std::any::type_name::<E>(), source);
    let json = serde_json::to_string(event).map_err(unnamed)?;
    let tagged: Tagged<'_> = serde_json::from_str(&json).map_err(unnamed)?;
    data.extend_from_slice(tagged.data.map_or("null", RawValue::get).as_bytes());
    Ok(Cow::Owned(tagged.name.into_owned()))
}

/// Reads an event from its tag and its payload.
pub(crate) fn decode<E: DeserializeOwned>(stored: StoredEvent<'_>) -> Result<E, DecodeError> {
    stored.open(|| {
        let entries = Entries::new(stored.name(), stored.data());
        E::deserialize(MapAccessDeserializer::new(entries)).map_err(|error| match error {
            Error::UnknownTag(_) => stored.unknown(),
            Error::Json(source) => DecodeError::malformed(stored.name(), source),
        })
    })
}

/// Whether `E` has a variant tagged `name`. The payload may fail to parse, only the tag counts.
pub(crate) fn knows<E: DeserializeOwned>(name: &str) -> bool {
    let entries = Entries::new(name, "null");
    !matches!(
        E::deserialize(MapAccessDeserializer::new(entries)),
        Err(Error::UnknownTag(_))
    )
}

/// The names of the variants of `E`, `None` if it does not tell them.
pub(crate) fn names<E: DeserializeOwned>() -> Option<&'static [&'static str]> {
    // No variant can have this name, so `E` answers with the names that it has.
    let entries = Entries::new("\0", "null");
    match E::deserialize(MapAccessDeserializer::new(entries)) {
        Err(Error::UnknownTag(names)) => Some(names),
        _ => None,
    }
}

/// The map `{"type": name, "data": payload}`, without `data` if that is `null`.
struct Entries<'a> {
    name: Option<&'a str>,
    data: Option<&'a str>,
}

impl<'a> Entries<'a> {
    fn new(name: &'a str, data: &'a str) -> Self {
        Self {
            name: Some(name),
            data: (data != "null").then_some(data),
        }
    }
}

impl<'de> MapAccess<'de> for Entries<'de> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let key = match (self.name, self.data) {
            (Some(_), _) => "type",
            (None, Some(_)) => "data",
            (None, None) => return Ok(None),
        };
        // The keys are ours, so an error is about the form of the enum, not about the tag.
        seed.deserialize(StrDeserializer::<serde_json::Error>::new(key))
            .map(Some)
            .map_err(Error::Json)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Error> {
        if let Some(name) = self.name.take() {
            return seed.deserialize(StrDeserializer::<Error>::new(name));
        }
        let data = self.data.take().unwrap_or("null");
        let mut json = serde_json::Deserializer::from_str(data);
        let value = seed.deserialize(&mut json).map_err(Error::Json)?;
        json.end().map_err(Error::Json)?;
        Ok(value)
    }
}

/// The errors of reading. The caller must be able to tell the first one from the others.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// With the tags that there are.
    #[error("unknown tag")]
    UnknownTag(&'static [&'static str]),
    #[error(transparent)]
    Json(serde_json::Error),
}

impl de::Error for Error {
    fn custom<T: std::fmt::Display>(message: T) -> Self {
        Self::Json(de::Error::custom(message))
    }

    // Only the tag is read with this error type: a payload's own enums report serde_json's.
    fn unknown_variant(_: &str, names: &'static [&'static str]) -> Self {
        Self::UnknownTag(names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum Event {
        Started,
        Moved { to: Place },
        Scaled(u8),
    }

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    enum Place {
        Here,
    }

    #[test]
    fn every_shape_of_variant_is_decoded_from_its_stored_form() {
        for event in [
            Event::Started,
            Event::Moved { to: Place::Here },
            Event::Scaled(3),
        ] {
            let mut data = Vec::new();
            let name = encode(&event, &mut data).unwrap();
            let data = String::from_utf8(data).unwrap();
            let back: Event = decode(StoredEvent::new(&name, &data)).unwrap();
            assert_eq!(back, event);
        }
    }

    #[test]
    fn an_unknown_tag_and_an_unknown_variant_in_the_payload_are_different_errors() {
        let unknown = decode::<Event>(StoredEvent::new("Gone", "null")).unwrap_err();
        assert!(matches!(unknown, DecodeError::UnknownName { .. }));
        let malformed =
            decode::<Event>(StoredEvent::new("Moved", r#"{"to":"There"}"#)).unwrap_err();
        assert!(matches!(malformed, DecodeError::Malformed { .. }));
        assert!(knows::<Event>("Moved") && knows::<Event>("Started") && !knows::<Event>("Gone"));
        assert_eq!(names::<Event>(), Some(&["Started", "Moved", "Scaled"][..]));
        assert_eq!(names::<u8>(), None);
    }

    #[test]
    fn a_payload_with_trailing_text_is_malformed() {
        let stored = StoredEvent::new("Scaled", "1-2");
        let malformed = decode::<Event>(stored).unwrap_err();
        assert!(matches!(malformed, DecodeError::Malformed { .. }));
    }

    #[test]
    fn encoding_an_enum_that_is_not_adjacently_tagged_is_an_error() {
        assert!(encode(&Place::Here, &mut Vec::new()).is_err());
    }
}
