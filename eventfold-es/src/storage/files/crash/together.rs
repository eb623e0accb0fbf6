//! Commands that take effect together when the power fails or the disk does: all of them or none.

use std::path::Path;

use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{
    ACCOUNTS, Account, EIO, ENOSPC, check, fail_each, id, note, open, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};
use crate::{AggregateStore, TogetherError};

/// How many power failures are tried.
const SEEDS: u64 = 1_000;

/// The accounts that get the command `number` together: two or three of them.
fn accounts(number: u64) -> impl Iterator<Item = String> {
    (0..2 + number % 2).map(move |other| id(number + other))
}

async fn group(store: &AggregateStore, number: u64) -> Result<(), TogetherError> {
    let mut group = store.together();
    for account in accounts(number) {
        let account = store.get::<Account>(&account).await.expect("it is open");
        group = group.send(&account, note(number));
    }
    group.commit().await.map(drop)
}

/// Commits groups, several under way at a time.
async fn work(
    store: &AggregateStore,
    numbers: std::ops::Range<u64>,
) -> Vec<(u64, Result<(), TogetherError>)> {
    let mut outcomes = Vec::new();
    let numbers: Vec<u64> = numbers.collect();
    for together in numbers.chunks(5) {
        let under_way: Vec<_> = (together.iter().copied())
            .map(|number| {
                let store = store.clone();
                tokio::spawn(async move { (number, group(&store, number).await) })
            })
            .collect();
        for group in under_way {
            outcomes.push(group.await.expect("it does not panic"));
        }
    }
    outcomes
}

/// Checks that each group is there whole or not at all, and that the answered ones are there.
async fn check_groups(dir: &Path, numbers: u64, answered: &[u64]) -> Result<(), String> {
    check(dir, answered).await?;
    let store = open(dir).await.map_err(|e| e.to_string())?;
    let mut noted = Vec::new();
    for account in 0..ACCOUNTS {
        let account = store.get::<Account>(&id(account)).await;
        let state = account.map_err(|e| e.to_string())?.state().await;
        noted.push(state.map_err(|e| e.to_string())?.numbers);
    }
    for number in 0..numbers {
        let has = |account: &String| {
            let account = (0..ACCOUNTS).position(|i| id(i) == *account);
            noted[account.expect("it is one of them")].contains(&number)
        };
        let all = accounts(number).count();
        let there = accounts(number).filter(has).count();
        if there != 0 && there != all {
            return Err(format!(
                "group {number} is in {there} of {all} accounts: {noted:?}"
            ));
        }
        if there == 0 && answered.contains(&number) {
            return Err(format!("the answered group {number} is lost: {noted:?}"));
        }
    }
    Ok(())
}

fn recorded() -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        for first in [0, 20] {
            for (number, outcome) in work(&store, first..first + 20).await {
                outcome.expect("the disk works");
                watch.mark(number);
            }
        }
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn a_power_failure_at_any_moment_leaves_each_group_whole_or_not_at_all() {
    let logs: Vec<Log> = (0..4).map(|_| recorded()).collect();
    in_parallel(SEEDS, |seed| {
        let log = &logs[usize::try_from(seed).expect("few seeds") % logs.len()];
        rebuilt(log, seed, |dir, answered| {
            runtime().block_on(check_groups(dir, 40, answered))
        })
    });
}

/// Runs a store in which a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path()).await.map_err(|e| e.to_string())?;
    let mut outcomes = work(&store, 0..5).await;
    watch.set_fault(fault);
    outcomes.extend(work(&store, 5..25).await);
    let failed = watch.clear_fault();
    let has_failed = store.inner.storage.files().check_failed().is_err();
    outcomes.extend(work(&store, 25..30).await);
    let later = work(&store, 30..35).await;
    if !has_failed && later.iter().any(|(_, outcome)| outcome.is_err()) {
        return Err(format!("the store does not go on: {later:?}"));
    }
    outcomes.extend(later);
    let _ = store.shutdown().await;
    drop(store);
    watch.stop();
    let stored = outcomes.iter().filter(|(_, outcome)| outcome.is_ok());
    let stored: Vec<u64> = stored.map(|(number, _)| *number).collect();
    check_groups(dir.path(), 35, &stored).await?;
    let reopened = open(dir.path()).await.map_err(|e| e.to_string())?;
    for (number, outcome) in &outcomes {
        match outcome {
            Ok(()) | Err(TogetherError::OutcomeUnknown(_)) => {}
            Err(TogetherError::Io(_)) => {
                let account = reopened.get::<Account>(&id(*number)).await;
                let state = account.map_err(|e| e.to_string())?.state().await;
                if state.map_err(|e| e.to_string())?.numbers.contains(number) {
                    return Err(format!("group {number} failed and is stored"));
                }
            }
            Err(error) => return Err(format!("group {number}: {error:?}")),
        }
    }
    Ok(!failed.is_empty())
}

#[test]
fn a_group_is_stored_whole_or_not_at_all_whichever_call_to_the_disk_fails() {
    for (call, error, partly) in [
        (Call::Write, ENOSPC, 0),
        (Call::Write, EIO, 100),
        (Call::Sync, EIO, 0),
        (Call::Open, EIO, 0),
        (Call::CreateDir, ENOSPC, 0),
    ] {
        for lasting in [false, true] {
            let cases = fail_each(call, (error, lasting, partly), try_fault);
            assert!(
                cases > 0 || call == Call::CreateDir,
                "no {call:?} ever failed"
            );
        }
    }
}
