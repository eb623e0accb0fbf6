//! Buffers for reuse. A command needs two, and allocating them takes longer than filling them.

use std::cell::RefCell;

/// How many buffers a thread keeps.
const MOST: usize = 2;
/// The largest capacity of a kept buffer, in bytes.
const LARGEST: usize = 64 * 1024;

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// An empty buffer.
#[inline]
pub(crate) fn take() -> Vec<u8> {
    // A thread that is ending has no buffers left.
    let spare = SPARE.try_with(|spare| spare.borrow_mut().pop());
    spare.ok().flatten().unwrap_or_default()
}

/// Takes a buffer back for reuse.
#[inline]
pub(crate) fn give_back(mut buffer: Vec<u8>) {
    if buffer.capacity() <= LARGEST {
        buffer.clear();
        let _ = SPARE.try_with(|spare| {
            let mut spare = spare.borrow_mut();
            if spare.len() < MOST {
                spare.push(buffer);
            }
        });
    }
}
