//! A checksum in the files of followers: [`Chain`].

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A checksum of the journal, in the journal's notation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chain(pub(crate) u64);

impl Serialize for Chain {
    fn serialize<T: Serializer>(&self, serializer: T) -> Result<T::Ok, T::Error> {
        serializer.collect_str(&format_args!("{:016x}", self.0))
    }
}

impl<'de> Deserialize<'de> for Chain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let chain = u64::from_str_radix(&text, 16);
        chain.map(Self).map_err(serde::de::Error::custom)
    }
}
