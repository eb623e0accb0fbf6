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

/// How many erasures had begun in this process when something was read. What was folded before the newest one
/// may have what is erased, and must not be saved or served any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Erasures {
    #[cfg(feature = "personal")]
    begun: u64,
}

#[cfg(feature = "personal")]
static BEGUN: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);

impl Erasures {
    /// The number now. What is read after this call has nothing that was erased before it.
    #[inline]
    pub(crate) fn now() -> Self {
        Self {
            #[cfg(feature = "personal")]
            begun: BEGUN.load(std::sync::atomic::Ordering::Acquire),
        }
    }

    /// Notes that a key was destroyed.
    #[cfg(feature = "personal")]
    pub(crate) fn begin() {
        BEGUN.fetch_add(1, std::sync::atomic::Ordering::AcqRel);
    }

    /// Whether nothing was erased since.
    #[inline]
    pub(crate) fn is_newest(self) -> bool {
        self == Self::now()
    }
}
