//! What is printed is what the files hold.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::{call, journaled, jq, json as printed, shop, text};

/// Adds up what the journal's files say of each stream, without the code of the library.
fn streams(dir: &Path) -> Vec<Value> {
    let mut streams: BTreeMap<(String, String), (u64, u64, u64)> = BTreeMap::new();
    for (aggregate_type, id, event) in journaled(dir) {
        let ms = event["ms"].as_u64().unwrap();
        let stream = streams.entry((aggregate_type, id)).or_insert((0, ms, ms));
        stream.0 += 1;
        stream.2 = ms;
    }
    let file = |aggregate_type: &str, id: &str| {
        let path = dir
            .join("streams")
            .join(aggregate_type)
            .join(id)
            .join("app.jsonl");
        std::fs::metadata(path).unwrap().len()
    };
    let streams = streams.into_iter().map(|((aggregate_type, id), (events, _, _))| {
        json!({ "bytes": file(&aggregate_type, &id), "type": aggregate_type, "id": id, "events": events })
    });
    streams.collect()
}

/// Without the members `without`.
fn cut(values: Vec<Value>, without: &[&str]) -> Vec<Value> {
    let cut = values.into_iter().map(|mut value| {
        for member in without {
            value.as_object_mut().unwrap().remove(*member).unwrap();
        }
        value
    });
    cut.collect()
}

#[test]
fn ls_counts_what_the_files_hold_and_jq_agrees() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let listed = printed(dir.path(), &["ls"]);
    let versions = listed.iter().map(|stream| &stream["version"]);
    assert!(versions.eq(listed.iter().map(|stream| &stream["events"])));
    let listed = cut(listed, &["version", "first", "last"]);
    assert_eq!(listed, streams(dir.path()));
    let filter = "[.[] | .streams[] | {type, id, count}] | group_by(.id)
        | map({type: .[0].type, id: .[0].id, events: (map(.count) | add)})";
    if let Some(counted) = jq(dir.path(), filter) {
        assert_eq!(Value::from(cut(listed, &["bytes"])), counted);
    }
    let largest = printed(dir.path(), &["ls", "--sort", "events", "--limit", "2"]);
    assert!(largest.len() == 2 && largest[0]["events"].as_u64() >= largest[1]["events"].as_u64());
    let table = text(dir.path(), &["ls", "--type", "order"]);
    assert!(table.contains("TYPE") && table.contains("o-6") && table.contains("up to position 45"));
}

#[test]
fn stats_counts_by_name_and_day_and_jq_agrees() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let stats = printed(dir.path(), &["stats"]).pop().unwrap();
    let events = journaled(dir.path());
    assert_eq!(stats["events"], events.len());
    assert_eq!(
        (&stats["head"], &stats["closed"]),
        (&json!(45), &json!(true))
    );
    let mut names: BTreeMap<(String, String), u64> = BTreeMap::new();
    for (aggregate_type, _, event) in &events {
        let name = event["type"].as_str().unwrap().to_owned();
        *names.entry((aggregate_type.clone(), name)).or_default() += 1;
    }
    let names = names.into_iter().map(|((aggregate_type, event), events)| {
        json!({ "type": aggregate_type, "event": event, "events": events })
    });
    let by_name = cut(
        stats["events_by_name"].as_array().unwrap().clone(),
        &["bytes"],
    );
    assert_eq!(by_name, names.collect::<Vec<_>>());
    let filter = "[.[].events[].type] | group_by(.) | map({event: .[0], events: length})";
    if let Some(counted) = jq(dir.path(), filter) {
        assert_eq!(Value::from(cut(by_name, &["type"])), counted);
    }
    let days = stats["days"].as_array().unwrap();
    let per_day = days.iter().map(|day| day["events"].as_u64().unwrap());
    assert_eq!(per_day.sum::<u64>(), events.len() as u64);
    assert_eq!(days.last().unwrap()["total"], events.len());
    let filter = "[.[].events[].ms / 1000 | floor | todate[:10]] | group_by(.)
        | map({day: .[0], events: length})";
    if let Some(counted) = jq(dir.path(), filter) {
        assert_eq!(Value::from(cut(days.clone(), &["bytes", "total"])), counted);
    }
    let bytes = streams(dir.path())
        .iter()
        .map(|stream| stream["bytes"].as_u64().unwrap())
        .sum::<u64>();
    assert_eq!(stats["bytes"], bytes);
    let journal = std::fs::read_dir(dir.path().join("journal")).unwrap();
    let journal = journal
        .map(|entry| entry.unwrap().metadata().unwrap().len())
        .sum::<u64>();
    let disk = stats["disk"].as_array().unwrap();
    let part = disk.iter().find(|part| part["part"] == "journal").unwrap();
    assert_eq!(part["bytes"], journal);
    assert!(text(dir.path(), &["stats"]).contains("45 events in 7 streams"));
}

#[test]
fn log_prints_each_event_of_the_journal_and_its_filters_choose_as_jq_does() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let all = printed(dir.path(), &["log"]);
    let events = journaled(dir.path());
    assert_eq!(all.len(), events.len());
    for (line, (aggregate_type, id, event)) in all.iter().zip(&events) {
        assert_eq!(
            (&line["type"], &line["id"]),
            (&json!(aggregate_type), &json!(id))
        );
        for (printed, stored) in [
            ("position", "pos"),
            ("version", "version"),
            ("event", "type"),
            ("event_id", "id"),
            ("ms", "ms"),
            ("data", "data"),
            ("actor", "actor"),
            ("key", "key"),
            ("meta", "meta"),
            ("tags", "tags"),
        ] {
            assert_eq!(line[printed], event[stored], "{printed}");
        }
    }
    let positions = |args: &[&str]| -> Vec<Value> {
        let lines = printed(dir.path(), &[&["log"], args].concat());
        lines.iter().map(|line| line["position"].clone()).collect()
    };
    let chosen = |choose: &dyn Fn(&(String, String, Value)) -> bool| -> Vec<Value> {
        events
            .iter()
            .filter(|event| choose(event))
            .map(|event| event.2["pos"].clone())
            .collect()
    };
    let has_tag = |event: &Value, tag: &str| {
        event["tags"]
            .as_array()
            .is_some_and(|tags| tags.contains(&json!(tag)))
    };
    assert_eq!(
        positions(&["--event", "Shipped"]),
        chosen(&|event| event.2["type"] == "Shipped")
    );
    assert_eq!(
        positions(&["--id", "o-3"]),
        chosen(&|event| event.1 == "o-3")
    );
    assert_eq!(
        positions(&["--tag", "order:o-3"]),
        chosen(&|event| event.1 == "o-3")
    );
    let tagged = positions(&["--tag", "customer:c-1"]);
    assert_eq!(tagged, chosen(&|event| has_tag(&event.2, "customer:c-1")));
    assert!(!tagged.is_empty());
    if let Some(found) = jq(
        dir.path(),
        r#"[.[].events[] | select(.tags[]? == "customer:c-1") | .pos]"#,
    ) {
        assert_eq!(Value::from(tagged), found);
    }
    assert_eq!(
        positions(&["--from", "40"]),
        chosen(&|event| event.2["pos"].as_u64() > Some(40))
    );
    assert_eq!(positions(&["--last", "2"]), [json!(44), json!(45)]);
    assert_eq!(positions(&["--limit", "2"]), [json!(1), json!(2)]);
    assert_eq!(positions(&["--since", "1h"]).len(), 45);
    let last = &all[44]["committed"].as_str().unwrap();
    let since = positions(&["--since", last]);
    assert_eq!(since.last(), Some(&json!(45)));
    let times = all
        .iter()
        .filter(|line| line["committed"].as_str() >= Some(last));
    assert_eq!(since.len(), times.count());
    assert!(positions(&["--since", "2999-01-01"]).is_empty());
}

#[test]
fn search_show_and_event_find_what_the_files_hold() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let events = journaled(dir.path());
    let found = printed(dir.path(), &["search", r#""amount":250"#]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0]["data"]["amount"], 250);
    let by_value = printed(dir.path(), &["search", "--jsonpath", "$[?@ == 250]"]);
    assert_eq!(by_value, found);
    let by_text = printed(dir.path(), &["search", "c-2"]);
    let stored = events
        .iter()
        .filter(|event| event.2["data"].to_string().contains("c-2"));
    assert_eq!(by_text.len(), stored.count());
    let upper = printed(dir.path(), &["search", "-i", "C-2"]);
    assert_eq!(upper, by_text);
    let by_path = printed(dir.path(), &["search", "--jsonpath", "$.amount"]);
    assert_eq!(by_path.len(), 30);

    let shown = printed(dir.path(), &["show", "order", "o-3"]);
    let of_stream: Vec<&Value> = events
        .iter()
        .filter(|event| event.1 == "o-3")
        .map(|event| &event.2["data"])
        .collect();
    assert!(shown.iter().map(|line| &line["data"]).eq(of_stream));
    assert_eq!(
        printed(dir.path(), &["show", "order", "o-3", "--at", "2"]).len(),
        2
    );
    assert!(printed(dir.path(), &["show", "order", "o-3", "--at", "2000-01-01"]).is_empty());
    assert!(text(dir.path(), &["show", "order", "o-3"]).contains("\"amount\": 30"));

    let id = shown[0]["event_id"].as_str().unwrap();
    let position = shown[0]["position"].to_string();
    for place in [id, &position] {
        let mut event = printed(dir.path(), &["event", place]).remove(0);
        assert!(event.as_object_mut().unwrap().remove("committed").is_some());
        assert_eq!(event, shown[0]);
    }
    let all = text(dir.path(), &["event", id]);
    for part in [
        "order/o-3",
        "ann",
        "request-3",
        "key-3",
        "customer:c-0",
        "\"amount\": 30",
    ] {
        assert!(all.contains(part), "{part} is not in {all}");
    }
    assert_eq!(call(dir.path(), &["event", "46"]).code, 1);
}
