//! The erasures of an open store, so that nothing is saved or served that was folded before one.
//! Without the feature `personal` there are none.

#[cfg(feature = "personal")]
use std::sync::Arc;
#[cfg(feature = "personal")]
use std::sync::atomic::{AtomicU64, Ordering};

/// The erasures of a store since it was opened.
#[derive(Debug, Clone, Default)]
pub(crate) struct Erasures {
    #[cfg(feature = "personal")]
    counts: Arc<Counts>,
}

#[cfg(feature = "personal")]
#[derive(Debug, Default)]
struct Counts {
    begun: AtomicU64,
    /// Those after which what was saved before may still be there.
    under_way: AtomicU64,
}

/// How many erasures had begun when something was read. What was folded before the newest one may have
/// what is erased, and must not be saved or served any more.
#[derive(Debug, Clone)]
pub(crate) struct ReadAfter {
    #[cfg(feature = "personal")]
    erasures: Erasures,
    #[cfg(feature = "personal")]
    begun: u64,
}

/// An erasure until everything is removed that was saved before it.
#[cfg(feature = "personal")]
#[must_use = "it ends when this is dropped"]
pub(crate) struct UnderWay(Erasures);

#[cfg(feature = "personal")]
impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.counts.under_way.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Erasures {
    /// Those until now. What is read after this call has nothing that was erased before it.
    #[cfg_attr(
        not(feature = "personal"),
        expect(clippy::unused_self, reason = "there are none")
    )]
    pub(crate) fn until_now(&self) -> ReadAfter {
        ReadAfter {
            #[cfg(feature = "personal")]
            erasures: self.clone(),
            #[cfg(feature = "personal")]
            begun: self.counts.begun.load(Ordering::Acquire),
        }
    }

    /// Notes that a key was destroyed.
    #[cfg(feature = "personal")]
    pub(crate) fn begin(&self) -> UnderWay {
        self.counts.under_way.fetch_add(1, Ordering::AcqRel);
        self.counts.begun.fetch_add(1, Ordering::AcqRel);
        UnderWay(self.clone())
    }

    /// Whether what was saved before an erasure may still be there. Whoever reads it asks this after
    /// [`until_now`](Self::until_now): an erasure that begins later lets him read again.
    #[cfg_attr(
        not(feature = "personal"),
        expect(clippy::unused_self, reason = "there are none")
    )]
    pub(crate) fn is_under_way(&self) -> bool {
        #[cfg(feature = "personal")]
        return self.counts.under_way.load(Ordering::Acquire) > 0;
        #[cfg(not(feature = "personal"))]
        false
    }
}

impl ReadAfter {
    /// Whether nothing was erased since.
    #[cfg_attr(
        not(feature = "personal"),
        expect(clippy::unused_self, reason = "there are none")
    )]
    pub(crate) fn is_newest(&self) -> bool {
        #[cfg(feature = "personal")]
        return self.begun == self.erasures.counts.begun.load(Ordering::Acquire);
        #[cfg(not(feature = "personal"))]
        true
    }
}
