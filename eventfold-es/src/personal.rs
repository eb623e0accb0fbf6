//! Personal data that can be erased: it is encrypted with a key for each person, and erased by destroying
//! the key.
//!
//! The guide page [personal data](crate::guide::personal_data) leads through it. [`Personal`] is the type
//! of a field with such data, [`AggregateStore::forget`](crate::AggregateStore::forget) erases it.
//! [`FileKeys`] keeps the keys in a directory of their own; another [`KeyStore`] keeps them elsewhere.

#[cfg(feature = "personal")]
mod envelope;
#[cfg(feature = "personal")]
mod error;
#[cfg(feature = "personal")]
mod file_keys;
#[cfg(feature = "personal")]
mod key;
#[cfg(feature = "personal")]
mod key_store;
#[cfg(feature = "personal")]
pub(crate) mod keyring;
mod keys;
#[cfg(feature = "personal")]
pub(crate) mod sealing;
#[cfg(feature = "personal")]
mod value;

#[cfg(feature = "personal")]
pub use error::KeyError;
#[cfg(feature = "personal")]
pub use file_keys::FileKeys;
#[cfg(feature = "personal")]
pub use key::SubjectKey;
#[cfg(feature = "personal")]
pub use key_store::{KeyFuture, KeyState, KeyStore, MemoryKeys};
pub(crate) use keys::Keys;
#[cfg(feature = "personal")]
pub use value::Personal;
