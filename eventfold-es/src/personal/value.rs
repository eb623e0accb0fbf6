//! A value that is personal data: [`Personal`].

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, OnceLock};

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, DeserializeOwned, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::Error as _;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use zeroize::Zeroizing;

use crate::personal::envelope::{Envelope, MARK};
use crate::personal::key::{Secret, Unsealable};
use crate::personal::keyring::Keyring;
use crate::personal::sealing::{self, NotStored, Writing};
use crate::text::Shown;

/// Personal data: it is encrypted wherever it is written, and it is gone when its subject is
/// [forgotten](crate::AggregateStore::forget).
///
/// A field of an event has this type, and another field of the event says [whose it
/// is](derive@crate::DomainEvent#subjects). A new value is made by [`new`](Self::new) or `into()`. A reader asks
/// for it by [`known`](Self::known), and says what to do when it is erased.
///
/// ```
/// use eventfold_es::personal::{MemoryKeys, Personal};
/// use eventfold_es::{AggregateStore, prelude::*};
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct CustomerRegistered {
///     #[subject("customer")]
///     id: u64,
///     name: Personal<String>,
/// }
/// # #[derive(Debug, Clone, Serialize, Deserialize)]
/// # struct Register { id: u64, name: String }
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(events(CustomerRegistered), commands(Register))]
/// struct Customer {
///     name: Personal<String>,
/// }
///
/// impl Decide<Register> for Customer {
///     fn decide(&self, command: Register) -> Result<Vec<CustomerEvent>, std::convert::Infallible> {
///         let name = Personal::new(command.name);
///         Ok(events![CustomerRegistered { id: command.id, name }])
///     }
/// }
/// impl Evolve<CustomerRegistered> for Customer {
///     fn evolve(&mut self, event: &CustomerRegistered) {
///         self.name = event.name.clone();
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = AggregateStore::in_memory().keys(MemoryKeys::new()).open().await?;
/// let ann = store.get::<Customer>("42").await?;
/// ann.send(Register { id: 42, name: "Ann".to_owned() }).await?;
/// assert_eq!(ann.state().await?.name.known().map(String::as_str), Some("Ann"));
///
/// store.forget("customer:42").await?;
/// assert!(ann.state().await?.name.is_erased());
/// # Ok(())
/// # }
/// ```
///
/// # Where it is written
///
/// * In an event: encrypted with the key of its subject, for this event and this field. Ciphertext that is
///   moved elsewhere is not read.
/// * In a snapshot, a checkpoint, a command or a timer of a process manager, a dead letter: a value that
///   came from an event, as it was encrypted there; one made of it by [`map`](Self::map), encrypted too.
/// * A new value is written nowhere but in an event. Serialising it elsewhere is an error, so that it
///   never stands in a file in clear.
///
/// In JSON it is an object that begins with the member `$personal`. Other JSON is read as a new value: so a
/// command can be read from a request, and a field that was stored in clear once can become personal.
/// A format that is not self-describing cannot hold it.
///
/// `Debug` shows nothing of the value. Two values are equal if both are known and equal, or if both are
/// erased.
#[doc(alias("gdpr", "pii", "encrypt", "crypto-shredding", "erase"))]
#[derive(Clone)]
pub struct Personal<T>(Held<T>);

#[derive(Clone)]
enum Held<T> {
    /// A new value. Its subject, if it is known.
    New(T, OnceLock<Arc<str>>),
    /// Read from where it was stored, as `envelope`.
    Read(T, Arc<Secret>, Arc<Envelope>),
    /// Made of one that was read from the store with these keys.
    Made(T, Arc<Secret>, Arc<str>),
    Erased(Arc<Envelope>),
}

impl<T> Personal<T> {
    /// A new value. It is of the subject of the event that it is stored in.
    ///
    /// See the example of [`Personal`].
    pub const fn new(value: T) -> Self {
        Self(Held::New(value, OnceLock::new()))
    }

    /// A new value of this subject, whatever the event says: for one in a list, each of another person.
    ///
    /// ```
    /// # use eventfold_es::personal::Personal;
    /// let guest = Personal::of("guest:7", "Ann".to_owned());
    /// assert_eq!(guest.subject(), Some("guest:7"));
    /// ```
    pub fn of(subject: impl Into<String>, value: T) -> Self {
        let subject: Arc<str> = subject.into().into();
        Self(Held::New(value, OnceLock::from(subject)))
    }

    /// The value, `None` if it is erased.
    ///
    /// ```
    /// # use eventfold_es::personal::Personal;
    /// let name = Personal::new("Ann".to_owned());
    /// let shown = name.known().map_or("(erased)", String::as_str);
    /// assert_eq!(shown, "Ann");
    /// ```
    #[must_use]
    pub fn known(&self) -> Option<&T> {
        match &self.0 {
            Held::New(value, _) => Some(value),
            Held::Read(value, secret, _) | Held::Made(value, secret, _) => {
                (!secret.is_destroyed()).then_some(value)
            }
            Held::Erased(_) => None,
        }
    }

    /// As [`known`](Self::known), by value.
    ///
    /// ```
    /// # use eventfold_es::personal::Personal;
    /// assert_eq!(Personal::new(5).into_known(), Some(5));
    /// ```
    #[must_use]
    pub fn into_known(self) -> Option<T> {
        match self.0 {
            Held::New(value, _) => Some(value),
            Held::Read(value, secret, _) | Held::Made(value, secret, _) => {
                (!secret.is_destroyed()).then_some(value)
            }
            Held::Erased(_) => None,
        }
    }

    /// Whether its subject was forgotten.
    ///
    /// See the example of [`Personal`].
    #[must_use]
    pub fn is_erased(&self) -> bool {
        self.known().is_none()
    }

    /// Whose it is, `None` for a new value until it is stored.
    ///
    /// See the example of [`of`](Self::of).
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match &self.0 {
            Held::New(_, subject) => subject.get().map(|subject| &**subject),
            Held::Read(_, secret, _) | Held::Made(_, secret, _) => Some(secret.subject()),
            Held::Erased(envelope) => Some(&envelope.subject),
        }
    }

    /// Another value of the same subject, made of this one. It is erased with it, and can be written
    /// wherever this one can.
    ///
    /// ```
    /// # use eventfold_es::personal::Personal;
    /// let name = Personal::of("customer:42", "Ann Smith".to_owned());
    /// let initial = name.map(|name| name.chars().next());
    /// assert_eq!(initial.known(), Some(&Some('A')));
    /// assert_eq!(initial.subject(), Some("customer:42"));
    /// ```
    pub fn map<U>(self, make: impl FnOnce(T) -> U) -> Personal<U> {
        let is_erased = self.is_erased();
        Personal(match self.0 {
            Held::New(value, subject) => Held::New(make(value), subject),
            Held::Read(_, secret, _) | Held::Made(_, secret, _) if is_erased => {
                Held::Erased(Arc::new(Envelope::erased(secret.subject())))
            }
            Held::Read(value, secret, envelope) => {
                let keys = envelope.keys.as_deref().unwrap_or_default();
                Held::Made(make(value), secret, keys.into())
            }
            Held::Made(value, secret, keys) => Held::Made(make(value), secret, keys),
            Held::Erased(envelope) => Held::Erased(Arc::new(Envelope::erased(&envelope.subject))),
        })
    }

    /// Says whose a new value is, unless it says so itself.
    pub(crate) fn belongs_to(&self, subject: &Arc<str>) {
        if let Held::New(_, owner) = &self.0 {
            owner.get_or_init(|| subject.clone());
        }
    }
}

impl<T> From<T> for Personal<T> {
    fn from(value: T) -> Self {
        Self::new(value)
    }
}

impl<T: Default> Default for Personal<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: PartialEq> PartialEq for Personal<T> {
    fn eq(&self, other: &Self) -> bool {
        self.known() == other.known()
    }
}

impl<T: Eq> Eq for Personal<T> {}

impl<T> fmt::Debug for Personal<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_erased() {
            "Personal(erased)"
        } else {
            "Personal(..)"
        })
    }
}

impl<T: Serialize> Serialize for Personal<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match sealing::writing() {
            Writing::NotStored(how) => self.serialize_not_stored(how, serializer),
            Writing::InEvent => self.serialize_in_event(serializer),
            Writing::Elsewhere => self.serialize_elsewhere(serializer),
        }
    }
}

impl<T: Serialize> Personal<T> {
    fn serialize_not_stored<S: Serializer>(
        &self,
        how: NotStored,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        if matches!(how, NotStored::Fingerprint) {
            return serializer.serialize_unit();
        }
        #[cfg_attr(
            not(feature = "testing"),
            expect(unused_variables, reason = "only the kit writes it in clear")
        )]
        let Some(value) = self.known() else {
            let subject = self.subject().unwrap_or_default();
            return Envelope::erased(subject).serialize(serializer);
        };
        match how {
            NotStored::Fingerprint => serializer.serialize_unit(),
            #[cfg(feature = "testing")]
            NotStored::Clear => value.serialize(serializer),
            #[cfg(feature = "testing")]
            NotStored::WithSubject => crate::personal::envelope::InClear {
                subject: self.subject_in_event::<S::Error>()?.to_string(),
                clear: value,
            }
            .serialize(serializer),
        }
    }

    /// Whose it is in the event that is being written.
    fn subject_in_event<E: serde::ser::Error>(&self) -> Result<Arc<str>, E> {
        let own = match &self.0 {
            Held::New(_, subject) => subject.get().cloned(),
            Held::Read(_, secret, _) | Held::Made(_, secret, _) => Some(secret.subject().clone()),
            Held::Erased(_) => None,
        };
        own.or_else(sealing::subject).ok_or_else(|| {
            E::custom(
                "it has personal data, and nothing says whose it is: mark the field that does with \
                 `#[subject]`, or make the value by `Personal::of`",
            )
        })
    }

    fn serialize_in_event<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(value) = self.known() else {
            let subject = self.subject().unwrap_or_default();
            return Envelope::erased(subject).serialize(serializer);
        };
        let subject = self.subject_in_event()?;
        let plain = serde_json::to_vec(value).map_err(S::Error::custom)?;
        sealing::wait(subject, Zeroizing::new(plain)).serialize(serializer)
    }

    fn serialize_elsewhere<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Held::Read(_, _, envelope) | Held::Erased(envelope) => envelope.serialize(serializer),
            Held::Made(_, secret, _) if secret.is_destroyed() => {
                Envelope::erased(secret.subject()).serialize(serializer)
            }
            Held::Made(value, secret, keys) => {
                let plain = serde_json::to_vec(value).map_err(S::Error::custom)?;
                let plain = Zeroizing::new(plain);
                match Envelope::seal(secret, keys, &plain) {
                    Ok(envelope) => envelope.serialize(serializer),
                    Err(Unsealable::Destroyed) => {
                        Envelope::erased(secret.subject()).serialize(serializer)
                    }
                    Err(error) => Err(S::Error::custom(format!(
                        "personal data cannot be encrypted: {error:?}"
                    ))),
                }
            }
            // Invariant P1.
            Held::New(..) => Err(S::Error::custom(
                "new personal data is written in an event of its subject and nowhere else: a command, a \
                 timer or a state takes a value that came from an event, or one made of it by `Personal::map`",
            )),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Personal<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(OfValue(PhantomData))
    }
}

impl<T: DeserializeOwned> Personal<T> {
    /// A value in clear: it is new.
    fn in_clear<E: de::Error>(value: Value) -> Result<Self, E> {
        serde_json::from_value(value)
            .map(Self::new)
            .map_err(E::custom)
    }

    fn of_envelope<E: de::Error>(envelope: Envelope) -> Result<Self, E> {
        sealing::note_read();
        let (Some(keys), Some(_)) = (&envelope.keys, &envelope.sealed) else {
            return Ok(Self(Held::Erased(Arc::new(envelope))));
        };
        let Some(keyring) = Keyring::of_store(keys) else {
            let text = format!(
                "no store with the keys of the store `{}` is open in this process: personal data is read \
                 while its store is open with `AggregateStoreBuilder::keys`",
                Shown(keys)
            );
            return Err(E::custom(text));
        };
        let secret = keyring.to_open(&envelope.subject).map_err(|error| {
            let text = E::custom(&error);
            sealing::note_no_key(error);
            text
        })?;
        let plain = match envelope.open(&secret) {
            Ok(plain) => plain,
            Err(Unsealable::Destroyed) => return Ok(Self(Held::Erased(Arc::new(envelope)))),
            Err(Unsealable::NotAuthentic | Unsealable::Failed(_)) => {
                let text = format!(
                    "the personal data of `{}` is not as it was stored: it was changed, or sealed with \
                     another key than the key store has",
                    Shown(&envelope.subject)
                );
                return Err(E::custom(text));
            }
        };
        // Nothing of the value may be in the message.
        let value = serde_json::from_slice(&plain).map_err(|error| {
            let kind = error.classify();
            let text = format!(
                "the personal data of `{}` is no `{}` ({kind:?} error)",
                Shown(&envelope.subject),
                std::any::type_name::<T>(),
            );
            E::custom(text)
        })?;
        Ok(Self(Held::Read(value, secret, Arc::new(envelope))))
    }
}

struct OfValue<T>(PhantomData<T>);

impl<'de, T: DeserializeOwned> Visitor<'de> for OfValue<T> {
    type Value = Personal<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("personal data")
    }

    fn visit_bool<E: de::Error>(self, value: bool) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_string<E: de::Error>(self, value: String) -> Result<Self::Value, E> {
        Personal::in_clear(value.into())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Personal::in_clear(Value::Null)
    }

    fn visit_none<E: de::Error>(self) -> Result<Self::Value, E> {
        Personal::in_clear(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        Personal::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        Personal::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element::<Value>()? {
            values.push(value);
        }
        Personal::in_clear(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some(first) = map.next_key::<String>()? else {
            return Personal::in_clear(Value::Object(serde_json::Map::new()));
        };
        if first == MARK {
            let subject = map.next_value()?;
            let rest = MapAccessDeserializer::new(map);
            let Rest {
                keys,
                event,
                field,
                sealed,
            } = Rest::deserialize(rest)?;
            return Personal::of_envelope(Envelope {
                subject,
                keys,
                event,
                field,
                sealed,
            });
        }
        let mut members = serde_json::Map::new();
        members.insert(first, map.next_value()?);
        while let Some((name, value)) = map.next_entry()? {
            members.insert(name, value);
        }
        Personal::in_clear(Value::Object(members))
    }
}

/// The members of an envelope after the first one.
#[derive(Deserialize)]
struct Rest {
    keys: Option<String>,
    event: Option<String>,
    field: Option<String>,
    sealed: Option<String>,
}
