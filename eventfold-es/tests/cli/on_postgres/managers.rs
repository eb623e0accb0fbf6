//! Process managers of stores that move into PostgreSQL, and back.

use std::path::Path;

use eventfold_es::prelude::*;
use eventfold_es::{AggregateStoreBuilder, CommandEnvelope, OnFailure, ProcessManager, Retry};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{events, moved, schema, url};
use crate::postgres::Server;
use crate::shop::{Order, Ship, context, place, runtime};
use crate::{call, json as printed, shop, text};

/// A store at the place, on which others may work.
fn builder(store: &Path) -> AggregateStoreBuilder {
    if store.to_str().unwrap().starts_with("postgres") {
        AggregateStore::postgres(url(store))
    } else {
        AggregateStore::builder(store)
    }
}

/// How many dead letters and timers there are.
fn waiting(store: &Path) -> (usize, usize) {
    let letters = printed(store, &["dead-letters"]).len();
    (letters, printed(store, &["timers"]).len())
}

#[test]
fn process_managers_go_on_where_they_were_in_postgres_and_back_in_a_directory() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    let store = schema(&server, "orders");
    shop::reacted(&old);
    let before = events(&old);
    assert_eq!(waiting(&old), (1, 1));
    for (from, to) in [(&old, &store), (&store, &new)] {
        let called = moved(from, to, &[]);
        assert_eq!(called.code, 0, "{}", called.errors);
        assert_eq!(waiting(to), (1, 1));
        let letter = |place| printed(place, &["dead-letters", "show", "fulfilment", "1"]);
        assert_eq!(letter(to), letter(from));
        // Nothing is sent again.
        shop::react(builder(to));
        assert_eq!((events(to), waiting(to)), (before.clone(), (1, 1)));
    }
    // They react to what is new, once.
    runtime().block_on(async {
        let store = shop::with_managers(builder(&new)).open().await.unwrap();
        let order = store.get::<Order>("o-2").await.unwrap();
        order.send(place("c-1", 7)).await.unwrap();
        store.run_process_managers().await.unwrap();
        assert_eq!(order.version().await.unwrap(), 2);
        store.shutdown().await.unwrap();
    });
    assert_eq!(waiting(&new), (2, 2));
}

/// Ships each order but those of the customer `nobody`, whom it does not understand. It counts what it saw.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Careful {
    seen: u64,
}

impl ProcessManager for Careful {
    const NAME: &'static str = "careful";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["order"]
    }

    fn react(&mut self, _: &str, id: &str, event: &eventfold::Event) -> Vec<CommandEnvelope> {
        assert_ne!(event.data["customer"], "nobody");
        self.seen += 1;
        if event.event_type != "Placed" {
            return Vec::new();
        }
        let command = serde_json::to_value(<Order as Aggregate>::Command::from(Ship)).unwrap();
        vec![CommandEnvelope {
            aggregate_type: "order".to_owned(),
            instance_id: id.to_owned(),
            command,
            context: CommandContext::default(),
        }]
    }
}

async fn careful(store: &Path) -> AggregateStore {
    let builder = builder(store).process_manager_with::<Careful>(OnFailure::Skip, Retry::none());
    builder.aggregate_type::<Order>().open().await.unwrap()
}

#[test]
fn a_checkpoint_that_is_older_than_the_events_sends_nothing_again_and_keeps_what_it_skipped() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let old = dir.path().join("old");
    let store = schema(&server, "orders");
    let runtime = runtime();
    let order = |store: AggregateStore, id: &'static str, customer: &'static str| async move {
        let order = store.get::<Order>(id).await.unwrap();
        order.send(place(customer, 1)).await.unwrap();
    };
    runtime.block_on(async {
        let store = careful(&old).await;
        order(store.clone(), "o-1", "ann").await;
        order(store.clone(), "o-2", "nobody").await;
        store.run_process_managers().await.unwrap();
        store.shutdown().await.unwrap();
    });
    // The records of now, as an export beside a program reads them just before the program goes on.
    let records = old.join("process_managers");
    let kept = dir.path().join("kept");
    copy(&records.join("careful"), &kept);
    runtime.block_on(async {
        let store = careful(&old).await;
        order(store.clone(), "o-3", "bob").await;
        store.run_process_managers().await.unwrap();
        // It has not reacted to this one.
        order(store.clone(), "o-4", "cid").await;
        store.shutdown().await.unwrap();
    });
    copy(&kept, &records.join("careful"));
    let called = moved(&old, &store, &[]);
    assert_eq!(called.code, 0, "{}", called.errors);
    let manager = &printed(&store, &["process-managers"])[0];
    assert_eq!(manager["skipped"][0]["position"], 2);
    runtime.block_on(async {
        let store = careful(&store).await;
        store.run_process_managers().await.unwrap();
        for (id, version) in [("o-1", 2), ("o-2", 1), ("o-3", 2), ("o-4", 2)] {
            let order = store.get::<Order>(id).await.unwrap();
            assert_eq!(order.version().await.unwrap(), version, "{id}");
        }
        assert_eq!(
            store.read_side().process_managers[0].follower.skipped_count,
            1
        );
        store.shutdown().await.unwrap();
    });
}

fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

#[test]
fn what_is_in_doubt_of_a_process_manager_is_refused_by_name_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    shop::reacted(&old);
    let file = |name: &str| old.join("process_managers/fulfilment").join(name);
    let checkpoint = file("journal_checkpoint.json");
    let right = std::fs::read_to_string(&checkpoint).unwrap();
    let letters = std::fs::read_to_string(file("dead_letters.jsonl")).unwrap();
    let changes = [
        (
            &checkpoint,
            &right,
            right.replace("\"position\":", "\"position\":9"),
            "checkpoint is damaged",
        ),
        (
            &file("dead_letters.jsonl"),
            &letters,
            letters.replace("courier", "curator"),
            "dead letters are damaged",
        ),
    ];
    for (path, content, changed, said) in changes {
        std::fs::write(path, changed).unwrap();
        let called = call(&old, &["export"]);
        assert_eq!(
            (called.code, called.out.as_str()),
            (2, ""),
            "{}",
            called.errors
        );
        for said in ["`fulfilment` cannot come along", said, "leave the records"] {
            assert!(called.errors.contains(said), "{}", called.errors);
        }
        assert!(!events(&old).is_empty());
        std::fs::write(path, content).unwrap();
    }
    assert_eq!(moved(&old, &new, &[]).code, 0);
    // One that has worked in the new store stays as it is.
    runtime().block_on(async {
        let store = shop::with_managers(AggregateStore::builder(&new))
            .open()
            .await
            .unwrap();
        let order = store.get::<Order>("o-1").await.unwrap();
        order.send_with(place("c-2", 6), context(2)).await.unwrap();
        store.run_process_managers().await.unwrap();
        store.shutdown().await.unwrap();
    });
    let lines = dir.path().join("lines.jsonl");
    text(&old, &["export", lines.to_str().unwrap()]);
    let called = call(&new, &["import", lines.to_str().unwrap()]);
    assert_eq!(called.code, 2, "{}", called.errors);
    assert!(
        called.errors.contains("has worked in this store"),
        "{}",
        called.errors
    );
    assert_eq!(waiting(&new), (2, 1));
    let args = [
        "import",
        lines.to_str().unwrap(),
        "--let-process-managers-react",
    ];
    assert_eq!(call(&new, &args).code, 0);
    assert_eq!(waiting(&new), (2, 1));
}

#[test]
fn a_second_export_of_what_came_since_brings_the_newer_records_of_process_managers() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    let lines = dir.path().join("lines.jsonl");
    let lines = lines.to_str().unwrap();
    shop::reacted(&old);
    let first = &printed(&old, &["export", lines])[0];
    assert_eq!(first["process_managers"], 2);
    assert_eq!(call(&new, &["import", lines]).code, 0);
    std::fs::remove_file(lines).unwrap();
    runtime().block_on(async {
        let store = shop::with_managers(AggregateStore::builder(&old))
            .open()
            .await
            .unwrap();
        let order = store.get::<Order>("o-2").await.unwrap();
        order.send(place("c-2", 6)).await.unwrap();
        store.run_process_managers().await.unwrap();
        store.shutdown().await.unwrap();
    });
    let from = first["position"].to_string();
    printed(&old, &["export", "--from", &from, lines]);
    let called = call(&new, &["import", lines, "--json"]);
    assert_eq!(called.code, 0, "{}", called.errors);
    assert_eq!((events(&new), waiting(&new)), (events(&old), (2, 2)));
    shop::reacted(&new);
    assert_eq!((events(&new), waiting(&new)), (events(&old), (2, 2)));
    assert_eq!(printed(&new, &["verify"])[0]["clean"], json!(true));
}
