//! A store whose oldest events were dropped from the journal.

use std::time::Duration;

use eventfold_es::console;
use eventfold_es::{AggregateStore, inspect::StoreReader};
use eventfold_es_tests_console::{Account, app, deposits, open, page, write};

/// A store in `dir` whose journal has lost the events of `old`.
async fn made(dir: &std::path::Path) -> AggregateStore {
    let store = open(dir).await;
    deposits(&store, "old", &[1, 2]).await;
    for number in 0..4 {
        write(&store, "both", format!("{number}").repeat(400 * 1024)).await;
    }
    deposits(&store, "new", &[3]).await;
    store.run_process_managers().await.unwrap();
    store
        .projection::<eventfold_es_tests_console::Balances>()
        .unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let store = open(dir).await;
    let report = store.drop_old_journal(Duration::ZERO).await.unwrap();
    assert!(report.files > 0, "{report:?}");
    store
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_begins_where_the_journal_does_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let store = made(dir.path()).await;
    let beside = console::router_of_reader(StoreReader::open(dir.path()).unwrap());
    for console in [console::router(&store), beside] {
        let app = app(console.aggregate::<Account>());
        for path in ["/", "/aggregates"] {
            let answer = page(&app, path).await;
            assert!(
                answer.text.contains("were dropped from the journal"),
                "{path}: {}",
                answer.text
            );
        }
        for path in [
            "/log",
            "/model",
            "/read-side",
            "/aggregate?type=account&id=new",
        ] {
            page(&app, path).await;
        }
        let answer = page(&app, "/aggregates").await;
        assert!(
            answer.text.contains("id=new") && !answer.text.contains("id=old"),
            "{}",
            answer.text
        );
        let answer = page(&app, "/aggregate?type=account&id=both").await;
        let told = "its first events were dropped from the journal";
        assert!(answer.text.contains(told), "{}", answer.text);
    }
    store.shutdown().await.unwrap();
}
