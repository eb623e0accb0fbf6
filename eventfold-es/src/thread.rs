//! Threads that are started when they first have something to do: [`OnDemand`].
//!
//! A thread costs more to start than opening a small store. Whoever only reads one needs none of those that
//! write.

use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use crate::sync::lock;

type Work = Box<dyn FnOnce() + Send>;

/// The work of one thread, which is started once.
pub(crate) struct OnDemand {
    name: &'static str,
    is_started: AtomicBool,
    /// The work, until the thread has it. It stays here if no thread can be started.
    work: Arc<Mutex<Option<Work>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl OnDemand {
    pub(crate) fn new(name: &'static str, work: impl FnOnce() + Send + 'static) -> Self {
        Self {
            name,
            is_started: AtomicBool::new(false),
            work: Arc::new(Mutex::new(Some(Box::new(work)))),
            thread: Mutex::new(None),
        }
    }

    /// Whether the thread was started.
    #[inline]
    pub(crate) fn is_started(&self) -> bool {
        self.is_started.load(Ordering::Acquire)
    }

    /// Starts the thread, unless it was started.
    ///
    /// # Errors
    ///
    /// The error of starting it. The next call tries again.
    pub(crate) fn start(&self) -> io::Result<()> {
        if self.is_started() {
            return Ok(());
        }
        let mut thread = lock(&self.thread);
        if self.is_started() {
            return Ok(());
        }
        let work = self.work.clone();
        let new = thread::Builder::new().name(self.name.to_owned());
        *thread = Some(new.spawn(move || run(&work))?);
        self.is_started.store(true, Ordering::Release);
        Ok(())
    }

    /// Waits for the end of the thread. If it was not started, the work is done here, and the thread is never
    /// started. True if the work did not panic.
    pub(crate) fn finish(&self) -> bool {
        let mut thread = lock(&self.thread);
        self.is_started.store(true, Ordering::Release);
        if let Some(thread) = thread.take() {
            return thread.join().is_ok();
        }
        catch_unwind(AssertUnwindSafe(|| run(&self.work))).is_ok()
    }

    /// Leaves work undone that was not begun, and all that belongs to it as it is. For a forked child, in which
    /// it belongs to the parent.
    pub(crate) fn leak(&self) {
        std::mem::forget(lock(&self.work).take());
    }
}

fn run(work: &Mutex<Option<Work>>) {
    let work = lock(work).take();
    if let Some(work) = work {
        work();
    }
}

impl fmt::Debug for OnDemand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnDemand")
            .field("name", &self.name)
            .field("is_started", &self.is_started)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    fn on_demand() -> (OnDemand, mpsc::Receiver<Option<String>>) {
        let (sender, receiver) = mpsc::channel();
        let work = move || {
            let name = thread::current().name().map(str::to_owned);
            sender.send(name).expect("the test waits");
        };
        (OnDemand::new("on-demand", work), receiver)
    }

    #[test]
    fn the_work_is_done_once_on_a_thread_of_its_own_once_it_is_needed() {
        let (thread, done) = on_demand();
        assert!(done.try_recv().is_err());
        thread.start().unwrap();
        thread.start().unwrap();
        assert!(thread.finish());
        assert!(thread.finish());
        let names: Vec<_> = done.iter().collect();
        assert_eq!(names, [Some("on-demand".to_owned())]);
    }

    #[test]
    fn without_a_thread_the_work_is_done_once_where_it_is_waited_for() {
        let (thread, done) = on_demand();
        assert!(thread.finish());
        thread.start().unwrap();
        let here = std::thread::current().name().map(str::to_owned);
        assert_eq!(done.iter().collect::<Vec<_>>(), [here]);
    }

    #[test]
    fn a_panic_is_told_wherever_it_happens() {
        for is_started in [false, true] {
            let thread = OnDemand::new("on-demand", || panic!("for the test"));
            if is_started {
                thread.start().unwrap();
            }
            assert!(!thread.finish());
        }
    }
}
