//! Stores in PostgreSQL: what the command shows of them, what it checks, and what it refuses.

mod managers;
mod moved;
mod verify;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use eventfold_es::AggregateStore;
use eventfold_es::inspect::StoreReader;
use serde_json::Value;

use crate::postgres::Server;
use crate::{Called, call, command, json, shop, text};

/// The address of the schema `name`, as `--dir` takes it.
fn schema(server: &Server, name: &str) -> PathBuf {
    format!("{}?schema={name}", server.url()).into()
}

fn url(place: &Path) -> String {
    place.to_str().unwrap().to_owned()
}

/// Exports one store into another, through a pipe. Returns what the import says.
fn moved(from: &Path, to: &Path, args: &[&str]) -> Called {
    let mut export = command(from, &["export"]);
    let mut export = export.stdout(Stdio::piped()).spawn().unwrap();
    let lines = export.stdout.take().unwrap();
    let import = [&["import", "--json"], args].concat();
    let done = command(to, &import).stdin(lines).output().unwrap();
    assert!(export.wait().unwrap().success());
    Called {
        code: done.status.code().unwrap(),
        out: String::from_utf8(done.stdout).unwrap(),
        errors: String::from_utf8(done.stderr).unwrap(),
    }
}

/// The lines of an export that are events.
fn events(place: &Path) -> String {
    text(place, &["export", "--without-process-managers"])
}

#[test]
fn what_looks_shows_the_same_of_a_schema_as_of_the_directory_that_moved_there() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let store = schema(&server, "orders");
    shop::full(dir.path());
    let called = moved(dir.path(), &store, &[]);
    assert_eq!((called.code, called.errors.as_str()), (0, ""));
    let without_times = |place: &Path, args: &[&str]| -> Vec<Value> {
        let mut lines = json(place, args);
        for line in &mut lines {
            let line = line.as_object_mut().unwrap();
            // Only directories have the times of commits, and lines that say where they are.
            line.remove("committed");
            line.remove("bytes");
        }
        lines
    };
    for args in [
        &["ls"][..],
        &["show", "order", "o-3"],
        &["show", "order", "o-1", "--at", "2"],
        &["event", "7"],
        &["log", "--last", "5"],
        &["log", "--tag", "customer:c-1", "--type", "order"],
        &["log", "--since", "1d", "--event", "Shipped"],
        &["search", "c-2"],
        &["search", "--jsonpath", "$[?@ > 100]"],
        &["trace", "request-1"],
        &["process-managers"],
        &["outbox"],
        &["timers"],
        &["dead-letters"],
    ] {
        let found = without_times(&store, args);
        assert_eq!(found, without_times(dir.path(), args), "{args:?}");
        assert!(!found.is_empty() || args == ["outbox"], "{args:?}");
    }
    // Projections are built again.
    assert!(json(&store, &["projections"]).is_empty());
    let stats = json(&store, &["stats"]).remove(0);
    let of_dir = json(dir.path(), &["stats"]).remove(0);
    for member in ["head", "events", "streams"] {
        assert_eq!(stats[member], of_dir[member], "{member}");
    }
    let tables = stats["disk"].as_array().unwrap();
    assert!(tables.iter().any(|of| of["part"] == "events"));
    assert!(text(&store, &["stats"]).contains("The store is in PostgreSQL."));
    assert_eq!(events(&store), events(dir.path()));
    // A store is named in front of the subcommand or behind it, and the schema by an option too.
    let there = json(&store, &["ls"]);
    let behind = json(Path::new("."), &["ls", &url(&store)]);
    let named = json(Path::new(&server.url()), &["ls", "--schema", "orders"]);
    assert_eq!((&behind, &named), (&there, &there));
    let called = call(dir.path(), &["ls", "--schema", "orders"]);
    assert_eq!(called.code, 2);
}

#[test]
fn what_looks_works_beside_open_stores_with_the_right_to_read_alone_and_creates_nothing() {
    let Some(server) = Server::start(&["fsync=off"]) else {
        return;
    };
    let empty = schema(&server, "orders");
    for args in [&["ls"][..], &["export"], &["verify"], &["ui"]] {
        let called = call(&empty, args);
        assert_eq!(called.code, 3, "{args:?}: {}", called.errors);
        assert!(called.errors.contains("has no store"), "{}", called.errors);
    }
    let schemas = "SELECT count(*) FROM pg_namespace WHERE nspname IN ('orders', 'eventfold')";
    assert_eq!(server.sql(schemas), "0");

    let runtime = shop::runtime();
    let store = runtime.block_on(async {
        let store = AggregateStore::postgres(url(&empty))
            .allow_unsynced(true)
            .open();
        let store = store.await.unwrap();
        let order = store.get::<shop::Order>("o-1").await.unwrap();
        order.send(shop::place("c-1", 5)).await.unwrap();
        store
    });
    server.sql(
        "CREATE ROLE looker LOGIN; GRANT USAGE ON SCHEMA orders TO looker;
        GRANT SELECT ON ALL TABLES IN SCHEMA orders TO looker",
    );
    let looker: PathBuf = url(&empty)
        .replace("//postgres@", "//looker:hunter2@")
        .into();
    let rows = "SELECT count(*) FROM orders.records";
    assert_eq!(server.sql(rows), "0");
    for args in [
        &["ls"][..],
        &["stats"],
        &["log"],
        &["process-managers"],
        &["export"],
    ] {
        let called = call(&looker, args);
        assert_eq!((called.code, called.errors.as_str()), (0, ""), "{args:?}");
    }
    assert!(text(&looker, &["verify"]).contains("nothing is wrong"));
    assert_eq!(server.sql(rows), "0");
    // A reader finds the schemas that have a store.
    let called = call(Path::new(&server.url()), &["ls"]);
    assert_eq!(called.code, 3);
    assert!(called.errors.contains("`orders`"), "{}", called.errors);
    // It sees what comes.
    let mut reader = StoreReader::postgres(url(&empty)).unwrap();
    assert_eq!(reader.head(), store.head());
    runtime.block_on(async {
        let order = store.get::<shop::Order>("o-1").await.unwrap();
        order.send(shop::Ship).await.unwrap();
    });
    assert_eq!(reader.refresh().unwrap(), store.head());
    runtime.block_on(store.shutdown()).unwrap();
}

#[test]
fn what_only_directories_have_is_refused_with_what_to_use() {
    let store = Path::new("postgres://ann:hunter2@db.internal/shop");
    for (args, said) in [
        (&["repair"][..], "pg_restore"),
        (&["backup", "to"], "pg_dump"),
        (&["restore", "to"], "pg_restore"),
        (&["follow", "to"], "standby"),
        (&["dead-letters", "discard", "a", "1"], "allow_writing"),
    ] {
        let called = call(store, args);
        assert_eq!(called.code, 2, "{args:?}: {}", called.errors);
        assert!(called.errors.contains(said), "{args:?}: {}", called.errors);
        assert!(!called.errors.contains("hunter2"));
    }
    assert!(!Path::new("to").exists());
}

#[test]
fn no_output_has_the_password() {
    let Some(server) = Server::start(&[]) else {
        return;
    };
    let secret = |query: &str| {
        let url = server.url().replace("//postgres@", "//postgres:hunter2@");
        format!("{url}{query}")
    };
    let (good, unknown) = (secret("?schema=orders"), secret("?what=1"));
    assert_eq!(call(Path::new(&good), &["import", "/dev/null"]).code, 0);
    let nobody = "postgres://ann:hunter2@127.0.0.1:1/x";
    for (place, args, code) in [
        (good.as_str(), &["stats"][..], 0),
        (&good, &["verify", "--json"], 0),
        (&good, &["ls", "a", "b"], 2),
        (&good, &["--help"], 0),
        (&good, &["no-such-command"], 2),
        (&unknown, &["ls"], 2),
        (nobody, &["ls"], 6),
        (nobody, &["import", "/dev/null"], 6),
        (".", &["verify", &good, &good], 2),
        (".", &["show", &good], 2),
    ] {
        let called = call(Path::new(place), args);
        assert_eq!(called.code, code, "{args:?}: {}", called.errors);
        for output in [&called.out, &called.errors] {
            assert!(!output.contains("hunter2"), "{args:?}: {output}");
        }
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_eventfold"));
    let help = command.env("EVENTFOLD_DIR", &good).arg("--help").output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    assert!(!help.contains("hunter2"), "{help}");
}
