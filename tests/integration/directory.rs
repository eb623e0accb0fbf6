//! The directory of a store: it stays the one that was locked, whatever becomes of its path; what stands
//! in the place of its files is refused; others do not get to see what it holds.

use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;

use eventfold_es::{AggregateStore, ExecuteError, Projection, spawn_actor};
use serde::{Deserialize, Serialize};

use crate::support::files::{copy_into, everything_below};
use crate::support::{
    Ledger, LedgerCommand as Do, child, in_time, open, refusal, stream_file, temp_dir, verify,
    written,
};

/// How much each ledger has, with a checkpoint that is saved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Count(u64);

impl Projection for Count {
    const NAME: &'static str = "count";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.0 += 1;
    }
}

async fn open_with_count(dir: &Path) -> AggregateStore {
    let builder = AggregateStore::builder(dir).projection::<Count>();
    builder.snapshot_every(2).open().await.unwrap()
}

async fn add(store: &AggregateStore, id: &str, count: u64) -> Result<(), String> {
    let ledger = store.get::<Ledger>(id).await.map_err(|e| e.to_string())?;
    for amount in 1..=count {
        let sent = ledger.send(Do::Add(amount)).await;
        sent.map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn events(store: &AggregateStore, id: &str) -> u64 {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.state().await.unwrap().count
}

/// Commands to many ledgers, old and new, until the journal has several segments.
async fn work(store: &AggregateStore, from: u64) {
    let text = "x".repeat(20_000);
    for number in 0..40 {
        let ledger = store.get::<Ledger>(&format!("l-{}", from + number)).await;
        let ledger = ledger.unwrap();
        ledger.send(Do::Write(text.clone())).await.unwrap();
        ledger.send(Do::Add(number)).await.unwrap();
        ledger.send(Do::Add(number)).await.unwrap();
    }
    written(store);
    let _ = store.projection::<Count>().unwrap();
}

/// What is at each path, with the files' content.
fn content(dir: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    everything_below(dir)
        .iter()
        .map(|path| (path.display().to_string(), std::fs::read(path).ok()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn redirecting_a_link_does_not_redirect_a_store_that_was_opened_through_it() {
    let root = temp_dir();
    let (a, b, current) = (
        root.path().join("a"),
        root.path().join("b"),
        root.path().join("current"),
    );
    let other = open_with_count(&b).await;
    work(&other, 0).await;
    other.shutdown().await.unwrap();
    drop(other);
    let before = content(&b);
    std::fs::create_dir(&a).unwrap();
    symlink("a", &current).unwrap();

    let store = open_with_count(&current).await;
    work(&store, 20).await;
    std::fs::remove_file(&current).unwrap();
    symlink("b", &current).unwrap();
    work(&store, 40).await;
    assert_eq!(store.list::<Ledger>().await.unwrap().len(), 60);
    // The other one is a store of its own, also while this one is open.
    let other = open_with_count(&current).await;
    assert_eq!(other.list::<Ledger>().await.unwrap().len(), 40);
    other.shutdown().await.unwrap();
    store.shutdown().await.unwrap();
    drop((store, other));

    let names = |content: &[(String, Option<Vec<u8>>)]| -> Vec<String> {
        // Each opening prepares a segment of its own.
        let names = content.iter().map(|(path, _)| path.clone());
        names.filter(|name| !name.contains("spare-")).collect()
    };
    assert_eq!(names(&content(&b)), names(&before));
    for dir in [&a, &b] {
        verify(dir);
        let report = AggregateStore::verify(dir).await.unwrap();
        assert!(report.findings.is_empty(), "{report}");
    }
    let store = open_with_count(&a).await;
    assert_eq!(store.projection::<Count>().unwrap().0, 240);
    assert_eq!(events(&store, "l-59").await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_store_goes_on_in_its_directory_after_it_is_moved() {
    let root = temp_dir();
    let (dir, moved) = (root.path().join("data"), root.path().join("moved"));
    let store = open_with_count(&dir).await;
    work(&store, 0).await;
    std::fs::rename(&dir, &moved).unwrap();
    work(&store, 20).await;
    assert_eq!(store.projection::<Count>().unwrap().0, 240);
    assert!(!dir.exists(), "the directory was made again");
    // What comes to be there is another store's, which must not be taken for this one.
    std::fs::create_dir(&dir).unwrap();
    work(&store, 40).await;
    assert_eq!(everything_below(&dir), Vec::<std::path::PathBuf>::new());
    for base in [&dir, &moved] {
        let error = AggregateStore::open(base).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy, "{error}");
        assert!(
            error.to_string().contains("open in this process"),
            "{error}"
        );
    }
    let spawned = spawn_actor::<Ledger>(&dir.join("streams/ledger/l-0"));
    assert!(spawned.is_err(), "the store that was here is another one");
    store.shutdown().await.unwrap();
    drop(store);
    verify(&moved);
    let store = open_with_count(&moved).await;
    assert_eq!(store.list::<Ledger>().await.unwrap().len(), 80);
    assert_eq!(store.projection::<Count>().unwrap().0, 360);
    let new_store = open_with_count(&dir).await;
    assert_eq!(new_store.list::<Ledger>().await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_whose_directory_is_deleted_refuses_commands_and_does_not_create_it_again() {
    let root = temp_dir();
    let dir = root.path().join("data");
    for known in [true, false] {
        let store = open_with_count(&dir).await;
        add(&store, "old", 3).await.unwrap();
        written(&store);
        std::fs::remove_dir_all(&dir).unwrap();
        if known {
            let ledger = store.get::<Ledger>("old").await.unwrap();
            let error = ledger.send(Do::Add(1)).await.unwrap_err();
            assert!(matches!(error, ExecuteError::OutcomeUnknown(_)), "{error}");
            let text = error.to_string();
            assert!(
                text.contains("was deleted while the store was open"),
                "{text}"
            );
            // From then on nothing is unknown.
            let error = ledger.send(Do::Add(1)).await.unwrap_err();
            assert!(matches!(error, ExecuteError::Io(_)), "{error}");
            add(&store, "new", 1).await.unwrap_err();
        }
        // Also a store that was asked for nothing since does not say that all is well.
        let error = store.shutdown().await.unwrap_err();
        assert!(error.to_string().contains("was deleted"), "{error}");
        drop(store);
        assert!(!dir.exists(), "the directory was made again");
    }
    // A new one may begin there.
    let store = open(&dir).await;
    assert_eq!(events(&store, "old").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_lock_file_does_not_let_a_second_store_in() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 1).await.unwrap();
    let lock = dir.path().join("lock");
    for is_there_again in [false, true] {
        std::fs::remove_file(&lock).unwrap();
        if is_there_again {
            std::fs::write(&lock, "").unwrap();
        }
        let mut other = child::start("try to open", dir.path());
        let heard = other.hear().unwrap();
        assert!(heard.starts_with("ResourceBusy"), "{heard}");
        let error = AggregateStore::open(&dir).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        let error = AggregateStore::verify(&dir).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        if !is_there_again {
            std::fs::write(&lock, "").unwrap();
        }
    }
    // The other way round.
    store.shutdown().await.unwrap();
    let mut holder = child::start("hold", dir.path());
    assert_eq!(holder.hear().as_deref(), Some("open"));
    std::fs::remove_file(&lock).unwrap();
    let text = refusal(&dir).await;
    assert!(text.contains("in use by another process"), "{text}");
    holder.finish();
    assert_eq!(events(&open(&dir).await, "held").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn another_file_in_place_of_the_lock_file_is_refused_and_left_unchanged() {
    let root = temp_dir();
    let precious = root.path().join("precious");
    std::fs::write(&precious, "1234\n").unwrap();
    let dir = root.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    let lock = dir.join("lock");
    symlink(&precious, &lock).unwrap();
    let text = refusal(&dir).await;
    assert!(text.contains("lock: it is a link"), "{text}");
    std::fs::remove_file(&lock).unwrap();
    symlink(root.path().join("missing"), &lock).unwrap();
    let text = refusal(&dir).await;
    assert!(text.contains("lock: it is a link"), "{text}");
    assert!(!root.path().join("missing").exists());
    std::fs::remove_file(&lock).unwrap();

    std::fs::write(&precious, "precious\n").unwrap();
    std::fs::hard_link(&precious, &lock).unwrap();
    let text = refusal(&dir).await;
    assert!(text.contains("not a file of the store"), "{text}");
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious\n");
    std::fs::remove_file(&lock).unwrap();
    add(&open(&dir).await, "a", 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_in_place_of_a_temporary_file_does_not_truncate_its_target() {
    let root = temp_dir();
    let precious = root.path().join("precious");
    std::fs::write(&precious, "precious").unwrap();
    let dir = root.path().join("data");
    let store = open_with_count(&dir).await;
    add(&store, "a", 1).await.unwrap();
    let names = [
        "journal/checkpoint.json.tmp",
        "journal/stream_ends.tmp",
        "projections/count/journal_checkpoint.json.tmp",
        "streams/ledger/a/views/state.snapshot.json.tmp",
    ];
    for name in names {
        let path = dir.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(&precious, &path).unwrap();
    }
    add(&store, "a", 3).await.unwrap();
    let _ = store.projection::<Count>();
    let _ = store.shutdown().await;
    drop(store);
    assert_eq!(std::fs::read(&precious).unwrap(), b"precious");
    let store = open_with_count(&dir).await;
    assert_eq!(events(&store, "a").await, 4);
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_in_place_of_a_file_is_reported_and_does_not_block() {
    use rustix::fs::{CWD, Mode, mkfifoat};

    let whole = temp_dir();
    let store = open_with_count(whole.path()).await;
    add(&store, "a", 5).await.unwrap();
    let _ = store.projection::<Count>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let files: Vec<_> = everything_below(whole.path())
        .into_iter()
        .filter(|path| path.is_file())
        .map(|path| path.strip_prefix(whole.path()).unwrap().to_owned())
        .chain(["journal/sync_failed", "meta/streams.jsonl"].map(Into::into))
        .chain(["projections/count/skipped.jsonl"].map(Into::into))
        .collect();
    assert!(files.len() >= 9, "{files:?}");
    for file in files {
        let root = temp_dir();
        let dir = root.path().join("data");
        copy_into(whole.path(), &dir);
        let path = dir.join(&file);
        let _ = std::fs::remove_file(&path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).unwrap();
        let what = file.display().to_string();
        let reported = in_time(&what, async {
            let verified = AggregateStore::verify(&dir).await;
            let mut reported = match &verified {
                Ok(report) => report.to_string(),
                Err(error) => error.to_string(),
            };
            let builder = AggregateStore::builder(&dir).projection::<Count>();
            match builder.snapshot_every(2).open().await {
                Err(error) => reported += &error.to_string(),
                Ok(store) => {
                    // Either it does not need the file, or it says so.
                    match add(&store, "a", 1).await {
                        Ok(()) => assert_eq!(events(&store, "a").await, 6),
                        Err(error) => reported += &error,
                    }
                    let _ = store.projection::<Count>();
                    let _ = store.shutdown().await;
                }
            }
            reported
        });
        let reported = reported.await;
        let is_reported = reported.contains(&what)
            || ["snapshot", "spare-", "journal/sync_failed"]
                .iter()
                .any(|plain| what.contains(plain));
        assert!(is_reported, "{what}: {reported}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linked_directories_of_streams_are_listed_and_verified_like_the_others() {
    for link in ["streams", "streams/ledger", "streams/ledger/c"] {
        let root = temp_dir();
        let dir = root.path().join("data");
        let store = open(&dir).await;
        add(&store, "c", 3).await.unwrap();
        add(&store, "d", 1).await.unwrap();
        store.shutdown().await.unwrap();
        drop(store);
        let elsewhere = root.path().join("elsewhere");
        std::fs::rename(dir.join(link), &elsewhere).unwrap();
        symlink(&elsewhere, dir.join(link)).unwrap();

        let report = AggregateStore::verify(&dir).await.unwrap();
        assert!(report.findings.is_empty(), "{link}: {report}");
        let store = open(&dir).await;
        add(&store, "c", 1).await.unwrap();
        add(&store, "e", 1).await.unwrap();
        written(&store);
        assert_eq!(store.list::<Ledger>().await.unwrap(), ["c", "d", "e"]);
        assert_eq!(store.list_streams(None).await.unwrap().len(), 3);
        store.shutdown().await.unwrap();
        drop(store);
        let report = AggregateStore::verify(&dir).await.unwrap();
        assert!(report.findings.is_empty(), "{link}: {report}");

        // What is wrong there is found, and put right.
        let file = stream_file(&dir, "c");
        std::fs::write(&file, "scribbled over\n").unwrap();
        let report = AggregateStore::repair(&dir).await.unwrap();
        assert!(report.is_success(), "{link}: {report}");
        assert_eq!(
            report.repaired[0].file,
            file.canonicalize().map_or(file.clone(), |_| file)
        );
        assert!(dir.join(link).is_symlink());

        // They prove that there was a journal.
        std::fs::remove_dir_all(dir.join("journal")).unwrap();
        let text = refusal(&dir).await;
        assert!(text.contains("the journal is missing"), "{link}: {text}");
        // Their disk may not be there.
        std::fs::rename(&elsewhere, root.path().join("away")).unwrap();
        let text = refusal(&dir).await;
        assert!(
            text.contains("leads nowhere") && text.contains(link),
            "{link}: {text}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circular_link_does_not_make_verify_run_for_ever() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "a", 1).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    for link in ["back", "streams/back", "streams/ledger/back"] {
        symlink(dir.path(), dir.path().join(link)).unwrap();
    }
    let report = in_time("verify", AggregateStore::verify(&dir).into_future()).await;
    let _ = report.unwrap();
}

/// Every kind of file, in a process whose umask forbids nothing.
pub(crate) async fn write_everything(dir: &Path) {
    let store = open_with_count(dir).await;
    work(&store, 0).await;
    store.shutdown().await.unwrap();
    drop(store);
    std::fs::write(stream_file(dir, "l-1"), "scribbled over\n").unwrap();
    AggregateStore::repair(dir).await.unwrap();
    drop(spawn_actor::<Ledger>(&dir.join("streams/ledger/spawned")).unwrap());
    child::say("written");
    child::wait_for_the_end();
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_owner_can_access_files_whatever_the_umask_and_the_mode_of_the_directory() {
    let root = temp_dir();
    let dir = root.path().join("data");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o777)).unwrap();
    let mut other = child::start_without_umask("write everything", &dir);
    assert_eq!(other.hear().as_deref(), Some("written"));
    other.finish();
    let kinds = [
        "lock",
        "journal/checkpoint.json",
        "journal/stream_ends",
        "journal/00000000000000000001.jsonl",
        "streams/ledger/l-1/app.jsonl",
        "streams/ledger/l-1/views/state.snapshot.json",
        "projections/count/journal_checkpoint.json",
        "streams/ledger/spawned",
    ];
    let found = everything_below(&dir);
    for kind in kinds {
        assert!(found.contains(&dir.join(kind)), "{kind} is not there");
    }
    assert!(
        found
            .iter()
            .any(|path| path.display().to_string().contains("repaired-"))
    );
    for path in found {
        let found = std::fs::metadata(&path).unwrap();
        let expected = if found.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(found.mode() & 0o777, expected, "{}", path.display());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_directory_belongs_to_another_name_is_refused_with_the_cause() {
    let dir = temp_dir();
    let store = open(&dir).await;
    add(&store, "Alice", 2).await.unwrap();
    written(&store);
    // As a file system shows it that does not tell the two names apart.
    symlink("Alice", dir.path().join("streams/ledger/alice")).unwrap();
    let error = add(&store, "alice", 1).await.unwrap_err();
    let read = store.read_events("ledger", "alice").await.unwrap_err();
    for text in [error, read.to_string()] {
        assert!(text.contains("ledger/alice cannot be stored"), "{text}");
        assert!(text.contains("the same as `Alice`"), "{text}");
        assert!(text.contains("case or Unicode form"), "{text}");
    }
    add(&store, "Alice", 1).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let store = open(&dir).await;
    assert_eq!(events(&store, "Alice").await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn repair_does_not_change_a_directory_that_two_names_share() {
    let root = temp_dir();
    let dir = root.path().join("data");
    let store = open(&dir).await;
    add(&store, "Alice", 2).await.unwrap();
    add(&store, "alice", 3).await.unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    // As after a copy to a file system that does not tell the names apart.
    std::fs::remove_dir_all(dir.join("streams/ledger/alice")).unwrap();
    symlink("Alice", dir.join("streams/ledger/alice")).unwrap();
    let before = std::fs::read(stream_file(&dir, "Alice")).unwrap();
    let report = AggregateStore::repair(&dir).await.unwrap();
    assert!(
        report.to_string().contains("the same as `Alice`"),
        "{report}"
    );
    assert_eq!(std::fs::read(stream_file(&dir, "Alice")).unwrap(), before);

    // Nor does the replay of the journal write over it.
    std::fs::remove_file(dir.join("journal/checkpoint.json")).unwrap();
    let store = open(&dir).await;
    assert_eq!(events(&store, "Alice").await, 2);
    assert_eq!(events(&store, "alice").await, 3, "from memory");
    add(&store, "alice", 1).await.unwrap_err();
    let _ = store.shutdown().await;
    drop(store);
    assert_eq!(std::fs::read(stream_file(&dir, "Alice")).unwrap(), before);
}
