//! A value for each of a few groups of threads: [`Sharded`].

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

const SHARDS: usize = 8;

/// Copies of a value. Each thread uses one of them, so that few threads write to the same memory.
#[derive(Debug, Default)]
pub(crate) struct Sharded<T>([Padded<T>; SHARDS]);

/// A value that shares no cache line with another.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded<T>(T);

impl<T> Sharded<T> {
    /// The copy of this shard.
    #[inline]
    pub(crate) fn at(&self, shard: Shard) -> &T {
        &self.0[shard.0 % SHARDS].0
    }

    /// All copies.
    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|padded| &padded.0)
    }
}

/// The number of a shard.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shard(usize);

impl Shard {
    /// The shard of this thread.
    #[inline]
    pub(crate) fn own() -> Self {
        thread_local! {
            static OWN: Cell<usize> = const { Cell::new(usize::MAX) };
        }
        Self(OWN.with(|own| match own.get() {
            usize::MAX => choose(own),
            shard => shard,
        }))
    }
}

/// Gives each new thread the next shard.
#[cold]
fn choose(own: &Cell<usize>) -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    let shard = NEXT.fetch_add(1, Ordering::Relaxed) % SHARDS;
    own.set(shard);
    shard
}
