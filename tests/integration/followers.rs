//! What is fed outside of the store: each event once, in order, whatever fails in between.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use eventfold_es::{
    AggregateStore, Backoff, Batch, Follower, OnFailure, Position, ProblemKind, Projection, Reads,
    Running,
};
use serde::{Deserialize, Serialize};

use crate::support::{
    Ledger, LedgerCommand as Do, LedgerEvent, builder, eventually, in_time, temp_dir,
};

/// A place outside of the store, which several stores may feed one after the other.
#[derive(Debug, Default)]
struct Place {
    amounts: Vec<u64>,
    position: Position,
    /// The number of events of each batch.
    batches: Vec<usize>,
    asked: usize,
    /// It takes no batch with this amount.
    refuses: Option<u64>,
    /// It takes nothing.
    is_away: bool,
    /// It takes the next batch and loses the answer.
    loses_answer: bool,
    panics: bool,
}

#[derive(Clone, Default)]
struct Outside {
    place: Arc<Mutex<Place>>,
    batch_size: usize,
}

impl Outside {
    fn place(&self) -> MutexGuard<'_, Place> {
        self.place.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn amounts(&self) -> Vec<u64> {
        self.place().amounts.clone()
    }
}

impl Follower for Outside {
    const NAME: &'static str = "outside";
    type Error = Box<dyn std::error::Error + Send + Sync>;

    fn reads(&self) -> Reads {
        Reads::nothing().aggregate::<Ledger>()
    }

    fn batch_size(&self) -> usize {
        if self.batch_size == 0 {
            1_000
        } else {
            self.batch_size
        }
    }

    async fn position(&mut self) -> Result<Position, Self::Error> {
        // A follower may wait as tokio does.
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut place = self.place();
        place.asked += 1;
        Ok(place.position)
    }

    async fn apply(&mut self, batch: &Batch) -> Result<(), Self::Error> {
        tokio::time::sleep(Duration::from_millis(1)).await;
        let mut place = self.place();
        assert_eq!(batch.after(), place.position, "another position is kept");
        if place.is_away {
            return Err(io::Error::new(io::ErrorKind::ConnectionRefused, "nobody is there").into());
        }
        let mut added = Vec::new();
        for event in batch.events() {
            for decoded in event.decode::<Ledger>()? {
                let LedgerEvent::Added { amount } = decoded else {
                    continue;
                };
                if place.refuses == Some(amount) {
                    assert!(!place.panics, "the amount {amount} is too much");
                    return Err(format!("the amount {amount} is refused").into());
                }
                added.push(amount);
            }
        }
        place.amounts.extend(added);
        place.position = batch.position();
        place.batches.push(batch.events().len());
        if std::mem::take(&mut place.loses_answer) {
            return Err("the answer was lost".into());
        }
        Ok(())
    }
}

async fn add(store: &AggregateStore, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    let command = Do::AddAll(amounts.into_iter().collect());
    ledger.send(command).await.unwrap();
}

fn quick(attempts: u32) -> Backoff {
    Backoff::attempts(attempts)
        .first(Duration::from_millis(2))
        .longest(Duration::from_millis(5))
}

#[tokio::test]
async fn a_follower_gets_each_event_once_and_goes_on_where_it_was() {
    let (dir, outside) = (temp_dir(), Outside::default());
    for round in 0..3 {
        let store = builder(&dir).follower(outside.clone()).open().await;
        let store = store.unwrap();
        add(&store, "a", [3 * round, 3 * round + 1]).await;
        add(&store, "b", [3 * round + 2]).await;
        let wait = store.wait_for_follower::<Outside>(store.head());
        in_time("the follower", wait).await.unwrap();
        let status = &store.read_side().followers[0];
        assert_eq!((status.name, status.lag), ("outside", 0));
        assert_eq!(status.running, Running::OnDemand);
        assert_eq!(status.position, store.head());
        store.shutdown().await.unwrap();
    }
    assert_eq!(outside.amounts(), (0..9).collect::<Vec<_>>());
    let place = outside.place();
    assert_eq!(place.batches, [3, 3, 3]);
    // Once for each store.
    assert_eq!(place.asked, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_follower_of_a_live_store_is_fed_by_itself() {
    let (dir, outside) = (temp_dir(), Outside::default());
    let store = builder(&dir).follower(outside.clone()).live().open().await;
    let store = store.unwrap();
    for amount in 0..20 {
        add(&store, "a", [amount]).await;
    }
    eventually("everything is fed", || {
        store.read_side().followers[0].lag == 0
    })
    .await;
    assert_eq!(outside.amounts(), (0..20).collect::<Vec<_>>());
    assert_eq!(store.read_side().followers[0].running, Running::Live);
    let done = store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(20))
        .await
        .unwrap();
    store
        .wait_for_follower::<Outside>(done.position)
        .await
        .unwrap();
    assert_eq!(outside.amounts().last(), Some(&20));
    store.shutdown().await.unwrap();
    let closed = store.wait_for_follower::<Outside>(done.position).await;
    assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::NotConnected);
}

#[tokio::test]
async fn batches_have_as_many_events_as_the_follower_wants_and_end_with_a_commit() {
    let dir = temp_dir();
    let outside = Outside {
        batch_size: 4,
        ..Outside::default()
    };
    let store = builder(&dir).follower(outside.clone()).open().await;
    let store = store.unwrap();
    add(&store, "a", 0..3).await;
    add(&store, "a", 3..6).await;
    add(&store, "a", 6..7).await;
    store
        .wait_for_follower::<Outside>(store.head())
        .await
        .unwrap();
    assert_eq!(outside.place().batches, [6, 1]);
    assert_eq!(outside.amounts(), (0..7).collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_place_that_is_away_is_tried_again_until_it_is_there() {
    let (dir, outside) = (temp_dir(), Outside::default());
    outside.place().is_away = true;
    let store = builder(&dir)
        .follower_with(outside.clone(), OnFailure::Skip, quick(u32::MAX))
        .live()
        .open()
        .await
        .unwrap();
    add(&store, "a", 0..5).await;
    eventually("it fails", || store.read_side().followers[0].is_failing).await;
    let status = &store.read_side().followers[0];
    let error = status.last_error.as_deref().unwrap();
    assert!(error.contains("nobody is there"), "{error}");
    assert!(error.contains("`outside` at position"), "{error}");
    assert_eq!((status.running, status.lag), (Running::Live, 5));
    let problem = &store.health().problems[0];
    assert_eq!(
        (problem.kind, problem.follower),
        (ProblemKind::Failing, Some("outside"))
    );

    outside.place().is_away = false;
    let wait = store.wait_for_follower::<Outside>(store.head());
    in_time("the follower", wait).await.unwrap();
    assert_eq!(outside.amounts(), (0..5).collect::<Vec<_>>());
    assert_eq!(store.read_side().followers[0].skipped_count, 0);
}

#[tokio::test]
async fn on_demand_the_error_of_the_place_is_returned_and_the_next_call_goes_on() {
    let (dir, outside) = (temp_dir(), Outside::default());
    let store = builder(&dir).follower(outside.clone()).open().await;
    let store = store.unwrap();
    add(&store, "a", 0..3).await;
    outside.place().is_away = true;
    let failed = store.wait_for_follower::<Outside>(store.head()).await;
    let failed = failed.unwrap_err();
    assert_eq!(failed.kind(), io::ErrorKind::ConnectionRefused);
    assert!(failed.to_string().contains("nobody is there"), "{failed}");
    outside.place().is_away = false;
    store
        .wait_for_follower::<Outside>(store.head())
        .await
        .unwrap();
    assert_eq!(outside.amounts(), [0, 1, 2]);
}

#[tokio::test]
async fn a_batch_that_was_taken_although_it_failed_is_not_taken_again() {
    let (dir, outside) = (temp_dir(), Outside::default());
    let store = builder(&dir).follower(outside.clone()).open().await;
    let store = store.unwrap();
    add(&store, "a", 0..3).await;
    outside.place().loses_answer = true;
    // The position that is kept says that it was taken.
    store
        .wait_for_follower::<Outside>(store.head())
        .await
        .unwrap();
    assert_eq!(outside.amounts(), [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_is_refused_stops_the_follower_until_it_is_restarted() {
    let (dir, outside) = (temp_dir(), Outside::default());
    outside.place().refuses = Some(3);
    let store = builder(&dir)
        .follower_with(outside.clone(), OnFailure::Stop, quick(3))
        .live()
        .open()
        .await
        .unwrap();
    add(&store, "a", 0..6).await;
    let stopped = in_time("the stop", store.wait_for_follower::<Outside>(store.head())).await;
    let stopped = stopped.unwrap_err().to_string();
    assert!(
        stopped.contains("stream ledger/a, version 4")
            && stopped.contains("the amount 3 is refused"),
        "{stopped}"
    );
    // What came before it in the same commit is there.
    assert_eq!(outside.amounts(), [0, 1, 2]);
    let status = &store.read_side().followers[0];
    assert_eq!(status.running, Running::Stopped);
    assert!(status.lag >= 3, "{status:?}");
    assert_eq!(store.health().problems[0].kind, ProblemKind::Stopped);

    outside.place().refuses = None;
    store.restart_follower::<Outside>().await.unwrap();
    let wait = store.wait_for_follower::<Outside>(store.head());
    in_time("the follower", wait).await.unwrap();
    assert_eq!(outside.amounts(), (0..6).collect::<Vec<_>>());
    assert_eq!(store.read_side().followers[0].running, Running::Live);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_event_is_skipped_and_noted_if_the_follower_is_to_skip() {
    let (dir, outside) = (temp_dir(), Outside::default());
    outside.place().refuses = Some(3);
    let skipping = || builder(&dir).follower_with(outside.clone(), OnFailure::Skip, quick(2));
    let store = skipping().live().open().await.unwrap();
    add(&store, "a", 0..6).await;
    let wait = store.wait_for_follower::<Outside>(store.head());
    in_time("the follower", wait).await.unwrap();
    assert_eq!(outside.amounts(), [0, 1, 2, 4, 5]);
    let status = store.read_side().followers.remove(0);
    assert_eq!(status.skipped_count, 1);
    let skipped = &status.skipped[0];
    assert_eq!((&*skipped.event, &*skipped.id), ("Added", "a"));
    assert!(
        skipped.error.contains("the amount 3 is refused"),
        "{skipped:?}"
    );
    store.shutdown().await.unwrap();
    drop(store);

    // It stays skipped, also for a place that begins again.
    outside.place().refuses = None;
    *outside.place() = Place::default();
    let store = skipping().open().await.unwrap();
    assert_eq!(
        store.read_side().followers[0].skipped,
        std::slice::from_ref(skipped)
    );
    store
        .wait_for_follower::<Outside>(store.head())
        .await
        .unwrap();
    assert_eq!(outside.amounts(), [0, 1, 2, 4, 5]);
}

#[tokio::test]
async fn a_panic_of_a_follower_is_an_error_of_one_event() {
    let (dir, outside) = (temp_dir(), Outside::default());
    {
        let mut place = outside.place();
        (place.refuses, place.panics) = (Some(1), true);
    }
    let store = builder(&dir)
        .follower_with(outside.clone(), OnFailure::Skip, quick(1))
        .open()
        .await
        .unwrap();
    add(&store, "a", 0..3).await;
    store
        .wait_for_follower::<Outside>(store.head())
        .await
        .unwrap();
    assert_eq!(outside.amounts(), [0, 2]);
    let skipped = &store.read_side().followers[0].skipped[0];
    let told = "panicked: the amount 1 is too much";
    assert!(skipped.error.contains(told), "{skipped:?}");
}

#[tokio::test]
async fn a_follower_begins_where_it_wants_and_is_fed_again_from_where_it_is_put() {
    let (dir, outside) = (temp_dir(), Outside::default());
    let store = builder(&dir).follower(outside.clone()).open().await;
    let store = store.unwrap();
    add(&store, "a", 0..3).await;
    outside.place().position = store.head();
    add(&store, "a", 3..5).await;
    let wait = store.wait_for_follower::<Outside>(store.head());
    wait.await.unwrap();
    assert_eq!(outside.amounts(), [3, 4]);

    *outside.place() = Place::default();
    store.restart_follower::<Outside>().await.unwrap();
    let wait = store.wait_for_follower::<Outside>(store.head());
    wait.await.unwrap();
    assert_eq!(outside.amounts(), [0, 1, 2, 3, 4]);
}

#[tokio::test]
async fn a_position_ahead_of_the_store_is_refused() {
    let (dir, outside) = (temp_dir(), Outside::default());
    let store = builder(&dir).follower(outside.clone()).open().await;
    let store = store.unwrap();
    add(&store, "a", [1]).await;
    outside.place().position = "1000000".parse().unwrap();
    let refused = store.wait_for_follower::<Outside>(store.head()).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
    let told = "`outside` is at position 1000000, and the newest event at";
    assert!(refused.to_string().contains(told), "{refused}");
    assert!(outside.amounts().is_empty());
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct SameName;

impl Projection for SameName {
    const NAME: &'static str = "outside";

    fn subscriptions(&self) -> &'static [&'static str] {
        &[]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
}

#[tokio::test]
async fn names_are_unique_among_followers_and_projections() {
    let dir = temp_dir();
    let outside = Outside::default;
    for twice in [
        builder(&dir).follower(outside()).follower(outside()),
        builder(&dir).follower(outside()).projection::<SameName>(),
        builder(&dir).projection::<SameName>().follower(outside()),
    ] {
        let refused = twice.open().await.unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
        let told = "`outside` is registered twice";
        assert!(refused.to_string().contains(told), "{refused}");
    }
    let store = builder(&dir).open().await.unwrap();
    let missing = store.wait_for_follower::<Outside>(Position::default());
    let missing = missing.await.unwrap_err();
    assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    assert!(
        missing
            .to_string()
            .contains("`outside` is not registered: add `.follower(")
    );
}
