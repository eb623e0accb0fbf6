//! Process managers of a store that events are imported into.

use super::*;
use crate::support::scripted::{clock, open_on_demand, passed, run, tell};

/// The lines of a store whose process manager let 1 and 2 pass, and has not reacted to 3.
async fn source() -> String {
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    for text in ["send g 1", "send g 2"] {
        tell(&store, text).await;
    }
    assert_eq!(run(&store).await, (2, 0));
    tell(&store, "send g 3").await;
    exported(&store, ExportForm::EventLines).await
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_word_about_them_nothing_is_imported_beside_process_managers() {
    let lines = source().await;
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    let error = import(&store, &lines).await.unwrap_err();
    assert!(
        matches!(error, ImportError::ProcessManagers(_)),
        "{error:?}"
    );
    assert!(error.to_string().contains("`scripted`"), "{error}");
    assert_eq!(store.head(), Position::default());
    // One that is registered may react at any moment.
    let from_now = store
        .import(Cursor::new(lines.clone()))
        .from_now("scripted");
    let error = from_now.await.unwrap_err();
    assert!(error.to_string().contains("opened without it"), "{error}");
    tell(&store, "send g 9").await;
    assert_eq!(run(&store).await, (1, 0));
    store.shutdown().await.unwrap();

    let store = open(&dir).await;
    let error = import(&store, &lines).await.unwrap_err();
    assert!(error.to_string().contains("`scripted`"), "{error}");
    let from_now = store.import(Cursor::new(lines)).from_now("scripted");
    let error = from_now.await.unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has reacted to events of this store"),
        "{error}"
    );
    let error = store.import(io_empty()).from_now("../x").await.unwrap_err();
    assert!(
        error.to_string().contains("the name of process manager"),
        "{error}"
    );
}

fn io_empty() -> std::io::Empty {
    std::io::empty()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_that_begins_from_now_reacts_to_later_events_only() {
    let lines = source().await;
    let dir = temp_dir();
    let store = open(&dir).await;
    store
        .import(Cursor::new(lines))
        .from_now("scripted")
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    for round in 0..2 {
        let store = open_on_demand(&dir, &clock()).await;
        assert_eq!(run(&store).await, (0, 0), "round {round}");
        tell(&store, &format!("send g {}", 70 + round)).await;
        assert_eq!(run(&store).await, (1, 0));
        store.shutdown().await.unwrap();
    }
    let store = open_on_demand(&dir, &clock()).await;
    assert_eq!(passed(&store, "g").await, [1, 2, 70, 71]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_that_reacts_again_sends_only_what_has_no_effect_among_the_events() {
    let lines = source().await;
    let dir = temp_dir();
    // Keys of commands name positions.
    let Some(path) = dir.on_disk() else { return };
    let store = open(path).await;
    store
        .import(Cursor::new(lines))
        .react_again("scripted")
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    let store = open_on_demand(path, &clock()).await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1, 2, 3]);
    tell(&store, "send g 4").await;
    run(&store).await;
    assert_eq!(passed(&store, "g").await, [1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn process_managers_that_may_react_take_imported_events_for_new_ones() {
    let lines = source().await;
    // Only what was told, not what came of it.
    let told = lines.lines().filter(|line| line.contains("\"ledger\""));
    let told = told.collect::<Vec<_>>().join("\n");
    let dir = temp_dir();
    let store = open_on_demand(&dir, &clock()).await;
    let import = store.import(Cursor::new(told)).let_process_managers_react();
    import.await.unwrap();
    assert_eq!(run(&store).await, (3, 0));
    assert_eq!(passed(&store, "g").await, [1, 2, 3]);
}
