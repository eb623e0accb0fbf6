//! `export` and `import`.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::running::while_written;
use crate::{Called, call, command, journaled, jq_of, json as printed, shop, text};

/// Calls the command with `input` on its standard input.
fn call_with(dir: &Path, args: &[&str], input: &str) -> Called {
    let mut child = command(dir, args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // It may end before it has read everything.
    let writing = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let done = child.wait_with_output().unwrap();
    writing.join().unwrap();
    Called {
        code: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        errors: String::from_utf8(done.stderr).unwrap(),
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn an_export_has_what_the_journal_has_and_jq_counts_the_same() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let lines = text(dir.path(), &["export"]);
    let events = journaled(dir.path());
    assert_eq!(lines.lines().count(), events.len());
    for (line, (aggregate_type, id, event)) in lines.lines().zip(&events) {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            (&line["type"], &line["id"]),
            (&json!(aggregate_type), &json!(id))
        );
        for (member, stored) in [
            ("position", "pos"),
            ("version", "version"),
            ("event", "type"),
            ("event_id", "id"),
            ("ms", "ms"),
            ("data", "data"),
            ("actor", "actor"),
            ("key", "key"),
            ("command", "command"),
            ("meta", "meta"),
            ("tags", "tags"),
        ] {
            assert_eq!(line[member], event[stored], "{member}");
        }
    }
    let filter = "group_by(.event) | map({event: .[0].event, events: length})";
    if let Some(counted) = jq_of(&lines, filter) {
        let stats = printed(dir.path(), &["stats"]).pop().unwrap();
        let names = stats["events_by_name"].as_array().unwrap().iter();
        let names = names.map(|name| json!({ "event": name["event"], "events": name["events"] }));
        assert_eq!(Value::from(names.collect::<Vec<_>>()), counted);
    }
    let cloud = text(dir.path(), &["export", "--cloudevents"]);
    if let Some(ids) = jq_of(&cloud, "map(.id)") {
        let stored = events.iter().map(|(_, _, event)| event["id"].clone());
        assert_eq!(Value::from(stored.collect::<Vec<_>>()), ids);
    }
    let news = text(dir.path(), &["export", "--from", "40"]);
    assert!(lines.ends_with(&news) && news.lines().count() == events.len() - 40);
}

#[test]
fn an_export_through_a_pipe_or_a_file_becomes_the_same_store() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, other] = ["old", "new", "other"].map(|name| dir.path().join(name));
    shop::closed(&old);
    let lines = text(&old, &["export"]);
    let called = call_with(&new, &["import", "--json"], &lines);
    assert_eq!((called.code, called.errors.as_str()), (0, ""));
    let report: Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!(
        (&report["events"], &report["skipped"]),
        (&json!(45), &json!(0))
    );
    assert_eq!(
        (&report["position"], &report["positions_kept"]),
        (&json!(45), &json!(true))
    );
    assert_eq!(text(&new, &["export"]), lines);
    assert_eq!(printed(&new, &["verify"])[0]["clean"], true);

    let file = dir.path().join("events.jsonl");
    let report = printed(&old, &["export", "--cloudevents", path(&file)]).remove(0);
    assert_eq!(
        (&report["events"], &report["position"]),
        (&json!(45), &json!(45))
    );
    assert_eq!(
        std::fs::read_to_string(&file).unwrap(),
        text(&old, &["export", "--cloudevents"])
    );
    assert!(!dir.path().join("events.jsonl.part").exists());
    let said = text(&other, &["import", path(&file)]);
    assert!(
        said.contains("45 events in 45 commits were imported"),
        "{said}"
    );
    assert_eq!(text(&other, &["export"]), lines);
    let said = text(&other, &["import", path(&file)]);
    assert!(
        said.contains("0 events in 0 commits") && said.contains("45 were there"),
        "{said}"
    );
}

#[test]
fn an_export_beside_a_busy_store_has_whole_commits_up_to_its_position() {
    let dir = tempfile::tempdir().unwrap();
    let [data, copy] = ["data", "copy"].map(|name| dir.path().join(name));
    let file = dir.path().join("events.jsonl");
    let mut report = Value::Null;
    while_written(&data, || {
        report = printed(&data, &["export", path(&file)]).remove(0);
    });
    let lines = std::fs::read_to_string(&file).unwrap();
    assert_eq!(report["position"], lines.lines().count());
    assert!(text(&data, &["export"]).starts_with(&lines));
    text(&copy, &["import", path(&file), "--keep-positions"]);
    assert_eq!(text(&copy, &["export"]), lines);
}

#[test]
fn what_cannot_be_imported_is_named_by_its_line_and_its_code() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    shop::closed(&data);
    let before = text(&data, &["export"]);
    let line = |version: u64| {
        format!(
            r#"{{"eventfold":1,"type":"order","id":"o-1","version":{version},"event":"Shipped","event_id":"e","ms":1,"data":{{"number":9}}}}"#
        )
    };
    let half = &line(1)[..40];
    for (lines, args, code, said) in [
        (half, &[][..], 4, "line 1: EOF"),
        (
            &line(99),
            &[],
            2,
            "line 1: this is version 99 of stream order/o-1, which is at version",
        ),
        (
            &line(99).replace(":1,", ":2,"),
            &[],
            4,
            "a newer one wrote the line",
        ),
        ("", &["missing.jsonl"], 6, "cannot open missing.jsonl"),
        ("", &["--from-now", "a/b"], 2, "the name of process manager"),
    ] {
        let called = call_with(&data, &[&["import"], args].concat(), lines);
        assert_eq!(called.code, code, "{lines}: {}", called.errors);
        assert!(called.errors.contains(said), "{}", called.errors);
        assert!(called.out.is_empty());
    }
    assert_eq!(text(&data, &["export"]), before);

    let there = data.join("lock");
    for (args, code, said) in [
        (&["export", path(&there)][..], 2, "exists"),
        (&["export", "no-such-directory/x"], 6, "cannot create"),
        (
            &["export", "--from", "4000"],
            2,
            "is after the newest event",
        ),
    ] {
        let called = call(&data, args);
        assert_eq!(called.code, code, "{args:?}: {}", called.errors);
        assert!(called.errors.contains(said), "{}", called.errors);
    }
    let nowhere = dir.path().join("nowhere");
    assert_eq!(call(&nowhere, &["export"]).code, 3);
    assert!(!nowhere.exists());

    let runtime = shop::runtime();
    let store = runtime.block_on(shop::open(&data));
    let called = call_with(&data, &["import"], &before);
    assert_eq!(called.code, 5, "{}", called.errors);
    runtime.block_on(store.shutdown()).unwrap();
}

#[test]
fn process_managers_of_the_store_are_asked_about_and_begin_where_they_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new, other] = ["old", "new", "other"].map(|name| dir.path().join(name));
    shop::reacted(&old);
    let lines = text(&old, &["export", "--without-process-managers"]);
    let called = call_with(&old, &["import"], &lines);
    assert_eq!(called.code, 2);
    assert!(
        called.errors.contains("--let-process-managers-react"),
        "{}",
        called.errors
    );
    let called = call_with(&old, &["import", "--let-process-managers-react"], &lines);
    assert_eq!(called.code, 0, "{}", called.errors);
    let args = [
        "import",
        "--from-now",
        "reminders",
        "--react-again",
        "fulfilment",
    ];
    let called = call_with(&new, &args, &lines);
    assert_eq!(called.code, 0, "{}", called.errors);
    let args = [
        "import",
        "--from-now",
        "fulfilment",
        "--react-again",
        "reminders",
    ];
    assert_eq!(call_with(&other, &args, &lines).code, 0);
    let reacted = |dir: &Path| {
        // The order is there already, by its idempotency key.
        shop::reacted(dir);
        assert_eq!(text(dir, &["export", "--without-process-managers"]), lines);
        let letters = printed(dir, &["dead-letters"]).len();
        (letters, printed(dir, &["timers"]).len())
    };
    // The order was shipped. Nobody knows whether the courier was told.
    assert_eq!(reacted(&new), (1, 0));
    assert_eq!(reacted(&other), (0, 1));
}

#[test]
fn an_import_that_is_killed_again_and_again_is_whole_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let [old, new] = ["old", "new"].map(|name| dir.path().join(name));
    while_written(&old, || ());
    shop::runtime().block_on(async {
        let store = shop::open(&old).await;
        let order = store.get::<shop::Order>("o-1").await.unwrap();
        for i in 0..3_000 {
            order.send(shop::place("c-1", i)).await.unwrap();
        }
        store.shutdown().await.unwrap();
    });
    let lines = text(&old, &["export"]);
    let count = lines.lines().count();
    let mut before = 0;
    for part in 1..8 {
        let mut child = command(&new, &["import"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The input does not end, so it does not either.
        let begun: String = lines.split_inclusive('\n').take(count * part / 8).collect();
        stdin.write_all(begun.as_bytes()).unwrap();
        before = loop {
            let called = call(&new, &["export"]);
            let stored = called.out.lines().count();
            if called.code == 0 && stored > before {
                break stored;
            }
        };
        child.kill().unwrap();
        child.wait().unwrap();
        let left = text(&new, &["export"]);
        assert!(lines.starts_with(&left), "after {part} of 8");
        assert!(left.lines().count() < count);
    }
    assert_eq!(call_with(&new, &["import"], &lines).code, 0);
    assert_eq!(text(&new, &["export"]), lines);
    assert_eq!(printed(&new, &["verify"])[0]["clean"], true);
}

#[test]
fn a_reader_that_goes_away_ends_an_export_quietly() {
    let dir = tempfile::tempdir().unwrap();
    while_written(dir.path(), || ());
    shop::runtime().block_on(async {
        let store = shop::open(dir.path()).await;
        let order = store.get::<shop::Order>("o-1").await.unwrap();
        for i in 0..400 {
            order
                .send(shop::place(&"c".repeat(1_000), i))
                .await
                .unwrap();
        }
        store.shutdown().await.unwrap();
    });
    let mut child = command(dir.path(), &["export"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::with_capacity(100, child.stdout.take().unwrap());
    lines.read_line(&mut String::new()).unwrap();
    drop(lines);
    let done = child.wait_with_output().unwrap();
    assert_eq!(
        (done.status.code(), String::from_utf8(done.stderr).unwrap()),
        (Some(0), String::new())
    );
}
