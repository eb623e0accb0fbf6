//! Where keys are kept: [`KeyStore`], its answers, and [`MemoryKeys`].

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use crate::personal::error::KeyError;
use crate::personal::key::SubjectKey;
use crate::sync::lock;
use crate::text::Shown;

/// The future that a method of a [`KeyStore`] returns.
pub type KeyFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, KeyError>> + Send + 'a>>;

/// What a key store knows of a subject.
#[derive(Debug, Clone)]
pub enum KeyState {
    /// Its key.
    Known(SubjectKey),
    /// Its key was destroyed, by [`KeyStore::destroy`] and nothing else. Everything that was sealed with
    /// it is erased.
    Destroyed,
    /// It never had a key here. If there is something that was sealed for it, keys are missing: that is
    /// an error, not an erasure.
    Never,
}

/// Keeps the keys of subjects: [`FileKeys`](crate::personal::FileKeys), [`MemoryKeys`], or your own, for
/// example on a server for keys.
///
/// A store calls it on a thread of its own with a tokio runtime, so a method may wait and may use timers,
/// and connections if the program's tokio has them. A call that fails may have had its effect; it is
/// repeated later. A store keeps the keys that were used lately in memory.
///
/// What must hold, because a store builds on it:
///
/// * a key that [`get_or_create`](Self::get_or_create) returned is durable: `get` returns the same key from
///   then on, in every process;
/// * once [`destroy`](Self::destroy) has returned, no call returns the key again, and no new key is made for
///   the subject, in no process, ever;
/// * a key that cannot be reached now is an error. [`KeyState::Destroyed`] is the answer for a destroyed key
///   only.
///
/// ```
/// use eventfold_es::personal::{KeyFuture, KeyState, KeyStore, MemoryKeys};
///
/// /// Counts how often a key is asked for.
/// #[derive(Default)]
/// struct Counted {
///     keys: MemoryKeys,
///     asked: std::sync::atomic::AtomicUsize,
/// }
///
/// impl KeyStore for Counted {
///     fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
///         self.keys.bind(store, is_new)
///     }
///     fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
///         self.asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
///         self.keys.get(subject)
///     }
///     fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
///         self.keys.get_or_create(subject)
///     }
///     fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
///         self.keys.destroy(subject)
///     }
/// }
/// ```
#[doc(alias("vault", "kms", "hsm"))]
pub trait KeyStore: Send + Sync + 'static {
    /// Called once when a store is opened, before all else. `store` names the store: 32 hexadecimal digits,
    /// which stay the same for as long as its data exists. `is_new` says that the store was never open with
    /// keys before, so that there need be none yet.
    ///
    /// # Errors
    ///
    /// If the keys here are those of another store, or if `is_new` is false and there are none.
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()>;

    /// The key of `subject`.
    ///
    /// # Errors
    ///
    /// If the key store cannot tell.
    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState>;

    /// The key of `subject`; a new one if it never had one. It is durable when this returns.
    /// [`KeyState::Destroyed`] if it was destroyed, and never [`KeyState::Never`].
    ///
    /// # Errors
    ///
    /// If the key store cannot tell, or cannot make the key durable.
    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState>;

    /// Destroys the key of `subject` for ever. It is destroyed durably when this returns. Whether there was
    /// one; if it had none, it gets none any more.
    ///
    /// # Errors
    ///
    /// If the key store cannot be reached or cannot make it durable. The key may be destroyed or not.
    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool>;
}

impl<K: KeyStore + ?Sized> KeyStore for Arc<K> {
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
        (**self).bind(store, is_new)
    }

    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        (**self).get(subject)
    }

    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        (**self).get_or_create(subject)
    }

    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
        (**self).destroy(subject)
    }
}

/// Keys in memory, for tests: they are gone when the last clone is dropped, and everything that was sealed
/// with them is unreadable then.
///
/// ```
/// use eventfold_es::AggregateStore;
/// use eventfold_es::personal::MemoryKeys;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// let store = AggregateStore::in_memory().keys(MemoryKeys::new()).open().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct MemoryKeys(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    /// The store that the keys are of.
    store: Option<String>,
    /// `None` for a destroyed key.
    keys: HashMap<String, Option<SubjectKey>>,
}

impl MemoryKeys {
    /// No keys yet.
    ///
    /// See the example of [`MemoryKeys`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// These keys.
    #[cfg(test)]
    pub(crate) fn with(keys: impl Iterator<Item = (String, SubjectKey)>) -> Self {
        Self(Arc::new(Mutex::new(Content {
            store: None,
            keys: keys.map(|(subject, key)| (subject, Some(key))).collect(),
        })))
    }
}

impl KeyStore for MemoryKeys {
    fn bind<'a>(&'a self, store: &'a str, is_new: bool) -> KeyFuture<'a, ()> {
        let bound = || {
            let mut content = lock(&self.0);
            check_store(content.store.as_deref(), store, is_new)?;
            content.store = Some(store.to_owned());
            Ok(())
        };
        Box::pin(std::future::ready(bound()))
    }

    fn get<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        let state = match lock(&self.0).keys.get(subject) {
            None => KeyState::Never,
            Some(None) => KeyState::Destroyed,
            Some(Some(key)) => KeyState::Known(key.clone()),
        };
        Box::pin(std::future::ready(Ok(state)))
    }

    fn get_or_create<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, KeyState> {
        let made = || {
            let mut content = lock(&self.0);
            if let Some(known) = content.keys.get(subject) {
                return Ok(known.clone().map_or(KeyState::Destroyed, KeyState::Known));
            }
            let key = SubjectKey::generate()?;
            content.keys.insert(subject.to_owned(), Some(key.clone()));
            Ok(KeyState::Known(key))
        };
        Box::pin(std::future::ready(made()))
    }

    fn destroy<'a>(&'a self, subject: &'a str) -> KeyFuture<'a, bool> {
        let before = lock(&self.0).keys.insert(subject.to_owned(), None);
        Box::pin(std::future::ready(Ok(before.flatten().is_some())))
    }
}

/// Fails if keys of the store `known` cannot be those of `store`. `None` if there are no keys at all.
pub(crate) fn check_store(known: Option<&str>, store: &str, is_new: bool) -> Result<(), KeyError> {
    match known {
        Some(known) if known == store => Ok(()),
        Some(known) => Err(KeyError::new(format!(
            "the keys are those of the store `{}`, and this is the store `{store}`: open it with its own \
             keys; a store that is new, or older than its keys, begins with an empty key store",
            Shown(known)
        ))),
        None if is_new => Ok(()),
        None => Err(KeyError::new(format!(
            "there are no keys, and the store `{store}` had some: without them its personal data is \
             unreadable, so put the keys in their place"
        ))),
    }
}
