//! Aggregates that nobody uses.

use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use crate::__private::example::{Add, Counter};
use crate::store::AggregateStore;

/// Waits until the store has slots for only so many aggregates.
async fn slots(store: &AggregateStore, expected: usize) {
    let start = Instant::now();
    while store.inner.registry.len() != expected {
        assert!(
            start.elapsed() < Duration::from_secs(60),
            "they never leave"
        );
        tokio::task::yield_now().await;
    }
}

async fn in_both(test: impl AsyncFn(AggregateStore)) {
    let dir = tempfile::tempdir().unwrap();
    test(AggregateStore::open(dir.path()).await.unwrap()).await;
    test(AggregateStore::in_memory().open().await.unwrap()).await;
}

#[tokio::test]
async fn aggregates_without_events_leave_nothing_in_memory() {
    in_both(async |store| {
        for i in 0..1_000 {
            let id = i.to_string();
            assert!(store.find::<Counter>(&id).await.unwrap().is_none());
            assert_eq!(store.inner.registry.len(), 0);
            let counter = store.get::<Counter>(&id).await.unwrap();
            if i % 2 == 0 {
                assert_eq!(counter.version().await.unwrap(), 0);
            }
            drop(counter);
            slots(&store, 0).await;
        }
        let watched = store.inner.passivator.waiting();
        assert!(watched <= 16, "{watched} are watched");
        assert!(store.inner.storage.streams_in_memory() <= 16);
    })
    .await;
}

#[tokio::test]
async fn an_aggregate_with_events_stays_in_memory_without_a_handle() {
    in_both(async |store| {
        store
            .get::<Counter>("a")
            .await
            .unwrap()
            .send(Add(1))
            .await
            .unwrap();
        let _empty = store.get::<Counter>("b").await.unwrap();
        drop(store.get::<Counter>("c").await.unwrap());
        slots(&store, 2).await;
    })
    .await;
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_idle_aggregates_and_they_leave_memory() {
    in_both(async |store| {
        let mut counters = Vec::new();
        for i in 0..100 {
            let counter = store.get::<Counter>(&i.to_string()).await.unwrap();
            counter.send(Add(1)).await.unwrap();
            if i % 2 == 0 {
                counters.push(counter);
            }
        }
        assert_eq!(store.inner.registry.len(), 100);
        // The runtime drives no other task meanwhile.
        let mut retire = Box::pin(store.inner.registry.retire());
        let mut context = Context::from_waker(Waker::noop());
        assert!(retire.as_mut().poll(&mut context).is_ready());
        drop(retire);
        store.shutdown().await.unwrap();
        assert!(counters.iter().all(|counter| !counter.is_alive()));
        slots(&store, counters.len()).await;
    })
    .await;
}

#[tokio::test]
async fn no_aggregate_enters_memory_after_the_shutdown_has_begun() {
    in_both(async |store| {
        let counter = store.get::<Counter>("a").await.unwrap();
        counter.send(Add(1)).await.unwrap();
        // As a call that looked just before the shutdown began.
        store.inner.registry.retire().await;
        let late = store.get::<Counter>("b").await.unwrap_err();
        assert_eq!(late.kind(), std::io::ErrorKind::NotConnected);
        store.shutdown().await.unwrap();
        let late = counter.send(Add(1)).await;
        assert!(matches!(late, Err(crate::ExecuteError::Closed)));
    })
    .await;
}

#[tokio::test]
async fn an_aggregate_that_took_part_in_a_group_and_got_no_event_leaves_nothing_in_memory() {
    in_both(async |store| {
        let one = store.get::<Counter>("one").await.unwrap();
        let two = store.get::<Counter>("two").await.unwrap();
        let group = store.together().send(&one, Add(1)).send(&two, Add(0));
        group.commit().await.unwrap_err();
        let group = store.together().send(&one, Add(1)).expecting(&two, 7);
        group.commit().await.unwrap_err();
        drop((one, two));
        slots(&store, 0).await;
    })
    .await;
}
