//! Aggregates that have ended or are archived, as `ls`, `show` and `stats` print them.

use std::path::Path;

use serde_json::Value;

use crate::shop::{self, Order};
use crate::{json, text};

/// A closed store with a usual, an ended and an archived order, and one that is both.
fn store(dir: &Path) {
    shop::runtime().block_on(async {
        let store = shop::open(dir).await;
        for id in ["archived", "both", "ended", "usual"] {
            let order = store.get::<Order>(id).await.unwrap();
            order.send(shop::place("ann", 1)).await.unwrap();
        }
        for id in ["archived", "both"] {
            store.archive::<Order>(id).await.unwrap();
        }
        for id in ["both", "ended"] {
            store
                .end::<Order>(id, "lost \u{1b}[31m in the post")
                .await
                .unwrap();
        }
        store.shutdown().await.unwrap();
    });
}

#[test]
fn ls_show_and_stats_say_which_aggregates_have_ended_or_are_archived() {
    let dir = tempfile::tempdir().unwrap();
    store(dir.path());
    let listed = text(dir.path(), &["ls"]);
    let state = |id: &str| {
        let mut lines = listed.lines();
        let line = lines.find(|line| line.split_whitespace().nth(1) == Some(id));
        line.unwrap().rsplit("  ").next().unwrap().trim().to_owned()
    };
    assert!(
        listed.lines().next().unwrap().ends_with("STATE"),
        "{listed}"
    );
    assert_eq!(state("archived"), "archived");
    assert_eq!(state("both"), "ended, archived");
    assert_eq!(state("ended"), "ended");
    assert!(state("usual").ends_with('B'), "{listed}");
    assert!(text(dir.path(), &["stats"]).contains("ended, archived"));

    let rows = json(dir.path(), &["ls"]);
    let row = |id: &str| rows.iter().find(|row| row["id"] == id).unwrap();
    assert_eq!(
        row("ended")["ended"]["reason"],
        "lost \u{1b}[31m in the post"
    );
    assert!(row("ended")["archived"].is_null() && row("usual")["ended"].is_null());
    assert!(row("both")["archived"].is_string() && row("both")["ended"].is_object());
    let events: Vec<&Value> = rows.iter().map(|row| &row["events"]).collect();
    assert_eq!(events, [2, 3, 2, 1]);

    let shown = text(dir.path(), &["show", "order", "ended"]);
    let last = shown.lines().find(|line| line.starts_with("It ended at "));
    let last = last.unwrap_or_else(|| panic!("{shown}"));
    assert!(last.contains("lost ") && !last.contains('\u{1b}'), "{last}");
    assert!(shown.contains("eventfold:ended"), "{shown}");
    let shown = text(dir.path(), &["show", "order", "archived"]);
    assert!(shown.contains("It is archived since "), "{shown}");
    let shown = text(dir.path(), &["show", "order", "usual"]);
    assert!(
        !shown.contains("It is") && !shown.contains("It ended"),
        "{shown}"
    );
}
