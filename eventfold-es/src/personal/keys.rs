//! The keys of a store, if it has some, for code that is there without the feature `personal` too.

use std::fmt;

/// The keys that a store was opened with, or none. Without the feature it is empty.
#[derive(Clone, Default)]
pub(crate) struct Keys {
    #[cfg(feature = "personal")]
    pub(crate) keyring: Option<std::sync::Arc<crate::personal::keyring::Keyring>>,
}

impl Keys {
    /// Lets the key store go, because the store is about to close.
    #[cfg_attr(
        not(feature = "personal"),
        expect(clippy::unused_self, reason = "there are none")
    )]
    pub(crate) fn close(&self) {
        #[cfg(feature = "personal")]
        if let Some(keyring) = &self.keyring {
            keyring.close();
        }
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keys")
    }
}
