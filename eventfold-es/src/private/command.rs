//! The serialised form of generated command enums: `{"type": <name>, "data": <command>}`, as serde
//! derives it for an adjacently tagged enum.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{
    self, DeserializeOwned, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor,
};
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::early::Early;

const TYPE: &str = "type";
const DATA: &str = "data";

/// A command that a generated enum carries.
///
/// The impl requires serde's traits, the trait does not, and the impl is not recommended. So the
/// compiler reports the command once, without a list of the types that implement serde's traits.
#[diagnostic::on_unimplemented(
    message = "the command `{Self}` cannot be serialised",
    label = "serde's `Serialize` or `Deserialize` is missing",
    note = "add `#[derive(serde::Serialize, serde::Deserialize)]` to `{Self}`",
    note = "or write `command_enum(derive(Debug, Clone))`, so that the enum is not serialised",
    note = "or remove `{Self}` from the commands, if it is not a command"
)]
pub trait CommandPayload: Sized {
    /// Serialises it as the variant `name` of the enum `of`.
    fn serialize_as<S: Serializer>(
        &self,
        of: &'static str,
        name: &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error>;

    /// Reads it from the value beside its name.
    fn deserialize_from<'de, D: Deserializer<'de>>(data: D) -> Result<Self, D::Error>;
}

#[diagnostic::do_not_recommend]
impl<C: Serialize + DeserializeOwned> CommandPayload for C {
    fn serialize_as<S: Serializer>(
        &self,
        of: &'static str,
        name: &'static str,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let mut tagged = serializer.serialize_struct(of, 2)?;
        tagged.serialize_field(TYPE, name)?;
        tagged.serialize_field(DATA, self)?;
        tagged.end()
    }

    fn deserialize_from<'de, D: Deserializer<'de>>(data: D) -> Result<Self, D::Error> {
        Self::deserialize(data)
    }
}

/// A generated command enum.
pub trait CommandSet: Sized {
    /// The names of its variants when serialised.
    const NAMES: &'static [&'static str];

    /// Reads the variant `name`, which is one of [`NAMES`](Self::NAMES).
    fn deserialize_named<'de, D: Deserializer<'de>>(
        name: &'static str,
        data: D,
    ) -> Result<Self, D::Error>;

    /// Reads any variant by its name. `of` is the enum's own name, for formats that care.
    fn deserialize_tagged<'de, D: Deserializer<'de>>(
        of: &'static str,
        deserializer: D,
    ) -> Result<Self, D::Error> {
        deserializer.deserialize_struct(of, &[TYPE, DATA], Tagged(of, PhantomData))
    }
}

struct Tagged<C>(&'static str, PhantomData<C>);

impl<'de, C: CommandSet> Visitor<'de> for Tagged<C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a `{}` with `{TYPE}` and `{DATA}`", self.0)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<C, M::Error> {
        let mut name = None;
        let mut command = None;
        // Data that comes before its type must wait.
        let mut early = None;
        while let Some(key) = map.next_key::<Key>()? {
            match (key, name) {
                (Key::Type, Some(_)) => return Err(de::Error::duplicate_field(TYPE)),
                (Key::Type, None) => name = Some(map.next_value_seed(Name::<C>(PhantomData))?),
                (Key::Data, _) if command.is_some() || early.is_some() => {
                    return Err(de::Error::duplicate_field(DATA));
                }
                (Key::Data, Some(name)) => {
                    command = Some(map.next_value_seed(Data::<C>(name, PhantomData))?);
                }
                (Key::Data, None) => early = Some(map.next_value::<Early>()?),
                (Key::Other, _) => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        if let Some(command) = command {
            return Ok(command);
        }
        let name = name.ok_or_else(|| de::Error::missing_field(TYPE))?;
        let command = match early.unwrap_or_default() {
            Early::Value(value) => C::deserialize_named(name, value),
            Early::Text(text) => {
                let mut json = serde_json::Deserializer::from_str(&text);
                C::deserialize_named(name, &mut json)
            }
        };
        command.map_err(de::Error::custom)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<C, S::Error> {
        let name = seq.next_element_seed(Name::<C>(PhantomData))?;
        let name = name.ok_or_else(|| de::Error::invalid_length(0, &self))?;
        let command = seq.next_element_seed(Data::<C>(name, PhantomData))?;
        command.ok_or_else(|| de::Error::invalid_length(1, &self))
    }
}

enum Key {
    Type,
    Data,
    Other,
}

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;

        impl Visitor<'_> for Text {
            type Value = Key;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "`{TYPE}` or `{DATA}`")
            }

            fn visit_str<E>(self, key: &str) -> Result<Key, E> {
                Ok(match key {
                    TYPE => Key::Type,
                    DATA => Key::Data,
                    _ => Key::Other,
                })
            }
        }

        deserializer.deserialize_identifier(Text)
    }
}

/// Reads the name of a variant.
struct Name<C>(PhantomData<C>);

impl<'de, C: CommandSet> DeserializeSeed<'de> for Name<C> {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<&'static str, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl<C: CommandSet> Visitor<'_> for Name<C> {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a command")
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<&'static str, E> {
        let known = C::NAMES.iter().find(|known| **known == name);
        known
            .copied()
            .ok_or_else(|| E::unknown_variant(name, C::NAMES))
    }
}

/// Reads the command of a name.
struct Data<C>(&'static str, PhantomData<C>);

impl<'de, C: CommandSet> DeserializeSeed<'de> for Data<C> {
    type Value = C;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<C, D::Error> {
        C::deserialize_named(self.0, deserializer)
    }
}
