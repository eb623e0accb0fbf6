//! Data that comes before its type: [`Early`].

use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IntoDeserializer as _, MapAccess, Visitor};
use serde_json::{Map, Value};

/// Under this name `serde_json` returns JSON text, as a map with this one key. A [`Value`] could
/// not hold every number in it.
const TEXT: &str = "$serde_json::private::RawValue";

/// Data whose type is not known yet.
pub(super) enum Early {
    /// From `serde_json`.
    Text(String),
    /// From any other format.
    Value(Value),
}

impl Default for Early {
    fn default() -> Self {
        Self::Value(Value::Null)
    }
}

impl<'de> Deserialize<'de> for Early {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(TEXT, Anything)
    }
}

struct Anything;

/// The visit of a value that is not a map.
macro_rules! visit {
    ($($visit:ident: $type:ty,)*) => {
        $(fn $visit<E: de::Error>(self, value: $type) -> Result<Early, E> {
            Value::deserialize(value.into_deserializer()).map(Early::Value)
        })*
    };
}

impl<'de> Visitor<'de> for Anything {
    type Value = Early;

    visit! {
        visit_bool: bool,
        visit_i64: i64,
        visit_u64: u64,
        visit_f64: f64,
        visit_str: &str,
    }

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the data of a command")
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, data: D) -> Result<Early, D::Error> {
        Value::deserialize(data).map(Early::Value)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Early, M::Error> {
        let mut members = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if key == TEXT && members.is_empty() {
                return map.next_value().map(Early::Text);
            }
            members.insert(key, map.next_value()?);
        }
        Ok(Early::Value(Value::Object(members)))
    }

    fn visit_seq<S: de::SeqAccess<'de>>(self, seq: S) -> Result<Early, S::Error> {
        let elements = de::value::SeqAccessDeserializer::new(seq);
        Value::deserialize(elements).map(Early::Value)
    }

    fn visit_unit<E>(self) -> Result<Early, E> {
        Ok(Early::default())
    }

    fn visit_none<E>(self) -> Result<Early, E> {
        Ok(Early::default())
    }

    fn visit_some<D: Deserializer<'de>>(self, data: D) -> Result<Early, D::Error> {
        Value::deserialize(data).map(Early::Value)
    }
}
