//! The calls in progress: [`Running`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Semaphore;

/// How many calls are in progress. Their end can be waited for, whatever becomes of the actors.
pub(crate) struct Running {
    calls: AtomicUsize,
    /// Set once no more actors may start and no more calls are accepted.
    is_over: AtomicBool,
    /// Closed once it is over and no call is left.
    ended: Semaphore,
}

impl Default for Running {
    fn default() -> Self {
        Self {
            calls: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
            ended: Semaphore::new(0),
        }
    }
}

// All orderings are sequentially consistent: a call counts itself and then looks whether the store
// closes, a shutdown says that it closes and then looks at the count.
impl Running {
    fn enter(&self) {
        self.calls.fetch_add(1, Ordering::SeqCst);
    }

    fn leave(&self) {
        if self.calls.fetch_sub(1, Ordering::SeqCst) == 1 && self.is_over() {
            self.ended.close();
        }
    }

    /// Whether no more actors may start.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::SeqCst)
    }

    /// Waits until no call is in progress. The caller refuses new ones already.
    pub(crate) async fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        if self.calls.load(Ordering::SeqCst) == 0 {
            self.ended.close();
        }
        // It has no permits, so this returns once it is closed.
        drop(self.ended.acquire().await);
    }

    /// Lets a call not count while it waits for room in a mailbox: nobody may poll it any more.
    pub(crate) fn outside(&self) -> Outside<'_> {
        self.leave();
        Outside(self)
    }
}

/// While it exists, a call does not count. It must look again whether the store closes afterwards.
pub(crate) struct Outside<'a>(&'a Running);

impl Drop for Outside<'_> {
    fn drop(&mut self) {
        self.0.enter();
    }
}

/// What calls keep open.
pub(crate) trait Runs: Send + Sync {
    fn running(&self) -> &Running;
}

/// A call in progress. It keeps the store open, and a shutdown waits for it.
pub(crate) struct InProgress(Arc<dyn Runs>);

impl InProgress {
    pub(crate) fn new(store: Arc<dyn Runs>) -> Self {
        store.running().enter();
        Self(store)
    }
}

impl Drop for InProgress {
    fn drop(&mut self) {
        self.0.running().leave();
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    #[derive(Default)]
    struct Store(Running);

    impl Runs for Store {
        fn running(&self) -> &Running {
            &self.0
        }
    }

    #[test]
    fn the_end_waits_for_calls_in_progress_but_for_none_that_waits_for_room() {
        let store = Arc::new(Store::default());
        let (first, second) = (
            InProgress::new(store.clone()),
            InProgress::new(store.clone()),
        );
        let outside = store.0.outside();
        let mut context = Context::from_waker(Waker::noop());
        let mut end = pin!(store.0.end());
        assert_eq!(end.as_mut().poll(&mut context), Poll::Pending);
        assert!(store.0.is_over());
        drop(first);
        assert_eq!(end.as_mut().poll(&mut context), Poll::Ready(()));
        // A late call is not waited for again.
        drop((outside, second));
        let late = InProgress::new(store.clone());
        assert_eq!(pin!(store.0.end()).poll(&mut context), Poll::Ready(()));
        drop(late);
    }
}
