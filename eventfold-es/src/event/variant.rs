//! Event enums derived with `DomainEvent`: one variant is one event, its content the payload.
//!
//! serde sees such an enum in its default form, tagged by the variant's name in the Rust source.
//! The stored name replaces that tag: writing cuts the tag off in place, and reading adds it.

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, Deserializer, EnumAccess, VariantAccess, Visitor};
use serde::ser::{Error as _, Serialize};

use crate::event::{DecodeError, EncodeError, StoredEvent};

/// Appends the content of `event`, whose variant is `variant`, to `data`. `name` is for the error.
pub(crate) fn encode<E: Serialize>(
    event: &E,
    variant: &'static str,
    name: &'static str,
    data: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let start = data.len();
    serde_json::to_writer(&mut *data, event).map_err(|source| EncodeError::new(name, source))?;

    // Either `{"Variant":<content>}`, or `"Variant"` for a unit.
    let tagged = &data[start..];
    let tag = format!("\"{variant}\"");
    if tagged == tag.as_bytes() {
        data.truncate(start);
        data.extend_from_slice(b"null");
        return Ok(());
    }
    let before = tag.len() + 2;
    if tagged.first() != Some(&b'{')
        || !tagged[1..].starts_with(tag.as_bytes())
        || tagged.get(before - 1) != Some(&b':')
    {
        let text = "an event enum must be serialised by serde's derive, in its default form";
        return Err(EncodeError::new(name, serde_json::Error::custom(text)));
    }
    data.pop();
    data.drain(start..start + before);
    Ok(())
}

/// Reads the payload of `stored` as the content of `variant`.
pub(crate) fn decode<'de, E: de::Deserialize<'de>>(
    stored: StoredEvent<'de>,
    variant: &'static str,
) -> Result<E, DecodeError> {
    stored.open(|| {
        let mut json = serde_json::Deserializer::from_str(stored.data());
        E::deserialize(Content {
            variant,
            json: &mut json,
        })
        .and_then(|event| json.end().map(|()| event))
        .map_err(|source| DecodeError::malformed(stored.name(), source))
    })
}

type Json<'a, 'de> = &'a mut serde_json::Deserializer<serde_json::de::StrRead<'de>>;

/// The content of one variant, presented to serde as the enum.
struct Content<'a, 'de> {
    variant: &'static str,
    json: Json<'a, 'de>,
}

impl<'de> Deserializer<'de> for Content<'_, 'de> {
    type Error = serde_json::Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Self::Error> {
        visitor.visit_enum(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map struct enum identifier
        ignored_any
    }
}

impl<'a, 'de> EnumAccess<'de> for Content<'a, 'de> {
    type Error = serde_json::Error;
    type Variant = VariantContent<'a, 'de>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        self,
        seed: V,
    ) -> Result<(V::Value, Self::Variant), Self::Error> {
        let variant = seed.deserialize(StrDeserializer::<Self::Error>::new(self.variant))?;
        Ok((variant, VariantContent(self.json)))
    }
}

struct VariantContent<'a, 'de>(Json<'a, 'de>);

impl<'de> VariantAccess<'de> for VariantContent<'_, 'de> {
    type Error = serde_json::Error;

    fn unit_variant(self) -> Result<(), Self::Error> {
        de::Deserialize::deserialize(self.0)
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(
        self,
        seed: T,
    ) -> Result<T::Value, Self::Error> {
        seed.deserialize(self.0)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Self::Error> {
        self.0.deserialize_struct("", fields, visitor)
    }
}
