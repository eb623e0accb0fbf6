//! Projections, process managers, and what they have to do.

use serde_json::{Value, json};

use crate::{json as printed, shop, text};

#[test]
fn the_read_side_is_shown_as_it_was_saved() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    let projections = printed(dir.path(), &["projections"]);
    assert_eq!(projections.len(), 1);
    assert_eq!(
        (
            &projections[0]["name"],
            &projections[0]["position"],
            &projections[0]["lag"]
        ),
        (&json!("count"), &json!(2), &json!(0))
    );
    let managers = printed(dir.path(), &["process-managers"]);
    let names: Vec<&Value> = managers.iter().map(|manager| &manager["name"]).collect();
    assert_eq!(names, ["fulfilment", "reminders"]);
    assert_eq!(managers[0]["dead_letters"], 1);
    assert_eq!(managers[1]["timers"], 1);
    for manager in &managers {
        let name = manager["name"].as_str().unwrap();
        let file = dir
            .path()
            .join("process_managers")
            .join(name)
            .join("journal_checkpoint.json");
        let bytes = std::fs::read(file).unwrap();
        let saved: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(manager["position"], saved["position"]);
        assert_eq!(manager["bytes"], bytes.len());
        assert_eq!(manager["lag"], 2 - saved["position"].as_u64().unwrap());
        let timers = saved["pending"]["timers"].as_object().unwrap();
        assert_eq!(manager["timers"], timers.len());
        for (timer, shown) in timers.values().zip(printed(dir.path(), &["timers", name])) {
            assert_eq!(shown["key"], "remind o-1");
            assert_eq!(
                shown["commands"][0]["instance_id"],
                timer["envelope"]["instance_id"]
            );
        }
    }
    assert!(printed(dir.path(), &["outbox"]).is_empty());
    for (name, part) in [
        ("projections", "count"),
        ("process-managers", "reminders"),
        ("outbox", "COMMAND"),
        ("timers", "remind o-1"),
    ] {
        let shown = text(dir.path(), &[name]);
        assert!(
            shown.contains(part) && shown.contains("up to position 2"),
            "{shown}"
        );
    }
}

#[test]
fn dead_letters_are_listed_shown_and_discarded() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    let letters = printed(dir.path(), &["dead-letters"]);
    let file = dir
        .path()
        .join("process_managers/fulfilment/dead_letters.jsonl");
    let stored: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(
        (&letters[0]["id"], &letters[0]["error"]),
        (&stored["id"], &stored["error"])
    );
    assert_eq!(letters[0]["commands"][0]["aggregate_type"], "courier");
    let id = letters[0]["id"].as_str().unwrap();
    let shown = text(dir.path(), &["dead-letters", "show", "fulfilment", id]);
    assert!(
        shown.contains("courier/o-1") && shown.contains("\"command\": \"come\""),
        "{shown}"
    );
    assert_eq!(
        printed(dir.path(), &["dead-letters", "show", "fulfilment", id]),
        letters
    );
    assert!(text(dir.path(), &["dead-letters", "list", "fulfilment"]).contains("courier/o-1"));

    text(dir.path(), &["dead-letters", "discard", "fulfilment", id]);
    assert!(printed(dir.path(), &["dead-letters"]).is_empty());
    assert!(text(dir.path(), &["verify"]).contains("nothing is wrong"));
}

#[test]
fn a_trace_shows_what_followed_from_an_event_and_what_waits() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    let log = printed(dir.path(), &["log"]);
    let ids: Vec<&str> = log
        .iter()
        .map(|line| line["event_id"].as_str().unwrap())
        .collect();
    assert_eq!(log[1]["event"], "Shipped");
    // From either event, and by the correlation.
    for id in [ids[0], ids[1], "request-1"] {
        let trace = printed(dir.path(), &["trace", id]).pop().unwrap();
        let events = trace["events"].as_array().unwrap();
        assert_eq!(events.len(), 2, "{trace}");
        assert_eq!(events[1]["cause"], ids[0]);
        let waiting = trace["waiting"].as_array().unwrap();
        let what: Vec<&Value> = waiting.iter().map(|waiting| &waiting["what"]).collect();
        assert_eq!(what, ["dead letter", "timer"]);
        let tree = text(dir.path(), &["trace", id]);
        let lines: Vec<&str> = tree.lines().collect();
        assert!(lines[0].starts_with("order/o-1 Placed"), "{tree}");
        assert!(
            lines
                .iter()
                .any(|line| line.starts_with("  order/o-1 Shipped")),
            "{tree}"
        );
        assert!(
            tree.contains("  [dead letter of fulfilment for courier/o-1"),
            "{tree}"
        );
        assert!(
            tree.contains("  [timer of reminders for order/o-1"),
            "{tree}"
        );
    }
}

#[test]
fn the_file_of_a_read_model_is_shown_with_what_is_known_of_it() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    let place = dir.path().join("projections").join("orders");
    std::fs::create_dir(&place).unwrap();
    std::fs::write(place.join("v2.sqlite"), "not a database").unwrap();
    let projections = printed(dir.path(), &["projections"]);
    let of = &projections[1];
    assert_eq!((&of["name"], &of["version"]), (&json!("orders"), &json!(2)));
    assert_eq!((&of["bytes"], &of["lag"]), (&json!(14), &json!(2)));
    assert!(of["read_model"].as_str().unwrap().ends_with("v2.sqlite"));
    let problem = if cfg!(feature = "sqlite") {
        "damaged"
    } else {
        "without the feature `sqlite`"
    };
    assert!(of["problem"].as_str().unwrap().contains(problem), "{of}");
    let shown = text(dir.path(), &["projections"]);
    assert!(shown.contains(problem), "{shown}");
}
