//! Distributions of durations and sizes: [`Histogram`] counts, [`Distribution`] is read.

use std::fmt;

use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::meter::Counter;

/// Each power of two has 2^3 buckets of the same width, so a bucket is at most an eighth of its values
/// wide.
const BITS: u32 = 3;
const STEPS: usize = 1 << BITS;
/// Larger values count as this one: two hours, in nanoseconds.
const LARGEST: u64 = (1 << 43) - 1;
const BUCKETS: usize = bucket_of(LARGEST) + 1;

/// The unit of durations.
pub(crate) const NANOSECONDS: f64 = 1e-9;
/// The unit of sizes.
pub(crate) const ONES: f64 = 1.0;

/// Counts values by their size.
#[derive(Debug)]
pub(crate) struct Histogram([Counter; BUCKETS]);

impl Default for Histogram {
    fn default() -> Self {
        Self([const { Counter::new() }; BUCKETS])
    }
}

/// The bucket of a value. Values below 16 have a bucket each.
#[inline]
#[allow(clippy::cast_possible_truncation)] // below 16
const fn bucket_of(value: u64) -> usize {
    let exponent = u64::BITS - 1 - (value | STEPS as u64).leading_zeros();
    let shift = exponent - BITS;
    ((shift as usize) << BITS) + (value >> shift) as usize
}

/// The value in the middle of a bucket.
#[allow(clippy::cast_precision_loss)]
fn middle(bucket: usize) -> f64 {
    let shift = (bucket / STEPS).saturating_sub(1);
    let first = ((bucket - shift * STEPS) as u64) << shift;
    let width = 1_u64 << shift;
    first as f64 + (width - 1) as f64 / 2.0
}

impl Histogram {
    #[inline]
    pub(crate) fn add(&self, value: u64) {
        self.0[bucket_of(value.min(LARGEST))].add(1);
    }

    /// What was counted so far, in a unit.
    pub(crate) fn read(&self, unit: f64) -> Distribution {
        total([self].into_iter(), unit)
    }
}

/// What several histograms have counted.
pub(crate) fn total<'a>(
    histograms: impl Iterator<Item = &'a Histogram>,
    unit: f64,
) -> Distribution {
    let mut counts = [0_u64; BUCKETS];
    for histogram in histograms {
        for (count, counter) in counts.iter_mut().zip(&histogram.0) {
            *count += counter.get();
        }
    }
    let counts = counts.into_iter().enumerate();
    let counted = counts.filter(|(_, count)| *count > 0);
    Distribution {
        values: counted
            .map(|(bucket, count)| (middle(bucket) * unit, count))
            .collect(),
    }
}

/// How often something took how long, or was how large, since the store was opened.
///
/// Values are in the unit that the field's name says. Each is rounded to the middle of one of the
/// ranges that it is counted in, so a value is at most 7 % off. Whole numbers below 16 are exact.
///
/// As JSON it has `count`, `mean`, `p50`, `p90`, `p99`, `p999` and `max`, which are `null` if nothing
/// was counted.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let store = AggregateStore::in_memory().open().await?;
/// let counter = store.get::<Counter>("c-1").await?;
/// counter.send(Add(5)).await?;
/// let before = store.metrics().latency_seconds;
/// counter.send(Add(5)).await?;
/// let latency = store.metrics().latency_seconds;
/// assert_eq!(latency.count(), 2);
/// assert!(latency.percentile(99.0) >= latency.percentile(50.0));
/// // Of the last minute, if `before` is a minute old.
/// assert_eq!(latency.since(&before).count(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Default)]
pub struct Distribution {
    /// Each value with how often it was counted, the smallest value first.
    values: Vec<(f64, u64)>,
}

impl Distribution {
    /// How many values were counted.
    ///
    /// See the example of [`Distribution`].
    #[must_use]
    pub fn count(&self) -> u64 {
        self.values.iter().map(|(_, count)| count).sum()
    }

    /// The value that `percent` per cent of all values do not exceed, `None` if there are no values.
    /// Less than 0 counts as 0, more than 100 as 100.
    ///
    /// See the example of [`Distribution`].
    #[must_use]
    #[doc(alias("quantile", "median", "p99"))]
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub fn percentile(&self, percent: f64) -> Option<f64> {
        let part = percent.clamp(0.0, 100.0) / 100.0;
        let rank = ((self.count() as f64 * part).ceil() as u64).max(1);
        let mut seen = 0;
        let mut values = self.values.iter();
        let at_rank = values.find(|(_, count)| {
            seen += count;
            seen >= rank
        });
        at_rank.or(self.values.last()).map(|(value, _)| *value)
    }

    /// The average, `None` if there are no values.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Distribution::default().mean(), None);
    /// ```
    #[must_use]
    #[allow(clippy::cast_precision_loss)]
    pub fn mean(&self) -> Option<f64> {
        let values = self.values.iter();
        let sum: f64 = values.map(|(value, count)| value * *count as f64).sum();
        let count = self.count();
        (count > 0).then(|| sum / count as f64)
    }

    /// The largest value, `None` if there are no values.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Distribution::default().max(), None);
    /// ```
    #[must_use]
    pub fn max(&self) -> Option<f64> {
        self.values.last().map(|(value, _)| *value)
    }

    /// Each value with how often it was counted, the smallest value first.
    ///
    /// ```
    /// assert_eq!(eventfold_es::Distribution::default().values().count(), 0);
    /// ```
    pub fn values(&self) -> impl Iterator<Item = (f64, u64)> + '_ {
        self.values.iter().copied()
    }

    /// What was counted after `earlier`, which is from the same store and was read before.
    ///
    /// See the example of [`Distribution`].
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut before = earlier.values.iter().peekable();
        let left = self.values.iter().filter_map(|(value, count)| {
            while before.next_if(|(other, _)| other < value).is_some() {}
            let known = before.next_if(|(other, _)| other.total_cmp(value).is_eq());
            let count = count.saturating_sub(known.map_or(0, |(_, known)| *known));
            (count > 0).then_some((*value, count))
        });
        Self {
            values: left.collect(),
        }
    }
}

impl fmt::Debug for Distribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Distribution")
            .field("count", &self.count())
            .field("p50", &self.percentile(50.0))
            .field("p99", &self.percentile(99.0))
            .field("max", &self.max())
            .finish_non_exhaustive()
    }
}

impl Serialize for Distribution {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("Distribution", 7)?;
        form.serialize_field("count", &self.count())?;
        form.serialize_field("mean", &self.mean())?;
        form.serialize_field("p50", &self.percentile(50.0))?;
        form.serialize_field("p90", &self.percentile(90.0))?;
        form.serialize_field("p99", &self.percentile(99.0))?;
        form.serialize_field("p999", &self.percentile(99.9))?;
        form.serialize_field("max", &self.max())?;
        form.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(values: &[u64]) -> Distribution {
        let histogram = Histogram::default();
        for value in values {
            histogram.add(*value);
        }
        histogram.read(ONES)
    }

    #[test]
    fn values_below_16_are_exact_and_larger_ones_are_at_most_7_per_cent_off() {
        for value in 0..16 {
            #[allow(clippy::cast_precision_loss)]
            let exact = value as f64;
            assert_eq!(of(&[value]).max(), Some(exact));
        }
        for bits in 4..43 {
            for value in [1 << bits, (1 << bits) + 1, (2 << bits) - 1, 3 << (bits - 1)] {
                let read = of(&[value]).max().unwrap();
                #[allow(clippy::cast_precision_loss)]
                let value = value as f64;
                assert!((read - value).abs() <= value * 0.07, "{value}: {read}");
            }
        }
    }

    #[test]
    fn buckets_follow_each_other_without_gaps_and_the_largest_value_has_the_last_one() {
        let mut last = 0;
        for value in 1..100_000 {
            let bucket = bucket_of(value);
            assert!(bucket == last || bucket == last + 1, "{value}");
            last = bucket;
        }
        assert_eq!(bucket_of(LARGEST), BUCKETS - 1);
        assert_eq!(of(&[u64::MAX]), of(&[LARGEST]));
    }

    #[test]
    fn percentiles_are_those_of_the_sorted_values() {
        let values: Vec<u64> = (1..=10).collect();
        let all = of(&values);
        let percentile = |percent| all.percentile(percent).unwrap();
        for (percent, expected) in [
            (-1.0, 1.0),
            (0.0, 1.0),
            (10.0, 1.0),
            (11.0, 2.0),
            (50.0, 5.0),
        ] {
            assert!((percentile(percent) - expected).abs() < 1e-9, "{percent}");
        }
        for (percent, expected) in [
            (90.0, 9.0),
            (90.1, 10.0),
            (100.0, 10.0),
            (f64::INFINITY, 10.0),
        ] {
            assert!((percentile(percent) - expected).abs() < 1e-9, "{percent}");
        }
        assert_eq!(all.mean(), Some(5.5));
        assert_eq!(all.percentile(f64::NAN), Some(1.0));
        assert_eq!(of(&[]).percentile(50.0), None);
    }

    #[test]
    fn what_was_counted_since_an_earlier_reading_is_the_difference() {
        let earlier = of(&[1, 2, 2, 9]);
        let later = of(&[1, 2, 2, 2, 5, 9, 9]);
        assert_eq!(later.since(&earlier), of(&[2, 5, 9]));
        assert_eq!(later.since(&later), of(&[]));
        assert_eq!(later.since(&Distribution::default()), later);
    }

    #[test]
    fn as_json_a_distribution_has_its_count_and_percentiles() {
        let json = serde_json::to_value(of(&[1, 3])).unwrap();
        let expected = serde_json::json!({
            "count": 2, "mean": 2.0, "p50": 1.0, "p90": 3.0, "p99": 3.0, "p999": 3.0, "max": 3.0
        });
        assert_eq!(json, expected);
        assert!(serde_json::to_value(of(&[])).unwrap()["max"].is_null());
    }
}
