//! Stores that move into PostgreSQL, and back.

use std::io::Write as _;
use std::process::Stdio;

use serde_json::Value;

use super::{events, moved, schema};
use crate::postgres::Server;
use crate::{call, command, json, shop, text};

#[test]
fn a_store_that_moves_into_postgres_and_back_has_the_same_events_at_the_same_positions() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    shop::full(&old);
    let store = schema(&server, "orders");
    let said: Value = serde_json::from_str(&moved(&old, &store, &[]).out).unwrap();
    assert_eq!(
        (&said["positions_kept"], &said["process_managers"]),
        (&true.into(), &2.into())
    );
    let compared = text(&old, &["compare", store.to_str().unwrap()]);
    assert!(compared.starts_with("the same "), "{compared}");
    assert_eq!(moved(&store, &new, &[]).code, 0);
    // Positions, versions, times, ids, keys, fingerprints, tags, metadata, payloads, commits.
    assert_eq!(events(&store), events(&old));
    assert_eq!(events(&new), events(&old));
    assert!(text(&store, &["verify"]).ends_with("nothing is wrong\n"));
    assert!(text(&new, &["verify"]).contains("nothing is wrong"));
    // Again: everything is there.
    let said: Value = serde_json::from_str(&moved(&old, &store, &[]).out).unwrap();
    let count = events(&old).lines().count();
    assert_eq!(
        (&said["events"], &said["skipped"]),
        (&0.into(), &count.into())
    );
    // What comes later differs.
    shop::runtime().block_on(async {
        let store = shop::open(&new).await;
        let order = store.get::<shop::Order>("o-3").await.unwrap();
        order.send(shop::Ship).await.unwrap();
        store.shutdown().await.unwrap();
    });
    let called = call(&store, &["compare", new.to_str().unwrap()]);
    assert_eq!(called.code, 1);
    assert!(called.out.contains("order/o-3: it has"), "{}", called.out);
}

#[test]
fn a_move_into_postgres_that_is_killed_is_whole_once_it_is_done_again() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    shop::runtime().block_on(async {
        let store = shop::open(dir.path()).await;
        let order = store.get::<shop::Order>("o-1").await.unwrap();
        for i in 0..1_500 {
            order.send(shop::place("c-1", i)).await.unwrap();
        }
        store.shutdown().await.unwrap();
    });
    shop::reacted(dir.path());
    let store = schema(&server, "orders");
    let lines = text(dir.path(), &["export"]);
    let count = lines.lines().count();
    let mut before = 0;
    for part in 1..4 {
        // The server may still believe in the session of a killed import for a moment.
        before = loop {
            let mut child = command(&store, &["import"])
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::inherit())
                .spawn()
                .unwrap();
            let mut stdin = child.stdin.take().unwrap();
            // The input does not end, so it does not either, unless it is refused.
            let begun: String = lines.split_inclusive('\n').take(count * part / 4).collect();
            let _ = stdin.write_all(begun.as_bytes());
            let stored = loop {
                let called = call(&store, &["export", "--without-process-managers"]);
                let stored = called.out.lines().count();
                if called.code == 0 && stored > before {
                    break Some(stored);
                }
                if child.try_wait().unwrap().is_some() {
                    break None;
                }
            };
            let _ = child.kill();
            child.wait().unwrap();
            if let Some(stored) = stored {
                break stored;
            }
        };
        assert!(json(&store, &["process-managers"]).is_empty());
    }
    let file = dir.path().join("lines.jsonl");
    std::fs::write(&file, &lines).unwrap();
    let called = call(&store, &["import", file.to_str().unwrap()]);
    assert_eq!((called.code, called.errors.as_str()), (0, ""));
    assert_eq!(events(&store), events(dir.path()));
    assert_eq!(json(&store, &["process-managers"]).len(), 2);
    assert!(text(&store, &["verify"]).ends_with("nothing is wrong\n"));
}

#[test]
fn lines_that_were_cut_off_or_changed_or_are_of_another_store_are_refused() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let [old, other] = ["old", "other"].map(|name| dir.path().join(name));
    shop::full(&old);
    shop::reacted(&other);
    let store = schema(&server, "orders");
    let import = |lines: &str| {
        let file = dir.path().join("lines.jsonl");
        std::fs::write(&file, lines).unwrap();
        call(&store, &["import", file.to_str().unwrap()])
    };
    let lines = text(&old, &["export"]);
    let cut: String = lines.split_inclusive('\n').take(20).collect();
    let called = import(&cut);
    assert_eq!(called.code, 2, "{}", called.errors);
    assert!(called.errors.contains("cut off"), "{}", called.errors);
    assert!(json(&store, &["process-managers"]).is_empty());
    let called = import(&lines.replace("\"customer\":\"c-1\"", "\"customer\":\"c-9\""));
    assert_eq!(called.code, 4, "{}", called.errors);
    assert!(
        called.errors.contains("payload is another"),
        "{}",
        called.errors
    );
    let called = import(&text(&other, &["export"]));
    assert_eq!(called.code, 2, "{}", called.errors);
    assert!(
        called.errors.contains("this event is at position 1"),
        "{}",
        called.errors
    );
    let called = import(&lines);
    assert_eq!(called.code, 0, "{}", called.errors);
    assert_eq!(events(&store), events(&old));
}
