//! `verify` of a schema.

use serde_json::Value;

use super::schema;
use crate::postgres::Server;
use crate::{call, shop, text};

#[test]
fn a_change_of_any_kind_in_a_schema_is_found_and_named() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    shop::full(dir.path());
    let store = schema(&server, "orders");
    assert_eq!(super::moved(dir.path(), &store, &[]).code, 0);
    assert!(text(&store, &["verify"]).ends_with("nothing is wrong\n"));
    for (change, said) in [
        (
            "UPDATE events SET line = replace(line, 'amount', 'Amount') WHERE position = 1",
            "checksum",
        ),
        (
            "UPDATE events SET name = 'Other' WHERE position = 3",
            "the column `name`",
        ),
        (
            "UPDATE events SET key = 'other' WHERE position = 1",
            "the column `key`",
        ),
        (
            "UPDATE events SET tags = '{a:b}' WHERE position = 1",
            "the column `tags`",
        ),
        (
            "UPDATE events SET commit = 9 WHERE position = 5",
            "of a commit whose other events",
        ),
        (
            "DELETE FROM events WHERE position = 7",
            "the event at position 7 is missing",
        ),
        (
            "DELETE FROM events WHERE position > 40",
            "orders.head: is at position",
        ),
        (
            "UPDATE events SET chain = chain + 1 WHERE position = 9",
            "the chained checksum",
        ),
        ("UPDATE head SET chain = 0", "its checksum is another"),
        (
            "UPDATE head SET position = position + 1",
            "orders.head: is at position",
        ),
        (
            "UPDATE streams SET version = version + 1 WHERE id = 'o-2'",
            "order/o-2: it says version",
        ),
        (
            "DELETE FROM streams WHERE id = 'o-2'",
            "order/o-2: it says version 0",
        ),
        (
            "INSERT INTO streams VALUES ('order', 'new', 1, 1)",
            "order/new: it says version 1",
        ),
        (
            "DELETE FROM tags WHERE position = 1 AND tag LIKE 'customer:%'",
            "a search does not find",
        ),
        (
            "INSERT INTO tags VALUES ('customer:c-77', 1)",
            "`customer:c-77` is not one of the event",
        ),
        (
            "UPDATE records SET content = '{}' WHERE name = 'checkpoint 1' AND follower = 'fulfilment'",
            "its checkpoint is damaged",
        ),
        (
            "DELETE FROM records WHERE name = 'dead letters' AND follower = 'fulfilment';
            INSERT INTO records VALUES ('process manager', 'fulfilment', 'dead letters', 0, '{}')",
            "its dead letters are damaged",
        ),
    ] {
        let copy = "DROP SCHEMA IF EXISTS kept CASCADE; CREATE SCHEMA kept;";
        let tables = ["head", "streams", "events", "tags", "records"];
        let keep =
            tables.map(|table| format!("CREATE TABLE kept.{table} AS TABLE orders.{table};"));
        server.sql(&format!("{copy} {}", keep.join(" ")));
        server.sql(&format!("SET search_path TO orders; {change}"));
        let called = call(&store, &["verify"]);
        assert_eq!(called.code, 1, "{change}: {} {}", called.out, called.errors);
        assert!(called.out.contains(said), "{change}: {}", called.out);
        let json: Value = serde_json::from_str(&call(&store, &["verify", "--json"]).out).unwrap();
        assert_eq!(json["clean"], false);
        let back = tables.map(|table| {
            format!(
                "DELETE FROM orders.{table}; INSERT INTO orders.{table} SELECT * FROM kept.{table};"
            )
        });
        server.sql(&back.join(" "));
        let called = call(&store, &["verify"]);
        assert_eq!(called.code, 0, "after {change}: {}", called.out);
    }
}
