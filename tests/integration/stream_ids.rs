//! Ids: each is refused, or is a stream of its own inside the directory.

use std::collections::BTreeSet;

use eventfold_es::{AggregateStore, StreamId, StreamLayout};

use crate::support::files::files_below;
use crate::support::{Ledger, LedgerCommand as Do, fast_temp_dir, open, temp_dir, verify};

/// Ids that are hard on a file system.
#[rustfmt::skip]
const HARD_IDS: &[&str] = &[
    ".", "..", "...", "....", ". ", " .", " ", "  ",
    "/", "//", "\\", "a/b", "a\\b", "/a", "a/", "../a",
    "..\\a", "../../../../etc/passwd", "a/../b", "./a", "\0", "a\0b", "\0\0", "\n",
    "a\nb", "\r", "\t", "\u{7f}", "\u{80}", "\u{9f}", "a", "aa",
    "ab", "a.", "a..", ".a", "a ", "a. ", "a .", "A",
    "a%", "%", "%%", "%2F", "%2f", "a%2Fb", "a%252Fb", "%41",
    "%00", "%2E", "%2E%2E", "con", "CON", "Con", "con.txt", "con .x",
    "nul", "NUL.", "aux", "prn", "com1", "COM9", "com0", "com10",
    "lpt1", "LPT9.log", "com¹", "~", "~root", "-", "--", "-rf",
    "*", "?", "a*", "<a>", "\"", "'", "|", ":",
    "c:", "C:\\a", "a:b", "&", ";", "$HOME", "`id`", "{}",
    "[]", "app.jsonl", "views", "journal", "lock", "streams", "ä", "a\u{308}",
    "ǅ", "ß", "日本", "\u{200b}", "\u{202e}", "\u{feff}", "\u{fffd}", "🦀",
    "\u{1f468}\u{200d}\u{1f469}",
];

/// Those, and others; no two are the same.
fn odd_ids() -> Vec<String> {
    let mut ids: Vec<String> = HARD_IDS.iter().map(|id| (*id).to_owned()).collect();
    // One of every plane, and those at its edges that are characters.
    for plane in 0..=16_u32 {
        for low in [0x0041, 0x1234, 0xfffd, 0xfffe, 0xffff] {
            ids.extend(char::from_u32(plane * 0x1_0000 + low).map(String::from));
        }
    }
    // As long as it may be, of bytes that stay and of bytes that are encoded.
    ids.extend([
        "x".repeat(255),
        "x".repeat(254),
        "/".repeat(85),
        "é".repeat(127),
    ]);
    let distinct: BTreeSet<String> = ids.into_iter().collect();
    distinct.into_iter().collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_id_that_is_not_refused_is_a_stream_of_its_own_inside_the_directory() {
    let outer = fast_temp_dir();
    let dir = outer.path().join("a/b/c/store");
    let store = open(&dir).await;
    let ids = odd_ids();
    for (amount, id) in (1..).zip(&ids) {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        assert_eq!(ledger.id(), id);
        let done = ledger.send(Do::Add(amount)).await.unwrap();
        assert_eq!(done.version, 1, "{id:?} shares a stream");
    }
    store.shutdown().await.unwrap();
    drop(store);

    let store = open(&dir).await;
    assert_eq!(store.list::<Ledger>().await.unwrap(), ids);
    for (amount, id) in (1..).zip(&ids) {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        assert_eq!(
            ledger.state().await.unwrap(),
            Ledger::of([amount]),
            "{id:?}"
        );
        assert_eq!(
            store.read_events("ledger", id).await.unwrap().len(),
            1,
            "{id:?}"
        );
    }
    store.shutdown().await.unwrap();
    assert_eq!(verify(&dir).len(), ids.len());
    // Nothing is anywhere else, and each stream's directory is right below its type's.
    assert!(
        files_below(outer.path())
            .iter()
            .all(|file| file.starts_with(&dir))
    );
    let logs = files_below(&dir.join("streams/ledger"));
    for log in logs.iter().filter(|file| file.ends_with("app.jsonl")) {
        let below = log.strip_prefix(dir.join("streams/ledger")).unwrap();
        assert_eq!(below.components().count(), 2, "{}", log.display());
    }
    let mode = std::fs::metadata(&dir).unwrap().permissions();
    #[cfg(unix)]
    assert_eq!(
        std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777,
        0o700
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_that_cannot_be_a_stream_is_refused_by_name() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let too_long = [
        "x".repeat(256),
        "/".repeat(86),
        "é".repeat(128),
        "x".repeat(100_000),
    ];
    for (id, reason) in [("", "is empty")]
        .into_iter()
        .chain(too_long.iter().map(|id| (id.as_str(), "is too long")))
    {
        let error = store.get::<Ledger>(id).await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        let text = error.to_string();
        assert!(text.starts_with("aggregate id"), "{text}");
        assert!(text.contains(reason) && text.len() < 600, "{text}");
        StreamId::new("ledger", id).unwrap_err();
        store.read_events("ledger", id).await.unwrap_err();
        store.layout().ensure_stream("ledger", id).unwrap_err();
    }
    assert!(store.list_streams(None).await.unwrap().is_empty());
}

#[test]
fn no_id_or_aggregate_type_leads_out_of_the_directory() {
    let layout = StreamLayout::new("/base");
    for id in odd_ids().iter().chain(&[String::new(), "/".repeat(300)]) {
        for (aggregate_type, id) in [("ledger", id.as_str()), (id.as_str(), "a")] {
            let dir = layout.stream_dir(aggregate_type, id);
            let below = dir.strip_prefix("/base/streams").unwrap();
            assert_eq!(below.components().count(), 2, "{}", dir.display());
            assert!(
                below
                    .components()
                    .all(|part| matches!(part, std::path::Component::Normal(_))),
                "{}",
                dir.display()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_no_encoded_id_is_no_stream() {
    let dir = temp_dir();
    let store = open(&dir).await;
    store
        .get::<Ledger>("a")
        .await
        .unwrap()
        .send(Do::Add(1))
        .await
        .unwrap();
    for name in ["%41", "%2f", "a%", "%FF"] {
        std::fs::create_dir_all(dir.path().join("streams/ledger").join(name)).unwrap();
    }
    assert_eq!(store.list::<Ledger>().await.unwrap(), ["a"]);
    store.shutdown().await.unwrap();
    let store = crate::support::builder(&dir).open().await.unwrap();
    assert_eq!(store.list::<Ledger>().await.unwrap(), ["a"]);
}

#[tokio::test]
async fn ensure_stream_does_not_use_the_directory_of_another_stream() {
    let dir = temp_dir();
    let layout = eventfold_es::StreamLayout::new(dir.path());
    let first = layout.ensure_stream("ledger", "50%").unwrap();
    let second = layout.ensure_stream("ledger", "50%25").unwrap();
    // What the directory of the one is called is the id of the other.
    assert_eq!(
        (first.file_name().unwrap(), second.file_name().unwrap()),
        ("50%25".as_ref(), "50%2525".as_ref())
    );
    let line = r#"{"type":"Added","data":{"amount":5},"ts":1}"#;
    std::fs::write(first.join("app.jsonl"), format!("{line}\n")).unwrap();
    let store = crate::support::open(&dir).await;
    let count = async |id| store.read_events("ledger", id).await.unwrap().len();
    assert_eq!((count("50%").await, count("50%25").await), (1, 0));
    assert_eq!(
        store.layout().list_streams("ledger").unwrap(),
        ["50%", "50%25"]
    );
}

#[test]
fn a_stream_id_is_displayed_with_control_and_direction_characters_escaped() {
    let id = StreamId::new("ledger\u{2066}", "a\u{202e}b\u{200f}\n").unwrap();
    assert_eq!(id.to_string(), r"ledger\u{2066}/a\u{202e}b\u{200f}%0A");
    assert_eq!(id.id(), "a\u{202e}b\u{200f}\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_and_reports_escape_control_and_direction_characters_in_names() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let id = "a\u{202e}b\u{2067}";
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.send(Do::Add(1)).await.unwrap();
    let strange = eventfold::Event::new("Odd\u{202e}\u{1b}", serde_json::Value::Null);
    let name = eventfold_es::StoredEvent::new(&strange.event_type, "null");
    let mut texts = vec![name.to_string(), name.unknown().to_string()];
    store.shutdown().await.unwrap();
    let layout = eventfold_es::StreamLayout::new(dir.path());
    let file = layout.stream_dir("ledger", id).join("app.jsonl");
    std::fs::write(&file, "scribbled over\n").unwrap();
    let store = open(&dir).await;
    texts.push(
        store
            .read_events("ledger", id)
            .await
            .unwrap_err()
            .to_string(),
    );
    store.shutdown().await.unwrap();
    texts.push(AggregateStore::verify(&dir).await.unwrap().to_string());
    texts.push(AggregateStore::repair(&dir).await.unwrap().to_string());
    for text in texts {
        assert!(text.contains("\\u{202e}"), "{text}");
        let plain =
            |c: char| c == '\n' || !(c.is_control() || ('\u{2028}'..='\u{2069}').contains(&c));
        assert!(text.chars().all(plain), "{text:?}");
    }
}
