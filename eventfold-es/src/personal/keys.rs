//! The keys of a store, if it has some, for code that is there without the feature `personal` too.

use std::fmt;
#[cfg(feature = "personal")]
use std::sync::atomic::{AtomicU64, Ordering};

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

/// How many erasures had begun in this process when something was read. What was folded before the newest one
/// may have what is erased, and must not be saved or served any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Erasures {
    #[cfg(feature = "personal")]
    begun: u64,
}

#[cfg(feature = "personal")]
static BEGUN: AtomicU64 = AtomicU64::new(0);

/// How many erasures are under way: what was saved before may still be there.
#[cfg(feature = "personal")]
static UNDER_WAY: AtomicU64 = AtomicU64::new(0);

/// An erasure until everything is removed that was saved before it.
#[cfg(feature = "personal")]
#[must_use = "it ends when this is dropped"]
pub(crate) struct UnderWay(());

#[cfg(feature = "personal")]
impl Drop for UnderWay {
    fn drop(&mut self) {
        UNDER_WAY.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Erasures {
    /// The number now. What is read after this call has nothing that was erased before it.
    #[inline]
    pub(crate) fn now() -> Self {
        Self {
            #[cfg(feature = "personal")]
            begun: BEGUN.load(Ordering::Acquire),
        }
    }

    /// Notes that a key was destroyed.
    #[cfg(feature = "personal")]
    pub(crate) fn begin() -> UnderWay {
        UNDER_WAY.fetch_add(1, Ordering::AcqRel);
        BEGUN.fetch_add(1, Ordering::AcqRel);
        UnderWay(())
    }

    /// Whether what was saved before an erasure may still be there. Whoever reads it asks this after
    /// [`now`](Self::now): an erasure that begins later lets him read again.
    #[inline]
    pub(crate) fn is_under_way() -> bool {
        #[cfg(feature = "personal")]
        return UNDER_WAY.load(Ordering::Acquire) > 0;
        #[cfg(not(feature = "personal"))]
        false
    }

    /// Whether nothing was erased since.
    #[inline]
    pub(crate) fn is_newest(self) -> bool {
        self == Self::now()
    }
}
