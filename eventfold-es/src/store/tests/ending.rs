//! Aggregates that one of several stores ends or archives.

use crate::__private::example::{Add, Counter};
use crate::store::tests::conflicts::sharing;
use crate::{AggregateHandle, AggregateStore, ExecuteError, Version};

type Refused = ExecuteError<<Counter as crate::Aggregate>::Error>;

async fn two_stores() -> (AggregateStore, AggregateStore) {
    let builder = sharing();
    let (here, there) = (builder().open().await, builder().open().await);
    (here.unwrap(), there.unwrap())
}

async fn counter(store: &AggregateStore) -> AggregateHandle<Counter> {
    store.get("c-1").await.unwrap()
}

/// Adds, as often as another store is first: `Add` is not repeated by itself.
async fn add(counter: &AggregateHandle<Counter>, amount: u64) -> Result<(), Refused> {
    loop {
        match counter.send(Add(amount)).await {
            Err(ExecuteError::Conflict) => {}
            done => return done.map(drop),
        }
    }
}

#[cfg(all(feature = "postgres", unix))]
#[test]
fn aggregates_are_ended_on_postgres_as_on_one_memory() {
    super::conflicts::run_on_a_server("store::tests::ending::", 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_store_ends_or_archives_refuses_the_next_command_of_another() {
    let (here, there) = two_stores().await;
    let (ours, theirs) = (counter(&here).await, counter(&there).await);
    add(&ours, 1).await.unwrap();
    add(&theirs, 2).await.unwrap();
    here.archive::<Counter>("c-1").await.unwrap();
    let refused = add(&theirs, 3).await;
    assert!(matches!(refused, Err(ExecuteError::Archived { .. })));
    there.unarchive::<Counter>("c-1").await.unwrap();
    add(&ours, 4).await.unwrap();
    there.end::<Counter>("c-1", "over").await.unwrap();
    let refused = add(&ours, 5).await;
    assert!(matches!(refused, Err(ExecuteError::Ended { reason, .. }) if reason == "over"));
    assert_eq!(theirs.state().await.unwrap().value, 7);
    let seen = ours.lifecycle().await.unwrap();
    assert_eq!(seen, theirs.lifecycle().await.unwrap());
    assert_eq!(ours.version().await.unwrap(), Version::new(6));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_stores_that_end_an_aggregate_one_gives_the_reason() {
    for _ in 0..20 {
        let (here, there) = two_stores().await;
        counter(&here).await.send(Add(1)).await.unwrap();
        counter(&there).await.state().await.unwrap();
        let end = |store: AggregateStore, reason: &'static str| {
            tokio::spawn(async move { store.end::<Counter>("c-1", reason).await.unwrap() })
        };
        let (ours, theirs) = (end(here.clone(), "ours"), end(there, "theirs"));
        let (ours, theirs) = (ours.await.unwrap(), theirs.await.unwrap());
        assert_eq!(ours, theirs);
        assert_eq!(
            counter(&here).await.version().await.unwrap(),
            Version::new(2)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_event_of_any_store_comes_after_an_end() {
    let (here, there) = two_stores().await;
    counter(&here).await.send(Add(1)).await.unwrap();
    let adding = [&here, &there].map(|store| {
        let store = store.clone();
        tokio::spawn(async move {
            let counter = counter(&store).await;
            loop {
                match add(&counter, 1).await {
                    Ok(()) => {}
                    Err(ExecuteError::Ended { .. }) => return,
                    Err(error) => panic!("{error}"),
                }
            }
        })
    });
    for _ in 0..50 {
        add(&counter(&there).await, 1).await.unwrap();
    }
    while let Err(error) = here.end::<Counter>("c-1", "over").await {
        assert_eq!(error.kind(), std::io::ErrorKind::ResourceBusy, "{error}");
    }
    for task in adding {
        task.await.unwrap();
    }
    let events = here.read_events("counter", "c-1").await.unwrap();
    let ends = events
        .iter()
        .position(|event| event.event_type == "eventfold:ended");
    assert_eq!(ends, Some(events.len() - 1));
}
