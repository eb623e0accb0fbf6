//! Locks whose holders cannot leave anything half done, so that a panic in one is no concern of others.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes a lock, also after a panic of another holder.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
