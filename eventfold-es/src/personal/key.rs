//! The key of one subject, as a key store keeps it: [`SubjectKey`], and as an open store uses it: [`Secret`].

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use chacha20poly1305::aead::Generate as _;
use chacha20poly1305::aead::{AeadInOut as _, KeyInit as _};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use zeroize::Zeroizing;

use crate::personal::error::KeyError;
use crate::sync::lock;

/// How many bytes a nonce takes. So many random bytes never come twice.
const NONCE: usize = 24;

/// The key of one subject: 32 random bytes, which are overwritten when it is dropped. Its `Debug` shows
/// none of them.
///
/// ```
/// use eventfold_es::personal::SubjectKey;
///
/// let key = SubjectKey::generate()?;
/// let same = SubjectKey::new(*key.as_bytes());
/// assert_eq!(key.as_bytes(), same.as_bytes());
/// assert_eq!(format!("{key:?}"), "SubjectKey(..)");
/// # Ok::<(), eventfold_es::personal::KeyError>(())
/// ```
#[derive(Clone)]
pub struct SubjectKey(Zeroizing<[u8; 32]>);

impl SubjectKey {
    /// A key with these bytes, which must be random.
    ///
    /// See the example of [`SubjectKey`].
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// A new random key, of the random numbers of the system.
    ///
    /// # Errors
    ///
    /// If the system has none.
    ///
    /// See the example of [`SubjectKey`].
    pub fn generate() -> Result<Self, KeyError> {
        let key = chacha20poly1305::Key::try_generate().map_err(no_random)?;
        Ok(Self::new(key.into()))
    }

    /// The bytes of the key.
    ///
    /// See the example of [`SubjectKey`].
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(self.as_bytes().into())
    }
}

impl fmt::Debug for SubjectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SubjectKey(..)")
    }
}

fn no_random(error: impl std::error::Error + Send + Sync + 'static) -> KeyError {
    KeyError::new(error).within("the system gives no random numbers")
}

/// The key of one subject in an open store. All values of the subject share it, so they are erased at
/// once when it is destroyed.
pub(crate) struct Secret {
    subject: Arc<str>,
    key: Mutex<Option<SubjectKey>>,
    is_destroyed: AtomicBool,
}

/// Why something cannot be sealed or opened with a key.
#[derive(Debug)]
pub(crate) enum Unsealable {
    /// The key was destroyed.
    Destroyed,
    /// The text was changed or moved, or sealed with another key.
    NotAuthentic,
    /// There are no random numbers.
    Failed(KeyError),
}

impl Secret {
    /// The key of `subject`, `None` if it was destroyed.
    pub(crate) fn new(subject: Arc<str>, key: Option<SubjectKey>) -> Self {
        Self {
            subject,
            is_destroyed: AtomicBool::new(key.is_none()),
            key: Mutex::new(key),
        }
    }

    pub(crate) fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    #[inline]
    pub(crate) fn is_destroyed(&self) -> bool {
        self.is_destroyed.load(Ordering::Acquire)
    }

    /// The key is no more: its bytes are overwritten, and all values of the subject are erased.
    pub(crate) fn destroy(&self) {
        self.is_destroyed.store(true, Ordering::Release);
        drop(lock(&self.key).take());
    }

    /// Encrypts `plain`: a new nonce, then the ciphertext with its tag. `bound` must be the same when it is opened.
    pub(crate) fn seal(&self, plain: &[u8], bound: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let nonce = XNonce::try_generate().map_err(|error| Unsealable::Failed(no_random(error)))?;
        let cipher = self.cipher()?;
        let mut sealed = Vec::with_capacity(NONCE + plain.len() + 16);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plain);
        let tag = cipher.encrypt_inout_detached(&nonce, bound, (&mut sealed[NONCE..]).into());
        sealed.extend_from_slice(&tag.map_err(|_| Unsealable::NotAuthentic)?);
        Ok(sealed)
    }

    /// Decrypts what [`seal`](Self::seal) returned.
    pub(crate) fn open(
        &self,
        sealed: &[u8],
        bound: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Unsealable> {
        let (nonce, rest) = sealed
            .split_first_chunk::<NONCE>()
            .ok_or(Unsealable::NotAuthentic)?;
        let (text, tag) = rest
            .split_last_chunk::<16>()
            .ok_or(Unsealable::NotAuthentic)?;
        let mut plain = Zeroizing::new(text.to_vec());
        let opened = self.cipher()?.decrypt_inout_detached(
            nonce.into(),
            bound,
            plain.as_mut_slice().into(),
            tag.into(),
        );
        opened.map_err(|_| Unsealable::NotAuthentic)?;
        Ok(plain)
    }

    fn cipher(&self) -> Result<XChaCha20Poly1305, Unsealable> {
        let key = lock(&self.key);
        key.as_ref()
            .map(SubjectKey::cipher)
            .ok_or(Unsealable::Destroyed)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("customer:42".into(), Some(SubjectKey::generate().unwrap()))
    }

    #[test]
    fn only_the_same_key_and_the_same_place_open_what_was_sealed() {
        let (secret, other) = (secret(), secret());
        let sealed = secret.seal(b"Ann", b"here").unwrap();
        assert_eq!(&**secret.open(&sealed, b"here").unwrap(), b"Ann");
        assert!(matches!(
            secret.open(&sealed, b"there"),
            Err(Unsealable::NotAuthentic)
        ));
        assert!(matches!(
            other.open(&sealed, b"here"),
            Err(Unsealable::NotAuthentic)
        ));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert!(secret.open(&changed, b"here").is_err(), "byte {place}");
            assert!(
                secret.open(&sealed[..place], b"here").is_err(),
                "cut at {place}"
            );
        }
    }

    #[test]
    fn equal_texts_are_sealed_differently() {
        let secret = secret();
        assert_ne!(
            secret.seal(b"Ann", b"").unwrap(),
            secret.seal(b"Ann", b"").unwrap()
        );
    }

    #[test]
    fn a_destroyed_key_opens_and_seals_nothing() {
        let secret = secret();
        let sealed = secret.seal(b"Ann", b"").unwrap();
        secret.destroy();
        assert!(matches!(
            secret.open(&sealed, b""),
            Err(Unsealable::Destroyed)
        ));
        assert!(matches!(
            secret.seal(b"Ann", b""),
            Err(Unsealable::Destroyed)
        ));
    }
}
