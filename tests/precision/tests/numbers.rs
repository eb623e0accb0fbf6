//! What is stored is the same with `arbitrary_precision` and `preserve_order` of `serde_json`.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Measure), events(Measured, Tagged))]
struct Probe {
    float: f64,
    whole: u64,
    wei: u128,
    any: Value,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Measure {
    float: f64,
    whole: u64,
    wei: u128,
    any: Value,
    tagged: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Measured {
    float: f64,
    whole: u64,
    wei: u128,
    any: Value,
}

/// serde reads it by way of a buffer, in which such a number is a map.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Tagged(Kind);

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Kind {
    Float { float: f64 },
}

impl Decide<Measure> for Probe {
    fn decide(&self, measure: Measure) -> Decision<Self> {
        let Measure {
            float,
            whole,
            wei,
            any,
            tagged,
        } = measure;
        if tagged {
            return Ok(events![Tagged(Kind::Float { float })]);
        }
        Ok(events![Measured {
            float,
            whole,
            wei,
            any
        }])
    }
}

impl Evolve<Measured> for Probe {
    fn evolve(&mut self, event: &Measured) {
        let Measured {
            float,
            whole,
            wei,
            any,
        } = event.clone();
        *self = Self {
            float,
            whole,
            wei,
            any,
        };
    }
}

impl Evolve<Tagged> for Probe {
    fn evolve(&mut self, Tagged(Kind::Float { float }): &Tagged) {
        self.float = *float;
    }
}

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "copy", aggregates(Probe), dispatches(Probe))]
struct Copy {
    copied: u64,
}

impl React<Probe> for Copy {
    fn react_to(&mut self, event: &ProbeEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let ProbeEvent::Measured(measured) = event
            && record.id() == "p"
        {
            self.copied += 1;
            let Measured {
                float,
                whole,
                wei,
                any,
            } = measured.clone();
            out.send::<Probe>(
                "copy",
                Measure {
                    float,
                    whole,
                    wei,
                    any,
                    tagged: false,
                },
            );
        }
    }
}

fn measure(float: f64, wei: u128) -> Measure {
    Measure {
        float,
        whole: u64::MAX,
        wei,
        any: json!({ "z": 0.1, "a": [u64::MAX, i64::MIN] }),
        tagged: false,
    }
}

#[tokio::test]
async fn every_number_is_read_back_unchanged_even_through_a_process_manager() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || AggregateStore::builder(dir.path()).process_manager::<Copy>();
    for (number, float) in [0.1, 1.0e300, 5e-324, -0.0, 0.1 + 0.2]
        .into_iter()
        .enumerate()
    {
        let store = builder().open().await.unwrap();
        let probe = store.get::<Probe>("p").await.unwrap();
        let wei = u128::from(u64::MAX);
        probe.send(measure(float, wei)).await.unwrap();
        store.run_process_managers().await.unwrap();
        let before = probe.state().await.unwrap();
        assert_eq!(before.float.to_bits(), float.to_bits());
        store.shutdown().await.unwrap();
        drop((probe, store));
        let store = builder().open().await.unwrap();
        for id in ["p", "copy"] {
            let probe = store.get::<Probe>(id).await.unwrap();
            assert_eq!(probe.version().await.unwrap(), number as u64 + 1);
            let after = probe.state().await.unwrap();
            assert_eq!(after, before, "{id}");
            assert_eq!(after.float.to_bits(), float.to_bits());
        }
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_whole_number_beyond_64_bits_is_right_everywhere() {
    let dir = tempfile::tempdir().unwrap();
    let builder = || AggregateStore::builder(dir.path()).process_manager::<Copy>();
    let store = builder().open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(measure(1.0, 1 << 100)).await.unwrap();
    let events = store.read_events("probe", "p").await.unwrap();
    assert_eq!(
        events[0].data["wei"].to_string(),
        (1_u128 << 100).to_string()
    );
    let keys: Vec<&String> = events[0].data.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["float", "whole", "wei", "any"]);
    store.run_process_managers().await.unwrap();
    let copy = store.get::<Probe>("copy").await.unwrap();
    assert_eq!(copy.state().await.unwrap().wei, 1 << 100);
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_number_that_cannot_be_read_back_is_refused_and_nothing_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(measure(1.5, 1)).await.unwrap();
    let tagged = Measure {
        tagged: true,
        ..measure(2.5, 1)
    };
    let version = match probe.send(tagged).await {
        Ok(done) => done.version,
        Err(error) => {
            assert!(
                error.to_string().contains("could not be read again"),
                "{error}"
            );
            probe.version().await.unwrap()
        }
    };
    let before = probe.state().await.unwrap();
    store.shutdown().await.unwrap();
    drop((probe, store));
    let store = AggregateStore::open(dir.path()).await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    assert_eq!(probe.version().await.unwrap(), version);
    assert_eq!(probe.state().await.unwrap(), before);
}
