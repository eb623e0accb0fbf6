//! Commits of several aggregates among commands of one, on disks that fail and lose power: all of a
//! commit is there or nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{
    ACCOUNTS, Account, EACCES, EIO, ENOSPC, fail_all, id, note, open, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};
use crate::{AggregateStore, Position, TogetherError};

/// How many cases of power loss are tried.
const SEEDS: u64 = 500;

/// The accounts that get the command `number`, one for each time.
fn accounts(number: u64) -> Vec<String> {
    match number % 4 {
        0 => vec![id(number)],
        1 => vec![id(number + 1), id(number)],
        2 => vec![id(number), id(number + 1), id(number)],
        _ => (0..ACCOUNTS).map(id).collect(),
    }
}

/// What became of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    NotStored,
    Unknown,
}

async fn send(store: AggregateStore, number: u64) -> Result<Outcome, String> {
    let mut together = store.together();
    for account in accounts(number) {
        let account = store.get::<Account>(&account).await;
        let account = account.map_err(|e| e.to_string())?;
        together = together.send(&account, note(number));
    }
    match together.commit().await {
        Ok(_) => Ok(Outcome::Stored),
        Err(TogetherError::OutcomeUnknown(_)) => Ok(Outcome::Unknown),
        Err(TogetherError::Io(_)) => Ok(Outcome::NotStored),
        Err(error) => Err(format!("{number}: {error}")),
    }
}

/// Sends in bunches that are under way together.
async fn execute(
    store: &AggregateStore,
    numbers: std::ops::Range<u64>,
    mut note: impl FnMut(u64, Outcome),
) -> Result<(), String> {
    let numbers: Vec<u64> = numbers.collect();
    for bunch in numbers.chunks(5) {
        let under_way: Vec<_> = bunch
            .iter()
            .map(|number| tokio::spawn(send(store.clone(), *number)))
            .collect();
        for (task, number) in under_way.into_iter().zip(bunch) {
            note(*number, task.await.expect("it does not panic")?);
        }
    }
    Ok(())
}

/// The numbers that have effects. Fails if one has only a part of them.
async fn effects(store: &AggregateStore) -> Result<BTreeSet<u64>, String> {
    let mut found = BTreeMap::<u64, BTreeMap<String, usize>>::new();
    for account in (0..ACCOUNTS).map(id) {
        let handle = store.get::<Account>(&account).await;
        let state = handle.map_err(|e| e.to_string())?.state().await;
        for number in state.map_err(|e| format!("{account}: {e}"))?.numbers {
            let of_number = found.entry(number).or_default();
            *of_number.entry(account.clone()).or_default() += 1;
        }
    }
    for (number, of_number) in &found {
        let mut whole = BTreeMap::new();
        for account in accounts(*number) {
            *whole.entry(account).or_default() += note(*number).count;
        }
        if *of_number != whole {
            return Err(format!("{number} has {of_number:?} of {whole:?}"));
        }
    }
    Ok(found.into_keys().collect())
}

/// Opens what is there and compares it with what was answered.
async fn check(dir: &Path, answered: &[u64], refused: &[u64]) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let numbers = effects(&store).await?;
    if let Some(lost) = answered.iter().find(|number| !numbers.contains(number)) {
        return Err(format!("{lost} was answered and is lost"));
    }
    if let Some(stored) = refused.iter().find(|number| numbers.contains(number)) {
        return Err(format!("{stored} was refused and is stored"));
    }
    // The log has the same, one commit after the other.
    let mut log = BTreeMap::<u64, BTreeSet<u64>>::new();
    let mut events = store.subscribe(Position::default());
    for position in 1..=store.inner.storage.head() {
        let event = events.next().await.expect("an error comes before the end");
        let event = event.map_err(|e| format!("subscribed at {position}: {e}"))?;
        let data: serde_json::Value = serde_json::from_str(event.data()).unwrap();
        let number = data["number"].as_u64().expect("each event has a number");
        log.entry(number).or_default().insert(position);
    }
    for (number, positions) in &log {
        let (first, last) = (positions.first(), positions.last());
        let span = last.zip(first).map_or(0, |(last, first)| last - first + 1);
        if span != positions.len() as u64 {
            return Err(format!("{number} is not in one place: {positions:?}"));
        }
    }
    if !log.keys().eq(&numbers) {
        return Err(format!("the log has {log:?}, the accounts {numbers:?}"));
    }
    // The store must still work. It may be checked a second time.
    let next = 1_000_000 + 10 * store.inner.storage.head();
    execute(&store, next..next + 6, |_, _| {}).await?;
    effects(&store).await?;
    store
        .shutdown()
        .await
        .map_err(|e| format!("shutdown: {e}"))?;
    let report = AggregateStore::verify(dir).await;
    let report = report.map_err(|e| e.to_string())?;
    if report.is_clean() {
        Ok(())
    } else {
        Err(report.to_string())
    }
}

fn recorded(numbers: std::ops::Range<u64>) -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        let mark = |number, outcome| {
            assert_eq!(outcome, Outcome::Stored);
            watch.mark(number);
        };
        let executed = execute(&store, numbers, mark).await;
        executed.expect("the disk works");
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn a_power_failure_loses_no_answered_group_and_stores_none_in_part() {
    let logs: Vec<Log> = (0..4)
        .map(|run| recorded(run * 1_000..run * 1_000 + 40))
        .collect();
    in_parallel(SEEDS, |seed| {
        let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
        rebuilt(log, seed, |dir, answered| {
            runtime().block_on(check(dir, answered, &[]))
        })
    });
}

/// Runs a store in which a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path()).await.map_err(|e| e.to_string())?;
    let mut outcomes = Vec::new();
    let mut note = |number, outcome| outcomes.push((number, outcome));
    execute(&store, 0..6, &mut note).await?;
    watch.set_fault(fault);
    execute(&store, 6..26, &mut note).await?;
    let failed = watch.clear_fault();
    let must_be_opened_again = store.inner.storage.files().check_failed().is_err();
    execute(&store, 26..36, &mut note).await?;
    if must_be_opened_again {
        let _ = store.shutdown().await;
    } else {
        effects(&store).await?;
        store
            .shutdown()
            .await
            .map_err(|e| format!("shutdown: {e}"))?;
    }
    drop(store);
    watch.stop();
    let of = |wanted: Outcome| {
        let wanted = outcomes.iter().filter(|(_, outcome)| *outcome == wanted);
        wanted.map(|(number, _)| *number).collect::<Vec<u64>>()
    };
    if !must_be_opened_again && !of(Outcome::Unknown).is_empty() {
        return Err("an unknown outcome, and the store goes on".to_owned());
    }
    check(dir.path(), &of(Outcome::Stored), &of(Outcome::NotStored)).await?;
    Ok(!failed.is_empty())
}

#[test]
fn answers_to_groups_match_what_is_stored_when_a_call_fails() {
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
