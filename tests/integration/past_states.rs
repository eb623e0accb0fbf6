//! What an aggregate or a projection was at a point of the past.

use std::io::{self, ErrorKind};
use std::time::{Duration, SystemTime};

use eventfold::Event;
use eventfold_es::{
    Aggregate, AggregateHandle, AggregateStore, At, DecodeError, InjectOptions, ManualClock,
    OnFailure, Past, Position, Projection, RecordedEvent, StateError, StoredEvent, UnknownEvents,
    Version,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerError, LedgerEvent, builder, check, eventually, open,
    poll_once, snapshot, stall, temp_dir,
};

async fn ledger(store: &AggregateStore, id: &str) -> AggregateHandle<Ledger> {
    store.get(id).await.unwrap()
}

async fn add(handle: &AggregateHandle<Ledger>, amounts: impl IntoIterator<Item = u64>) {
    let command = Do::AddAll(amounts.into_iter().collect());
    handle.send(command).await.unwrap();
}

fn version(version: u64) -> Version {
    Version::from(version)
}

/// All events that are stored, in order.
async fn stored(store: &AggregateStore) -> Vec<RecordedEvent> {
    let mut events = store.recent(usize::MAX).await.unwrap();
    events.reverse();
    events
}

fn kind(error: StateError) -> ErrorKind {
    io::Error::from(error).kind()
}

#[tokio::test]
async fn every_version_of_an_aggregate_can_be_read_with_its_position_and_its_time() {
    let dir = temp_dir();
    let store = builder(&dir).snapshot_every(4).open().await.unwrap();
    let (a, b) = (ledger(&store, "a").await, ledger(&store, "b").await);
    for amount in 0..7 {
        add(&a, [amount, amount + 1]).await;
        add(&b, [100]).await;
    }
    let events = stored(&store).await;
    let of_a: Vec<_> = events.iter().filter(|event| event.id() == "a").collect();
    let amounts: Vec<u64> = (0..7).flat_map(|amount| [amount, amount + 1]).collect();
    let before = a.load().await.unwrap();
    for number in 0..=amounts.len() {
        let past = a.at(version(number as u64)).await.unwrap();
        let amounts = amounts[..number].iter().copied();
        assert_eq!(past.state, Ledger::of(amounts), "version {number}");
        assert_eq!(past.version, number as u64);
        let newest = number.checked_sub(1).map(|last| of_a[last]);
        assert_eq!(
            past.position,
            newest.map_or_else(Position::default, RecordedEvent::position)
        );
        assert_eq!(past.time, newest.map(RecordedEvent::time));
    }
    assert_eq!(a.load().await.unwrap(), before);
    assert_eq!(stored(&store).await.len(), events.len());
    store.shutdown().await.unwrap();
    check(&dir);
}

#[tokio::test]
async fn at_a_position_within_a_commit_all_aggregates_are_as_before_that_commit() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = (ledger(&store, "a").await, ledger(&store, "b").await);
    add(&a, [1]).await;
    let group = store.together().send(&a, Do::AddAll(vec![2, 3]));
    group
        .send(&b, Do::AddAll(vec![4, 5]))
        .commit()
        .await
        .unwrap();
    add(&b, [6, 7]).await;
    let positions: Vec<Position> = stored(&store)
        .await
        .iter()
        .map(RecordedEvent::position)
        .collect();
    // After the event with this number, what a and b had.
    let expected: [(&[u64], &[u64]); 7] = [
        (&[1], &[]),
        (&[1], &[]),
        (&[1], &[]),
        (&[1], &[]),
        (&[1, 2, 3], &[4, 5]),
        (&[1, 2, 3], &[4, 5]),
        (&[1, 2, 3], &[4, 5, 6, 7]),
    ];
    assert_eq!(positions.len(), expected.len());
    for (position, (of_a, of_b)) in positions.into_iter().zip(expected) {
        let (of_a, of_b) = (of_a.iter().copied(), of_b.iter().copied());
        assert_eq!(
            a.at(position).await.unwrap().state,
            Ledger::of(of_a),
            "{position}"
        );
        assert_eq!(
            b.at(position).await.unwrap().state,
            Ledger::of(of_b),
            "{position}"
        );
    }
    let start = a.at(Position::default()).await.unwrap();
    assert_eq!(
        (start.version, start.state),
        (version(0), Ledger::default())
    );
}

#[tokio::test]
async fn a_position_that_no_event_has_is_that_of_the_commits_before_it() {
    // Only positions in memory have gaps, but each storage has positions of other streams.
    let dir = temp_dir();
    let store = open(&dir).await;
    let (a, b) = (ledger(&store, "a").await, ledger(&store, "b").await);
    for _ in 0..4 {
        add(&a, [1, 1]).await;
        add(&b, [1, 1, 1]).await;
    }
    let events = stored(&store).await;
    let head = store.head().to_string().parse::<u64>().unwrap();
    for number in 0..=head {
        let position: Position = number.to_string().parse().unwrap();
        let whole = |count: usize, id: &str| {
            let of_id = events
                .iter()
                .filter(|e| e.id() == id && e.position() <= position);
            (of_id.count() / count * count) as u64
        };
        let of_a = a.at(position).await.unwrap().state;
        assert_eq!(of_a.total, whole(2, "a"), "at {number}");
        let of_b = b.at(position).await.unwrap().state;
        assert_eq!(of_b.total, whole(3, "b"), "at {number}");
    }
}

#[tokio::test]
async fn a_time_gives_the_state_before_the_first_later_event() {
    let dir = temp_dir();
    let start = SystemTime::UNIX_EPOCH + Duration::from_millis(1_800_000_000_123);
    let clock = ManualClock::new(start);
    let store = builder(&dir).clock(clock.clone()).open().await.unwrap();
    let a = ledger(&store, "a").await;
    let second = Duration::from_secs(1);
    for amount in 1..=3 {
        add(&a, [amount, amount]).await;
        clock.advance(second);
    }
    let at = async |time: SystemTime| {
        let past = a.at(time).await.unwrap();
        (u64::from(past.version), past.time)
    };
    let millisecond = Duration::from_millis(1);
    assert_eq!(at(start - millisecond).await, (0, None));
    assert_eq!(at(start).await, (2, Some(start)));
    assert_eq!(at(start + second - millisecond).await, (2, Some(start)));
    assert_eq!(at(start + second).await, (4, Some(start + second)));
    assert_eq!(at(start + 9 * second).await, (6, Some(start + 2 * second)));

    // An event that happened elsewhere, before the others. It is here now, and not before.
    let mut late = Event::new("Added", json!({ "amount": 9 }));
    late.ts = 1_800_000_000;
    let options = InjectOptions::default();
    store
        .inject_event::<Ledger>("a", late, options)
        .await
        .unwrap();
    assert_eq!(at(start + second).await.0, 4);
    let seventh = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    assert_eq!(at(start + 9 * second).await, (7, Some(seventh)));
    assert_eq!(at(seventh).await, (0, None));
}

#[tokio::test]
async fn a_point_that_is_not_stored_yet_is_refused_and_the_error_says_what_is_there() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let a = ledger(&store, "a").await;
    add(&a, [1, 2]).await;
    let error = a.at(version(3)).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("stream ledger/a has no version 3 yet"),
        "{text}"
    );
    assert!(text.contains("it is at version 2"), "{text}");
    assert_eq!(kind(error), ErrorKind::InvalidInput);

    let error = a.at(version(u64::MAX)).await.unwrap_err();
    assert_eq!(kind(error), ErrorKind::InvalidInput);
    for ahead in ["1000", &u64::MAX.to_string()] {
        let ahead: Position = ahead.parse().unwrap();
        let error = a.at(ahead).await.unwrap_err();
        assert!(
            error.to_string().contains("is ahead of the newest event"),
            "{error}"
        );
        assert_eq!(kind(error), ErrorKind::InvalidInput);
    }
    // There is no event of the future, so it is the present.
    let future = SystemTime::now() + Duration::from_secs(3600);
    assert_eq!(a.at(future).await.unwrap().state, Ledger::of([1, 2]));
}

#[tokio::test]
async fn an_aggregate_that_does_not_exist_is_its_default_and_is_not_made() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&ledger(&store, "other").await, [1]).await;
    let a = ledger(&store, "a").await;
    let points = [
        At::Version(version(0)),
        store.head().into(),
        SystemTime::now().into(),
    ];
    for point in points {
        let past = a.at(point).await.unwrap();
        assert_eq!((past.state, past.version), (Ledger::default(), version(0)));
        assert_eq!((past.position, past.time), (Position::default(), None));
    }
    assert!(a.at(version(1)).await.is_err());
    assert!(store.find::<Ledger>("a").await.unwrap().is_none());
    assert_eq!(stored(&store).await.len(), 1);
}

/// A reader of ledgers that knows only one of the events.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sum<const REJECTS: bool>(u64);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum SumEvent {
    Added { amount: u64 },
}

impl<const REJECTS: bool> Aggregate for Sum<REJECTS> {
    const AGGREGATE_TYPE: &'static str = "ledger";
    const UNKNOWN_EVENTS: UnknownEvents = if REJECTS {
        UnknownEvents::Reject
    } else {
        UnknownEvents::Skip
    };
    type Command = u64;
    type DomainEvent = SumEvent;
    type Error = LedgerError;

    fn handle(&self, amount: u64) -> Result<Vec<SumEvent>, LedgerError> {
        Ok(vec![SumEvent::Added { amount }])
    }

    fn apply(self, event: &SumEvent) -> Self {
        let SumEvent::Added { amount } = event;
        assert_ne!(*amount, 13, "thirteen");
        Self(self.0 + amount)
    }
}

#[tokio::test]
async fn an_event_that_cannot_be_folded_matters_only_from_its_version_on() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let a = ledger(&store, "a").await;
    add(&a, [1, 2]).await;
    a.send(Do::Write("a note".to_owned())).await.unwrap();
    add(&a, [4]).await;
    add(&ledger(&store, "b").await, [1, 13]).await;
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let strict = store.get::<Sum<true>>("a").await.unwrap();
    assert_eq!(strict.at(version(2)).await.unwrap().state, Sum(3));
    for point in [
        At::Version(version(3)),
        version(4).into(),
        store.head().into(),
    ] {
        let error = strict.at(point).await.unwrap_err();
        let text = error.to_string();
        assert!(
            text.contains("stream ledger/a, version 3, event `Written`"),
            "{text}"
        );
        assert_eq!(kind(error), ErrorKind::InvalidData);
    }
    let panicking = store.get::<Sum<true>>("b").await.unwrap();
    assert_eq!(panicking.at(version(1)).await.unwrap().state, Sum(1));
    let error = panicking.at(version(2)).await.unwrap_err();
    assert!(error.to_string().contains("`evolve` panicked: "), "{error}");
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let lax = store.get::<Sum<false>>("a").await.unwrap();
    let Past { state, version, .. } = lax.at(store.head()).await.unwrap();
    assert_eq!((state, u64::from(version)), (Sum(7), 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_past_state_has_only_what_is_durable_and_waits_for_what_was_accepted_before() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let a = ledger(&store, "a").await;
    add(&a, [1]).await;
    let stalled = stall(&store).await;
    let mut second = Box::pin(add(&a, [2]));
    assert!(poll_once(&mut second).await.is_none());
    let mut past = Box::pin(a.at(version(2)));
    assert!(poll_once(&mut past).await.is_none());
    drop(stalled);
    second.await;
    assert_eq!(past.await.unwrap().state, Ledger::of([1, 2]));
}

#[tokio::test]
async fn a_store_that_is_shut_down_tells_no_past() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Amounts>().open().await.unwrap();
    let a = ledger(&store, "a").await;
    add(&a, [1]).await;
    store.shutdown().await.unwrap();
    let closed = a.at(version(1)).await.unwrap_err();
    assert!(matches!(closed, StateError::Closed), "{closed}");
    let closed = store
        .read_at::<Amounts>(Position::default())
        .await
        .unwrap_err();
    assert_eq!(closed.kind(), ErrorKind::NotConnected);
}

/// Tells how many events were folded since its snapshot.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Tally {
    count: u64,
    #[serde(skip)]
    folded: u64,
}

impl Aggregate for Tally {
    const AGGREGATE_TYPE: &'static str = "ledger";
    type Command = u64;
    type DomainEvent = LedgerEvent;
    type Error = LedgerError;

    fn handle(&self, amount: u64) -> Result<Vec<LedgerEvent>, LedgerError> {
        Ok(vec![LedgerEvent::Added { amount }])
    }

    fn apply(mut self, _: &LedgerEvent) -> Self {
        self.count += 1;
        self.folded += 1;
        self
    }
}

#[tokio::test]
async fn a_snapshot_is_used_only_if_it_has_no_event_after_the_point() {
    let dir = temp_dir();
    let store = builder(&dir).snapshot_every(5).open().await.unwrap();
    let a = store.get::<Tally>("a").await.unwrap();
    let mut positions = Vec::new();
    for amount in 0..8_u64 {
        positions.push(a.send(amount).await.unwrap().position);
    }
    let saved = || snapshot(dir.path(), "a").is_some_and(|saved| saved["version"] == 5);
    eventually("the snapshot is saved", saved).await;
    let time = a.at(version(8)).await.unwrap().time.unwrap();
    for (number, position) in positions.into_iter().enumerate() {
        let number = number as u64 + 1;
        let folded = if number < 5 { number } else { number - 5 };
        for point in [At::Version(version(number)), position.into()] {
            let past = a.at(point).await.unwrap();
            assert_eq!((past.state.count, past.state.folded), (number, folded));
            assert_eq!((u64::from(past.version), past.position), (number, position));
            assert!(past.time.is_some_and(|of_it| of_it <= time));
        }
    }
    // Which of a snapshot's events is the latest one is not known.
    assert_eq!(a.at(time).await.unwrap().state.folded, 8);
}

#[tokio::test]
async fn events_that_0_2_0_wrote_have_positions_and_times_in_the_past_too() {
    let dir = temp_dir();
    // The streams are entered in the order of time.
    let times = [("a", [10, 20, 30]), ("b", [15, 25, 35])];
    for (id, times) in times {
        let of_stream = dir.path().join("streams/ledger").join(id);
        std::fs::create_dir_all(&of_stream).unwrap();
        let line =
            |ts: u64| format!(r#"{{"type":"Added","data":{{"amount":{ts}}},"ts":{ts}}}"#) + "\n";
        let lines: String = times.map(line).concat();
        std::fs::write(of_stream.join("app.jsonl"), lines).unwrap();
    }
    let store = builder(&dir).snapshot_every(2).open().await.unwrap();
    let (a, b) = (ledger(&store, "a").await, ledger(&store, "b").await);
    for round in 0..3 {
        let events = stored(&store).await;
        for (handle, id) in [(&a, "a"), (&b, "b")] {
            let of_id: Vec<_> = events.iter().filter(|event| event.id() == id).collect();
            for event in &events {
                let seen = of_id
                    .iter()
                    .take_while(|e| e.position() <= event.position())
                    .count();
                let past = handle.at(event.position()).await.unwrap();
                assert_eq!(u64::from(past.version), seen as u64, "round {round}");
                assert_eq!(past.state.count, seen as u64);
            }
            for event in of_id {
                let past = handle.at(event.version()).await.unwrap();
                assert_eq!(past.position, event.position(), "round {round}");
                assert_eq!(past.time, Some(event.time()));
            }
        }
        // With events of this version after them, and later with a snapshot.
        add(&a, [1]).await;
        add(&b, [1]).await;
    }
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(25);
    assert_eq!(a.at(at).await.unwrap().state, Ledger::of([10, 20]));
    assert_eq!(b.at(at).await.unwrap().state, Ledger::of([15, 25]));
}

/// The amounts in the order in which they came. It cannot take 13, and panics on 7.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Amounts(Vec<u64>);

impl Projection for Amounts {
    const NAME: &'static str = "amounts";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &Event) {
        self.0.extend(event.data["amount"].as_u64());
        assert_ne!(event.data["amount"], 7, "seven");
    }

    fn apply_stored(&mut self, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
        if stored.data() == r#"{"amount":13}"# {
            return Err(stored.unknown());
        }
        let event = stored.to_eventfold().unwrap();
        self.apply("", "", &event);
        Ok(())
    }
}

#[tokio::test]
async fn a_projection_is_told_as_it_was_at_every_position_with_and_without_a_checkpoint() {
    let dir = temp_dir();
    for round in 0..3 {
        let store = builder(&dir).projection::<Amounts>().open().await.unwrap();
        let (a, b) = (ledger(&store, "a").await, ledger(&store, "b").await);
        add(&a, [1]).await;
        let group = store.together().send(&a, Do::AddAll(vec![2, 3]));
        group.send(&b, Do::Add(4)).commit().await.unwrap();
        // The events that each commit ends with.
        let events = stored(&store).await;
        let ends: Vec<usize> = (0..=round)
            .flat_map(|round| [4 * round + 1, 4 * round + 4])
            .collect();
        for (number, event) in events.iter().enumerate() {
            let whole = ends.iter().copied().filter(|end| *end <= number + 1).max();
            let whole = whole.unwrap_or(0);
            let past = store.read_at::<Amounts>(event.position()).await.unwrap();
            let amounts = [1, 2, 3, 4].into_iter().cycle().take(whole).collect();
            assert_eq!(past.state, Amounts(amounts), "at {number} in round {round}");
            let newest = &events[whole - 1];
            assert_eq!(
                (past.position, past.time),
                (newest.position(), Some(newest.time()))
            );
        }
        let start = store.read_at::<Amounts>(Position::default()).await.unwrap();
        assert_eq!(
            (start.state, start.position),
            (Amounts::default(), Position::default())
        );
        assert_eq!(start.time, None);
        let ahead = "100000".parse().unwrap();
        let error = store.read_at::<Amounts>(ahead).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        // The projection is saved with what it has, so the next round has a checkpoint.
        assert_eq!(store.projection::<Amounts>().unwrap().0.len(), events.len());
        store.shutdown().await.unwrap();
    }
    let store = open(&dir).await;
    let error = store.read_at::<Amounts>(store.head()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_projection_that_stopped_is_told_as_it_was_before_the_event_that_stopped_it() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Amounts>().open().await.unwrap();
    let a = ledger(&store, "a").await;
    add(&a, [1]).await;
    let before = store.head();
    add(&a, [13]).await;
    let error = store.projection::<Amounts>().unwrap_err();
    let past = store.read_at::<Amounts>(before).await.unwrap();
    assert_eq!(past.state, Amounts(vec![1]));
    let again = store.read_at::<Amounts>(store.head()).await.unwrap_err();
    assert_eq!(
        (again.kind(), again.to_string()),
        (error.kind(), error.to_string())
    );
}

#[tokio::test]
async fn events_that_a_projection_skips_are_left_out_of_its_past() {
    let dir = temp_dir();
    let open = async || {
        let builder = builder(&dir).projection_with::<Amounts>(OnFailure::Skip);
        builder.open().await.unwrap()
    };
    let store = open().await;
    let a = ledger(&store, "a").await;
    for amounts in [[1, 13], [2, 7], [3, 13]] {
        add(&a, amounts).await;
    }
    let head = store.head();
    // Before the projection has met them, and after.
    for _ in 0..2 {
        let past = store.read_at::<Amounts>(head).await.unwrap();
        assert_eq!(past.state, Amounts(vec![1, 2, 3]));
        assert_eq!(past.position, head);
        assert_eq!(store.projection::<Amounts>().unwrap(), past.state);
    }
    add(&a, [4, 13]).await;
    let skipped = store.read_side().projections[0].skipped_count;
    assert_eq!(
        store
            .read_at::<Amounts>(store.head())
            .await
            .unwrap()
            .state
            .0,
        [1, 2, 3, 4]
    );
    // Nothing of it was recorded.
    assert_eq!(
        (skipped, store.read_side().projections[0].skipped_count),
        (3, 3)
    );
}
