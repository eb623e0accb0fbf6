//! A few threads that load streams. The first of them opens the store, so that it is there for the first load.
//!
//! The runtime's threads for blocking work would grow to a hundred when many aggregates are
//! activated and passivated quickly. Few of them load at the same time, but the runtime starts a
//! new thread while one that has just finished does not yet count as idle.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};

/// How many streams are loaded at the same time. Invariant S3.
const LOADS: usize = 4;
/// How long a thread without a load waits before it ends.
const IDLE: Duration = Duration::from_secs(1);

type Load = Box<dyn FnOnce() + Send>;

/// Passes loads to its threads. Starts a thread when it needs one; idle threads end.
#[derive(Default)]
pub(crate) struct Loader {
    state: Mutex<State>,
    work: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Load>,
    threads: usize,
    idle: usize,
}

impl Loader {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `load`, which blocks on the disk, as soon as a thread is free.
    pub(crate) async fn run<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        self: &Arc<Self>,
        load: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        let (done, loaded) = oneshot::channel();
        self.submit(Box::new(move || drop(done.send(load()))))?;
        // There is no answer only if the load panicked.
        let text = "a thread that reads the store panicked";
        let panicked = |_| Err(StorageError::new(StorageErrorKind::Bug, text).into());
        loaded.await.unwrap_or_else(panicked)
    }

    fn submit(self: &Arc<Self>, load: Load) -> StorageResult<()> {
        let mut state = self.state();
        state.waiting.push_back(load);
        if state.idle >= state.waiting.len() {
            self.work.notify_one();
        } else if state.threads < LOADS {
            let loader = self.clone();
            let started = std::thread::Builder::new()
                .name("eventfold-load".to_owned())
                .spawn(move || loader.serve());
            match started {
                Ok(_) => state.threads += 1,
                // An existing thread will take the load.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    state.waiting.pop_back();
                    return Err(StorageError::thread(error));
                }
            }
        }
        Ok(())
    }

    fn serve(&self) {
        let mut state = self.state();
        loop {
            if let Some(load) = state.waiting.pop_front() {
                drop(state);
                if catch_unwind(AssertUnwindSafe(load)).is_err() {
                    tracing::error!("a load panicked");
                }
                state = self.state();
                continue;
            }
            state.idle += 1;
            let waited = self.work.wait_timeout(state, IDLE);
            let (after, waited) = waited.unwrap_or_else(PoisonError::into_inner);
            state = after;
            state.idle -= 1;
            if waited.timed_out() && state.waiting.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").finish_non_exhaustive()
    }
}
