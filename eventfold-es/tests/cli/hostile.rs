//! Names and payloads that would control a terminal, or that need quoting.

use serde_json::Value;

use crate::shop::{self, Order, Ship};
use crate::{call, json, text};

const HOSTILE: &str = "x\u{1b}[2J\u{9b}31m\u{202e}\r\n\u{7}<script>\u{7f}é日";

#[test]
fn no_character_that_controls_a_terminal_is_printed() {
    let dir = tempfile::tempdir().unwrap();
    shop::runtime().block_on(async {
        let store = shop::open(dir.path()).await;
        let order = store.get::<Order>(HOSTILE).await.unwrap();
        let context = eventfold_es::CommandContext::default()
            .with_actor(HOSTILE)
            .with_correlation_id(HOSTILE)
            .with_metadata(serde_json::json!({ HOSTILE: HOSTILE }))
            .with_idempotency_key(HOSTILE);
        let mut place = shop::place("c-1", 1);
        place.note = HOSTILE.to_owned();
        order.send_with(place, context).await.unwrap();
        store.shutdown().await.unwrap();
    });
    let calls: &[&[&str]] = &[
        &["ls"],
        &["stats"],
        &["show", "order", HOSTILE],
        &["show", "order", "nobody\u{1b}[2J"],
        &["event", "1"],
        &["event", HOSTILE],
        &["log"],
        &["search", "<script>"],
        &["search", HOSTILE],
        &["trace", HOSTILE],
        &["trace", "no\u{1b}"],
        &["log", "--type", HOSTILE],
    ];
    for args in calls {
        for args in [args.to_vec(), [args, &["--json"][..]].concat()] {
            let called = call(dir.path(), &args);
            for text in [&called.out, &called.errors] {
                let raw = text.chars().find(|c| {
                    (c.is_control() && *c != '\n') || matches!(c, '\u{202a}'..='\u{202e}')
                });
                assert_eq!(raw, None, "{args:?}: {text:?}");
            }
        }
    }
    // As JSON it is the same text all the same.
    let line = json(dir.path(), &["log"]).pop().unwrap();
    assert_eq!(line["id"], HOSTILE);
    assert_eq!(line["data"]["note"], HOSTILE);
    assert_eq!(line["meta"][HOSTILE], HOSTILE);
    assert_eq!(json(dir.path(), &["search", HOSTILE]).len(), 1);
    assert_eq!(json(dir.path(), &["show", "order", HOSTILE]).len(), 1);
}

#[test]
fn names_that_need_quoting_are_found_and_listed_as_they_are() {
    let dir = tempfile::tempdir().unwrap();
    let ids = [
        "a b",
        "a/b",
        "\"quoted\"",
        "--json",
        "%2F",
        ".",
        "日本",
        "a\tb",
        "$HOME;`id`",
    ];
    shop::runtime().block_on(async {
        let store = shop::open(dir.path()).await;
        for id in ids {
            store
                .get::<Order>(id)
                .await
                .unwrap()
                .send(Ship)
                .await
                .unwrap();
        }
        store.shutdown().await.unwrap();
    });
    let mut sorted = ids.to_vec();
    sorted.sort_unstable();
    let listed = json(dir.path(), &["ls"]);
    let listed: Vec<&str> = listed
        .iter()
        .map(|stream| stream["id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, sorted);
    for id in ids {
        let shown = text(dir.path(), &["--json", "show", "order", "--", id]);
        let shown: Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["id"], id);
    }
}
