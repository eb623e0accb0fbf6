//! A number comes back as it was.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::support::temp_dir;

/// What was measured, twice: in a list, and beside it as it comes out of serde's buffer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "series", commands(Measure), events(Measured))]
struct Series {
    values: Vec<f64>,
    singles: Vec<f32>,
    buffered: Vec<Buffered>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Buffered {
    Pair(f64, f32),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measure(Vec<f64>);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Measured {
    values: Vec<f64>,
    singles: Vec<f32>,
}

#[expect(clippy::cast_possible_truncation, reason = "that is meant")]
impl Decide<Measure> for Series {
    fn decide(&self, Measure(values): Measure) -> Decision<Self> {
        let singles = values.iter().map(|value| *value as f32);
        let singles = singles.filter(|single| single.is_finite()).collect();
        Ok(events![Measured { values, singles }])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "that is meant")]
impl Evolve<Measured> for Series {
    fn evolve(&mut self, event: &Measured) {
        self.values.extend(&event.values);
        self.singles.extend(&event.singles);
        let buffered = event.values.iter().map(|value| {
            let single = *value as f32;
            Buffered::Pair(*value, if single.is_finite() { single } else { 0.0 })
        });
        self.buffered.extend(buffered);
    }
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "all-values", aggregates(Series))]
struct AllValues(Vec<f64>);

impl Project<Series> for AllValues {
    fn project(&mut self, event: &SeriesEvent, _: &Recorded<'_>) {
        let SeriesEvent::Measured(event) = event;
        self.0.extend(&event.values);
    }
}

async fn open(dir: impl AsRef<std::path::Path>) -> AggregateStore {
    let builder = crate::support::builder(dir).projection::<AllValues>();
    builder.snapshot_every(2).open().await.unwrap()
}

/// Floats of all magnitudes, always the same.
fn floats(count: usize) -> Vec<f64> {
    let mut bits = 0x9e37_79b9_7f4a_7c15_u64;
    let next = || {
        bits ^= bits << 13;
        bits ^= bits >> 7;
        bits ^= bits << 17;
        Some(f64::from_bits(bits))
    };
    let floats = std::iter::from_fn(next).filter(|float| float.is_finite());
    floats
        .take(count)
        .chain([0.1, -0.0, f64::MIN_POSITIVE, 5e-324])
        .collect()
}

fn bits(values: &[f64]) -> Vec<u64> {
    values.iter().map(|value| value.to_bits()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_are_the_same_in_answer_state_projection_repetition_snapshot_and_after_a_restart() {
    let dir = temp_dir();
    let values = floats(2_000);
    let measured = |events: &[SeriesEvent]| match events {
        [SeriesEvent::Measured(measured)] => bits(&measured.values),
        events => panic!("{events:?}"),
    };
    let key = |key: &str| CommandContext::default().with_idempotency_key(key);
    let store = open(&dir).await;
    let series = store.get::<Series>("a").await.unwrap();
    let command = || Measure(values.clone());
    let first = series.send_with(command(), key("1")).await.unwrap();
    assert_eq!(measured(&first.events), bits(&values));
    let again = series.send_with(command(), key("1")).await.unwrap();
    assert_eq!(measured(&again.events), bits(&values));
    series.send_with(command(), key("2")).await.unwrap();
    let live = series.state().await.unwrap();
    let twice = [values.clone(), values.clone()].concat();
    assert_eq!(bits(&live.values), bits(&twice));
    assert_eq!(
        bits(&store.projection::<AllValues>().unwrap().0),
        bits(&twice)
    );
    store.shutdown().await.unwrap();
    drop((series, store));
    // With `arbitrary_precision` of `serde_json` serde's buffer has no floats: then there is none.
    let is_readable = serde_json::from_str::<Buffered>("[1.5,1.5]").is_ok();
    if let Some(base) = dir.on_disk() {
        let snapshot = base.join("streams/series/a/views/state.snapshot.json");
        assert_eq!(snapshot.exists(), is_readable);
    }

    let store = open(&dir).await;
    let series = store.get::<Series>("a").await.unwrap();
    assert_eq!(series.state().await.unwrap(), live);
    assert_eq!(
        bits(&store.projection::<AllValues>().unwrap().0),
        bits(&twice)
    );
    let again = series.send_with(command(), key("1")).await.unwrap();
    assert_eq!(measured(&again.events), bits(&values));
}
