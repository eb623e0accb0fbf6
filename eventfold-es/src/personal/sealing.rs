//! What is at work on this thread while events are written and read: values that wait to be sealed, whose
//! they are, and how many were opened.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::personal::envelope::{Envelope, Pending, StatedPlace, marked};
use crate::personal::key::Unsealable;
use crate::personal::keyring::{Keyring, NoKey};
use crate::text::Shown;

thread_local! {
    /// The values of the event that is being written, `None` while none is.
    static WAITING: RefCell<Option<Vec<Waiting>>> = const { RefCell::new(None) };
    /// Whose the values of that event are.
    static SUBJECT: RefCell<Option<Arc<str>>> = const { RefCell::new(None) };
    /// What is written is not stored.
    static NOT_STORED: Cell<Option<NotStored>> = const { Cell::new(None) };
    /// How many envelopes were read on this thread.
    static READ: Cell<u64> = const { Cell::new(0) };
    /// Why an envelope could not be opened, if it is about its key.
    static NO_KEY: RefCell<Option<NoKey>> = const { RefCell::new(None) };
}

/// A value that is sealed once its place in the payload is known.
struct Waiting {
    subject: Arc<str>,
    plain: Zeroizing<Vec<u8>>,
}

/// Why personal data could not be written.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    #[error(
        "it has personal data, and the store was opened without keys: name them by `AggregateStoreBuilder::keys`"
    )]
    NoKeys,
    #[error(transparent)]
    NoKey(#[from] NoKey),
    #[error("its personal data cannot be encrypted: {0}")]
    Cipher(String),
    #[error(
        "its payload has an object that begins with the member `$personal`, which only `Personal` writes"
    )]
    Foreign,
}

/// How a value is written where nothing is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) enum NotStored {
    /// Not at all, because the text is a fingerprint's.
    Fingerprint,
    /// In clear, because the testing kit shows and compares it.
    #[cfg(feature = "testing")]
    Clear,
    /// In clear, with its subject.
    #[cfg(feature = "testing")]
    WithSubject,
}

/// How a value is written.
pub(crate) enum Writing {
    /// In its place in an event.
    InEvent,
    /// Where it is not stored.
    NotStored(NotStored),
    /// Somewhere else.
    Elsewhere,
}

pub(crate) fn writing() -> Writing {
    if let Some(how) = NOT_STORED.get() {
        Writing::NotStored(how)
    } else if WAITING.with_borrow(Option::is_some) {
        Writing::InEvent
    } else {
        Writing::Elsewhere
    }
}

/// Whose the values of the event are that is being written.
pub(crate) fn subject() -> Option<Arc<str>> {
    SUBJECT.with_borrow(Clone::clone)
}

/// Lets `plain` wait to be sealed. Returns what stands for it in the payload until then.
pub(crate) fn wait(subject: Arc<str>, plain: Zeroizing<Vec<u8>>) -> Pending {
    WAITING.with_borrow_mut(|waiting| {
        let waiting = waiting.get_or_insert_default();
        waiting.push(Waiting { subject, plain });
        Pending {
            number: waiting.len() - 1,
        }
    })
}

/// Whether the event that is being written has values that wait.
pub(crate) fn is_any_waiting() -> bool {
    WAITING.with_borrow(|waiting| waiting.as_ref().is_some_and(|waiting| !waiting.is_empty()))
}

/// Puts a value of this thread in place for as long as `run` takes, also if it panics.
fn during<V: Default + 'static, T>(
    place: &'static std::thread::LocalKey<RefCell<V>>,
    value: V,
    run: impl FnOnce() -> T,
) -> (T, V) {
    struct Back<V: Default + 'static>(&'static std::thread::LocalKey<RefCell<V>>, V);
    impl<V: Default + 'static> Drop for Back<V> {
        fn drop(&mut self) {
            self.0.set(std::mem::take(&mut self.1));
        }
    }
    let back = Back(place, place.replace(value));
    let done = run();
    let value = place.take();
    drop(back);
    (done, value)
}

/// Runs `write`, which writes an event. Values without an owner of their own are of `subject`.
pub(crate) fn of_subject<T>(subject: Option<Arc<str>>, write: impl FnOnce() -> T) -> T {
    during(&SUBJECT, subject, write).0
}

/// Runs `write`, which writes personal data in this way and stores nothing.
pub(crate) fn not_stored<T>(how: NotStored, write: impl FnOnce() -> T) -> T {
    struct Back(Option<NotStored>);
    impl Drop for Back {
        fn drop(&mut self) {
            NOT_STORED.set(self.0);
        }
    }
    let _back = Back(NOT_STORED.replace(Some(how)));
    write()
}

/// Appends the payload of the event `id` to `data` by `write`, with its personal data sealed by `keys`.
pub(crate) fn seal<T, E>(
    keys: Option<&Keyring>,
    id: &str,
    data: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> Result<T, E>,
) -> Result<Result<T, E>, SealError> {
    let start = data.len();
    let (written, waiting) = during(&WAITING, Some(Vec::new()), || write(data));
    let waiting = waiting.unwrap_or_default();
    if written.is_err() || waiting.is_empty() {
        return Ok(written);
    }
    let keys = keys.ok_or(SealError::NoKeys)?;
    let unsealed = data.split_off(start);
    let mut from = 0;
    let mut sealed = vec![false; waiting.len()];
    for place in marked(&unsealed) {
        let Some(pending) = Pending::read(&unsealed[place.bytes.clone()]) else {
            // An envelope of a value that is erased.
            continue;
        };
        let is_first = sealed
            .get_mut(pending.number)
            .is_some_and(|sealed| !std::mem::replace(sealed, true));
        if !is_first {
            return Err(SealError::Foreign);
        }
        let Waiting { subject, plain } = &waiting[pending.number];
        let secret = keys.to_seal(subject)?;
        data.extend_from_slice(&unsealed[from..place.bytes.start]);
        let there = (id, &*place.field);
        let sealed = Envelope::seal_into(data, &secret, keys.name(), there, plain);
        sealed.map_err(|error| match error {
            Unsealable::Destroyed => NoKey::Forgotten(subject.clone()).into(),
            Unsealable::Failed(error) => SealError::Cipher(error.to_string()),
            Unsealable::NotAuthentic => SealError::Cipher("it is too long".to_owned()),
        })?;
        from = place.bytes.end;
    }
    if sealed.contains(&false) {
        return Err(SealError::Foreign);
    }
    data.extend_from_slice(&unsealed[from..]);
    Ok(written)
}

/// Notes that an envelope was read.
pub(crate) fn note_read() {
    READ.set(READ.get().wrapping_add(1));
}

/// Notes why an envelope could not be opened.
pub(crate) fn note_no_key(error: NoKey) {
    NO_KEY.set(Some(error));
}

/// Why an event could not be read, apart from what serde says.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    #[error("{0}")]
    NoKey(NoKey),
    /// Ciphertext of another event or field.
    #[error("{0}")]
    Moved(String),
}

/// Reads the payload `data` of the event `id` by `read`. Fails if it has personal data of another event or
/// in another place than where it was sealed. Invariant P5.
pub(crate) fn open<T, E>(
    id: Option<&str>,
    data: &str,
    read: impl FnOnce() -> Result<T, E>,
) -> Result<Result<T, E>, OpenError> {
    let before = READ.get();
    let done = read();
    if READ.get() == before {
        return Ok(done);
    }
    if done.is_err() {
        if let Some(error) = NO_KEY.take() {
            return Err(OpenError::NoKey(error));
        }
        return Ok(done);
    }
    check_places(id, data)?;
    Ok(done)
}

fn check_places(id: Option<&str>, data: &str) -> Result<(), OpenError> {
    let mut stated = id.map(StatedPlace::of_event);
    for place in marked(data.as_bytes()) {
        let bytes = &data.as_bytes()[place.bytes.clone()];
        if stated
            .as_mut()
            .is_some_and(|stated| stated.is_in(bytes, &place.field))
        {
            continue;
        }
        let Ok(envelope) = serde_json::from_str::<Envelope>(&data[place.bytes.clone()]) else {
            continue;
        };
        let is_erased = envelope.sealed.is_none();
        let is_here = envelope.event.as_deref() == id && id.is_some();
        if !(is_erased || is_here && envelope.field.as_deref() == Some(&place.field)) {
            let of = envelope.event.as_deref().unwrap_or("none");
            let text = format!(
                "its personal data at `{}` was moved there: it was sealed for the event `{}` and its `{}`",
                Shown(&place.field),
                Shown(of),
                Shown(envelope.field.as_deref().unwrap_or_default()),
            );
            return Err(OpenError::Moved(text));
        }
    }
    Ok(())
}

/// Whether the payload `data` has personal data of one of these subjects, erased or not.
pub(crate) fn has_any_of(data: &str, subjects: &BTreeSet<String>) -> bool {
    // The mark may be written with escapes, so this only sorts most events out.
    let may_have_some = memchr::memmem::find(data.as_bytes(), b"\"sealed\"").is_some()
        || memchr::memchr(b'\\', data.as_bytes()).is_some();
    may_have_some
        && marked(data.as_bytes()).into_iter().any(|place| {
            let envelope = serde_json::from_str::<Envelope>(&data[place.bytes]);
            envelope.is_ok_and(|envelope| subjects.contains(&envelope.subject))
        })
}
