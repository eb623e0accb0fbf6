//! Many aggregates and many events.

use std::time::Instant;

use eventfold_es::console;
use eventfold_es::prelude::*;
use eventfold_es_tests_console::{Account, Write, app, in_memory, page};

/// Writes a note of each of the accounts with these numbers, 100 in one commit.
async fn fill(store: &AggregateStore, count: usize) {
    for first in (0..count).step_by(100) {
        let mut together = store.together();
        let mut accounts = Vec::new();
        for number in first..(first + 100).min(count) {
            accounts.push(
                store
                    .get::<Account>(&format!("n-{number:06}"))
                    .await
                    .unwrap(),
            );
        }
        for account in &accounts {
            let note = "x".to_owned();
            together = together.send(account, Write { note });
        }
        together.commit().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_100_000_aggregates_are_small_and_soon_there() {
    let store = in_memory().await;
    fill(&store, 100_000).await;
    let app = app(console::router(&store).aggregate::<Account>());
    // The first look may come before everything was read, and says so.
    while page(&app, "/aggregates")
        .await
        .text
        .contains("Still reading")
    {}
    for path in [
        "/",
        "/aggregates",
        "/aggregates?sort=name&from=99900",
        "/aggregates?id=n-077777",
        "/aggregate?type=account&id=n-000000",
        "/log?id=n-099999",
        "/model",
    ] {
        let start = Instant::now();
        let answer = page(&app, path).await;
        let took = start.elapsed();
        assert!(
            answer.text.len() < 128 * 1024,
            "{path}: {}",
            answer.text.len()
        );
        // Without optimisation; a release build needs a few milliseconds.
        assert!(took.as_secs() < 20, "{path} took {took:?}");
        println!("{path}: {took:?}, {} bytes", answer.text.len());
    }
    let shown = page(&app, "/aggregates?sort=name&from=99950").await;
    assert!(shown.text.contains("100,000 aggregates") && shown.text.contains("n-099999"));
    assert!(
        page(&app, "/aggregates?id=n-077777")
            .await
            .text
            .contains("1 aggregate<")
    );
}

#[tokio::test]
async fn aggregates_beyond_the_limit_are_not_listed_and_still_shown() {
    let store = in_memory().await;
    fill(&store, 30).await;
    let app = app(console::router(&store).most_aggregates(10));
    let listed = page(&app, "/aggregates").await;
    assert!(
        listed.text.contains("Not all aggregates are listed"),
        "{}",
        listed.text
    );
    assert!(!listed.text.contains("n-000020"));
    let beyond = page(&app, "/aggregate?type=account&id=n-000020").await;
    assert_eq!(beyond.text.matches("<tr data-position").count(), 1);
}
