//! What is answered or saved can be read again, as it was.

use std::collections::{BTreeMap, HashMap};
use std::io::ErrorKind;

use eventfold_es::prelude::*;
use eventfold_es::{InjectOptions, OnFailure, Running};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::support::temp_dir;

mod events;
mod great_numbers;
mod numbers;
mod saved;
mod stopped;

/// An aggregate that stores whatever it is told to.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Float, Tagged, Keyed, LeftOut, Wei),
    events(Floated, TaggedStored, KeyedStored, LeftOutStored, Paid)
)]
struct Probe {
    count: u64,
    float: f64,
    wei: u128,
}

macro_rules! stored_as {
    ($($command:ident => $event:ident: $payload:ty, $evolve:expr;)*) => {$(
        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct $command($payload);

        #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
        struct $event($payload);

        impl Decide<$command> for Probe {
            fn decide(&self, command: $command) -> Decision<Self> {
                Ok(events![$event(command.0)])
            }
        }

        impl Evolve<$event> for Probe {
            fn evolve(&mut self, event: &$event) {
                let evolve: fn(&mut Self, &$payload) = $evolve;
                self.count += 1;
                evolve(self, &event.0);
            }
        }
    )*};
}

stored_as! {
    Float => Floated: f64, |probe, float| probe.float = *float;
    Tagged => TaggedStored: Amount, |_, _| {};
    Keyed => KeyedStored: Counts, |_, _| {};
    LeftOut => LeftOutStored: Sparse, |_, _| {};
    Wei => Paid: u128, |probe, wei| probe.wei = *wei;
}

/// serde reads an internally tagged enum by way of a buffer, which has no place for 128 bits.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "currency")]
enum Amount {
    Wei { amount: u128 },
}

/// JSON has text for keys, which the same buffer does not read as numbers.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "of")]
enum Counts {
    Shelves { counts: BTreeMap<u8, u8> },
}

/// What is left out when it is written is demanded when it is read.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Sparse {
    #[serde(skip_serializing_if = "Option::is_none", with = "demanded")]
    note: Option<u8>,
}

#[allow(
    clippy::ref_option,
    clippy::trivially_copy_pass_by_ref,
    reason = "as serde wants it"
)]
mod demanded {
    use super::{Deserialize, Serialize};

    pub(super) fn serialize<S: serde::Serializer>(
        note: &Option<u8>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        note.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<u8>, D::Error> {
        Option::deserialize(deserializer)
    }
}

async fn refuses(command: impl Into<ProbeCommand>) {
    let dir = temp_dir();
    let store = crate::support::builder(&dir).open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(Float(1.5)).await.unwrap();
    let error = probe.send(command).await.unwrap_err();
    let ExecuteError::Io(error) = error else {
        panic!("{error}");
    };
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
    assert!(
        error.to_string().contains("could not be read again"),
        "{error}"
    );
    assert_eq!(probe.version().await.unwrap(), 1);
    assert_eq!(probe.send(Float(2.5)).await.unwrap().version, 2);
    store.shutdown().await.unwrap();
    drop((probe, store));

    let store = crate::support::builder(&dir).open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    assert_eq!(probe.state().await.unwrap().count, 2);
}

#[tokio::test]
async fn a_float_that_is_not_finite_is_refused_even_if_it_is_the_whole_event() {
    refuses(Float(f64::NAN)).await;
    refuses(Float(f64::INFINITY)).await;
}

#[tokio::test]
async fn a_number_too_large_to_be_read_back_is_refused() {
    let amount = u128::from(u64::MAX) + 1;
    refuses(Tagged(Amount::Wei { amount })).await;
}

#[tokio::test]
async fn a_map_whose_keys_are_not_read_as_they_were_written_is_refused() {
    let counts = BTreeMap::from([(1, 1)]);
    refuses(Keyed(Counts::Shelves { counts })).await;
}

#[tokio::test]
async fn an_event_that_leaves_out_a_required_field_is_refused() {
    refuses(LeftOut(Sparse { note: None })).await;
}

#[tokio::test]
async fn every_finite_float_is_the_same_in_the_answer_the_state_and_after_a_restart() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .projection::<Floats>()
        .open()
        .await
        .unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    // Those of a simple generator, so that each run has the same.
    let mut bits: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut floats = vec![0.1, -0.0, f64::MIN_POSITIVE, f64::MAX, 5e-324];
    while floats.len() < 300 {
        bits = bits.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        floats.extend(Some(f64::from_bits(bits)).filter(|float| float.is_finite()));
    }
    for (number, float) in floats.iter().enumerate() {
        let context = CommandContext::default().with_idempotency_key(format!("k-{number}"));
        let done = probe
            .send_with(Float(*float), context.clone())
            .await
            .unwrap();
        let repeated = probe.send_with(Float(*float), context).await.unwrap();
        for done in [done, repeated] {
            let [ProbeEvent::Floated(answered)] = &done.events[..] else {
                panic!("{done:?}");
            };
            assert_eq!(answered.0.to_bits(), float.to_bits());
        }
        assert_eq!(
            probe.state().await.unwrap().float.to_bits(),
            float.to_bits()
        );
    }
    let same = |read: &Floats| {
        let bits = |floats: &[f64]| {
            floats
                .iter()
                .map(|float| float.to_bits())
                .collect::<Vec<_>>()
        };
        assert_eq!(bits(&read.0), bits(&floats));
    };
    store.read(same).await.unwrap();
    store.shutdown().await.unwrap();
    drop((probe, store));

    let store = crate::support::builder(&dir)
        .projection::<Floats>()
        .open()
        .await
        .unwrap();
    store.read(same).await.unwrap();
    let state = store
        .get::<Probe>("p")
        .await
        .unwrap()
        .state()
        .await
        .unwrap();
    assert_eq!(state.float.to_bits(), floats[299].to_bits());
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "floats", aggregates(Probe))]
struct Floats(Vec<f64>);

impl Project<Probe> for Floats {
    fn project(&mut self, event: &ProbeEvent, _: &Recorded<'_>) {
        if let ProbeEvent::Floated(Floated(float)) = event {
            self.0.push(*float);
        }
    }
}

/// A process manager whose state becomes one that cannot be kept, in the way that its name says.
macro_rules! manager {
    ($manager:ident, $name:literal, $state:ty, |$s:ident, $out:ident| $react:expr) => {
        #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
        #[process_manager(name = $name, aggregates(Probe), dispatches(Probe))]
        struct $manager($state);

        impl React<Probe> for $manager {
            fn react_to(&mut self, _: &ProbeEvent, record: &Recorded<'_>, $out: &mut Outbox<'_>) {
                if record.id() == "p" {
                    let $s = &mut self.0;
                    $react;
                }
            }
        }
    };
}

manager!(Mean, "mean", f64, |state, out| {
    *state = f64::NAN;
    out.send::<Probe>("q", Float(1.0));
});
manager!(Pairs, "pairs", HashMap<(u8, u8), u8>, |state, _out| {
    state.insert((0, 1), 1);
});
manager!(Deep, "deep", Value, |state, _out| *state = nested(128));
manager!(Fine, "fine", u64, |state, out| {
    *state += 1;
    out.send::<Probe>("f", Float(1.0));
});

/// So many arrays within each other.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |value, _| json!([value]))
}

async fn is_not_saved<M: eventfold_es::ProcessManager>(why: &str) {
    let dir = temp_dir();
    let builder = || {
        crate::support::builder(&dir)
            .process_manager::<M>()
            .process_manager::<Fine>()
    };
    let store = builder().open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(Float(1.0)).await.unwrap();
    for _ in 0..2 {
        let error = store.run_process_managers().await.unwrap_err().to_string();
        assert!(error.contains(&format!("`{}`", M::NAME)), "{error}");
        assert!(error.contains(why), "{error}");
    }
    // The other one went on, and nothing was sent of what is not saved.
    let version = async |store: &AggregateStore, id| {
        let probe = store.get::<Probe>(id).await.unwrap();
        probe.version().await.unwrap()
    };
    assert_eq!(version(&store, "f").await, 1);
    assert_eq!(version(&store, "q").await, 0);
    store.shutdown().await.unwrap();
    drop((probe, store));
    let store = builder().open().await.unwrap();
    assert_eq!(version(&store, "f").await, 1);
}

#[tokio::test]
async fn a_state_of_a_process_manager_that_could_not_be_read_again_is_not_saved() {
    is_not_saved::<Mean>("could not be read again").await;
}

#[tokio::test]
async fn a_state_of_a_process_manager_that_json_cannot_write_is_reported_by_name() {
    is_not_saved::<Pairs>("cannot be written as JSON").await;
}

#[tokio::test]
async fn a_state_that_is_nested_too_deeply_for_its_file_is_not_saved() {
    is_not_saved::<Deep>("could not be read again").await;
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "broken-mean", aggregates(Probe))]
struct BrokenMean(f64);

impl Project<Probe> for BrokenMean {
    fn project(&mut self, _: &ProbeEvent, _: &Recorded<'_>) {
        self.0 = f64::NAN;
    }
}

#[tokio::test]
async fn a_state_of_a_projection_that_could_not_be_read_again_is_not_saved() {
    let dir = temp_dir();
    let builder = || crate::support::builder(&dir).projection::<BrokenMean>();
    let store = builder().open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(Float(1.0)).await.unwrap();
    assert!(
        store
            .read(|mean: &BrokenMean| mean.0)
            .await
            .unwrap()
            .is_nan()
    );
    store.shutdown().await.unwrap();
    drop((probe, store));
    if let Some(base) = dir.on_disk() {
        let file = base.join("projections/broken-mean/journal_checkpoint.json");
        assert!(!file.exists());
    }
    let store = builder().open().await.unwrap();
    assert!(
        store
            .read(|mean: &BrokenMean| mean.0)
            .await
            .unwrap()
            .is_nan()
    );
}

/// Sends a command that its target could not read, after the event whose float is 2.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "sends", aggregates(Probe), dispatches(Probe))]
struct Sends;

impl React<Probe> for Sends {
    fn react_to(&mut self, event: &ProbeEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        match event {
            ProbeEvent::Floated(Floated(float)) if record.id() == "p" => {
                let float = if *float > 1.5 && *float < 2.5 {
                    f64::NAN
                } else {
                    *float
                };
                out.send::<Probe>("q", Float(float));
            }
            ProbeEvent::Floated(Floated(_)) if record.id() == "deep" => {
                let command = nested(128);
                let context = CommandContext::default();
                out.send_envelope(eventfold_es::CommandEnvelope {
                    aggregate_type: "probe".to_owned(),
                    instance_id: "q".to_owned(),
                    command,
                    context,
                });
            }
            _ => {}
        }
    }
}

async fn stops_at(command: impl Into<ProbeCommand>, id: &str, why: &str) {
    let dir = temp_dir();
    let builder = || crate::support::builder(&dir).process_manager::<Sends>();
    let store = builder().open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(Float(1.0)).await.unwrap();
    store
        .get::<Probe>(id)
        .await
        .unwrap()
        .send(command)
        .await
        .unwrap();
    let position = format!("position {}", store.head());
    let error = store.run_process_managers().await.unwrap_err().to_string();
    for part in ["`sends`", &position, "probe/q", why] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let status = store.read_side();
    assert_eq!(
        status.process_managers[0].follower.running,
        Running::Stopped
    );
    store.shutdown().await.unwrap();
    drop((probe, store));
    // It opens, and an event that cannot be reacted to can be passed over.
    let skipping = crate::support::builder(&dir)
        .process_manager_with::<Sends>(OnFailure::Skip, eventfold_es::Retry::default());
    let store = skipping.open().await.unwrap();
    store.run_process_managers().await.unwrap();
    let q = store.get::<Probe>("q").await.unwrap();
    assert_eq!(q.version().await.unwrap(), 1);
}

#[tokio::test]
async fn a_command_that_its_target_could_not_read_is_refused_when_it_is_sent() {
    stops_at(Float(2.0), "p", "could not be read again").await;
}

#[tokio::test]
async fn a_command_that_is_nested_too_deeply_for_the_outbox_is_refused_when_it_is_sent() {
    stops_at(Float(3.0), "deep", "recursion limit").await;
}

#[tokio::test]
async fn a_whole_number_beyond_64_bits_is_right_in_events_and_refused_where_it_would_be_rounded() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir).open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    probe.send(Wei(1 << 100)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((probe, store));
    let store = crate::support::builder(&dir).open().await.unwrap();
    let probe = store.get::<Probe>("p").await.unwrap();
    assert_eq!(probe.state().await.unwrap().wei, 1 << 100);
    let error = store.read_events("probe", "p").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData);
    for part in [
        "probe/p",
        "version 1",
        "Paid",
        "1267650600228229401496703205376",
    ] {
        assert!(error.to_string().contains(part), "{part}: {error}");
    }
    // An injected event comes as a `Value`, so it has none.
    let paid = eventfold::Event::new("Paid", json!(u64::MAX));
    let options = InjectOptions::default();
    store
        .inject_event::<Probe>("p", paid, options)
        .await
        .unwrap();
    assert_eq!(probe.state().await.unwrap().wei, u128::from(u64::MAX));
}
