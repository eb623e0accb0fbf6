//! Copies that follow a store.

use super::*;

/// `EVENTFOLD_SECONDS=30 cargo test -p eventfold-es-tests a_copy_keeps_up` also holds it to a second.
#[tokio::test(flavor = "multi_thread")]
async fn a_copy_keeps_up_with_sixty_four_clients_and_has_all_events_when_it_is_promoted() {
    let (dir, copy) = (temp_dir(), temp_dir());
    let clock = clock();
    let store = scripted(dir.path(), &clock, OnFailure::Stop)
        .live()
        .open()
        .await
        .unwrap();
    add(&store, "a", [1]).await;
    let mut follow = AggregateStore::follow(dir.path(), copy.path())
        .await
        .unwrap();
    let written = store.clone();
    let clients = Clients::start(64, move |client, number| {
        let store = written.clone();
        async move {
            if tells(number) {
                tell(&store, &format!("send g-{} {number}", number % 5)).await;
            } else {
                add(&store, &format!("l-{client}"), [number]).await;
            }
        }
    });
    let (start, mut behind) = (Instant::now(), Duration::ZERO);
    while start.elapsed() < how_long() * 2 {
        // Whatever is durable now is in the copy a second later.
        let (head, since) = (store.head(), Instant::now());
        while follow.followed().position < head {
            follow.next().await.unwrap();
        }
        behind = behind.max(since.elapsed());
    }
    println!("at most {behind:?} behind");
    assert!(
        behind < Duration::from_secs(1) || cfg!(debug_assertions),
        "{behind:?}"
    );
    clients.end().await;
    let answered = store.head();
    let _ = store.layout();
    while follow.followed().position < answered {
        follow.next().await.unwrap();
    }
    drop(follow);
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    check(copy.path()).await;

    let promoted = open_on_demand(copy.path(), &clock).await;
    run(&promoted).await;
    let mut all = Vec::new();
    for gate in 0..5 {
        all.extend(passed(&promoted, &format!("g-{gate}")).await);
    }
    promoted.shutdown().await.unwrap();
    drop(promoted);
    check(copy.path()).await;
    let prefix = commits(copy.path(), number(answered));
    assert_eq!(prefix, commits(dir.path(), number(answered)));
    let told: BTreeSet<u64> = prefix.iter().flat_map(told).collect();
    assert_eq!(all.len(), told.len());
    assert_eq!(all.into_iter().collect::<BTreeSet<_>>(), told);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_goes_on_over_many_segments_and_after_an_interruption() {
    let (dir, copy) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1]).await;
    for _ in 0..3 {
        let mut follow = AggregateStore::follow(dir.path(), copy.path())
            .await
            .unwrap();
        for _ in 0..5 {
            fill(&store, "a", 512).await;
            add(&store, "b", [1]).await;
            while follow.followed().position < store.head() {
                let _ = store.layout();
                follow.next().await.unwrap();
            }
        }
        let busy = AggregateStore::follow(dir.path(), copy.path()).await;
        assert_eq!(busy.unwrap_err().kind(), io::ErrorKind::ResourceBusy);
        drop(follow);
        check(copy.path()).await;
        let restored = restore(copy.path(), number(store.head())).await;
        assert_eq!(
            commits(restored.path(), u64::MAX),
            commits(dir.path(), u64::MAX)
        );
    }
    assert!(segments(copy.path()).len() > 4);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_of_another_timeline_is_not_followed() {
    let (dir, copy) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    store.shutdown().await.unwrap();
    drop(store);
    let follow = AggregateStore::follow(dir.path(), copy.path())
        .await
        .unwrap();
    assert_eq!(number(follow.followed().position), 2);
    drop(follow);
    let restored = restore(copy.path(), 1).await;
    for from in [restored.path(), copy.path()] {
        let error = AggregateStore::follow(from, copy.path()).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    }
    let promoted = open(&copy).await;
    add(&promoted, "a", [3]).await;
    promoted.shutdown().await.unwrap();
    drop(promoted);
    let error = AggregateStore::follow(dir.path(), copy.path())
        .await
        .unwrap_err();
    assert!(error.to_string().contains("has a store"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_answers_of_a_killed_store_that_its_copy_lacks_are_those_of_its_last_batch() {
    let (dir, copy) = (temp_dir(), temp_dir());
    let store = open(&dir).await;
    add(&store, "a", 1..20).await;
    // The last line in the journal, and not in its stream's file: nothing proves that it is durable.
    let killed = crate::support::copy(dir.path());
    let stream = crate::support::stream_file(killed.path(), "a");
    crate::support::files::edit(&stream, |bytes| {
        let end = bytes[..bytes.len() - 1]
            .iter()
            .rposition(|byte| *byte == b'\n');
        bytes.truncate(end.unwrap() + 1);
    });
    let follow = AggregateStore::follow(killed.path(), copy.path())
        .await
        .unwrap();
    let lacking = 19 - number(follow.followed().position);
    println!("{lacking} of 19 answers are not in the copy");
    assert_eq!(lacking, 1);
    drop(follow);
    // Opened again, the store has the answer, and so has the copy.
    let reopened = open(&killed).await;
    assert_eq!(number(reopened.head()), 19);
    let mut follow = AggregateStore::follow(killed.path(), copy.path())
        .await
        .unwrap();
    while number(follow.followed().position) < 19 {
        follow.next().await.unwrap();
    }
    reopened.shutdown().await.unwrap();
    store.shutdown().await.unwrap();
}
