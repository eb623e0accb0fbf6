//! Reading a new event back before it is stored: an event that could not be loaded is refused.

use serde::de::IgnoredAny;
use serde::ser::Error as _;

use crate::event::{DecodeError, Decoded, EncodeError, Recorded, StoredEvent};

/// The event whose payload was written to `data`, as a load of its line will read it: by `decode`,
/// with `record`.
///
/// A load does not always read the same event that was decided, and the caller must later find what
/// it was answered. So the state is folded from the event returned here, and the answer to the
/// caller has it too.
///
/// # Errors
///
/// Why no load could read the event. Invariant C9.
#[inline]
pub(crate) fn read_back<E>(
    name: &str,
    data: &[u8],
    record: &Recorded<'_>,
    decode: impl FnOnce(StoredEvent<'_>) -> Result<Decoded<E>, DecodeError>,
) -> Result<E, EncodeError> {
    let text = match payload(data) {
        Ok(text) => text,
        Err(cause) => return Err(unreadable(name, data, &cause)),
    };
    let decoded = decode(StoredEvent::new(name, text).with_record(record));
    match decoded.map(Decoded::into_one) {
        Ok(Ok(event)) => Ok(event),
        Ok(Err(others)) => {
            let count = others.as_slice().len();
            let cause = format!("it is read back as {count} events, not as one");
            Err(unreadable(name, data, &cause))
        }
        Err(error) => Err(unreadable(name, data, &error)),
    }
}

/// A payload as text that can be part of a line. Most encoders use `serde_json`, so the check is
/// small: the payload's decoder finds out whether an array, an object or a string is valid JSON.
#[inline]
fn payload(data: &[u8]) -> Result<&str, String> {
    if memchr::memchr(b'\n', data).is_some() {
        let cause = "its JSON has a line break, but an event is stored in one line: write it \
                     without line breaks, also in a `RawValue`";
        return Err(cause.to_owned());
    }
    let text = std::str::from_utf8(data).map_err(|error| error.to_string())?;
    if !text.starts_with(['{', '[', '"']) {
        let read = serde_json::from_str::<IgnoredAny>(text);
        read.map_err(|error| format!("its payload is not JSON: {error}"))?;
    }
    Ok(text)
}

#[cold]
fn unreadable(name: &str, data: &[u8], cause: &dyn std::fmt::Display) -> EncodeError {
    let hint = if memchr::memmem::find(data, b"null").is_some() {
        "; JSON has no NaN and no infinity: both are written as `null`"
    } else {
        ""
    };
    let text = format!("it could not be read again: {cause}{hint}");
    EncodeError::new(name, serde_json::Error::custom(text))
}
