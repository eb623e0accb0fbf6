//! Aggregates that are archived, unarchived and ended, on disks that fail and lose power: at each call
//! to the disk, what was answered is so, and no event of a compressed stream is lost or doubled.

use std::collections::BTreeMap;
use std::path::Path;

use crate::storage::files::crash::power_loss::in_parallel;
use crate::storage::files::crash::{
    Account, EACCES, EIO, ENOSPC, fail_all, id, note, open, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Call, Choices, Fault, Log, Watch};
use crate::storage::files::layout::{ARCHIVE_FILE, EVENTS_FILE};
use crate::{AggregateHandle, AggregateStore, ExecuteError};

/// How often each point is tried, each time with other remains of what was not durable.
const TRIES: u64 = 2;

/// What is done with one account.
#[derive(Debug, Clone, Copy)]
enum Step {
    Note(u64),
    Archive(u64),
    Unarchive(u64),
    End(u64),
}

use Step::{Archive, End, Note, Unarchive};

/// Streams that are compressed for the first time and again, with lines behind the compressed ones.
const STEPS: &[Step] = &[
    Note(0),
    Note(1),
    Archive(0),
    Note(2),
    Note(5),
    Unarchive(0),
    Archive(1),
    Note(4),
    Note(8),
    Archive(0),
    Note(3),
    End(2),
    Archive(2),
    Unarchive(1),
    Note(9),
    Unarchive(0),
    Note(12),
    Archive(1),
];

/// The numbers of an account's commands, and whether it is archived and has ended.
type State = (Vec<u64>, bool, bool);

/// What the first `steps` steps lead to.
fn expected(steps: usize) -> BTreeMap<String, State> {
    let mut all = BTreeMap::<String, State>::new();
    for step in &STEPS[..steps] {
        match *step {
            Note(number) => {
                let events = std::iter::repeat_n(number, note(number).count);
                all.entry(id(number)).or_default().0.extend(events);
            }
            Archive(account) => all.entry(id(account)).or_default().1 = true,
            Unarchive(account) => all.entry(id(account)).or_default().1 = false,
            End(account) => all.entry(id(account)).or_default().2 = true,
        }
    }
    all
}

async fn account(store: &AggregateStore, id: &str) -> AggregateHandle<Account> {
    store.get(id).await.expect("it is open")
}

async fn execute(store: &AggregateStore, step: Step) -> Result<(), String> {
    match step {
        Note(number) => {
            let account = account(store, &id(number)).await;
            let done = account.send(note(number)).await;
            return done.map(drop).map_err(|error| error.to_string());
        }
        Archive(account) => store.archive::<Account>(&id(account)).await,
        Unarchive(account) => store.unarchive::<Account>(&id(account)).await,
        End(account) => store.end::<Account>(&id(account), "over").await,
    }
    .map(drop)
    .map_err(|error| error.to_string())
}

async fn states(store: &AggregateStore) -> Result<BTreeMap<String, State>, String> {
    let mut all = BTreeMap::new();
    for account in store.list::<Account>().await.map_err(|e| e.to_string())? {
        let handle = self::account(store, &account).await;
        let state = handle.state().await;
        let state = state.map_err(|e| format!("{account}: {e}"))?;
        let lifecycle = handle.lifecycle().await.map_err(|e| e.to_string())?;
        let (archived, ended) = (lifecycle.archived.is_some(), lifecycle.ended.is_some());
        let refused = handle.preview(note(0)).await.err();
        let is_right = match refused {
            None => !archived && !ended,
            Some(ExecuteError::Ended { .. }) => ended,
            Some(ExecuteError::Archived { .. }) => archived && !ended,
            Some(error) => return Err(format!("{account}: {error}")),
        };
        if !is_right {
            return Err(format!("{account} takes commands, or does not, and should"));
        }
        if !state.numbers.is_empty() {
            all.insert(account, (state.numbers, archived, ended));
        }
    }
    Ok(all)
}

/// Opens what is there, which must be what the first `done` steps led to, or one more. The store must
/// still work, and compress streams.
async fn check(dir: &Path, done: usize) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let mut found = states(&store).await?;
    let right = [done, (done + 1).min(STEPS.len())].map(expected);
    if !right.contains(&found) {
        return Err(format!("after {done} steps there is {found:?}"));
    }
    for (account, (numbers, archived, ended)) in &mut found {
        if std::mem::take(archived) {
            let unarchived = store.unarchive::<Account>(account).await;
            unarchived.map_err(|e| format!("{account}: {e}"))?;
        }
        if !*ended {
            let handle = self::account(&store, account).await;
            let next = handle.send(note(1_000_000)).await;
            let next = next.map_err(|e| format!("{account}: {e}"))?;
            numbers.extend(next.events.iter().map(|_| 1_000_000));
        }
        let archive = store.archive::<Account>(account).await;
        archive.map_err(|e| format!("{account}: {e}"))?;
        *archived = true;
    }
    for _ in 0..2 {
        let later = states(&store).await?;
        if later != found {
            return Err(format!("later there is {later:?} instead of {found:?}"));
        }
    }
    store
        .shutdown()
        .await
        .map_err(|e| format!("shutdown: {e}"))?;
    let report = AggregateStore::verify(dir)
        .await
        .map_err(|e| e.to_string())?;
    let left = |finding: &&crate::Finding| {
        // A temporary file is left over from the write that was interrupted.
        finding.file.extension().is_none_or(|name| name != "tmp")
    };
    match report.findings.iter().find(left) {
        Some(finding) => Err(format!("{finding:?}")),
        None => Ok(()),
    }
}

fn recorded() -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        for (number, step) in (0..).zip(STEPS) {
            let done = execute(&store, *step).await;
            done.expect("the disk works");
            watch.mark(number);
        }
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn a_power_failure_at_each_call_leaves_what_was_answered_and_no_event_twice() {
    let log = recorded();
    let points = log.end() as u64 + 1;
    assert!(points > 200, "only {points} points");
    in_parallel(points * TRIES, |seed| {
        let point = usize::try_from(seed % points).expect("few points");
        let mut choices = Choices::new(seed);
        let answered = log.answers(point).len();
        let dir = temp_dir();
        log.image(point, &mut choices, dir.path())
            .map_err(|e| e.to_string())?;
        let watch = Watch::resume(dir.path());
        let checked = runtime().block_on(check(dir.path(), answered));
        let second = watch.stop();
        checked.map_err(|e| format!("at {point}: {e}"))?;
        if seed >= points {
            return Ok(());
        }
        // The power fails once more, while the streams are brought in order and compressed.
        let again = temp_dir();
        let point = second.point(&mut choices);
        second
            .image(point, &mut choices, again.path())
            .map_err(|e| e.to_string())?;
        runtime().block_on(async {
            let store = open(again.path()).await;
            let store = store.map_err(|e| format!("it does not open again: {e}"))?;
            states(&store).await?;
            store.shutdown().await.map_err(|e| e.to_string())?;
            let report = AggregateStore::verify(again.path()).await;
            let report = report.map_err(|e| e.to_string())?;
            let is_harmless = |found: &crate::Finding| found.severity == crate::Severity::Harmless;
            if report.findings.iter().all(is_harmless) {
                Ok(())
            } else {
                Err(report.to_string())
            }
        })
    });
}

/// Whether compressing the only lines of `a0` was interrupted, so that both files have them.
fn are_in_both(dir: &Path) -> bool {
    let dir = dir.join("streams/account/a0");
    let length = |name| dir.join(name).metadata().map_or(0, |found| found.len());
    length(ARCHIVE_FILE) > 0 && length(EVENTS_FILE) > 0
}

#[test]
fn lines_that_compressing_left_in_both_files_survive_a_power_failure_while_they_are_replayed() {
    let numbers = [0, 4, 8];
    let first = {
        let dir = temp_dir();
        let watch = Watch::start(dir.path());
        runtime().block_on(async {
            let store = open(dir.path()).await.expect("the disk works");
            for number in numbers {
                let done = execute(&store, Note(number)).await;
                done.expect("the disk works");
            }
            let done = execute(&store, Archive(0)).await;
            done.expect("the disk works");
            store.shutdown().await.expect("the disk works");
        });
        watch.stop()
    };
    // The stream file is not synced yet: some choices lose it at each point.
    let choices = (0..64).flat_map(|seed| first.points().map(move |point| (seed, point)));
    let interrupted = choices.map(|(seed, point)| {
        let dir = temp_dir();
        let image = first.image(point, &mut Choices::new(seed), dir.path());
        image.expect("the image can be written");
        dir
    });
    let mut interrupted = interrupted.filter(|dir| are_in_both(dir.path()));
    let dir = interrupted.next().expect("it can be interrupted there");
    let before = std::fs::read(dir.path().join("streams/account/a0").join(EVENTS_FILE));
    let before = before.expect("the file can be read");

    let events = numbers.map(|number| vec![number; note(number).count]);
    let right = BTreeMap::from([(id(0), (events.concat(), true, false))]);
    let watch = Watch::resume(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        assert_eq!(states(&store).await, Ok(right.clone()));
        store.shutdown().await.expect("the disk works");
    });
    let replayed = watch.stop();
    let stream = replayed.dir.join("streams/account/a0");
    let after = std::fs::read(stream.join(EVENTS_FILE)).expect("the file can be read");
    assert_eq!(after, before, "they are in both files until the next time");

    let points = replayed.points();
    let (start, count) = (*points.start() as u64, points.count() as u64);
    in_parallel(count * 6, |seed| {
        let point = usize::try_from(start + seed % count).expect("few points");
        let dir = temp_dir();
        let image = replayed.image(point, &mut Choices::new(seed), dir.path());
        image.map_err(|e| e.to_string())?;
        runtime().block_on(async {
            let store = open(dir.path()).await;
            let store = store.map_err(|e| format!("at {point}: it does not open: {e}"))?;
            let found = states(&store).await;
            let found = found.map_err(|e| format!("at {point}: {e}"))?;
            store.shutdown().await.map_err(|e| e.to_string())?;
            if found == right {
                Ok(())
            } else {
                Err(format!("at {point} there is {found:?}"))
            }
        })
    });
}

/// Runs the steps while a call fails. Each step is tried again after that. Returns whether a call
/// failed.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path()).await.map_err(|e| e.to_string())?;
    watch.set_fault(fault);
    let mut done = 0;
    let mut failed_step = false;
    for step in STEPS {
        if execute(&store, *step).await.is_err() {
            failed_step = true;
            break;
        }
        done += 1;
    }
    let failed = watch.clear_fault();
    if failed_step && failed.is_empty() {
        return Err(format!("step {done} failed without a fault"));
    }
    let _ = store.shutdown().await;
    drop(store);
    watch.stop();
    check(dir.path(), done).await?;
    Ok(!failed.is_empty())
}

#[test]
fn what_was_answered_is_so_when_a_call_fails() {
    for (call, error, partly) in [
        (Call::Write, ENOSPC, 0),
        (Call::Write, EIO, 100),
        (Call::Sync, EIO, 0),
        (Call::Open, EACCES, 0),
        (Call::Rename, EIO, 0),
    ] {
        for lasting in [false, true] {
            fail_all(call, (error, lasting, partly), try_fault);
        }
    }
}
