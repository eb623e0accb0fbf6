//! A projection or process manager that one thread at a time may use: [`Exclusive`].

use std::collections::HashMap;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};

use crate::runtime::inside;

/// Threads that hold a follower and wait for another, each with the holder of the other. So the
/// last thread to come sees that it would close a circle.
static WAITING: Mutex<Option<HashMap<u64, Holder>>> = Mutex::new(None);

/// The number of the thread that holds the value, 0 if none does.
type Holder = Arc<AtomicU64>;

/// A value that one thread at a time may use. A thread that would wait for itself, directly or
/// through others, gets an error.
pub(crate) struct Exclusive<T: ?Sized> {
    /// Its name in an error.
    name: String,
    holder: Holder,
    value: Mutex<T>,
}

impl<T> Exclusive<T> {
    pub(crate) fn new(name: String, value: T) -> Self {
        Self {
            name,
            holder: Holder::default(),
            value: Mutex::new(value),
        }
    }
}

impl<T: ?Sized> Exclusive<T> {
    /// Waits until no other thread uses it. A value that a panic left is returned as it is:
    /// followers mark themselves failed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Deadlock`]: this thread holds it, or holds what its holder waits for.
    pub(crate) fn lock(&self) -> io::Result<Held<'_, T>> {
        if let Some(held) = self.try_lock()? {
            return Ok(held);
        }
        let _waiting = self.wait()?;
        let value = self.value.lock();
        Ok(self.held(value.unwrap_or_else(PoisonError::into_inner)))
    }

    /// Takes it if no thread uses it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Deadlock`]: this thread holds it.
    pub(crate) fn try_lock(&self) -> io::Result<Option<Held<'_, T>>> {
        match self.value.try_lock() {
            Ok(value) => Ok(Some(self.held(value))),
            Err(TryLockError::Poisoned(poisoned)) => Ok(Some(self.held(poisoned.into_inner()))),
            Err(TryLockError::WouldBlock) => {
                if self.holder.load(Ordering::Acquire) != this_thread() {
                    return Ok(None);
                }
                Err(inside::deadlock(&format!(
                    "{} is in use by the code that asks for it (its own code, or a function \
                     given to `read`): ask for it before or after that code runs",
                    self.name
                )))
            }
        }
    }

    fn held<'a>(&'a self, value: MutexGuard<'a, T>) -> Held<'a, T> {
        self.holder.store(this_thread(), Ordering::Release);
        inside::hold();
        Held {
            value,
            holder: &self.holder,
        }
    }

    /// Notes that this thread waits, if others may wait for it meanwhile.
    fn wait(&self) -> io::Result<Option<Waiting>> {
        if !inside::holds_any() {
            return Ok(None);
        }
        let me = this_thread();
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        let waiting = waiting.get_or_insert_default();
        let mut thread = self.holder.load(Ordering::Acquire);
        // At most one step for each waiting thread. A thread that has just got its value is its own
        // holder.
        for _ in 0..=waiting.len() {
            if thread == me {
                return Err(inside::deadlock(&format!(
                    "{} is in use by code that waits for what this code uses: use one after the \
                     other, not both at once",
                    self.name
                )));
            }
            let Some(holder) = waiting.get(&thread) else {
                break;
            };
            thread = holder.load(Ordering::Acquire);
        }
        waiting.insert(me, self.holder.clone());
        Ok(Some(Waiting(me)))
    }
}

/// The right to use the value, until this is dropped.
pub(crate) struct Held<'a, T: ?Sized> {
    value: MutexGuard<'a, T>,
    holder: &'a AtomicU64,
}

impl<T: ?Sized> Deref for Held<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: ?Sized> DerefMut for Held<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

impl<T: ?Sized> Drop for Held<'_, T> {
    fn drop(&mut self) {
        // This comes first: the next holder notes itself.
        self.holder.store(0, Ordering::Release);
        inside::let_go();
    }
}

/// A thread that waits.
struct Waiting(u64);

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.get_or_insert_default().remove(&self.0);
    }
}

/// The number of this thread. Numbers are unique.
fn this_thread() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    thread_local! {
        static NUMBER: u64 = NEXT.fetch_add(1, Ordering::Relaxed);
    }
    NUMBER.with(|number| *number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_locks_twice_gets_an_error_and_others_wait() {
        let one = Exclusive::new("`one`".to_owned(), 1);
        let held = one.lock().unwrap();
        for again in [one.lock().err(), one.try_lock().err()] {
            let error = again.expect("this thread holds it");
            assert_eq!(error.kind(), io::ErrorKind::Deadlock);
            assert!(error.to_string().starts_with("`one` is in use"));
        }
        std::thread::scope(|scope| {
            assert!(
                scope
                    .spawn(|| one.try_lock().unwrap().is_none())
                    .join()
                    .unwrap()
            );
            let other = scope.spawn(|| *one.lock().unwrap());
            drop(held);
            assert_eq!(other.join().unwrap(), 1);
        });
        assert_eq!(*one.lock().unwrap(), 1);
        assert!(!inside::is_inside());
    }

    #[test]
    fn one_thread_of_a_circular_wait_gets_an_error() {
        let all: Vec<_> = (0..3)
            .map(|n| Exclusive::new(format!("`{n}`"), ()))
            .collect();
        let (all, ready) = (&all, &std::sync::Barrier::new(3));
        let refused: usize = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..3)
                .map(|n| {
                    scope.spawn(move || {
                        let held = all[n].lock().unwrap();
                        ready.wait();
                        let refused = all[(n + 1) % 3].lock().is_err();
                        drop(held);
                        usize::from(refused)
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .sum()
        });
        assert_eq!(refused, 1);
    }
}
