//! BEHAVIOURS 50: a directory that is put together from different times is refused or told before
//! anything is answered from it wrongly.
//!
//! A store is copied at several moments, of two histories that part. Then every part of one copy is
//! laid over every other: what is answered is the truth of one moment, or an error.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use eventfold::{Event, EventWriter};
use eventfold_es::__private::example::{Add, Counter, Forward, Total};
use eventfold_es::{
    Aggregate, AggregateStore, DecodeError, OnFailure, Position, Projection, StoredEvent,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::damage::trim;
use crate::support::files::{copy_into, everything_below, files_below};
use crate::support::scripted::{Gate, GateCommand, builder, clock, command, run, tell};
use crate::support::{Ledger, LedgerCommand as Do, TempDir, case_step, copy, temp_dir, written};

/// The number of events of ledgers, but for those that it cannot take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Fussy(u64);

impl Projection for Fussy {
    const NAME: &'static str = "fussy";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &Event) {
        unreachable!("a store hands events over as they are stored")
    }

    fn apply_stored(&mut self, event: StoredEvent<'_>) -> Result<(), DecodeError> {
        let data: serde_json::Value = event.payload()?;
        if data["text"] == "bad" {
            event.payload::<u64>()?;
        }
        self.0 += 1;
        Ok(())
    }
}

/// With everything that a store can have.
async fn open(dir: &Path) -> io::Result<AggregateStore> {
    builder(dir, &clock(), OnFailure::Stop)
        .projection::<Total>()
        .projection_with::<Fussy>(OnFailure::Skip)
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .snapshot_every(3)
        .open()
        .await
}

/// With nothing that follows the journal.
async fn open_bare(dir: &Path) -> io::Result<AggregateStore> {
    AggregateStore::builder(dir).snapshot_every(3).open().await
}

const LEDGERS: [&str; 6] = ["old", "a", "b/1", "script", "left", "right"];
const COUNTERS: [&str; 2] = ["c-1", "all"];
const GATES: [&str; 2] = ["shut", "open"];

/// What a program sees of a store: each answer that is no error, by its question.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Shown {
    answers: BTreeMap<String, String>,
    errors: Vec<String>,
}

impl Shown {
    fn note(&mut self, question: impl Into<String>, answer: Result<impl Debug, impl ToString>) {
        match answer {
            Ok(answer) => {
                let answer = format!("{answer:?}");
                self.answers.insert(question.into(), answer);
            }
            Err(error) => self.errors.push(error.to_string()),
        }
    }

    async fn note_stream<A: Aggregate + Debug>(
        &mut self,
        when: &str,
        store: &AggregateStore,
        id: &str,
    ) {
        let name = format!("{when} {} {id}", A::AGGREGATE_TYPE);
        let events = match store.read_events(A::AGGREGATE_TYPE, id).await {
            // That there is none is an answer too.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            events => events,
        };
        self.note(format!("{name}: events"), events);
        let handle = store.get::<A>(id).await.unwrap();
        self.note(format!("{name}: state"), handle.state().await);
        self.note(format!("{name}: version"), handle.version().await);
    }

    async fn note_streams(&mut self, when: &str, store: &AggregateStore) {
        for id in LEDGERS {
            self.note_stream::<Ledger>(when, store, id).await;
        }
        for id in COUNTERS {
            self.note_stream::<Counter>(when, store, id).await;
        }
        for id in GATES {
            self.note_stream::<Gate>(when, store, id).await;
        }
        self.note(format!("{when} head"), io::Result::Ok(store.head()));
    }
}

/// Those of the streams that have events: each directory counts as a stream.
async fn with_events(
    store: &AggregateStore,
    listed: io::Result<Vec<(String, String)>>,
) -> io::Result<Vec<(String, String)>> {
    let mut streams = Vec::new();
    for (kind, id) in listed? {
        if !store.read_events(&kind, &id).await?.is_empty() {
            streams.push((kind, id));
        }
    }
    Ok(streams)
}

/// All events in the order of the journal.
async fn subscribed(store: &AggregateStore) -> io::Result<Vec<String>> {
    let mut events = Vec::new();
    let mut subscription = store.subscribe(Position::default());
    let head = store.head();
    let mut reached = Position::default();
    while reached < head {
        let event = subscription.next().await.expect("the store is open")?;
        reached = event.position();
        let (name, id) = (event.name(), event.id());
        events.push(format!("{reached} {id} {name} {}", event.data()));
    }
    Ok(events)
}

/// Asks for everything that the store in `dir` can tell, and has its process managers run.
async fn show(dir: &Path) -> Result<Shown, String> {
    let store = open(dir).await.map_err(|error| error.to_string())?;
    let mut shown = Shown::default();
    shown.note(
        "list",
        with_events(&store, store.list_streams(None).await).await,
    );
    let ledgers = store.list::<Ledger>().await.map(|ids| {
        let name = |id| ("ledger".to_owned(), id);
        ids.into_iter().map(name).collect()
    });
    shown.note("ledgers", with_events(&store, ledgers).await);
    shown.note_streams("before", &store).await;
    shown.note("journal", subscribed(&store).await);
    shown.note("total", store.projection::<Total>());
    shown.note("fussy", store.projection::<Fussy>());
    let status = store.read_side();
    let fussy = status
        .projections
        .iter()
        .find(|p| p.name == "fussy")
        .unwrap();
    let skipped = fussy.skipped.iter().map(|event| event.position);
    shown.note("skipped", io::Result::Ok(skipped.collect::<BTreeSet<_>>()));
    let run = store.run_process_managers().await;
    // Before, a process manager may be behind.
    let status = store.read_side();
    let letters = store.dead_letters("scripted").unwrap().list().await;
    if letters.is_ok() {
        let scripted = status
            .process_managers
            .iter()
            .find(|m| m.follower.name == "scripted");
        let timers = scripted.map(|scripted| scripted.timers);
        shown.note("timers", io::Result::Ok(timers));
    }
    let letters = letters.map(|letters| {
        let envelopes = letters
            .iter()
            .map(|letter| format!("{:?}", letter.envelope));
        envelopes.collect::<BTreeSet<_>>()
    });
    shown.note("letters", letters);
    match run {
        Ok(_) => shown.note_streams("after", &store).await,
        Err(error) => shown.errors.push(error.to_string()),
    }
    if let Err(error) = store.shutdown().await {
        shown.errors.push(error.to_string());
    }
    Ok(shown)
}

/// A copy of the store.
struct Moment {
    name: &'static str,
    dir: TempDir,
    truth: BTreeMap<String, String>,
}

async fn moment(name: &'static str, dir: &Path) -> Moment {
    let dir = copy(dir);
    trim(dir.path());
    let shown = show(copy(dir.path()).path()).await.unwrap();
    assert!(shown.errors.is_empty(), "{name}: {shown:?}");
    Moment {
        name,
        dir,
        truth: shown.answers,
    }
}

async fn add(store: &AggregateStore, id: &str, amounts: &[u64]) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    for amount in amounts {
        ledger.send(Do::Add(*amount)).await.unwrap();
    }
}

async fn write(store: &AggregateStore, id: &str, text: &str) {
    let ledger = store.get::<Ledger>(id).await.unwrap();
    ledger.send(Do::Write(text.to_owned())).await.unwrap();
}

async fn count(store: &AggregateStore, amount: u64) {
    let counter = store.get::<Counter>("c-1").await.unwrap();
    counter.send(Add(amount)).await.unwrap();
}

/// Brings everything that follows the journal to its end.
async fn settle(store: &AggregateStore) {
    run(store).await;
    store.projection::<Total>().unwrap();
    store.projection::<Fussy>().unwrap();
}

/// Appends to the stream `old` as another program does.
fn append_foreign(base: &Path, amount: u64) {
    let old = base.join("streams/ledger/old");
    std::fs::create_dir_all(&old).unwrap();
    let mut writer = EventWriter::open(&old).unwrap();
    let event = Event::new("Added", serde_json::json!({ "amount": amount }));
    writer.append(&event).unwrap();
}

/// The moments, of which `left` and `right` follow on `common`, `later` on `right`, and `killed` on
/// `left`.
async fn moments() -> Vec<Moment> {
    let mut moments = Vec::new();
    let dir = temp_dir();
    let base = dir.path();
    append_foreign(base, 1);
    append_foreign(base, 2);
    let store = open(base).await.unwrap();
    add(&store, "a", &[1, 2]).await;
    count(&store, 5).await;
    settle(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    moments.push(moment("early", base).await);

    let store = open(base).await.unwrap();
    command(&store, "shut", GateCommand::Shut).await;
    tell(&store, "send shut 1").await;
    tell(&store, "send open 1").await;
    tell(&store, "later 3600 later open 5").await;
    add(&store, "a", &[3, 4, 5]).await;
    add(&store, "b/1", &[6]).await;
    write(&store, "b/1", "bad").await;
    settle(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    moments.push(moment("common", base).await);

    let left = copy(base);
    let base = left.path();
    append_foreign(base, 7);
    let report = AggregateStore::repair(base).await.unwrap();
    assert!(report.is_success(), "{report}");
    let store = open(base).await.unwrap();
    add(&store, "a", &[11]).await;
    add(&store, "left", &[12, 13]).await;
    tell(&store, "send shut 2").await;
    tell(&store, "send open 2").await;
    count(&store, 6).await;
    settle(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    moments.push(moment("left", base).await);

    let right = copy(dir.path());
    let base = right.path();
    let store = open(base).await.unwrap();
    add(&store, "a", &[21, 22]).await;
    add(&store, "right", &[23]).await;
    tell(&store, "cancel later").await;
    tell(&store, "send open 3").await;
    write(&store, "b/1", "bad").await;
    count(&store, 7).await;
    settle(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    moments.push(moment("right", base).await);

    let store = open(base).await.unwrap();
    add(&store, "a", &[24, 25, 26]).await;
    add(&store, "old", &[27]).await;
    tell(&store, "send shut 4").await;
    count(&store, 8).await;
    settle(&store).await;
    store.shutdown().await.unwrap();
    drop(store);
    moments.push(moment("later", base).await);

    let store = open(left.path()).await.unwrap();
    add(&store, "a", &[14]).await;
    add(&store, "left", &[15]).await;
    tell(&store, "send open 6").await;
    count(&store, 9).await;
    settle(&store).await;
    written(&store);
    moments.push(moment("killed", left.path()).await);
    store.shutdown().await.unwrap();
    moments
}

/// What is done to a copy of one moment with parts of another.
#[derive(Debug, Clone)]
enum Change {
    /// The part is laid over what is there.
    Over(PathBuf),
    /// The part, which need not be there, takes the place of what is there.
    Instead(Vec<PathBuf>),
}

impl Change {
    fn make(&self, base: &Path, from: &Path) {
        match self {
            Self::Over(part) => lay_over(&from.join(part), &base.join(part)),
            Self::Instead(parts) => {
                for part in parts {
                    let place = base.join(part);
                    if place.is_dir() {
                        std::fs::remove_dir_all(&place).unwrap();
                    } else if place.exists() {
                        std::fs::remove_file(&place).unwrap();
                    }
                    lay_over(&from.join(part), &place);
                }
            }
        }
    }
}

fn lay_over(from: &Path, to: &Path) {
    if from.is_dir() {
        copy_into(from, to);
    } else if from.exists() {
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(from, to).unwrap();
    }
}

/// The directories and files of a store, by their relative names.
fn parts(base: &Path) -> BTreeSet<PathBuf> {
    let mut parts: BTreeSet<PathBuf> = everything_below(base).into_iter().collect();
    parts.retain(|part| {
        part.file_name().is_some_and(|name| name != "lock")
            && part.extension().is_none_or(|ext| ext != "tmp")
    });
    let relative = |part: PathBuf| part.strip_prefix(base).unwrap().to_owned();
    parts.into_iter().map(relative).collect()
}

const FOLDERS: [&str; 5] = [
    "journal",
    "streams",
    "projections",
    "process_managers",
    "meta",
];

/// Every part, and every choice of several folders.
fn changes(base: &Path, from: &Path) -> Vec<Change> {
    let (mine, theirs) = (parts(base), parts(from));
    let mut changes = Vec::new();
    for part in mine.union(&theirs) {
        if theirs.contains(part) {
            changes.push(Change::Over(part.clone()));
        }
        if mine.contains(part) && (base.join(part).is_dir() || !theirs.contains(part)) {
            changes.push(Change::Instead(vec![part.clone()]));
        }
    }
    for choice in 1..1_u32 << FOLDERS.len() {
        let chosen = FOLDERS
            .iter()
            .enumerate()
            .filter(|(i, _)| choice >> i & 1 == 1);
        let chosen: Vec<PathBuf> = chosen.map(|(_, folder)| folder.into()).collect();
        if chosen.len() > 1 {
            changes.push(Change::Instead(chosen));
        }
    }
    changes
}

/// The content of all files.
fn content(base: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = files_below(base);
    files.retain(|path| path.file_name().is_some_and(|name| name != "lock"));
    let read = |path: PathBuf| {
        let bytes = std::fs::read(&path).unwrap();
        (path.strip_prefix(base).unwrap().to_owned(), bytes)
    };
    files.into_iter().map(read).collect()
}

/// How the cases ended.
#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    cases: usize,
    refused_by_open: usize,
    /// Some answers were errors.
    refused_by_load: usize,
    /// Everything was answered, and all of it was right.
    right: usize,
    /// Of those that were not refused by `open`: `verify` told something.
    reported: usize,
    wrong: usize,
}

/// What became of one case; the text says what is wrong.
struct Case {
    tally: Tally,
    wrong: Option<String>,
}

async fn check(moments: Arc<Vec<Moment>>, base: usize, from: usize, change: Change) -> Case {
    let (base, from) = (&moments[base], &moments[from]);
    let mixed = copy(base.dir.path());
    change.make(mixed.path(), from.dir.path());
    let mut tally = Tally::default();
    let before = content(mixed.path());
    if before == content(base.dir.path()) {
        return Case { tally, wrong: None };
    }
    tally.cases = 1;
    let report = AggregateStore::verify(mixed.path()).await.unwrap();
    assert!(before == content(mixed.path()), "verify changed something");
    let Ok(shown) = show(mixed.path()).await else {
        tally.refused_by_open = 1;
        let is_reported = !report.is_clean();
        let wrong = (!is_reported).then(|| "refused, and `verify` finds nothing".to_owned());
        return Case { tally, wrong };
    };
    tally.reported = usize::from(!report.findings.is_empty());
    if shown.errors.is_empty() {
        tally.right = 1;
    } else {
        tally.refused_by_load = 1;
    }
    let differing = |truth: &BTreeMap<String, String>| -> Vec<String> {
        let differs =
            |(question, answer): &(&String, &String)| truth.get(*question) != Some(answer);
        let differing = shown.answers.iter().filter(differs);
        differing.map(|(question, _)| question.clone()).collect()
    };
    let (one, other) = (differing(&base.truth), differing(&from.truth));
    // Dead letters that are lost leave nothing that shows it before the process manager acts again.
    let are_lost = |question: &String| question == "letters";
    let is_reported = report
        .findings
        .iter()
        .any(|finding| finding.file.ends_with("dead_letters.jsonl"));
    let is_right = |differing: &[String]| {
        differing.is_empty() || (is_reported && differing.iter().all(are_lost))
    };
    if is_right(&one) || is_right(&other) {
        return Case { tally, wrong: None };
    }
    let text = format!(
        "not of `{}`: {one:?}\nnot of `{}`: {other:?}\nerrors: {:?}\n{report}",
        base.name, from.name, shown.errors
    );
    tally.right = 0;
    tally.wrong = 1;
    Case {
        tally,
        wrong: Some(text),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_mixed_from_several_backups_is_refused_or_answers_like_one_of_them() {
    let moments = Arc::new(moments().await);
    let mut sum = Tally::default();
    let mut wrong = Vec::new();
    let mut take = |(name, case): (String, Case)| {
        let Tally {
            cases,
            refused_by_open,
            refused_by_load,
            right,
            reported,
            wrong: is_wrong,
        } = case.tally;
        sum.cases += cases;
        sum.refused_by_open += refused_by_open;
        sum.refused_by_load += refused_by_load;
        sum.right += right;
        sum.reported += reported;
        sum.wrong += is_wrong;
        wrong.extend(case.wrong.map(|text| format!("{name}: {text}")));
    };
    let mut running = JoinSet::new();
    for base in 0..moments.len() {
        for from in 0..moments.len() {
            if base == from {
                continue;
            }
            let changes = changes(moments[base].dir.path(), moments[from].dir.path());
            for change in changes.into_iter().step_by(case_step()) {
                if running.len() == 4 {
                    take(running.join_next().await.unwrap().unwrap());
                }
                let moments = moments.clone();
                running.spawn(async move {
                    let names = (moments[from].name, moments[base].name);
                    let name = format!("{} over {}: {change:?}", names.0, names.1);
                    (name, check(moments, base, from, change).await)
                });
            }
        }
    }
    while let Some(done) = running.join_next().await {
        take(done.unwrap());
    }
    println!("{sum:?}");
    assert!(
        wrong.is_empty(),
        "{} of {} cases are wrong:\n{}",
        wrong.len(),
        sum.cases,
        wrong[..wrong.len().min(60)].join("\n\n")
    );
    assert!(sum.refused_by_open > 0 && sum.refused_by_load > 0 && sum.right > 0);
}

/// The projections and process managers that were saved ahead of the journal, or in another history,
/// while a program without them has brought the journal on past them.
#[tokio::test(flavor = "multi_thread")]
async fn files_saved_in_another_history_are_not_trusted_when_the_journal_has_grown_past_them() {
    let moments = moments().await;
    let of = |name: &str| moments.iter().find(|m| m.name == name).unwrap();
    let (mut rebuilt, mut refused) = (0, 0);
    for (base, from) in [
        ("early", "common"),
        ("common", "left"),
        ("common", "later"),
        ("left", "right"),
        ("right", "left"),
        ("left", "later"),
    ] {
        let mixed = copy(of(base).dir.path());
        for folder in ["projections", "process_managers"] {
            Change::Instead(vec![folder.into()]).make(mixed.path(), of(from).dir.path());
        }
        let store = open_bare(mixed.path()).await.unwrap();
        let amounts: Vec<u64> = (100..160).collect();
        add(&store, "a", &amounts).await;
        count(&store, 50).await;
        store.shutdown().await.unwrap();
        drop(store);

        let error = open(mixed.path()).await.unwrap_err().to_string();
        assert!(
            error.contains("is from another history"),
            "{from} over {base}: {error}"
        );
        assert!(error.contains("process_managers"), "{error}");
        refused += 1;

        let builder = AggregateStore::builder(mixed.path());
        let builder = builder.projection::<Total>();
        let builder = builder.projection_with::<Fussy>(OnFailure::Skip);
        let store = builder.open().await.unwrap();
        let (total, fussy) = (store.projection::<Total>(), store.projection::<Fussy>());
        store.rebuild_projection::<Total>().unwrap();
        store.rebuild_projection::<Fussy>().unwrap();
        let value = total.unwrap().value;
        assert_eq!(value, store.projection::<Total>().unwrap().value);
        assert_eq!(fussy.unwrap(), store.projection::<Fussy>().unwrap());
        rebuilt += 2;
        store.shutdown().await.unwrap();
        let report = AggregateStore::verify(mixed.path()).await.unwrap();
        assert!(!report.is_clean(), "{from} over {base}");
    }
    assert_eq!((rebuilt, refused), (12, 6));
}
