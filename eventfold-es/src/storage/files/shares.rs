//! Work on the files of many streams, when a store is opened and after a crash: [`in_shares`].

use std::panic::resume_unwind;
use std::thread;

/// How many threads there are at most. The time goes into calls of the system, which has other things to do.
const MOST_THREADS: usize = 4;
/// A thread costs as much as some files. Small in this crate's own tests, so that they use threads.
const SMALLEST_SHARE: usize = if cfg!(test) { 1 } else { 256 };

/// Gives each of a few threads a share of `items`. Returns what `work` returns for each share, in the order
/// of the items.
pub(crate) fn in_shares<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let share = items.len().div_ceil(threads.min(MOST_THREADS));
    let share = share.max(SMALLEST_SHARE);
    if items.len() <= share {
        return vec![work(items)];
    }
    let work = &work;
    thread::scope(|scope| {
        let start = |items| {
            let thread = thread::Builder::new().name("eventfold-open".to_owned());
            let started = thread.spawn_scoped(scope, move || work(items));
            // Without a thread it is done on this one.
            started.map_err(|_| items)
        };
        let shares: Vec<_> = items.chunks(share).map(start).collect();
        let result = |share| match share {
            Ok(thread) => {
                thread::ScopedJoinHandle::join(thread).unwrap_or_else(|e| resume_unwind(e))
            }
            Err(items) => work(items),
        };
        shares.into_iter().map(result).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_item_is_in_one_share_and_the_shares_are_in_order() {
        for count in 0..20 {
            let items: Vec<usize> = (0..count).collect();
            let shares = in_shares(&items, <[usize]>::to_vec);
            assert_eq!(shares.concat(), items);
            assert!(shares.len() <= MOST_THREADS);
        }
    }
}
