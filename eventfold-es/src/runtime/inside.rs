//! Which of the user's code this thread runs for a store. With it, a call that would wait for
//! itself returns an error instead.
//!
//! Such code may call the store, and may block on the call. The call may need what the code
//! occupies: the aggregate that decides, or the projection that is read. So a blocking call within
//! such code runs on the same thread ([`blocking`](crate::runtime::background::blocking)), which
//! knows about it.

use std::cell::{Cell, RefCell};
use std::io;

thread_local! {
    /// The address of the stream id of the aggregate whose code runs, 0 if there is none.
    static AGGREGATE: Cell<usize> = const { Cell::new(0) };
    /// The addresses of the stream ids of the aggregates that are lent to the group which this
    /// thread decides.
    static LENT: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
    /// How many projections and process managers this thread holds.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// An aggregate whose code may run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Aggregate(usize);

impl Aggregate {
    /// The aggregate of `stream`, whose address must not change.
    pub(crate) fn of<S>(stream: &S) -> Self {
        Self(std::ptr::from_ref(stream).addr())
    }

    /// Runs its code.
    pub(crate) fn run<T>(self, code: impl FnOnce() -> T) -> T {
        struct Before(usize);
        impl Drop for Before {
            fn drop(&mut self) {
                AGGREGATE.set(self.0);
            }
        }
        let _before = Before(AGGREGATE.replace(self.0));
        code()
    }

    /// Whether this thread runs its code, or the code of another aggregate of the same group.
    pub(crate) fn is_running(self) -> bool {
        let running = AGGREGATE.get();
        running == self.0 || (running != 0 && LENT.with_borrow(|lent| lent.contains(&self.0)))
    }
}

/// Decides a group. Until then all of its aggregates wait for each of them.
pub(crate) fn group<T>(
    aggregates: impl Iterator<Item = Aggregate>,
    decide: impl FnOnce() -> T,
) -> T {
    struct Before(usize);
    impl Drop for Before {
        fn drop(&mut self) {
            LENT.with_borrow_mut(|lent| lent.truncate(self.0));
        }
    }
    let _before = LENT.with_borrow_mut(|lent| {
        let before = Before(lent.len());
        lent.extend(aggregates.map(|aggregate| aggregate.0));
        before
    });
    decide()
}

/// Whether this thread runs any of the user's code for a store.
pub(crate) fn is_inside() -> bool {
    AGGREGATE.get() != 0 || holds_any()
}

/// Whether this thread holds a projection or a process manager.
pub(crate) fn holds_any() -> bool {
    HELD.get() > 0
}

pub(crate) fn hold() {
    HELD.set(HELD.get() + 1);
}

pub(crate) fn let_go() {
    HELD.set(HELD.get().saturating_sub(1));
}

/// Fails within the user's code, since `call` would wait for that code.
pub(crate) fn refuse(call: &str) -> io::Result<()> {
    if !is_inside() {
        return Ok(());
    }
    Err(deadlock(&format!(
        "`{call}` cannot be called by code that the store runs (an aggregate, a projection, a process \
         manager, or a function given to `inspect` or `read`), because it waits for that code: call it \
         from elsewhere"
    )))
}

/// The error of a call that would wait without end.
pub(crate) fn deadlock(text: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Deadlock, text)
}
