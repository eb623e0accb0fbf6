//! Exit codes and messages.

use std::path::Path;

use crate::{call, command, json, shop, text};

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

const LOOKING: &[&[&str]] = &[
    &["ls"],
    &["stats"],
    &["show", "order", "o-1"],
    &["event", "1"],
    &["log"],
    &["search", "x"],
    &["trace", "x"],
    &["projections"],
    &["process-managers"],
    &["outbox"],
    &["timers"],
    &["dead-letters"],
    &["dead-letters", "show", "a", "1"],
    &["export"],
];

#[test]
fn where_no_store_is_the_code_is_3_and_nothing_is_created() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing");
    for place in [dir.path(), &missing] {
        for args in LOOKING.iter().chain(&[
            &["verify"][..],
            &["repair"],
            &["dead-letters", "discard", "a", "1"],
        ]) {
            let called = call(place, args);
            assert_eq!(called.code, 3, "{args:?}: {}", called.errors);
            let path = place.to_str().unwrap();
            assert!(
                called.errors.contains(path) && called.errors.contains("--dir"),
                "{}",
                called.errors
            );
            assert!(called.out.is_empty());
        }
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_of_0_2_0_is_refused_with_what_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/0.2.0");
    copy(&old, dir.path());
    for args in LOOKING {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 4, "{args:?}");
        assert!(
            called.errors.contains("of eventfold-es 0.2.0"),
            "{}",
            called.errors
        );
    }
}

#[test]
fn damage_is_named_with_its_file_and_the_code_is_4() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    let segment = dir.path().join("journal/00000000000000000001.jsonl");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[2_000] ^= 1;
    std::fs::write(&segment, bytes).unwrap();
    for args in [
        &["ls"][..],
        &["stats"],
        &["log"],
        &["search", "nothing of this"],
    ] {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 4, "{args:?}");
        let text = "00000000000000000001.jsonl is damaged at byte";
        assert!(called.errors.contains(text), "{}", called.errors);
        assert!(
            called.errors.contains("eventfold verify"),
            "{}",
            called.errors
        );
    }
    let called = call(dir.path(), &["verify"]);
    assert_eq!(called.code, 1);
    assert!(called.out.contains("lost: "), "{}", called.out);
}

#[test]
fn verify_finds_and_repair_mends_and_their_codes_say_so() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    assert!(text(dir.path(), &["verify"]).contains("nothing is wrong"));
    let stream = dir.path().join("streams/order/o-1/app.jsonl");
    std::fs::remove_file(&stream).unwrap();
    let called = call(dir.path(), &["verify", "--json"]);
    assert_eq!(called.code, 1);
    let report: serde_json::Value = serde_json::from_str(&called.out).unwrap();
    assert_eq!(report["clean"], false);
    assert_eq!(report["findings"][0]["severity"], "repairable");
    let repaired = json(dir.path(), &["repair"]).pop().unwrap();
    assert_eq!(repaired["success"], true);
    assert_eq!(repaired["repaired"][0]["file"], stream.to_str().unwrap());
    assert_eq!(call(dir.path(), &["verify"]).code, 0);
    assert!(text(dir.path(), &["repair"]).contains("nothing to do"));
}

#[test]
fn what_needs_the_store_for_itself_says_5_while_it_is_open() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    let runtime = shop::runtime();
    let store = runtime.block_on(shop::open(dir.path()));
    let letters = json(dir.path(), &["dead-letters"]);
    let id = letters[0]["id"].as_str().unwrap();
    for args in [
        &["verify"][..],
        &["repair"],
        &["dead-letters", "discard", "fulfilment", id],
    ] {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 5, "{args:?}: {}", called.errors);
        assert!(
            called.errors.contains("is in use by another process"),
            "{}",
            called.errors
        );
    }
    runtime.block_on(store.shutdown()).unwrap();
    assert_eq!(
        call(dir.path(), &["dead-letters", "discard", "fulfilment", id]).code,
        0
    );
}

#[test]
fn an_unknown_name_is_answered_with_the_nearest_known_one() {
    let dir = tempfile::tempdir().unwrap();
    shop::reacted(dir.path());
    for (args, nearest) in [
        (
            &["ls", "--type", "ordr"][..],
            "no aggregate type `ordr`; the nearest is `order`",
        ),
        (
            &["log", "--event", "placed"],
            "no event `placed`; the nearest is `Placed`",
        ),
        (&["search", "x", "--type", "ordr"], "the nearest is `order`"),
        (&["show", "ordr", "o-1"], "the nearest is `order`"),
        (
            &["show", "order", "o1"],
            "with id `o1`; the nearest is `o-1`",
        ),
        (&["outbox", "fulfillment"], "the nearest is `fulfilment`"),
        (&["timers", "reminder"], "the nearest is `reminders`"),
        (
            &["dead-letters", "show", "fulfilment", "99"],
            "no dead letter `99`",
        ),
        (
            &["dead-letters", "discard", "fulfilment", "99"],
            "no dead letter `99`",
        ),
        (&["event", "nobody's"], "no event with the id `nobody's`"),
        (&["trace", "nobody's"], "correlation id `nobody's`"),
    ] {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 1, "{args:?}: {}", called.errors);
        assert!(
            called.errors.contains(nearest),
            "{args:?}: {}",
            called.errors
        );
        assert!(called.out.is_empty());
    }
}

#[test]
fn a_wrong_command_line_says_2_and_how_it_is_right() {
    let dir = tempfile::tempdir().unwrap();
    shop::closed(dir.path());
    for (args, said) in [
        (&["lst"][..], "'ls'"),
        (&["log", "--since", "soon"], "2026-01-31T12:00:00Z"),
        (&["search", "--jsonpath", "$["], "JSONPath"),
        (&["log", "--tag", ""], "tag"),
        (&["search"], "required"),
        (
            &["show", "order", "o-1", "--at", "then"],
            "`then` is no time",
        ),
    ] {
        let called = call(dir.path(), args);
        assert_eq!(called.code, 2, "{args:?}: {}", called.errors);
        assert!(called.errors.contains(said), "{args:?}: {}", called.errors);
    }
}

#[test]
fn each_help_has_an_example_or_a_line_and_the_codes_are_documented() {
    let dir = tempfile::tempdir().unwrap();
    let help = text(dir.path(), &["--help"]);
    assert!(help.contains("Exit codes:") && help.contains("3  there is no store"));
    for name in [
        "ls", "stats", "show", "event", "log", "search", "trace", "verify", "repair", "export",
        "import",
    ] {
        let help = text(dir.path(), &[name, "--help"]);
        assert!(
            help.contains("Example") && help.contains("eventfold --dir data"),
            "{help}"
        );
        assert!(text(dir.path(), &["--help"]).contains(name));
    }
    for shell in ["bash", "zsh", "fish"] {
        assert!(text(dir.path(), &["completions", shell]).contains("dead-letters"));
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    use std::io::{BufRead as _, BufReader, Read as _};
    use std::process::Stdio;

    let dir = tempfile::tempdir().unwrap();
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
    for args in [
        &["log"][..],
        &["log", "--json"],
        &["show", "order", "o-1"],
        &["log", "-f", "--last", "300"],
    ] {
        let mut child = command(dir.path(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::with_capacity(100, child.stdout.take().unwrap());
        lines.read_line(&mut String::new()).unwrap();
        drop(lines);
        let code = child.wait().unwrap().code();
        let mut errors = String::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_string(&mut errors)
            .unwrap();
        assert_eq!((code, errors.as_str()), (Some(0), ""), "{args:?}");
    }
}

#[cfg(not(feature = "postgres"))]
#[test]
fn a_command_without_postgres_says_how_to_get_one_with_it() {
    let url = "postgres://ann:secret@db.internal/shop";
    for args in [
        &["ls", url][..],
        &["--store", url, "export"],
        &["verify", url],
        &["ui", url],
        &["compare", url, url],
    ] {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_eventfold"));
        let done = command
            .args(args)
            .env_remove("EVENTFOLD_DIR")
            .output()
            .unwrap();
        let errors = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{args:?}: {errors}");
        assert!(
            errors.contains("--features cli,postgres"),
            "{args:?}: {errors}"
        );
        assert!(!errors.contains("secret"), "{errors}");
    }
}
