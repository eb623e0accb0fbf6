//! Events with personal data: writing them sealed.

#[cfg(feature = "personal")]
use serde::ser::Error as _;

use crate::event::EncodeError;
use crate::personal::Keys;

/// Appends the payload of the event `id` to `data` by `encode`, with its personal data encrypted.
#[cfg(feature = "personal")]
pub(crate) fn seal<N: AsRef<str>>(
    keys: &Keys,
    id: &str,
    data: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<N, EncodeError>,
) -> Result<N, EncodeError> {
    use crate::personal::sealing;

    let mut event = String::new();
    let sealed = sealing::seal(keys.keyring.as_deref(), id, data, |data| {
        let name = encode(data)?;
        if sealing::is_any_waiting() {
            name.as_ref().clone_into(&mut event);
        }
        Ok(name)
    });
    sealed.map_err(|error| EncodeError::new(event, serde_json::Error::custom(error)))?
}

/// Appends the payload of an event to `data` by `encode`.
#[cfg(not(feature = "personal"))]
#[inline]
pub(crate) fn seal<N>(
    _: &Keys,
    _: &str,
    data: &mut Vec<u8>,
    encode: impl FnOnce(&mut Vec<u8>) -> Result<N, EncodeError>,
) -> Result<N, EncodeError> {
    encode(data)
}
