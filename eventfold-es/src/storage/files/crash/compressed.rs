//! Stores whose sealed segments are being compressed when the power fails at each moment, and when each call
//! to the disk fails.

use std::path::{Path, PathBuf};

use crate::storage::files::crash::power_loss::in_parallel;
use crate::storage::files::crash::{
    Account, builder, check, fail_all_kinds, id, is_whole_after, large, note, open, runtime,
    temp_dir, wait_for_upkeep,
};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::storage::files::journal::paths::{compressed_path, list_forms, segment_path};
use crate::{AggregateStore, CommandContext, Severity};

/// How many commands the stores have.
const COMMANDS: u64 = 12;

/// A store that compresses only what it is told to.
async fn open_plain(dir: &Path) -> AggregateStore {
    let store = builder(dir).compress_journal(false).open().await;
    store.expect("the disk works")
}

async fn send(store: &AggregateStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let account = store.get::<Account>(&id(number)).await.unwrap();
        let command = if number % 3 == 0 {
            large(number)
        } else {
            note(number)
        };
        let context = CommandContext::default();
        account.execute(command, context).await.unwrap();
    }
}

/// Makes a store of several segments in `dir`, which is closed and not compressed.
async fn make(dir: &Path) {
    let store = open_plain(dir).await;
    send(&store, 0..COMMANDS).await;
    store.shutdown().await.unwrap();
}

fn journal(dir: &Path) -> PathBuf {
    dir.join("journal")
}

/// How many segments there are that are not compressed, and how many that are.
fn counts(dir: &Path) -> (usize, usize) {
    let forms = list_forms(&journal(dir)).expect("it can be listed");
    let compressed = forms.iter().filter(|(_, is_compressed)| *is_compressed);
    let compressed = compressed.count();
    (forms.len() - compressed, compressed)
}

fn temporary_files(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(journal(dir)).expect("it can be listed");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(".zst.tmp")).collect()
}

/// Everything in the store `dir` is there and right, and it can be compressed.
async fn is_whole(dir: &Path) -> Result<(), String> {
    let numbers: Vec<u64> = (0..COMMANDS).collect();
    let report = AggregateStore::verify(dir).await;
    let report = report.map_err(|e| e.to_string())?;
    let is_harmless = |severity| severity == Severity::Harmless;
    if !report
        .findings
        .iter()
        .all(|finding| is_harmless(finding.severity))
    {
        return Err(report.to_string());
    }
    check(dir, &numbers).await?;
    let store = open(dir).await.map_err(|e| e.to_string())?;
    store.compress().await.map_err(|e| e.to_string())?;
    store.shutdown().await.map_err(|e| e.to_string())?;
    if counts(dir).0 != 1 || !temporary_files(dir).is_empty() {
        return Err(format!("{:?} {:?}", counts(dir), temporary_files(dir)));
    }
    let report = AggregateStore::verify(dir).await;
    let mut report = report.map_err(|e| e.to_string())?;
    // A snapshot may have been interrupted.
    let journal = journal(dir).canonicalize().map_err(|e| e.to_string())?;
    let findings = &mut report.findings;
    findings.retain(|finding| finding.file.starts_with(&journal));
    if findings.is_empty() {
        return Ok(());
    }
    Err(report.to_string())
}

/// A store that is compressed, and what that did to the disk.
fn recorded() -> Log {
    let dir = temp_dir();
    let runtime = runtime();
    runtime.block_on(make(dir.path()));
    let (plain, compressed) = counts(dir.path());
    assert!(plain > 4 && compressed == 0);
    let watch = Watch::resume(dir.path());
    runtime.block_on(async {
        let store = open_plain(dir.path()).await;
        let done = store.compress().await.expect("the disk works");
        assert_eq!(done, plain as u64 - 1);
        assert_eq!(store.compress().await.expect("the disk works"), 0);
        store.shutdown().await.expect("the disk works");
    });
    assert_eq!(counts(dir.path()), (1, plain - 1));
    watch.stop()
}

#[test]
fn a_power_failure_at_each_moment_of_compressing_leaves_one_whole_form_of_each_segment() {
    let log = recorded();
    let points: Vec<usize> = log.points().collect();
    println!("{} points, each with 3 images", points.len());
    in_parallel(points.len() as u64 * 3, |seed| {
        let point = points[usize::try_from(seed / 3).expect("few points")];
        let dir = temp_dir();
        log.image(point, &mut Choices::new(seed), dir.path())
            .map_err(|e| e.to_string())?;
        runtime()
            .block_on(is_whole(dir.path()))
            .map_err(|e| format!("at point {point}: {e}"))
    });
}

/// Compresses a store while a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    make(dir.path()).await;
    let store = open_plain(dir.path()).await;
    let watch = Watch::resume(dir.path());
    watch.set_fault(fault);
    let compressed = store.compress().await;
    let failed = watch.clear_fault();
    // Removing a temporary file may fail as well; that changes nothing.
    if compressed.is_ok() && failed.iter().any(|(call, _)| *call != Call::Rename) {
        return Err(format!("a failure was not told: {failed:?}"));
    }
    send(&store, COMMANDS..COMMANDS + 2).await;
    let is_in_doubt = failed_syncs::is_remembered(&journal(dir.path()));
    let again = store.compress().await;
    if again.is_err() != is_in_doubt {
        return Err(format!("in doubt: {is_in_doubt}, but {again:?}"));
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    is_whole_after(fault, &watch.stop(), dir.path(), is_whole).await?;
    Ok(!failed.is_empty())
}

#[test]
fn a_failing_call_leaves_the_segment_as_it_is_and_the_store_goes_on() {
    fail_all_kinds(try_fault);
}

#[test]
fn on_a_full_disk_nothing_is_left_of_an_attempt_and_a_later_one_succeeds() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let before = counts(dir.path());
        let store = open_plain(dir.path()).await;
        let watch = Watch::resume(dir.path());
        watch.fill_up();
        let error = store.compress().await.unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::StorageFull, "{error}");
        wait_for_upkeep(&store);
        assert_eq!(temporary_files(dir.path()), Vec::<String>::new());
        assert_eq!(counts(dir.path()), before);
        watch.give_space();
        send(&store, COMMANDS..COMMANDS + 2).await;
        assert!(store.compress().await.unwrap() >= before.0 as u64 - 1);
        store.shutdown().await.unwrap();
        watch.stop();
        is_whole(dir.path()).await.unwrap();
    });
}

#[test]
fn a_store_that_is_closed_while_it_compresses_leaves_no_temporary_file() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let store = open_plain(dir.path()).await;
        let compressing = tokio::spawn({
            let store = store.clone();
            async move { store.compress().await }
        });
        tokio::task::yield_now().await;
        store.shutdown().await.unwrap();
        // It was done before, or it is told.
        let _ = compressing.await.unwrap();
        assert_eq!(temporary_files(dir.path()), Vec::<String>::new());
        is_whole(dir.path()).await.unwrap();
    });
}

#[test]
fn of_two_forms_the_plain_one_counts_and_open_removes_the_other() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let plain = segment_path(&journal(dir.path()), 1);
        let bytes = std::fs::read(&plain).unwrap();
        let store = open_plain(dir.path()).await;
        store.compress().await.unwrap();
        store.shutdown().await.unwrap();
        let compressed = compressed_path(&journal(dir.path()), 1);
        assert!(!plain.exists() && compressed.exists());

        std::fs::write(&plain, bytes).unwrap();
        // It is not read.
        std::fs::write(&compressed, "nonsense").unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        let [finding] = report.findings.as_slice() else {
            panic!("{report}");
        };
        assert_eq!(finding.severity, Severity::Harmless);
        assert_eq!(finding.file, compressed.canonicalize().unwrap());
        let store = open_plain(dir.path()).await;
        assert!(plain.exists() && !compressed.exists());
        assert_eq!(store.compress().await.unwrap(), 1);
        assert!(!plain.exists() && compressed.exists());
        store.shutdown().await.unwrap();
        is_whole(dir.path()).await.unwrap();
    });
}

#[test]
fn a_damaged_segment_is_not_compressed() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let damaged = segment_path(&journal(dir.path()), 1);
        let mut bytes = std::fs::read(&damaged).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(&damaged, &bytes).unwrap();
        let before = counts(dir.path()).0 as u64;
        let store = open_plain(dir.path()).await;
        assert_eq!(store.compress().await.unwrap(), before - 2);
        store.shutdown().await.unwrap();
        assert_eq!(std::fs::read(&damaged).unwrap(), bytes);
        assert_eq!(temporary_files(dir.path()), Vec::<String>::new());
    });
}

#[test]
fn the_whole_journal_is_replayed_from_compressed_segments() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let store = open_plain(dir.path()).await;
        store.compress().await.unwrap();
        store.shutdown().await.unwrap();
        std::fs::remove_file(journal(dir.path()).join("checkpoint.json")).unwrap();
        std::fs::remove_dir_all(dir.path().join("streams")).unwrap();
        let numbers: Vec<u64> = (0..COMMANDS).collect();
        check(dir.path(), &numbers).await.unwrap();
    });
}

#[test]
fn if_all_behind_a_compressed_segment_is_missing_the_store_does_not_open() {
    let dir = temp_dir();
    runtime().block_on(async {
        make(dir.path()).await;
        let store = open_plain(dir.path()).await;
        store.compress().await.unwrap();
        store.shutdown().await.unwrap();
        let forms = list_forms(&journal(dir.path())).unwrap();
        let (newest, _) = *forms.last().unwrap();
        let newest = segment_path(&journal(dir.path()), newest);
        std::fs::remove_file(&newest).unwrap();
        std::fs::remove_file(journal(dir.path()).join("checkpoint.json")).unwrap();
        std::fs::remove_dir_all(dir.path().join("streams")).unwrap();
        let report = AggregateStore::verify(dir.path()).await.unwrap();
        let name = newest.file_name().unwrap().to_str().unwrap();
        let tells = |finding: &crate::Finding| {
            finding.severity == Severity::Lost && finding.file.ends_with(name)
        };
        assert!(report.findings.iter().any(tells), "{report}");
        let error = open(dir.path()).await.unwrap_err();
        assert!(error.to_string().contains(name), "{error}");
    });
}
