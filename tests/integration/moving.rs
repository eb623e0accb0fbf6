//! Exports, and imports of their lines.

use std::io::Cursor;

use eventfold_es::{
    AggregateStore, CommandContext, ExportForm, ImportError, ImportReport, NewEvent, Position,
    Query,
};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::support::{Ledger, LedgerCommand as Do, TempDir, open, temp_dir};

mod at_work;
mod bad_lines;
mod managers;
mod mapped;
mod resumed;

const FORMS: [ExportForm; 2] = [ExportForm::EventLines, ExportForm::CloudEvents];

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

fn at(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

/// The lines of an export of all events.
async fn exported(store: &AggregateStore, form: ExportForm) -> String {
    let export = store.export().form(form).without_process_managers();
    let (lines, report) = export.write_to(Vec::new()).await.unwrap();
    let lines = String::from_utf8(lines).unwrap();
    assert_eq!(lines.lines().count() as u64, report.events);
    assert_eq!(report.position, store.head());
    lines
}

async fn import(store: &AggregateStore, lines: &str) -> Result<ImportReport, ImportError> {
    store.import(Cursor::new(lines.to_owned())).await
}

fn json_lines(lines: &str) -> Vec<Value> {
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

async fn add(store: &AggregateStore, id: &str, amounts: impl IntoIterator<Item = u64>) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    for amount in amounts {
        ledger.send(Do::Add(amount)).await.unwrap();
    }
}

async fn state(store: &AggregateStore, id: &str) -> Ledger {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.state().await.unwrap()
}

/// A store with events of every kind, and its export.
async fn filled() -> (TempDir, AggregateStore, String) {
    let dir = temp_dir();
    let store = open(&dir).await;
    fill(&store).await;
    let lines = exported(&store, ExportForm::EventLines).await;
    (dir, store, lines)
}

/// Stores events of every kind: of one stream, of several, of none, several at once, with everything that
/// can be recorded.
async fn fill(store: &AggregateStore) {
    let odd = "\u{e9}/\"x\" \u{1}\u{9f}";
    for (i, id) in ["a", odd, "b"].into_iter().enumerate() {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        let context = CommandContext::default()
            .with_actor("ann \"\u{e9}\"\n")
            .with_correlation_id("r-1")
            .with_metadata(json!({ "ip": "::1", "n": [1, 2.5e300, null] }))
            .with_idempotency_key(format!("key {i} \"\\\u{1f600}"));
        ledger
            .send_with(Do::AddAll(vec![1, 2, 3]), context)
            .await
            .unwrap();
        let text = "line\nbreak \u{0} \u{2028} </script> \u{1f600}";
        ledger.send(Do::Write(text.to_owned())).await.unwrap();
    }
    // Numbers and spaces that no decoder would give back.
    let raw = r#"{ "a" : 1.0e+2 , "big":123456789012345678901234567890, "a":[ ] ,"e":"\u00e9"}"#;
    let raw: Box<RawValue> = serde_json::from_str(raw).unwrap();
    let events = [
        NewEvent::new("Raw", &raw)
            .unwrap()
            .with_tag("course:c \"1\"".parse().unwrap())
            .with_tag("b".parse().unwrap())
            .with_id("id \"1\""),
        NewEvent::new("Nothing \"é\"", &())
            .unwrap()
            .with_actor("bob"),
    ];
    store.append(events, None).await.unwrap();
    let (a, b) = (
        store.get::<Ledger>("a").await.unwrap(),
        store.get::<Ledger>("b").await.unwrap(),
    );
    let together = store.together().send(&a, Do::AddAll(vec![7, 8]));
    let context = CommandContext::default().with_idempotency_key("both");
    together
        .send(&b, Do::Add(9))
        .commit_with(context)
        .await
        .unwrap();
    add(store, "a", [10]).await;
}

/// Everything that a reader sees of the events but their positions.
async fn events(store: &AggregateStore) -> Vec<String> {
    let found = store.query(Query::all()).read().await.unwrap();
    let shown = |event: eventfold_es::RecordedEvent| {
        let text = format!("{event:?}");
        let (start, rest) = text.split_once("position: ").unwrap();
        let (_, end) = rest.split_once(',').unwrap();
        format!("{start}{end}")
    };
    found.events.into_iter().map(shown).collect()
}

#[tokio::test]
async fn an_export_imported_into_an_empty_store_is_exported_as_the_same_bytes_in_both_forms() {
    let dir = temp_dir();
    let store = open(&dir).await;
    fill(&store).await;
    for form in FORMS {
        let lines = exported(&store, form).await;
        let to = temp_dir();
        let other = open(&to).await;
        let report = import(&other, &lines).await.unwrap();
        assert_eq!(report.events, lines.lines().count() as u64);
        assert_eq!((report.skipped, report.dropped), (0, 0));
        assert_eq!(report.position, other.head());
        assert!(report.positions_kept);
        for again in FORMS {
            assert_eq!(exported(&other, again).await, exported(&store, again).await);
        }
        assert_eq!(events(&other).await, events(&store).await);
        for id in ["a", "b"] {
            assert_eq!(state(&other, id).await, state(&store, id).await);
        }
        other.shutdown().await.unwrap();

        // Nothing depends on what was in memory.
        let other = open(&to).await;
        assert_eq!(exported(&other, form).await, lines);
        add(&other, "a", [11]).await;
    }
}

#[tokio::test]
async fn a_line_says_what_was_stored_with_the_payload_byte_for_byte_and_the_commits_as_they_were() {
    let (_dir, _store, lines) = filled().await;
    let raw =
        r#""data":{ "a" : 1.0e+2 , "big":123456789012345678901234567890, "a":[ ] ,"e":"\u00e9"}}"#;
    assert!(lines.contains(raw), "{lines}");
    let json = json_lines(&lines);
    let commits: Vec<_> = json.iter().map(|line| line["commit"].clone()).collect();
    let three = [json!([1, 3]), json!([2, 3]), json!([3, 3]), Value::Null];
    let expected = [
        &three[..],
        &three,
        &three,
        &[json!([1, 2]), json!([2, 2])],
        &three,
    ]
    .concat();
    assert_eq!(commits, expected);
    let first = &json[0];
    assert_eq!(
        (&first["eventfold"], &first["type"], &first["id"]),
        (&json!(1), &json!("ledger"), &json!("a"))
    );
    assert_eq!(
        (&first["version"], &first["event"]),
        (&json!(1), &json!("Added"))
    );
    assert_eq!(first["actor"], "ann \"é\"\n");
    assert_eq!(first["key"], "key 0 \"\\\u{1f600}");
    assert_eq!(first["meta"]["correlation_id"], "r-1");
    let of_none = &json[12];
    assert_eq!(of_none["tags"], json!(["b", "course:c \"1\""]));
    assert!(of_none.get("type").is_none() && of_none.get("version").is_none());
}

#[tokio::test]
async fn a_line_of_cloudevents_has_what_the_specification_asks_for() {
    let dir = temp_dir();
    let store = open(&dir).await;
    fill(&store).await;
    for line in json_lines(&exported(&store, ExportForm::CloudEvents).await) {
        let line = line.as_object().unwrap();
        assert_eq!(line["specversion"], "1.0");
        for required in ["id", "source", "type"] {
            assert!(!line[required].as_str().unwrap().is_empty(), "{line:?}");
        }
        for (name, value) in line {
            let is_lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
            assert!(name.len() <= 20 && name.chars().all(is_lower), "{name}");
            let is_small =
                |n: &serde_json::Number| n.as_i64().is_some_and(|n| i32::try_from(n).is_ok());
            let may_be = match value {
                Value::String(text) => !text.is_empty(),
                Value::Number(number) => is_small(number),
                Value::Bool(_) => true,
                _ => false,
            };
            assert!(name == "data" || may_be, "{name}: {value}");
        }
    }
}

#[tokio::test]
async fn an_idempotency_key_that_was_imported_is_known_for_one_aggregate_and_for_several() {
    let (_dir, _store, lines) = filled().await;
    let to = temp_dir();
    let other = open(&to).await;
    // It is in memory before.
    let a = other.get::<Ledger>("a").await.unwrap();
    assert_eq!(a.version().await.unwrap(), 0);
    import(&other, &lines).await.unwrap();
    let before = other.head();
    let context = CommandContext::default().with_idempotency_key("key 0 \"\\\u{1f600}");
    let repeated = a
        .send_with(Do::AddAll(vec![1, 2, 3]), context)
        .await
        .unwrap();
    assert!(repeated.repeated && repeated.events.len() == 3);
    let b = other.get::<Ledger>("b").await.unwrap();
    let together = other
        .together()
        .send(&a, Do::AddAll(vec![7, 8]))
        .send(&b, Do::Add(9));
    let context = CommandContext::default().with_idempotency_key("both");
    let done = together.commit_with(context).await.unwrap();
    assert_eq!(done.events(&a).len(), 2);
    assert_eq!(other.head(), before);
}

#[tokio::test]
async fn an_export_after_a_position_has_what_came_since_and_none_within_a_commit() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", [1, 2]).await;
    let (all, first) = store.export().write_to(Vec::new()).await.unwrap();
    fill(&store).await;
    let (rest, _) = store
        .export()
        .after(first.position)
        .write_to(Vec::new())
        .await
        .unwrap();
    let (whole, _) = store.export().write_to(Vec::new()).await.unwrap();
    assert!([all, rest.clone()].concat() == whole);
    let lines = json_lines(std::str::from_utf8(&rest).unwrap());
    // The first commit of `fill` has three events.
    for line in &lines[..2] {
        let within = at(line["position"].as_u64().unwrap());
        let error = store
            .export()
            .after(within)
            .write_to(Vec::new())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert!(error.to_string().contains("is within a commit"), "{error}");
    }
    let ahead = at(number(store.head()) + 1);
    let error = store
        .export()
        .after(ahead)
        .write_to(Vec::new())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("is after the newest event"),
        "{error}"
    );
    let (none, report) = store
        .export()
        .after(store.head())
        .write_to(Vec::new())
        .await
        .unwrap();
    assert!(none.is_empty() && report.events == 0 && report.position == store.head());
}

#[tokio::test]
async fn a_reader_beside_the_store_exports_what_the_store_exports() {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    fill(&store).await;
    for form in FORMS {
        let reader = eventfold_es::inspect::StoreReader::open(dir.path()).unwrap();
        let (lines, report) = reader
            .export()
            .form(form)
            .write_blocking(Vec::new())
            .unwrap();
        assert_eq!(
            String::from_utf8(lines).unwrap(),
            exported(&store, form).await
        );
        assert_eq!((report.commits, report.position), (9, store.head()));
    }
}

#[tokio::test]
async fn positions_are_kept_or_the_import_ends_before_the_first_that_would_be_another() {
    let dir = temp_dir();
    let store = open(dir.path()).await;
    add(&store, "a", [1, 2]).await;
    let (first, report) = store.export().write_to(Vec::new()).await.unwrap();
    add(&store, "b", [3]).await;
    let (rest, _) = store
        .export()
        .after(report.position)
        .write_to(Vec::new())
        .await
        .unwrap();
    let to = temp_dir();
    let other = open(to.path()).await;
    // Without the beginning the positions are others.
    let error = other
        .import(Cursor::new(rest.clone()))
        .keep_positions()
        .await
        .unwrap_err();
    let text = "line 1: this event is at position 3, and would be at 1 in this store";
    assert_eq!(error.to_string(), text);
    assert_eq!(other.head(), Position::default());
    let report = other
        .import(Cursor::new(first))
        .keep_positions()
        .await
        .unwrap();
    assert!(report.positions_kept);
    let report = other
        .import(Cursor::new(rest.clone()))
        .keep_positions()
        .await
        .unwrap();
    assert_eq!((report.positions_kept, number(report.position)), (true, 3));

    let elsewhere = temp_dir();
    let elsewhere = open(elsewhere.path()).await;
    let report = elsewhere.import(Cursor::new(rest)).await.unwrap();
    assert_eq!((report.positions_kept, number(report.position)), (false, 1));
    let unknown = r#"{"eventfold":1,"event":"A","event_id":"e","ms":1,"data":1}"#;
    let error = elsewhere
        .import(Cursor::new(unknown))
        .keep_positions()
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "line 1: the position is missing, and positions are to be kept"
    );
}

#[tokio::test]
async fn the_largest_and_the_oldest_times_are_kept_in_both_forms() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let line = |i: usize, ms: u64| {
        format!(r#"{{"eventfold":1,"event":"A","event_id":"{i}","ms":{ms},"data":1}}"#)
    };
    let times = [0, 1, 253_402_300_799_999, 253_402_300_800_000, u64::MAX];
    let lines: Vec<_> = times
        .into_iter()
        .enumerate()
        .map(|(i, ms)| line(i, ms))
        .collect();
    import(&store, &lines.join("\n")).await.unwrap();
    for form in FORMS {
        let to = temp_dir();
        let other = open(&to).await;
        import(&other, &exported(&store, form).await).await.unwrap();
        let kept = json_lines(&exported(&other, ExportForm::EventLines).await);
        let kept: Vec<_> = kept
            .iter()
            .map(|line| line["ms"].as_u64().unwrap())
            .collect();
        assert_eq!(kept, times);
    }
}
