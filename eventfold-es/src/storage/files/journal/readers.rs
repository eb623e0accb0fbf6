//! Who reads a journal, and from where on: [`Readers`]. What somebody reads is not dropped.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

/// All that read a journal in this process.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    all: Vec<Weak<AtomicU64>>,
    /// With so many, those that have ended are removed.
    most: usize,
}

/// Somebody needs the events after a position.
#[derive(Debug)]
pub(crate) struct Reading(Arc<AtomicU64>);

impl Reading {
    /// From now on only the events after `position` are needed.
    pub(crate) fn moved_to(&self, position: u64) {
        self.0.store(position, Ordering::Release);
    }
}

impl Readers {
    pub(super) fn add(&mut self, after: u64) -> Reading {
        if self.all.len() >= self.most {
            self.all.retain(|reading| reading.strong_count() > 0);
            self.most = (2 * self.all.len()).max(16);
        }
        let after = Arc::new(AtomicU64::new(after));
        self.all.push(Arc::downgrade(&after));
        Reading(after)
    }

    /// The lowest position that somebody needs the events after.
    pub(super) fn lowest(&mut self) -> Option<u64> {
        self.all.retain(|reading| reading.strong_count() > 0);
        let reading = self.all.iter().filter_map(Weak::upgrade);
        reading.map(|after| after.load(Ordering::Acquire)).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_position_is_that_of_a_reader_that_goes_on() {
        let mut readers = Readers::default();
        assert_eq!(readers.lowest(), None);
        let (first, second) = (readers.add(3), readers.add(7));
        assert_eq!(readers.lowest(), Some(3));
        first.moved_to(9);
        assert_eq!(readers.lowest(), Some(7));
        drop(second);
        assert_eq!(readers.lowest(), Some(9));
        for after in 0..1_000 {
            drop(readers.add(after));
        }
        assert!(readers.all.len() < 100, "{}", readers.all.len());
        assert_eq!(readers.lowest(), Some(9));
    }
}
