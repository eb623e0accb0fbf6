//! What cannot work is refused with an error that says what and where, and nothing is lost.

use std::borrow::Cow;
use std::convert::Infallible;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use eventfold_es::{
    Aggregate, AggregateStore, DecodeError, Decoded, EncodeError, Position, Projection, StoredEvent,
};
use serde::{Deserialize, Serialize};

use crate::support::files::{edit, everything_below, segments};
use crate::support::{Ledger, LedgerCommand as Do, copy, journal, open, refusal, temp_dir, verify};

/// How many events there are, whatever they hold.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Count(u64);

impl Projection for Count {
    const NAME: &'static str = "count";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger", "scribe"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.0 += 1;
    }
}

/// A closed store with three events of one ledger.
async fn store_with_events() -> crate::support::TempDir {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    for amount in 1..=3 {
        ledger.send(Do::Add(amount)).await.unwrap();
    }
    store.shutdown().await.unwrap();
    dir
}

/// Checks that the store is refused for `path`, and opens with all events once that is put right.
async fn assert_refused_for(dir: &Path, path: &Path, parts: &[&str], repair: impl FnOnce()) {
    let text = refusal(dir).await;
    assert!(
        text.contains(path.to_str().unwrap()),
        "no {} in: {text}",
        path.display()
    );
    for part in parts {
        assert!(text.contains(part), "no {part} in: {text}");
    }
    repair();
    let store = open(dir).await;
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
    store.shutdown().await.unwrap();
    verify(dir);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_directory_that_cannot_be_used() {
    let dir = temp_dir();
    let file = dir.path().join("file");
    std::fs::write(&file, "not a directory").unwrap();
    for base in [file.clone(), file.join("below")] {
        let text = refusal(&base).await;
        assert!(text.contains(base.to_str().unwrap()), "{text}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a directory");

    for part in ["journal", "lock"] {
        let base = dir.path().join(part);
        std::fs::create_dir(&base).unwrap();
        let in_the_way = base.join(part);
        if part == "lock" {
            std::fs::create_dir(&in_the_way).unwrap();
        } else {
            std::fs::write(&in_the_way, "in the way").unwrap();
        }
        let text = refusal(&base).await;
        assert!(text.contains(in_the_way.to_str().unwrap()), "{text}");
    }
}

async fn open_existing(dir: &Path) -> std::io::Result<AggregateStore> {
    let builder = crate::support::builder(dir).create_if_missing(false);
    builder.open().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_store_is_refused_without_create_if_missing_and_nothing_is_created() {
    let dir = temp_dir();
    let empty = dir.path().join("empty");
    let foreign = dir.path().join("foreign");
    let looked_at = dir.path().join("looked-at");
    for dir in [&empty, &foreign, &looked_at] {
        std::fs::create_dir(dir).unwrap();
    }
    std::fs::write(foreign.join("journal"), "a file").unwrap();
    let missing = dir.path().join("missing");
    let below = missing.join("below");
    // This leaves the lock file behind.
    AggregateStore::verify(&looked_at).await.unwrap();
    let before = everything_below(dir.path());
    for base in [missing, below, empty, foreign.clone(), looked_at] {
        let error = open_existing(&base).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
        let expected = format!("{} has no store: correct the path", base.display());
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
    let file = foreign.join("journal");
    let error = open_existing(&file).await.unwrap_err();
    assert!(
        error.to_string().contains(file.to_str().unwrap()),
        "{error}"
    );
    assert_eq!(everything_below(dir.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_must_exist_opens_whichever_version_made_it() {
    // With events, without any, and of 0.2.0 in both ways.
    let dir = store_with_events().await;
    let store = open_existing(dir.path()).await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
    store.shutdown().await.unwrap();

    let empty = temp_dir();
    open(&empty).await.shutdown().await.unwrap();
    let empty_old = temp_dir();
    drop(old::AggregateStore::open(empty_old.path()).await.unwrap());
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/0.2.0");
    let full_old = copy(&golden);
    let mut heads = Vec::new();
    for dir in [&empty, &empty_old, &full_old] {
        let store = open_existing(dir.path()).await.unwrap();
        heads.push(store.head().to_string());
        store.shutdown().await.unwrap();
    }
    assert_eq!(heads[..2], ["0", "0"]);
    assert_ne!(heads[2], "0");

    // One that lost its journal is damaged, not missing.
    std::fs::remove_dir_all(dir.path().join("journal")).unwrap();
    let error = open_existing(dir.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_directory_without_write_permission() {
    use std::os::unix::fs::PermissionsExt as _;

    let dir = store_with_events().await;
    let mode = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(dir.path().join("journal"), permissions).unwrap();
    };
    mode(0o500);
    // Root may do everything.
    if std::fs::write(dir.path().join("journal/probe"), "").is_ok() {
        std::fs::remove_file(dir.path().join("journal/probe")).unwrap();
        mode(0o700);
        return;
    }
    let error = crate::support::builder(&dir).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::PermissionDenied);
    let journal = dir.path().join("journal");
    assert_refused_for(dir.path(), &journal, &[], || mode(0o700)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_for_a_locked_directory_says_that_this_process_has_it_open() {
    let dir = temp_dir();
    let _store = open(&dir).await;
    let error = crate::support::builder(&dir).open().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(
        error.to_string().contains("already open in this process"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_missing_segment() {
    let dir = store_with_events().await;
    let segment = segments(dir.path()).remove(0);
    let away = dir.path().join("away");
    std::fs::rename(&segment, &away).unwrap();
    assert_refused_for(dir.path(), &segment, &["missing"], || {
        std::fs::rename(&away, &segment).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_journal_is_refused_and_not_started_again() {
    let dir = store_with_events().await;
    let (journal, away) = (dir.path().join("journal"), dir.path().join("away"));
    std::fs::rename(&journal, &away).unwrap();
    assert_refused_for(dir.path(), &journal, &["missing", "ledger/a"], || {
        std::fs::remove_dir_all(&journal).unwrap();
        std::fs::rename(&away, &journal).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_error_names_a_journal_that_ends_before_its_redo_point() {
    let dir = store_with_events().await;
    let segment = segments(dir.path()).remove(0);
    let whole = std::fs::read(&segment).unwrap();
    let end = journal(dir.path()).last().unwrap().end();
    edit(&segment, |bytes| bytes.truncate(end - 10));
    assert_refused_for(dir.path(), &segment, &[&format!("byte {end}")], || {
        std::fs::write(&segment, &whole).unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_reader_names_a_damaged_line_of_the_journal() {
    let dir = store_with_events().await;
    let second = journal(dir.path()).remove(1);
    edit(&second.path, |bytes| bytes[second.offset + 30] ^= 1);
    // It lies before the checkpoint, so that opening does not read it.
    let builder = || crate::support::builder(&dir).projection::<Count>();
    let store = builder().open().await.unwrap();
    let place = format!(
        "{} is damaged at byte {}:",
        second.path.display(),
        second.offset
    );
    for _ in 0..2 {
        let error = store.projection::<Count>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        assert!(error.to_string().contains(&place), "{error}");
    }
    // The aggregates do not need it.
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.send(Do::Add(4)).await.unwrap().version, 4);
    edit(&second.path, |bytes| bytes[second.offset + 30] ^= 1);
    assert_eq!(store.projection::<Count>().unwrap().0, 4);
}

/// Whether a [`Scribe`] reads whatever was written.
static READS_ANYTHING: AtomicBool = AtomicBool::new(false);

/// Writes as the payload whatever it is told to.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Scribe;

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum Written {
    Text(String),
}

impl Aggregate for Scribe {
    const AGGREGATE_TYPE: &'static str = "scribe";
    type Command = String;
    type DomainEvent = Written;
    type Error = Infallible;
    fn handle(&self, command: String) -> Result<Vec<Written>, Infallible> {
        Ok(vec![Written::Text(command)])
    }
    fn apply(self, _: &Written) -> Self {
        self
    }
    fn encode_event(
        Written::Text(text): &Written,
        data: &mut Vec<u8>,
    ) -> Result<Cow<'static, str>, EncodeError> {
        data.extend_from_slice(text.as_bytes());
        Ok(Cow::Borrowed("Text"))
    }
    fn decode_event(stored: StoredEvent<'_>) -> Result<Decoded<Written>, DecodeError> {
        if READS_ANYTHING.load(Ordering::Relaxed) {
            return Ok(Decoded::one(Written::Text(stored.data().to_owned())));
        }
        stored.payload().map(Written::Text).map(Decoded::one)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_is_not_json_is_refused_or_an_error_only_where_it_is_decoded() {
    for payload in [r#"{"a" "b"}"#, r#"["\"]}"}"#, r#""\q""#, "nul", "1-2"] {
        let dir = store_with_events().await;
        let builder = crate::support::builder(&dir).snapshot_every(u64::MAX);
        let store = builder.open().await.unwrap();
        let scribe = store.get::<Scribe>("b").await.unwrap();
        READS_ANYTHING.store(false, Ordering::Relaxed);
        scribe.send(payload.to_owned()).await.unwrap_err();
        READS_ANYTHING.store(true, Ordering::Relaxed);
        let sent = scribe.send(payload.to_owned()).await;
        // What is not even like JSON is refused whoever reads it: it is not to be told from its line.
        if !payload.starts_with(['{', '[', '"']) {
            sent.unwrap_err();
            continue;
        }
        assert_eq!(sent.unwrap().version, 1);
        store.shutdown().await.unwrap();

        READS_ANYTHING.store(false, Ordering::Relaxed);
        let builder = crate::support::builder(&dir).projection::<Count>();
        let store = builder.open().await.unwrap();
        let scribe = store.get::<Scribe>("b").await.unwrap();
        let error = scribe.state().await.unwrap_err().to_string();
        for part in ["scribe/b", "version 1", "event `Text`"] {
            assert!(error.contains(part), "no {part} in: {error}");
        }
        let error = store.projection::<Count>().unwrap_err().to_string();
        let expected = format!("`count` at position {}", store.head());
        assert!(error.contains(&expected), "{error}");
        store.read_events("scribe", "b").await.unwrap_err();
        let mut events = store.subscribe(Position::default());
        for _ in 0..3 {
            let event = events.next().await.unwrap().unwrap();
            event.decode::<Ledger>().unwrap();
        }
        let event = events.next().await.unwrap().unwrap();
        assert_eq!(event.data(), payload);
        let error = event.decode::<Scribe>().unwrap_err();
        assert!(matches!(error, DecodeError::Malformed { .. }), "{error}");
        // Other streams are not concerned.
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.send(Do::Add(4)).await.unwrap().version, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_redo_point_costs_only_a_replay() {
    let dir = store_with_events().await;
    let path = dir.path().join("journal/checkpoint.json");
    let whole = std::fs::read(&path).unwrap();
    for at in (0..whole.len()).step_by(7) {
        let copied = copy(dir.path());
        edit(&copied.path().join("journal/checkpoint.json"), |bytes| {
            bytes[at] ^= 1;
        });
        let store = open(&copied).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1, 2, 3]));
        assert_eq!(ledger.send(Do::Add(4)).await.unwrap().version, 4);
        store.shutdown().await.unwrap();
        verify(copied.path());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_journal_of_a_newer_version_is_refused() {
    let dir = store_with_events().await;
    std::fs::remove_file(dir.path().join("journal/checkpoint.json")).unwrap();
    let segment = segments(dir.path()).remove(0);
    edit(&segment, |bytes| {
        assert!(bytes.starts_with(b"{\"journal\":2,"));
        bytes[11] = b'3';
    });
    let text = refusal(&dir).await;
    assert!(text.contains(segment.to_str().unwrap()), "{text}");
}

/// A projection and a process manager whose names are the texts of a type.
macro_rules! named {
    ($($type:ident = $name:expr),* $(,)?) => {$(
        #[derive(Debug, Clone, Default, Serialize, Deserialize)]
        struct $type;

        impl Projection for $type {
            const NAME: &'static str = $name;

            fn subscriptions(&self) -> &'static [&'static str] {
                &[]
            }

            fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
        }

        impl eventfold_es::ProcessManager for $type {
            const NAME: &'static str = $name;

            fn subscriptions(&self) -> &'static [&'static str] {
                &[]
            }

            fn react(
                &mut self,
                _: &str,
                _: &str,
                _: &eventfold::Event,
            ) -> Vec<eventfold_es::CommandEnvelope> {
                Vec::new()
            }
        }
    )*};
}

/// A text of 256 bytes.
const LONG: &str = match std::str::from_utf8(&[b'x'; 256]) {
    Ok(text) => text,
    Err(_) => "",
};

named! {
    Empty = "",
    Dots = "..",
    Below = "a/b",
    Up = "../a",
    Backslash = "a\\b",
    Line = "a\nb",
    Nul = "a\0b",
    Direction = "a\u{202e}b",
    Device = "con",
    Dot = ".hidden",
    Space = "a ",
    TooLong = LONG,
    Fine = "übersicht 2.0",
    FineAgain = "übersicht 2.0",
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_cannot_be_directories_are_refused_and_nothing_is_created_for_them() {
    let dir = temp_dir();
    macro_rules! refused {
        ($($type:ident),*) => {$(
            let builder = crate::support::builder(&dir).projection::<$type>();
            let projection = builder.open().await.unwrap_err();
            let builder = crate::support::builder(&dir).process_manager::<$type>();
            let process_manager = builder.open().await.unwrap_err();
            for (error, of) in [(projection, "projection"), (process_manager, "process manager")] {
                assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
                let start: String = <$type as Projection>::NAME.chars().take(80).collect();
                let expected = format!("the name of {of} {start:?} is ");
                assert!(error.to_string().starts_with(&expected), "{error}");
            }
        )*};
    }
    refused!(
        Empty, Dots, Below, Up, Backslash, Line, Nul, Direction, Device, Dot, Space, TooLong
    );
    if let Some(base) = dir.on_disk() {
        assert!(!base.join("projections").exists());
        assert!(!base.join("process_managers").exists());
    }
    let store = crate::support::builder(&dir)
        .projection::<Fine>()
        .process_manager::<Fine>()
        .open()
        .await
        .unwrap();
    let _ = store.projection::<Fine>().unwrap();
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_projections_or_process_managers_of_one_name_are_refused() {
    let dir = temp_dir();
    let projections = crate::support::builder(&dir)
        .projection::<Fine>()
        .projection::<FineAgain>();
    let same = crate::support::builder(&dir)
        .projection::<Fine>()
        .projection::<Fine>();
    let managers = crate::support::builder(&dir)
        .process_manager::<Fine>()
        .process_manager::<FineAgain>();
    for (builder, of) in [
        (projections, "projection"),
        (same, "projection"),
        (managers, "process manager"),
    ] {
        let error = builder.open().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let expected = format!("{of} `übersicht 2.0` is registered twice");
        assert_eq!(error.to_string(), expected);
    }
}
