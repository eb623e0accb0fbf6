//! What was published of a store's meters so far: [`Published`].

use std::collections::HashMap;

use crate::meter::Distribution;

/// What was published so far. Whoever collects keeps sums, and is told what came since.
#[derive(Debug, Default)]
pub(crate) struct Published {
    counters: HashMap<Series, u64>,
    distributions: HashMap<&'static str, Distribution>,
}

/// The name of a counter, and the values of its labels.
pub(crate) type Series = (&'static str, Vec<&'static str>);

impl Published {
    /// How much a counter that is at `now` has grown since the last time.
    pub(crate) fn more(&mut self, series: Series, now: u64) -> u64 {
        let before = self.counters.entry(series).or_default();
        let more = now.saturating_sub(*before);
        *before += more;
        more
    }

    /// What was counted since the last time.
    pub(crate) fn since(&mut self, name: &'static str, now: &Distribution) -> Distribution {
        let before = self.distributions.insert(name, now.clone());
        now.since(&before.unwrap_or_default())
    }
}
