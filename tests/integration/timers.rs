//! Timers of process managers: durable, exact, and taken back if need be.

use crate::support::scripted::{
    GateCommand, clock, command, open_live, open_on_demand, passed, run, seconds, tell,
};
use crate::support::{check, copy, eventually, temp_dir};

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_fires_when_it_is_due_and_not_before() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "later 60 a g 1").await;
    tell(&store, "once 61 g 2").await;
    tell(&store, "at 1000062000 b g 3").await;
    assert_eq!(run(&store).await, (0, 0));
    assert_eq!(store.read_side().process_managers[0].timers, 3);
    clock.advance(std::time::Duration::from_millis(59_999));
    assert_eq!(run(&store).await, (0, 0));
    for number in [1, 2, 3] {
        clock.advance(if number == 1 {
            std::time::Duration::from_millis(1)
        } else {
            seconds(1)
        });
        assert_eq!(run(&store).await, (1, 0), "{number}");
        assert_eq!(run(&store).await, (0, 0));
        assert_eq!(passed(&store, "g").await, (1..=number).collect::<Vec<_>>());
    }
    assert_eq!(store.read_side().process_managers[0].timers, 0);
    let event = store.read_events("gate", "g").await.unwrap().remove(0);
    assert_eq!(event.meta.unwrap()["correlation_id"], "r-1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_counts_from_the_time_of_its_event() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "later 60 a g 1").await;
    // It is reacted to half a minute later, which moves nothing.
    clock.advance(seconds(30));
    assert_eq!(run(&store).await, (0, 0));
    clock.advance(seconds(30));
    assert_eq!(run(&store).await, (1, 0));
    // One that was due before the event was reacted to is sent at once.
    tell(&store, "later 60 a g 2").await;
    clock.advance(seconds(60));
    assert_eq!(run(&store).await, (1, 0));
    tell(&store, "at 5 b g 3").await;
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "g").await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_set_before_a_restart_fires_after_it_once() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "later 60 a g 1").await;
    tell(&store, "once 90 g 2").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);

    let store = open_on_demand(&dir, &clock).await;
    assert_eq!(store.read_side().process_managers[0].timers, 2);
    assert_eq!(run(&store).await, (0, 0));
    store.shutdown().await.unwrap();
    drop(store);
    clock.advance(seconds(60));
    let killed = dir.on_disk().map(copy);
    // One of them became due while no store was open.
    for dir in [Some(dir), killed].into_iter().flatten() {
        let store = open_on_demand(&dir, &clock).await;
        assert_eq!(run(&store).await, (1, 0));
        assert_eq!(run(&store).await, (0, 0));
        assert_eq!(passed(&store, "g").await, [1]);
        store.shutdown().await.unwrap();
        check(&dir);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_timer_never_fires() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    for text in ["later 60 a g 1", "later 60 b g 2", "cancel a", "cancel c"] {
        tell(&store, text).await;
    }
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let store = open_on_demand(&dir, &clock).await;
    // It is due when its cancellation comes, which goes first.
    tell(&store, "cancel b").await;
    clock.advance(seconds(100));
    assert_eq!(run(&store).await, (0, 0));
    assert_eq!(store.read_side().process_managers[0].timers, 0);
    assert!(passed(&store, "g").await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_replaces_an_earlier_one_under_the_same_key() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    tell(&store, "later 60 a g 1").await;
    run(&store).await;
    tell(&store, "later 90 a g 2").await;
    run(&store).await;
    clock.advance(seconds(60));
    assert_eq!(run(&store).await, (0, 0));
    clock.advance(seconds(30));
    assert_eq!(run(&store).await, (1, 0));
    assert_eq!(passed(&store, "g").await, [2]);
    // The key is free again.
    tell(&store, "later 1 a g 3").await;
    clock.advance(seconds(1));
    assert_eq!(run(&store).await, (1, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_store_fires_timers_by_itself_once_they_are_due() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    tell(&store, "later 60 a g 1").await;
    run(&store).await;
    assert!(passed(&store, "g").await.is_empty());
    let before = store.head();
    clock.advance(seconds(60));
    eventually("the timer fires", || store.head() > before).await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1]);
    store.shutdown().await.unwrap();
    check(&dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_timer_whose_command_was_refused_is_not_retried() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_live(&dir, &clock).await;
    command(&store, "g", GateCommand::Shut).await;
    tell(&store, "at 5 a g 1").await;
    run(&store).await;
    // It was due, and was refused once.
    assert_eq!(store.read_side().process_managers[0].outgoing, 1);
    tell(&store, "cancel a").await;
    run(&store).await;
    assert_eq!(store.read_side().process_managers[0].outgoing, 0);
    command(&store, "g", GateCommand::Open).await;
    clock.advance(seconds(100));
    assert_eq!(run(&store).await, (0, 0));
    assert!(passed(&store, "g").await.is_empty());
    assert_eq!(store.read_side().process_managers[0].dead_letters, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn timers_fire_by_the_system_clock() {
    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .process_manager::<crate::support::scripted::Scripted>()
        .aggregate_type::<crate::support::scripted::Gate>()
        .live()
        .open()
        .await
        .unwrap();
    let now = std::time::SystemTime::now()
        .duration_since(std::time::SystemTime::UNIX_EPOCH)
        .unwrap();
    let due = now.as_millis() + 30;
    tell(&store, &format!("at {due} a g 1")).await;
    let told = store.head();
    eventually("the timer fires", || store.head() > told).await;
    let fired = store.read_events("gate", "g").await.unwrap().remove(0);
    assert!(u128::from(fired.ts) >= due / 1000);
}
