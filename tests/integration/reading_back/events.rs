//! An event that no load could read is refused, whatever it is that could not be read.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::atomic::{AtomicUsize, Ordering};

use eventfold_es::prelude::*;
use eventfold_es::{DecodeError, Decoded, EncodeError, StoredEvent};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::support::{check, open, temp_dir};

/// Keeps what it is told to keep.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "keeper", command = Kept, event = Kept)]
struct Keeper {
    count: u64,
    last: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Kept {
    Number(f64),
    Named { number: f64 },
    Tagged(Tagged),
    Either(Either),
    Flat(Flat),
    KeyedFlat(KeyedFlat),
    LeftOut(LeftOut),
    Never(Never),
    Raw(Box<RawValue>),
    Forgetful(Forgetful),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Tagged {
    Great { number: u128 },
    Small { text: String },
    Keyed { counts: BTreeMap<u64, u64> },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
enum Either {
    Number(i128),
    Text(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Inner {
    number: u128,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Flat {
    #[serde(flatten)]
    inner: Inner,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct KeyedFlat {
    #[serde(flatten)]
    counts: BTreeMap<u64, u64>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct LeftOut {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    needed: Vec<u8>,
}

#[derive(Debug, Clone, Serialize)]
struct Never;

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: serde::Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("reading it is out of the question")
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Forgetful {
    kept: u8,
    #[serde(skip)]
    forgotten: u8,
}

impl Decide<Kept> for Keeper {
    fn decide(&self, kept: Kept) -> Decision<Self> {
        Ok(vec![kept])
    }
}

impl Evolve<Kept> for Keeper {
    fn evolve(&mut self, event: &Kept) {
        self.count += 1;
        self.last = Some(format!("{event:?}"));
    }
}

fn raw(json: &str) -> Box<RawValue> {
    RawValue::from_string(json.to_owned()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_could_not_be_loaded_is_refused_and_what_was_answered_is_loaded() {
    let great = u128::from(u64::MAX) + 1;
    let unreadable = [
        Kept::Number(f64::NAN),
        Kept::Number(f64::NEG_INFINITY),
        Kept::Named { number: f64::NAN },
        Kept::KeyedFlat(KeyedFlat {
            counts: BTreeMap::from([(1, 2)]),
        }),
        Kept::Tagged(Tagged::Keyed {
            counts: BTreeMap::from([(1, 2)]),
        }),
        Kept::Tagged(Tagged::Great { number: great }),
        Kept::Either(Either::Number(i128::from(i64::MIN) - 1)),
        Kept::Flat(Flat {
            inner: Inner { number: great },
        }),
        Kept::LeftOut(LeftOut { needed: Vec::new() }),
        Kept::Raw(raw("{\"on\":\n\"two lines\"}")),
    ];
    let readable = [
        Kept::Number(0.1),
        Kept::Number(-0.0),
        Kept::Named { number: f64::MAX },
        Kept::Tagged(Tagged::Small {
            text: "7".to_owned(),
        }),
        Kept::Either(Either::Text("null".to_owned())),
        Kept::LeftOut(LeftOut { needed: vec![1] }),
        Kept::Raw(raw(r#"{ "on":  "one line\n" }"#)),
    ];
    let dir = temp_dir();
    let store = open(&dir).await;
    let keeper = store.get::<Keeper>("a").await.unwrap();
    let mut stored = 0;
    for (refused, kept) in unreadable.iter().zip(readable.iter().cycle()) {
        let name = refused.name();
        match keeper.send(refused.clone()).await {
            // What another crate has turned on in serde_json may have it read.
            Ok(done) => assert_eq!(format!("{:?}", done.events[0]), format!("{refused:?}")),
            Err(ExecuteError::Io(error)) => {
                assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
                let text = error.to_string();
                let expected =
                    format!("event `{name}` cannot be written as JSON: it could not be read again");
                assert!(text.starts_with(&expected), "{text}");
            }
            Err(error) => panic!("{refused:?}: {error}"),
        }
        match keeper.send(kept.clone()).await {
            Ok(done) => assert_eq!(format!("{:?}", done.events[0]), format!("{kept:?}")),
            Err(error) => panic!("{kept:?}: {error}"),
        }
        stored = keeper.version().await.unwrap().into();
        let state = keeper.state().await.unwrap();
        assert_eq!(
            (state.count, state.last),
            (stored, Some(format!("{kept:?}")))
        );
    }
    store.shutdown().await.unwrap();
    drop((keeper, store));
    check(&dir);
    let store = open(&dir).await;
    let keeper = store.get::<Keeper>("a").await.unwrap();
    assert_eq!(keeper.state().await.unwrap().count, stored);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_float_that_is_not_finite_says_that_json_has_none() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let keeper = store.get::<Keeper>("a").await.unwrap();
    let error = keeper.send(Kept::Number(f64::NAN)).await.unwrap_err();
    assert!(error.to_string().contains("JSON has no NaN"), "{error}");
    let empty = Kept::LeftOut(LeftOut { needed: Vec::new() });
    let error = keeper.send(empty).await.unwrap_err();
    assert!(
        error.to_string().contains("missing field `needed`"),
        "{error}"
    );
    assert!(!error.to_string().contains("NaN"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_while_an_event_is_read_back_is_answered_and_the_aggregate_goes_on() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let keeper = store.get::<Keeper>("a").await.unwrap();
    keeper.send(Kept::Number(1.0)).await.unwrap();
    let Err(ExecuteError::Panicked(panic)) = keeper.send(Kept::Never(Never)).await else {
        panic!("it was stored");
    };
    assert_eq!(panic.function(), "deserialize");
    keeper.send(Kept::Number(2.0)).await.unwrap();
    assert_eq!(keeper.state().await.unwrap().count, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answer_and_the_state_have_the_event_as_a_load_reads_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let keeper = store.get::<Keeper>("a").await.unwrap();
    let context = CommandContext::default().with_idempotency_key("once");
    let decided = Kept::Forgetful(Forgetful {
        kept: 1,
        forgotten: 2,
    });
    let first = keeper.send_with(decided.clone(), context.clone()).await;
    let again = keeper.send_with(decided, context).await.unwrap();
    let (first, again) = (
        format!("{:?}", first.unwrap().events),
        format!("{:?}", again.events),
    );
    assert_eq!(first, again);
    let live = keeper.state().await.unwrap().last;
    store.shutdown().await.unwrap();
    drop((keeper, store));
    let keeper = open(&dir).await.get::<Keeper>("a").await.unwrap();
    assert_eq!(keeper.state().await.unwrap().last, live);
}

/// How [`Odd`] writes and reads the next event.
static ODDITY: AtomicUsize = AtomicUsize::new(0);

/// An aggregate whose events are written and read by hand, each oddity in another way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Odd;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Happened;

/// The payloads that it writes, under which name, and what the error says.
const ODDITIES: [(&str, &[u8], &str); 7] = [
    ("Happened", b"{\n  \"pretty\": true\n}", "line break"),
    ("Happened", b"", "not JSON"),
    ("Happened", b"plain text", "not JSON"),
    ("Happened", b"\"\xff\"", "utf-8"),
    ("Renamed", b"null", "`Renamed`"),
    ("Retired", b"null", "read back as 0 events"),
    ("Split", b"null", "read back as 2 events"),
];

impl Aggregate for Odd {
    const AGGREGATE_TYPE: &'static str = "odd";
    type Command = ();
    type DomainEvent = Happened;
    type Error = std::convert::Infallible;

    fn handle(&self, (): ()) -> Result<Vec<Happened>, Self::Error> {
        Ok(vec![Happened])
    }

    fn apply(self, _: &Happened) -> Self {
        self
    }

    fn encode_event(_: &Happened, data: &mut Vec<u8>) -> Result<Cow<'static, str>, EncodeError> {
        let (name, payload, _) = ODDITIES[ODDITY.load(Ordering::Relaxed)];
        data.extend_from_slice(payload);
        Ok(Cow::Borrowed(name))
    }

    fn decode_event(stored: StoredEvent<'_>) -> Result<Decoded<Happened>, DecodeError> {
        match stored.name() {
            "Happened" => Ok(Decoded::one(Happened)),
            "Retired" => Ok(Decoded::none()),
            "Split" => Ok(Decoded::many(vec![Happened, Happened])),
            _ => Err(stored.unknown()),
        }
    }

    fn knows_event(name: &str) -> bool {
        name != "Renamed"
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hand_written_event_that_would_break_its_line_or_not_be_loaded_is_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let odd = store.get::<Odd>("a").await.unwrap();
    for (oddity, (name, payload, cause)) in ODDITIES.iter().enumerate() {
        ODDITY.store(oddity, Ordering::Relaxed);
        let payload = String::from_utf8_lossy(payload);
        let error = odd.send(()).await.map(drop).unwrap_err().to_string();
        assert!(error.contains(cause), "{name} {payload}: {error}");
    }
    assert_eq!(odd.version().await.unwrap(), 0);
    store.shutdown().await.unwrap();
    drop((odd, store));
    open(&dir).await.shutdown().await.unwrap();
    check(&dir);
}

/// An event of version 2, in an aggregate that is written by hand and does not say so.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Versioned(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = in_cents))]
struct Paid {
    cents: u64,
}

fn in_cents(dollars: u64) -> Paid {
    Paid {
        cents: dollars * 100,
    }
}

impl Aggregate for Versioned {
    const AGGREGATE_TYPE: &'static str = "versioned";
    type Command = u64;
    type DomainEvent = Paid;
    type Error = std::convert::Infallible;

    fn handle(&self, cents: u64) -> Result<Vec<Paid>, Self::Error> {
        Ok(vec![Paid { cents }])
    }

    fn apply(self, event: &Paid) -> Self {
        Self(self.0 + event.cents)
    }

    fn encode_event(event: &Paid, data: &mut Vec<u8>) -> Result<Cow<'static, str>, EncodeError> {
        event.encode(data)?;
        Ok(Cow::Borrowed(event.name()))
    }

    fn decode_event(stored: StoredEvent<'_>) -> Result<Decoded<Paid>, DecodeError> {
        Paid::decode(stored)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_read_back_with_the_metadata_that_it_is_stored_with() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let versioned = store.get::<Versioned>("a").await.unwrap();
    // It would be read as of version 1.
    let error = versioned
        .send(5_u64)
        .await
        .map(drop)
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`Paid`") && error.contains("version 1"),
        "{error}"
    );
    for (version, is_taken) in [(2, true), (7, false)] {
        let metadata = serde_json::json!({ "schema_version": version });
        let context = CommandContext::default()
            .with_metadata(metadata)
            .with_actor("ann");
        let sent = versioned.send_with(5_u64, context).await;
        assert_eq!(sent.is_ok(), is_taken);
    }
    store.shutdown().await.unwrap();
    drop((versioned, store));
    let versioned = open(&dir).await.get::<Versioned>("a").await.unwrap();
    assert_eq!(versioned.state().await.unwrap().0, 5);
}
