//! Loading: from events, from snapshots, past events that cannot be read.

use std::convert::Infallible;

use eventfold_es::{Aggregate, ExecuteError, StateError, UnknownEvents};
use serde::{Deserialize, Serialize};

use crate::support::{
    Door, Ledger, LedgerCommand as Do, LedgerEvent, check, eventually, fast_temp_dir, open,
    poll_once, snapshot, snapshot_file, stored, stream_file, temp_dir,
};

/// Reads the streams of [`Ledger`] in ways of its own.
macro_rules! other_ledger {
    ($name:ident, $event:ty, $unknown:expr, |$state:ident, $folded:ident| $fold:expr) => {
        #[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
        struct $name {
            total: u64,
        }

        impl Aggregate for $name {
            const AGGREGATE_TYPE: &'static str = "ledger";
            const UNKNOWN_EVENTS: UnknownEvents = $unknown;
            type Command = Vec<$event>;
            type DomainEvent = $event;
            type Error = Infallible;

            fn handle(&self, events: Vec<$event>) -> Result<Vec<$event>, Infallible> {
                Ok(events)
            }

            fn apply(mut self, $folded: &$event) -> Self {
                let $state = &mut self;
                $fold;
                self
            }
        }
    };
}

#[tokio::test(flavor = "multi_thread")]
async fn events_alone_and_snapshot_and_newer_events_lead_to_the_same_state() {
    let mut results = Vec::new();
    // Never, at the last event, and two events before it.
    for (every, snapshot_version) in [(u64::MAX, None), (10, Some(10)), (8, Some(8))] {
        let dir = temp_dir();
        let builder = || crate::support::builder(&dir).snapshot_every(every);
        let store = builder().open().await.unwrap();
        let ledger = store.get::<Ledger>("a").await.unwrap();
        for i in 1..=5 {
            ledger.send(Do::AddAll(vec![i, i * 10])).await.unwrap();
        }
        store.shutdown().await.unwrap();
        let base = dir.on_disk();
        if let Some(base) = base {
            let version = snapshot(base, "a").map(|s| s["version"].as_u64().unwrap());
            assert_eq!(version, snapshot_version);
        }

        // The sign that the snapshot is read: the events that it holds are not.
        if let (Some(version), Some(base)) = (snapshot_version, base) {
            damage_first_line(base, "a");
            let store = open(&dir).await;
            store.read_events("ledger", "a").await.unwrap_err();
            drop(store);
            assert!(version > 1);
        }
        let store = builder().open().await.unwrap();
        let ledger = store.get::<Ledger>("a").await.unwrap();
        results.push((
            ledger.state().await.unwrap(),
            ledger.version().await.unwrap(),
        ));
        assert_eq!(ledger.send(Do::Add(1)).await.unwrap().version, 11);
    }
    assert_eq!(results[0].0.count, 10);
    assert!(results.iter().all(|result| *result == results[0]));
}

/// Spoils the first event of a stream, which leaves its length and all others as they are.
pub(crate) fn damage_first_line(base: &std::path::Path, id: &str) {
    crate::support::files::edit(&stream_file(base, id), |bytes| bytes[3] ^= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_arrives_during_a_load_waits_and_gets_its_own_error() {
    static LOADING: Door2 = Door2::new();
    other_ledger!(Slow, LedgerEvent, UnknownEvents::Skip, |state, event| {
        LOADING.pass();
        if let LedgerEvent::Added { amount } = event {
            state.total += amount;
        }
    });

    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::AddAll(vec![1, 2])).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));

    let store = open(&dir).await;
    let slow = store.get::<Slow>("a").await.unwrap();
    let mut version = Box::pin(slow.version());
    let mut conflict = Box::pin(slow.send_with(
        Vec::new(),
        eventfold_es::CommandContext::default().with_expected_version(7),
    ));
    assert!(poll_once(&mut version).await.is_none());
    assert!(poll_once(&mut conflict).await.is_none());
    eventually("it loads", || LOADING.is_reached()).await;
    assert!(poll_once(&mut conflict).await.is_none());
    LOADING.open();
    assert!(matches!(
        conflict.await,
        Err(ExecuteError::ExpectedVersion { .. })
    ));
    assert_eq!(version.await.unwrap(), 2);
    assert_eq!(slow.state().await.unwrap().total, 3);
}

/// A door for a `static`.
struct Door2 {
    reached: std::sync::OnceLock<()>,
    door: std::sync::LazyLock<Door>,
}

impl Door2 {
    const fn new() -> Self {
        Self {
            reached: std::sync::OnceLock::new(),
            door: std::sync::LazyLock::new(Door::default),
        }
    }

    fn pass(&self) {
        let _ = self.reached.set(());
        self.door.pass();
    }

    fn is_reached(&self) -> bool {
        self.reached.get().is_some()
    }

    fn open(&self) {
        self.door.open();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_panic_during_replay_fails_only_that_load_and_names_the_cause() {
    other_ledger!(Fragile, LedgerEvent, UnknownEvents::Skip, |state, event| {
        match event {
            LedgerEvent::Added { amount: 13 } => panic!("not that number"),
            LedgerEvent::Added { amount } => state.total += amount,
            _ => {}
        }
    });

    let dir = temp_dir();
    let store = open(&dir).await;
    for (id, amounts) in [("bad", [1, 13, 2]), ("good", [1, 2, 3])] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        ledger.send(Do::AddAll(amounts.to_vec())).await.unwrap();
    }
    store.shutdown().await.unwrap();
    drop(store);

    let store = open(&dir).await;
    let bad = store.get::<Fragile>("bad").await.unwrap();
    let good = store.get::<Fragile>("good").await.unwrap();
    for _ in 0..2 {
        let error = bad.state().await.unwrap_err();
        assert!(matches!(error, StateError::Io(_)));
        assert_names(
            &error.to_string(),
            &["ledger/bad", "version 2", "`Added`", "not that number"],
        );
        let error = bad
            .send(vec![LedgerEvent::Added { amount: 1 }])
            .await
            .unwrap_err();
        assert_names(
            &error.to_string(),
            &["ledger/bad", "version 2", "not that number"],
        );
        assert_eq!(good.state().await.unwrap().total, 6);
    }
    assert_eq!(
        good.send(vec![LedgerEvent::Added { amount: 4 }])
            .await
            .unwrap()
            .version,
        4
    );
    store.shutdown().await.unwrap();
    check(&dir);
    assert_eq!(stored(&dir, "bad").await, 3);
}

fn assert_names(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part} in: {text}");
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum NarrowEvent {
    Added { amount: u8 },
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_event_that_cannot_be_decoded_fails_the_load_whether_unknown_events_are_skipped_or_not()
 {
    other_ledger!(
        Skipping,
        NarrowEvent,
        UnknownEvents::Skip,
        |state, event| {
            let NarrowEvent::Added { amount } = event;
            state.total += u64::from(*amount);
        }
    );
    other_ledger!(
        Rejecting,
        NarrowEvent,
        UnknownEvents::Reject,
        |state, event| {
            let NarrowEvent::Added { amount } = event;
            state.total += u64::from(*amount);
        }
    );

    let dir = temp_dir();
    let store = open(&dir).await;
    let wide = store.get::<Ledger>("wide").await.unwrap();
    wide.send(Do::AddAll(vec![1, 300])).await.unwrap();
    let unknown = store.get::<Ledger>("unknown").await.unwrap();
    unknown.send(Do::Add(1)).await.unwrap();
    unknown.send(Do::Write("unknown".into())).await.unwrap();
    unknown.send(Do::Add(2)).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, wide, unknown));

    let store = open(&dir).await;
    let wide = store.get::<Skipping>("wide").await.unwrap();
    let error = wide.state().await.unwrap_err().to_string();
    assert_names(&error, &["ledger/wide", "version 2", "`Added`", "300"]);
    let unknown = store.get::<Skipping>("unknown").await.unwrap();
    assert_eq!(unknown.state().await.unwrap().total, 3);
    assert_eq!(unknown.version().await.unwrap(), 3);
    let done = unknown
        .send(vec![NarrowEvent::Added { amount: 4 }])
        .await
        .unwrap();
    assert_eq!(done.version, 4);
    store.shutdown().await.unwrap();
    drop((store, wide, unknown));

    let store = open(&dir).await;
    let wide = store.get::<Rejecting>("wide").await.unwrap();
    let error = wide.state().await.unwrap_err().to_string();
    assert_names(&error, &["ledger/wide", "version 2", "`Added`", "300"]);
    let unknown = store.get::<Rejecting>("unknown").await.unwrap();
    let error = unknown.send(Vec::new()).await.unwrap_err().to_string();
    assert_names(&error, &["ledger/unknown", "version 2", "`Written`"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_event_is_folded_once_it_is_known_whatever_snapshots_there_are() {
    other_ledger!(Older, NarrowEvent, UnknownEvents::Skip, |state, event| {
        let NarrowEvent::Added { amount } = event;
        state.total += u64::from(*amount);
    });
    #[derive(Debug, Clone, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum NewerEvent {
        Added { amount: u8 },
        Written { text: String },
    }
    other_ledger!(Newer, NewerEvent, UnknownEvents::Skip, |state, event| {
        state.total += match event {
            NewerEvent::Added { amount } => u64::from(*amount),
            NewerEvent::Written { text } => text.len() as u64 * 1_000,
        }
    });

    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    ledger.send(Do::Write("xy".into())).await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, ledger));

    let often = || crate::support::builder(&dir).snapshot_every(1);
    for round in 1..=3 {
        let store = often().open().await.unwrap();
        let older = store.get::<Older>("a").await.unwrap();
        older
            .send(vec![NarrowEvent::Added { amount: 1 }])
            .await
            .unwrap();
        assert_eq!(older.state().await.unwrap().total, 1 + round);
        store.shutdown().await.unwrap();
    }
    if let Some(base) = dir.on_disk() {
        let left = snapshot(base, "a").unwrap();
        assert_eq!(left["version"], 5);
        assert_eq!(left["unknown"], serde_json::json!(["Written"]));
    }

    let store = often().open().await.unwrap();
    let newer = store.get::<Newer>("a").await.unwrap();
    assert_eq!(newer.state().await.unwrap().total, 2_004);
    store.shutdown().await.unwrap();
    // Its own snapshot took the place of the older one, and is used.
    drop((store, newer));
    if let Some(base) = dir.on_disk() {
        let left = snapshot(base, "a").unwrap();
        assert_eq!(left["state"]["total"], 2_004);
        assert_eq!(left["unknown"], serde_json::json!([]));
        damage_first_line(base, "a");
    }
    let store = often().open().await.unwrap();
    let newer = store.get::<Newer>("a").await.unwrap();
    assert_eq!(newer.state().await.unwrap().total, 2_004);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_any_size_and_content_is_stored_snapshotted_over_and_replayed() {
    let mut texts: Vec<String> = [
        "",
        "x",
        "two\nlines\r\n\u{2028}\u{2029}",
        "\"}\n{\"pos\":1,\"sum\":\"0123456789abcdef\"}\n",
        "\0\u{1}\u{1f}\u{7f}\\\"/",
        "日本語 🦀 \u{10ffff} \u{feff}",
    ]
    .map(str::to_owned)
    .to_vec();
    for size in [4_095, 16_384, 65_536, 262_145, 1 << 20, 16 << 20] {
        texts.push("ä\n".repeat(size / 3 + 1));
    }
    for every in [u64::MAX, 1] {
        let dir = fast_temp_dir();
        let builder = || crate::support::builder(&dir).snapshot_every(every);
        let store = builder().open().await.unwrap();
        let ledger = store.get::<Ledger>("a").await.unwrap();
        if every == 1 {
            texts.pop();
        }
        for text in &texts {
            ledger.send(Do::Write(text.clone())).await.unwrap();
        }
        // The last one is not the largest, so that its line follows on a long one.
        ledger.send(Do::Write("end".into())).await.unwrap();
        store.shutdown().await.unwrap();
        drop((store, ledger));
        if let Some(base) = dir.on_disk() {
            assert_eq!(snapshot_file(base, "a").exists(), every == 1);
        }

        let store = builder().open().await.unwrap();
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.state().await.unwrap().text, "end");
        let version = ledger.send(Do::Add(1)).await.unwrap().version;
        assert_eq!(version, texts.len() as u64 + 2);
        let events = store.read_events("ledger", "a").await.unwrap();
        for (event, text) in events.iter().zip(&texts) {
            assert!(
                event.data["text"] == text.as_str(),
                "{} bytes differ",
                text.len()
            );
        }
        assert_eq!(version, events.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_with_deep_and_unusual_json_is_read_back_unchanged() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut deep = serde_json::json!(1.5e300);
    for i in 0..60 {
        deep = serde_json::json!({ format!("k{i}\n\"é"): [deep, null, -0.0, u64::MAX, i64::MIN] });
    }
    let event = eventfold::Event::new("Odd", deep.clone()).with_id("odd-1");
    let options = eventfold_es::InjectOptions::default();
    store
        .inject_event::<Ledger>("a", event.clone(), options)
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    assert_eq!(store.read_events("ledger", "a").await.unwrap(), [event]);
    store.shutdown().await.unwrap();
    check(&dir);
}

/// A list of lists of lists.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn of_depth(depth: usize) -> Self {
        (1..depth).fold(Self::default(), |inner, _| Self(vec![inner]))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_nested_too_deeply_to_be_read_again_is_not_stored() {
    #[derive(Debug, Clone, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    enum NestedEvent {
        Grown(Nested),
    }
    other_ledger!(Deep, NestedEvent, UnknownEvents::Skip, |state, event| {
        let NestedEvent::Grown(nested) = event;
        state.total += nested.0.len() as u64;
    });

    let dir = temp_dir();
    let store = open(&dir).await;
    let deep = store.get::<Deep>("a").await.unwrap();
    let grown = |depth| vec![NestedEvent::Grown(Nested::of_depth(depth))];
    let mut deepest = 0;
    for depth in 100..150 {
        match deep.send(grown(depth)).await {
            Ok(_) => deepest = depth,
            Err(error) => assert_names(&error.to_string(), &["`Grown`", "nested too deeply"]),
        }
        let brackets = "[[\"]".repeat(depth);
        let options = eventfold_es::InjectOptions::default();
        let data = serde_json::to_value(Nested::of_depth(depth)).unwrap();
        let event = eventfold::Event::new("Grown", data).with_actor(brackets);
        let injected = store.inject_event::<Deep>("b", event, options).await;
        assert_eq!(injected.is_ok(), deepest == depth, "at {depth}");
    }
    assert_eq!(deepest, 126);
    store.shutdown().await.unwrap();
    drop((store, deep));

    let store = open(&dir).await;
    for id in ["a", "b"] {
        let deep = store.get::<Deep>(id).await.unwrap();
        assert_eq!(deep.state().await.unwrap().total, 27);
        assert_eq!(store.read_events("ledger", id).await.unwrap().len(), 27);
    }
}
