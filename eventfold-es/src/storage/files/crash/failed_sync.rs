//! Syncs that fail, the store that is opened again after that, and the power that fails at last: what
//! did not reach the disk once is never built upon in place.

use std::io::Write as _;
use std::path::Path;

use crate::storage::files::crash::power_loss::failures;
use crate::storage::files::crash::{
    Account, EACCES, EIO, EMFILE, ENOSPC, Everything, check, extent, id, note, open, runtime,
    temp_dir,
};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::storage::files::recovery::redo_point::RedoPoint;
use crate::{AggregateStore, Severity};

/// How many power failures are tried after each sync that failed, unless the environment says
/// otherwise.
const SEEDS: u64 = 12;

fn seeds() -> u64 {
    let seeds = std::env::var("EVENTFOLD_SEEDS").ok();
    seeds.and_then(|seeds| seeds.parse().ok()).unwrap_or(SEEDS)
}

/// Executes commands in groups that are under way together, and notes those that stand.
async fn execute(store: &AggregateStore, watch: &Watch, numbers: std::ops::Range<u64>) {
    let numbers: Vec<u64> = numbers.collect();
    for group in numbers.chunks(3) {
        let mut under_way = Vec::new();
        for number in group.iter().copied() {
            let Ok(account) = store.get::<Account>(&id(number)).await else {
                continue;
            };
            under_way.push(tokio::spawn(async move {
                account.send(note(number)).await.is_ok().then_some(number)
            }));
        }
        for command in under_way {
            if let Some(number) = command.await.expect("it does not panic") {
                watch.mark(number);
            }
        }
        let _ = store.projection::<Everything>();
        store.read_side.save_projections();
    }
}

/// Opens the store after a sync has failed, has it work, and closes it.
async fn reopen_and_work(dir: &Path, watch: &Watch) {
    let store = open(dir).await.expect("the disk works again");
    execute(&store, watch, 30..45).await;
    store.shutdown().await.expect("the disk works again");
}

/// What a store did to the disk in which a sync failed while it worked, `None` if none did.
/// `others` fail as well.
fn failed_at_work(fault: Fault, others: &[Fault], before_reopening: fn(&Path)) -> Option<Log> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let failed = runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        execute(&store, &watch, 0..6).await;
        watch.set_fault(fault);
        for fault in others {
            watch.add_fault(*fault);
        }
        execute(&store, &watch, 6..30).await;
        let _ = store.shutdown().await;
        drop(store);
        let mut failed = watch.clear_fault();
        failed.retain(|(call, _)| *call == Call::Sync);
        before_reopening(dir.path());
        reopen_and_work(dir.path(), &watch).await;
        failed
    });
    let log = watch.stop();
    (!failed.is_empty()).then_some(log)
}

/// Another process opens the store the next time.
fn another_process(dir: &Path) {
    failed_syncs::forget(dir);
}

/// The same process does so.
fn this_process(_: &Path) {}

/// A directory as a power failure leaves it, with what was answered by then.
fn interrupted(seed: u64) -> (tempfile::TempDir, Vec<u64>) {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let log = runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        execute(&store, &watch, 0..15).await;
        let log = watch.stop();
        store.shutdown().await.expect("the disk works");
        log
    });
    let left = temp_dir();
    let end = log.end();
    log.image(end, &mut Choices::new(seed), left.path())
        .expect("there is space");
    (left, log.answers(end))
}

/// What a store did to the disk in which a sync failed while the directory `dir` was opened, `None` if
/// none did.
fn failed_at_opening(fault: Fault, dir: &Path, answered: &[u64]) -> Option<Log> {
    let watch = Watch::resume(dir);
    for number in answered {
        watch.mark(*number);
    }
    let failed = runtime().block_on(async {
        watch.set_fault(fault);
        let opened = open(dir).await;
        let failed = watch.clear_fault();
        if let Ok(store) = opened {
            let _ = store.shutdown().await;
        }
        another_process(dir);
        reopen_and_work(dir, &watch).await;
        failed
    });
    let log = watch.stop();
    (!failed.is_empty()).then_some(log)
}

/// What came of the power failures that were tried.
#[derive(Debug)]
struct Tried {
    /// How many power failures are tried for each sync that failed.
    seeds: u64,
    cases: u64,
    failures: Vec<String>,
}

impl Default for Tried {
    fn default() -> Self {
        Self {
            seeds: seeds(),
            cases: 0,
            failures: Vec::new(),
        }
    }
}

impl Tried {
    /// Lets the power fail at many moments of each run that `run` records with a sync that fails, the
    /// first, the second and so on, and looks whether all is there that was answered.
    fn all(&mut self, run: impl Fn(Fault) -> Option<Log>) {
        for (lasting, error) in [(false, EIO), (true, ENOSPC)] {
            for number in 1.. {
                let fault = Fault {
                    number,
                    lasting,
                    ..Fault::lasting(Call::Sync, error)
                };
                let Some(log) = run(fault) else {
                    assert!(number > 1, "no sync ever failed");
                    break;
                };
                self.one(fault, &log);
            }
        }
    }

    fn one(&mut self, fault: Fault, log: &Log) {
        self.cases += extent::tried(self.seeds);
        self.failures.extend(failures(self.seeds, |seed| {
            let mut choices = Choices::new(seed);
            let point = match seed % 2 {
                0 => log.point(&mut choices),
                _ => log.end(),
            };
            let dir = temp_dir();
            let image = log.image(point, &mut choices, dir.path());
            image.map_err(|e| e.to_string())?;
            runtime()
                .block_on(check(dir.path(), &log.answers(point)))
                .map_err(|failed| format!("{fault:?}, power failure at {point}: {failed}"))
        }));
    }

    fn assert_none_failed(self) {
        let Self {
            cases, failures, ..
        } = self;
        println!(
            "{} of {cases} power failures lost something",
            failures.len()
        );
        assert!(
            failures.is_empty(),
            "{} of {cases} cases failed:\n{}",
            failures.len(),
            failures[..failures.len().min(10)].join("\n")
        );
    }
}

#[test]
fn a_command_answered_after_a_failed_sync_and_a_reopening_survives_a_power_failure() {
    let mut tried = Tried::default();
    tried.all(|fault| failed_at_work(fault, &[], another_process));
    tried.assert_none_failed();
}

#[test]
fn the_redo_point_does_not_move_after_a_failed_sync_until_the_store_is_opened_again() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let redo_point = || {
        let read = RedoPoint::read(&dir.path().join("journal")).expect("it can be read");
        read.expect("it is there")
    };
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        execute(&store, &watch, 0..6).await;
        let before = redo_point();
        // That of a file that the journal has nothing to do with.
        failed_syncs::tell(&dir.path().join("projections/p/journal_checkpoint.json"));
        execute(&store, &watch, 6..60).await;
        store.shutdown().await.expect("the disk works");
        drop(store);
        assert_eq!(redo_point(), before);
        let store = open(dir.path()).await.expect("the disk works");
        store.shutdown().await.expect("the disk works");
        let after = redo_point();
        assert!(after.clean && after.end.position > before.end.position);
    });
    watch.stop();
}

#[test]
fn a_sync_that_fails_while_opening_is_not_forgotten_by_the_next_open() {
    let mut tried = Tried::default();
    for seed in 0..4 {
        tried.all(|fault| {
            let (dir, answered) = interrupted(seed);
            failed_at_opening(fault, dir.path(), &answered)
        });
    }
    tried.assert_none_failed();
}

#[test]
fn a_sync_that_fails_while_a_store_is_created_is_not_forgotten_by_the_next_open() {
    // What is missing shows until the first checkpoint only.
    let mut tried = Tried {
        seeds: 8 * seeds(),
        ..Tried::default()
    };
    tried.all(|fault| {
        let parent = temp_dir();
        failed_at_opening(fault, parent.path(), &[])
    });
    tried.assert_none_failed();
}

#[test]
fn a_failed_sync_is_noted_even_if_no_file_can_be_created() {
    let mut tried = Tried::default();
    let others = [Fault::lasting(Call::Open, EMFILE)];
    tried.all(|fault| failed_at_work(fault, &others, another_process));
    tried.assert_none_failed();
}

#[test]
fn a_process_remembers_a_failed_sync_that_cannot_be_noted() {
    let mut tried = Tried::default();
    let others = [
        Fault::lasting(Call::Open, EMFILE),
        Fault::lasting(Call::Rename, EACCES),
    ];
    tried.all(|fault| failed_at_work(fault, &others, this_process));
    tried.assert_none_failed();
}

#[test]
fn a_replacement_that_could_not_be_synced_is_replaced_by_a_new_file() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let file = dir.path().join("checkpoint.json");
    watch.set_fault(Fault::lasting(Call::Sync, EIO));
    // What was begun cannot be removed.
    watch.add_fault(Fault::lasting(Call::Rename, EACCES));
    disk::replace_durably(&file, b"first").expect_err("the sync fails");
    watch.clear_fault();
    disk::replace_durably(&file, b"second").expect("the disk works again");
    let log = watch.stop();
    for seed in 0..20 {
        let left = temp_dir();
        log.image(log.end(), &mut Choices::new(seed), left.path())
            .expect("there is space");
        let content = std::fs::read(left.path().join("checkpoint.json"));
        assert_eq!(content.expect("it is durable"), b"second");
    }
}

#[test]
fn a_directory_whose_entry_could_not_be_synced_is_created_again() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let made = dir.path().join("store/journal");
    watch.set_fault(Fault::lasting(Call::Sync, EIO));
    disk::create_private_dir(&made).expect_err("the sync fails");
    watch.clear_fault();
    disk::create_private_dir(&made).expect("the disk works again");
    let log = watch.stop();
    let left = temp_dir();
    for seed in 0..20 {
        log.image(log.end(), &mut Choices::new(seed), left.path())
            .expect("there is space");
        assert!(left.path().join("store/journal").is_dir(), "seed {seed}");
        std::fs::remove_dir_all(left.path().join("store")).expect("it is there");
    }
}

/// A closed store in `dir`, of which one stream has a line of another program that no store has seen.
async fn with_foreign_line(dir: &Path) {
    let store = open(dir).await.expect("the disk works");
    let account = store.get::<Account>("a1").await.expect("it is open");
    account.send(note(1)).await.expect("the disk works");
    let file = store.layout().stream_dir("account", "a1").join("app.jsonl");
    store.shutdown().await.expect("the disk works");
    let mut file = std::fs::File::options()
        .append(true)
        .open(file)
        .expect("it is there");
    let line = b"{\"type\":\"Noted\",\"data\":{\"number\":9,\"padding\":\"\"},\"ts\":1}\n";
    file.write_all(line).expect("it is written");
}

#[test]
fn repair_enters_a_foreign_line_once_even_after_a_failed_sync() {
    for number in 1.. {
        let dir = temp_dir();
        runtime().block_on(with_foreign_line(dir.path()));
        let watch = Watch::resume(dir.path());
        let (numbers, failed) = runtime().block_on(async {
            watch.set_fault(Fault {
                number,
                lasting: false,
                ..Fault::lasting(Call::Sync, EIO)
            });
            let _ = AggregateStore::repair(dir.path()).await;
            let failed = watch.clear_fault();
            another_process(dir.path());
            let report = AggregateStore::repair(dir.path()).await;
            let report = report.expect("the disk works again");
            assert!(report.is_success(), "{report}");
            let store = open(dir.path()).await.expect("the disk works again");
            let account = store.get::<Account>("a1").await.expect("it is open");
            let numbers = account.state().await.expect("it is entered").numbers;
            store.shutdown().await.expect("the disk works again");
            (numbers, failed)
        });
        assert_eq!(numbers.last(), Some(&9));
        let log = watch.stop();
        if failed.is_empty() {
            assert!(number > 3, "neither its sync nor another failed");
            return;
        }
        for seed in 0..8 {
            let left = temp_dir();
            log.image(log.end(), &mut Choices::new(seed), left.path())
                .expect("there is space");
            runtime().block_on(async {
                let store = open(left.path()).await.expect("it was closed in order");
                let account = store.get::<Account>("a1").await.expect("it is open");
                let state = account.state().await.expect("a state");
                assert_eq!(state.numbers, numbers);
                let head = store.inner.storage.files().head();
                assert_eq!(head, numbers.len() as u64, "entered twice");
            });
        }
    }
}

#[test]
fn verify_reports_a_failed_sync_and_repair_relies_only_on_durable_journal_lines() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let account = store.get::<Account>("a1").await.expect("it is open");
        account.send(note(1)).await.expect("the disk works");
        store.shutdown().await.expect("the disk works");
    });
    let watch = Watch::resume(dir.path());
    watch.mark(1);
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let account = store.get::<Account>("a1").await.expect("it is open");
        // From here on the store is noted as open.
        account.send(note(5)).await.expect("the disk works");
        watch.set_fault(Fault::lasting(Call::Sync, EIO));
        account.send(note(9)).await.expect_err("the sync fails");
        let file = store.layout().stream_dir("account", "a1").join("app.jsonl");
        drop(account);
        let _ = store.shutdown().await;
        drop(store);
        watch.clear_fault();
        another_process(dir.path());
        std::fs::write(&file, b"").expect("it is there");

        let report = AggregateStore::verify(dir.path()).await.expect("a report");
        let finding = report
            .findings
            .iter()
            .find(|f| f.file.ends_with("sync_failed"));
        let finding = finding.expect("it is told");
        assert_eq!(finding.severity, Severity::Harmless);
        assert!(finding.message.contains("a sync failed"), "{finding}");
        let report = AggregateStore::repair(dir.path()).await.expect("a report");
        assert!(
            report.repaired.iter().any(|repaired| repaired.file == file),
            "{report}"
        );
        assert!(report.is_success(), "{report}");
    });
    let log = watch.stop();
    for seed in 0..20 {
        let left = temp_dir();
        log.image(log.end(), &mut Choices::new(seed), left.path())
            .expect("there is space");
        let checked = runtime().block_on(check(left.path(), &[1, 5]));
        checked.unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    }
    // The doubt is not over: only opening ends it.
    runtime().block_on(async {
        let note = dir.path().join("journal/sync_failed");
        assert!(note.exists());
        let store = open(dir.path()).await.expect("it is repaired");
        assert!(!note.exists());
        store.shutdown().await.expect("the disk works");
    });
}
