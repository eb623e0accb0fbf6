//! Every file of a small store damaged in every way: the store shows the right state, or an error
//! names the file; `verify` finds what opening cannot, and `repair` brings back what is in the
//! journal.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventfold::{Event, EventWriter};
use eventfold_es::__private::example::{Add, Counter, Forward, Total};
use eventfold_es::AggregateStore;
use tokio::task::JoinSet;

use crate::support::files::{edit, segments};
use crate::support::scripted::{GateCommand, clock, command, open_on_demand, run, tell};
use crate::support::{
    Ledger, LedgerCommand as Do, TempDir, case_step, copy, stream_file, temp_dir,
};

#[tokio::test]
async fn a_check_tells_how_many_bytes_it_has_read_until_all_are() {
    let dir = temp_dir();
    let store = crate::support::open(dir.path()).await;
    for id in ["a", "b"] {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        for _ in 0..20 {
            ledger.send(Do::Write("x".repeat(20_000))).await.unwrap();
        }
    }
    store.shutdown().await.unwrap();
    let size = |path: &Path| std::fs::metadata(path).unwrap().len();
    let all = segments(dir.path())
        .iter()
        .map(|path| size(path))
        .sum::<u64>()
        + size(&stream_file(dir.path(), "a"))
        + size(&stream_file(dir.path(), "b"));
    let (said, heard) = std::sync::mpsc::channel();
    let verify = AggregateStore::verify(dir.path());
    verify
        .on_progress(move |done, of| said.send((done, of)).unwrap())
        .await
        .unwrap();
    let told: Vec<(u64, u64)> = heard.iter().collect();
    // Nothing, each segment, each stream.
    assert_eq!(told.len(), 1 + segments(dir.path()).len() + 2);
    assert!(
        told.is_sorted() && told.iter().all(|(_, total)| *total == all),
        "{told:?}"
    );
    assert_eq!((told[0].0, told.last().unwrap().0), (0, all));
}

/// What can happen to the files of a store, whose names are relative to it.
#[derive(Debug, Clone)]
enum Damage {
    Flip(PathBuf, usize),
    Truncate(PathBuf, usize),
    Delete(PathBuf),
    /// The first file in place of the second one.
    Duplicate(PathBuf, PathBuf),
    Swap(PathBuf, PathBuf),
    /// Half of the file, as a write that was interrupted before its rename leaves it.
    Leftover(PathBuf),
}

impl Damage {
    fn inflict(&self, base: &Path) {
        match self {
            Self::Flip(file, at) => edit(&base.join(file), |bytes| bytes[*at] ^= 1 << (at % 8)),
            Self::Truncate(file, at) => edit(&base.join(file), |bytes| bytes.truncate(*at)),
            Self::Delete(path) if base.join(path).is_dir() => {
                std::fs::remove_dir_all(base.join(path)).unwrap();
            }
            Self::Delete(path) => std::fs::remove_file(base.join(path)).unwrap(),
            Self::Duplicate(from, to) => {
                std::fs::create_dir_all(base.join(to).parent().unwrap()).unwrap();
                std::fs::copy(base.join(from), base.join(to)).unwrap();
            }
            Self::Swap(a, b) => {
                let kept = std::fs::read(base.join(a)).unwrap();
                std::fs::copy(base.join(b), base.join(a)).unwrap();
                std::fs::write(base.join(b), kept).unwrap();
            }
            Self::Leftover(file) => {
                let mut bytes = std::fs::read(base.join(file)).unwrap();
                bytes.truncate(bytes.len().min(4096) / 2);
                std::fs::write(base.join(format!("{}.tmp", file.display())), bytes).unwrap();
            }
        }
    }

    fn names(&self) -> Vec<String> {
        let paths = match self {
            Self::Flip(a, _) | Self::Truncate(a, _) | Self::Delete(a) | Self::Leftover(a) => {
                vec![a]
            }
            Self::Duplicate(_, b) => vec![b],
            Self::Swap(a, b) => vec![a, b],
        };
        let text = |path: &PathBuf| path.to_str().unwrap().to_owned();
        paths.into_iter().map(text).collect()
    }

    /// Whether it is a file in the directory of a stream that there was none of.
    fn is_a_new_stream(&self) -> bool {
        matches!(self, Self::Duplicate(_, to) if to.to_string_lossy().contains("/new-"))
    }

    /// Whether a file or its end is gone without a trace in what a load reads: the running store
    /// cannot tell it from a stream that never had these events.
    fn leaves_no_trace(&self) -> bool {
        match self {
            Self::Delete(path) => {
                path.starts_with("streams") || path.starts_with("process_managers")
            }
            Self::Truncate(file, _) => file.ends_with("app.jsonl"),
            _ => false,
        }
    }
}

/// A store's directory, and what it must show.
pub(crate) struct Sample {
    pub(crate) dir: TempDir,
    right: Shown,
}

/// What a program sees of the store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Shown {
    pub(crate) states: BTreeMap<String, String>,
    pub(crate) total: u64,
    pub(crate) head: String,
}

const LEDGERS: [&str; 3] = ["a", "b/1", "old"];
const COUNTERS: [&str; 2] = ["c-1", "all"];

pub(crate) async fn open(dir: &Path) -> std::io::Result<AggregateStore> {
    AggregateStore::builder(dir)
        .projection::<Total>()
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .snapshot_every(3)
        // What is damaged here are lines; `compressed` damages compressed files.
        .compress_journal(false)
        .open()
        .await
}

/// Shows everything that the store in `dir` holds, or the errors that kept it from that.
pub(crate) async fn show(dir: &Path) -> Result<Shown, Vec<String>> {
    let store = open(dir).await.map_err(|error| vec![error.to_string()])?;
    let mut errors = Vec::new();
    let mut shown = Shown::default();
    match store.run_process_managers().await {
        // It sends nothing that it had sent.
        Ok(report) => shown.head = format!("{} + {}", store.head(), report.dead_lettered),
        Err(error) => errors.push(error.to_string()),
    }
    for id in LEDGERS {
        let ledger = store.get::<Ledger>(id).await.unwrap();
        match (ledger.state().await, ledger.version().await) {
            (Ok(state), Ok(version)) => {
                shown
                    .states
                    .insert(id.to_owned(), format!("{version}: {state:?}"));
            }
            (Err(error), _) | (_, Err(error)) => errors.push(error.to_string()),
        }
    }
    for id in COUNTERS {
        let counter = store.get::<Counter>(id).await.unwrap();
        match (counter.state().await, counter.version().await) {
            (Ok(state), Ok(version)) => {
                shown
                    .states
                    .insert(id.to_owned(), format!("{version}: {state:?}"));
            }
            (Err(error), _) | (_, Err(error)) => errors.push(error.to_string()),
        }
    }
    match store.projection::<Total>() {
        Ok(total) => shown.total = total.value,
        Err(error) => errors.push(error.to_string()),
    }
    if let Err(error) = store.shutdown().await {
        errors.push(error.to_string());
    }
    if errors.is_empty() {
        Ok(shown)
    } else {
        Err(errors)
    }
}

/// Streams of two types with commits of several events, one of 0.2.0 that was written to by another
/// program since, snapshots, a projection and a process manager; closed in order, or killed.
pub(crate) async fn sample(is_closed: bool) -> Sample {
    let dir = temp_dir();
    let old = dir.path().join("streams/ledger/old");
    std::fs::create_dir_all(&old).unwrap();
    let foreign = |amount: u64| Event::new("Added", serde_json::json!({ "amount": amount }));
    let mut writer = EventWriter::open(&old).unwrap();
    writer.append(&foreign(1)).unwrap();
    writer.append(&foreign(2)).unwrap();
    drop(writer);

    let store = open(dir.path()).await.unwrap();
    let a = store.get::<Ledger>("a").await.unwrap();
    a.send(Do::AddAll(vec![1, 2])).await.unwrap();
    a.send(Do::AddAll(vec![3, 4])).await.unwrap();
    let c = store.get::<Counter>("c-1").await.unwrap();
    c.send(Add(5)).await.unwrap();
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    let mut writer = EventWriter::open(&old).unwrap();
    writer.append(&foreign(7)).unwrap();
    drop(writer);
    let report = AggregateStore::repair(dir.path()).await.unwrap();
    assert!(report.is_success(), "{report}");

    let store = open(dir.path()).await.unwrap();
    let old = store.get::<Ledger>("old").await.unwrap();
    assert_eq!(old.version().await.unwrap(), 3);
    let a = store.get::<Ledger>("a").await.unwrap();
    a.send(Do::Write("ünï".to_owned())).await.unwrap();
    let b = store.get::<Ledger>("b/1").await.unwrap();
    b.send(Do::AddAll(vec![8, 9])).await.unwrap();
    store
        .get::<Counter>("c-1")
        .await
        .unwrap()
        .send(Add(6))
        .await
        .unwrap();
    store.run_process_managers().await.unwrap();
    assert_eq!(store.projection::<Total>().unwrap().value, 22);
    let dir = if is_closed {
        store.shutdown().await.unwrap();
        dir
    } else {
        crate::support::written(&store);
        copy(dir.path())
    };
    trim(dir.path());
    let right = show(copy(dir.path()).path()).await.unwrap();
    assert_eq!((right.states.len(), right.total), (5, 22));
    Sample { dir, right }
}

/// Leaves few of the journal's zeros, so that thousands of cases take no time; a store goes on in such a
/// file as well.
pub(crate) fn trim(base: &Path) {
    for segment in crate::support::files::segments(base) {
        let length = crate::support::files::used(&segment) + 100;
        edit(&segment, |bytes| bytes.truncate(length));
    }
}

/// The files of a store, by their relative names, with how many bytes are in use.
fn files(base: &Path) -> Vec<(PathBuf, usize)> {
    let mut files = crate::support::files::files_below(base);
    files.retain(|path| {
        path.file_name().is_some_and(|name| name != "lock")
            && path.extension().is_none_or(|ext| ext != "tmp")
    });
    files
        .into_iter()
        .map(|path| {
            let used = crate::support::files::used(&path);
            (path.strip_prefix(base).unwrap().to_owned(), used)
        })
        .collect()
}

/// How the cases ended.
#[derive(Debug, Default)]
struct Tally {
    harmless: usize,
    refused: usize,
    /// Only `verify` finds it.
    unnoticed: usize,
    repaired: usize,
    unrepaired: usize,
}

enum Outcome {
    Harmless,
    Refused,
    Unnoticed,
}

/// Damages a copy of the sample and looks at what comes of it.
async fn check(sample: Arc<Sample>, damage: Damage) -> (Outcome, Option<bool>) {
    let damaged = copy(sample.dir.path());
    damage.inflict(damaged.path());
    let before = files(damaged.path());
    let report = AggregateStore::verify(damaged.path()).await.unwrap();
    assert_eq!(
        before,
        files(damaged.path()),
        "{damage:?}: verify changed something"
    );

    let opened = copy(damaged.path());
    let outcome = match show(opened.path()).await {
        Ok(shown) if shown == sample.right => Outcome::Harmless,
        Ok(shown) => {
            assert!(
                damage.leaves_no_trace(),
                "{damage:?}: a wrong state\n{shown:?}\n{:?}\n{report}",
                sample.right
            );
            assert!(!report.is_clean(), "{damage:?}: wrong and not found");
            Outcome::Unnoticed
        }
        Err(errors) => {
            assert!(!report.is_clean(), "{damage:?}: {errors:?} is not found");
            for error in &errors {
                let named = damage.names().iter().any(|name| error.contains(name));
                assert!(
                    named,
                    "{damage:?}: the file is not named: {errors:?}\n{report}"
                );
            }
            Outcome::Refused
        }
    };
    let is_named = report
        .findings
        .iter()
        .all(|f| f.file.starts_with(damaged.path()));
    assert!(is_named, "{damage:?}: {report}");

    // A repair of some of the flips will do.
    let is_spared = matches!(damage, Damage::Flip(_, at) if at % 8 != 3);
    let success = if report.findings.is_empty() || is_spared {
        None
    } else {
        let repair = AggregateStore::repair(damaged.path()).await.unwrap();
        if repair.is_success() {
            let again = AggregateStore::verify(damaged.path()).await.unwrap();
            assert!(again.is_clean(), "{damage:?}: {again}");
            let shown = show(damaged.path()).await;
            let mut shown =
                shown.unwrap_or_else(|errors| panic!("{damage:?}: {repair}\n{errors:?}"));
            if damage.is_a_new_stream() {
                // Lines of another program in it are that stream's own.
                shown.head.clone_from(&sample.right.head);
            }
            assert_eq!(shown, sample.right, "{damage:?}: {repair}");
        }
        Some(repair.is_success())
    };
    (outcome, success)
}

async fn check_all(name: &str, sample: Sample, damages: Vec<Damage>) -> Tally {
    let sample = Arc::new(sample);
    let mut tally = Tally::default();
    let count = damages.len();
    let mut running = JoinSet::new();
    let take = |tally: &mut Tally, (outcome, success)| {
        match outcome {
            Outcome::Harmless => tally.harmless += 1,
            Outcome::Refused => tally.refused += 1,
            Outcome::Unnoticed => tally.unnoticed += 1,
        }
        match success {
            Some(true) => tally.repaired += 1,
            Some(false) => tally.unrepaired += 1,
            None => {}
        }
    };
    for damage in damages {
        if running.len() == 4 {
            take(&mut tally, running.join_next().await.unwrap().unwrap());
        }
        running.spawn(check(sample.clone(), damage));
    }
    while let Some(done) = running.join_next().await {
        take(&mut tally, done.unwrap());
    }
    println!("{name}: {count} cases of damage: {tally:?}");
    tally
}

/// One bit of every byte that is in use, or of every so many, and of some that are not.
fn flips(base: &Path, stride: usize) -> Vec<Damage> {
    let mut flips = Vec::new();
    for (file, used) in files(base) {
        let length = usize::try_from(std::fs::metadata(base.join(&file)).unwrap().len()).unwrap();
        let zeros = (used..length).step_by(9 * stride);
        flips.extend(
            (0..used)
                .step_by(stride)
                .chain(zeros)
                .map(|at| Damage::Flip(file.clone(), at)),
        );
    }
    flips
}

/// Files cut, deleted, duplicated, swapped and left over.
fn losses(base: &Path) -> Vec<Damage> {
    let mut losses = Vec::new();
    let files = files(base);
    for (file, used) in &files {
        let bytes = std::fs::read(base.join(file)).unwrap();
        let lines = (1..*used).filter(|at| bytes[at - 1] == b'\n');
        let cuts = [0, 1, used / 2, used - 1].into_iter().chain(lines);
        losses.extend(cuts.map(|at| Damage::Truncate(file.clone(), at)));
        losses.push(Damage::Delete(file.clone()));
        losses.push(Damage::Leftover(file.clone()));
    }
    let streams: Vec<&PathBuf> = files
        .iter()
        .map(|(file, _)| file)
        .filter(|file| file.ends_with("app.jsonl"))
        .collect();
    for (i, a) in streams.iter().enumerate() {
        losses.push(Damage::Delete(a.parent().unwrap().to_owned()));
        let new = PathBuf::from(format!("streams/ledger/new-{i}/app.jsonl"));
        losses.push(Damage::Duplicate((*a).clone(), new));
        for b in &streams[i + 1..] {
            losses.push(Damage::Duplicate((*a).clone(), (*b).clone()));
            losses.push(Damage::Swap((*a).clone(), (*b).clone()));
        }
    }
    for dir in ["streams", "journal", "projections", "process_managers"] {
        // The projection of a killed store was never saved.
        if base.join(dir).is_dir() {
            losses.push(Damage::Delete(dir.into()));
        }
    }
    losses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_anywhere_in_a_closed_store_is_harmless_or_named() {
    let sample = sample(true).await;
    let damages = flips(sample.dir.path(), case_step());
    let tally = check_all("flips, closed", sample, damages).await;
    assert_eq!(tally.unnoticed, 0);
    assert!(tally.refused > 0 && tally.harmless > 0 && tally.repaired > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bit_flipped_anywhere_in_a_killed_store_is_harmless_or_named() {
    let sample = sample(false).await;
    let damages = flips(sample.dir.path(), 3 * case_step());
    let tally = check_all("flips, killed", sample, damages).await;
    assert_eq!(tally.unnoticed, 0);
    assert!(tally.refused > 0 && tally.harmless > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_lost_or_swapped_file_in_a_closed_store_is_harmless_or_found() {
    let sample = sample(true).await;
    let damages = losses(sample.dir.path());
    let tally = check_all("losses, closed", sample, damages).await;
    assert!(tally.refused > 0 && tally.harmless > 0 && tally.repaired > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_lost_or_swapped_file_in_a_killed_store_is_harmless_or_found() {
    let sample = sample(false).await;
    let damages = losses(sample.dir.path());
    let tally = check_all("losses, killed", sample, damages).await;
    assert!(tally.refused > 0 && tally.harmless > 0 && tally.repaired > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_about_a_damaged_file_says_what_to_do() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    for i in 0..3 {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        ledger.send(Do::Add(i)).await.unwrap();
    }
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    run(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    let manager = Path::new("process_managers/scripted");
    let from_a_copy = "restore the whole directory from a copy";

    // The journal.
    let damaged = copy(dir.path());
    edit(&segments(damaged.path())[0], |bytes| bytes[300] ^= 1);
    let store = open_on_demand(&damaged, &clock).await;
    let error = store.recent(100).await.unwrap_err().to_string();
    store.shutdown().await.unwrap();
    assert!(
        error.contains("`AggregateStore::verify` lists all damage"),
        "{error}"
    );
    assert!(error.ends_with(from_a_copy), "{error}");

    // The file of a stream, which is then repaired.
    for damage in [true, false] {
        let damaged = copy(dir.path());
        let file = stream_file(damaged.path(), "a");
        if damage {
            edit(&file, |bytes| bytes[100] ^= 1);
        } else {
            std::fs::remove_file(&file).unwrap();
        }
        let store = open_on_demand(&damaged, &clock).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let error = ledger.state().await.unwrap_err().to_string();
        let advice = "; `AggregateStore::repair` writes the file again from the journal";
        assert!(error.ends_with(advice), "{error}");
        drop(ledger);
        store.shutdown().await.unwrap();
        AggregateStore::repair(damaged.path()).await.unwrap();
        let store = open_on_demand(&damaged, &clock).await;
        let ledger = store.get::<Ledger>("a").await.unwrap();
        assert_eq!(ledger.state().await.unwrap(), Ledger::of(0..3));
        store.shutdown().await.unwrap();
    }

    // The checkpoint of a process manager, and its dead letters.
    let damaged = copy(dir.path());
    let checkpoint = damaged.path().join(manager).join("journal_checkpoint.json");
    edit(&checkpoint, |bytes| bytes[20] ^= 1);
    let store = open_on_demand(&damaged, &clock).await;
    let error = store.run_process_managers().await.unwrap_err().to_string();
    assert!(error.ends_with(from_a_copy), "{error}");
    store.shutdown().await.unwrap();
    let damaged = copy(dir.path());
    let letters = damaged.path().join(manager).join("dead_letters.jsonl");
    edit(&letters, |bytes| bytes[20] ^= 1);
    let store = open_on_demand(&damaged, &clock).await;
    let letters = store.dead_letters("scripted").unwrap();
    let error = letters.list().await.unwrap_err().to_string();
    assert!(error.ends_with(from_a_copy), "{error}");
}
