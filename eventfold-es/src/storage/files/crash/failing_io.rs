//! Each call to the disk made to fail in turn: callers get the error, nothing is half stored, and the
//! store goes on or says that it must be opened again.

use std::io;

use crate::storage::files::crash::{
    Account, EACCES, EINTR, EIO, EMFILE, ENOSPC, Everything, check, fail_all, id, note, open,
    temp_dir,
};
use crate::storage::files::disk::faults::{Call, Fault, Watch};
use crate::{AggregateStore, CommandContext, ExecuteError, Position, Subscription};

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    NotStored,
    Unknown,
}

/// Executes commands in groups that are under way together.
async fn execute(
    store: &AggregateStore,
    numbers: std::ops::Range<u64>,
    outcomes: &mut Vec<(u64, Outcome)>,
) {
    let numbers: Vec<u64> = numbers.collect();
    for group in numbers.chunks(4) {
        let mut under_way = Vec::new();
        for number in group {
            let account = store
                .get::<Account>(&id(*number))
                .await
                .expect("it is open");
            let number = *number;
            under_way.push(tokio::spawn(async move {
                let done = account
                    .execute(note(number), CommandContext::default())
                    .await;
                let outcome = match done {
                    Ok(_) => Outcome::Stored,
                    Err(ExecuteError::OutcomeUnknown(_)) => Outcome::Unknown,
                    Err(ExecuteError::Io(_)) => Outcome::NotStored,
                    Err(error) => panic!("command {number}: {error:?}"),
                };
                (number, outcome)
            }));
        }
        for command in under_way {
            outcomes.push(command.await.expect("it does not panic"));
        }
    }
}

/// Checks that a subscription has everything up to `head`, and ends if the store has failed.
async fn delivers_every_event(
    events: &mut Subscription,
    head: Position,
    has_failed: bool,
) -> Result<(), String> {
    let mut last = Position::default();
    while last < head {
        match events.next().await {
            Some(Ok(event)) => last = event.position(),
            end => return Err(format!("a subscription ends at {last} of {head}: {end:?}")),
        }
    }
    if has_failed {
        let why = events.next().await.and_then(Result::err);
        if why.is_none_or(|why| why.kind() == io::ErrorKind::NotConnected) {
            return Err("a subscription does not say that the store has failed".to_owned());
        }
    }
    Ok(())
}

/// Runs a store in which a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path()).await.map_err(|e| e.to_string())?;
    let mut events = store.subscribe(Position::default());
    let mut outcomes = Vec::new();
    execute(&store, 0..8, &mut outcomes).await;
    watch.set_fault(fault);
    execute(&store, 8..40, &mut outcomes).await;
    // A read model may say that it could not be saved, but it must be right or refuse.
    let _ = store.projection::<Everything>();
    store.read_side.save_projections();
    let failed = watch.clear_fault();

    // The disk works again: either the store has failed for good, or it goes on.
    let must_be_opened_again = store.inner.storage.files().check_failed().is_err();
    let before = outcomes.len();
    execute(&store, 40..48, &mut outcomes).await;
    // A stream that was in trouble reports it once more at most, then it is as it was.
    execute(&store, 48..56, &mut outcomes).await;
    let later = &outcomes[before + 8..];
    if must_be_opened_again && later.iter().any(|(_, outcome)| *outcome == Outcome::Stored) {
        return Err(format!("a failed store stored something: {later:?}"));
    }
    if fault.error == EINTR
        && outcomes
            .iter()
            .any(|(_, outcome)| *outcome != Outcome::Stored)
    {
        return Err(format!("an interrupted call was noticed: {outcomes:?}"));
    }
    if !must_be_opened_again && later.iter().any(|(_, outcome)| *outcome != Outcome::Stored) {
        return Err(format!("the store does not go on: {later:?}"));
    }
    delivers_every_event(&mut events, store.head(), must_be_opened_again).await?;
    let unknown = outcomes
        .iter()
        .any(|(_, outcome)| *outcome == Outcome::Unknown);
    if unknown && !must_be_opened_again {
        return Err("an unknown outcome, and the store goes on".to_owned());
    }
    let closed = store.shutdown().await;
    if closed.is_err() && !must_be_opened_again {
        return Err(format!("shutdown: {closed:?}"));
    }
    drop(store);
    watch.stop();

    let stored: Vec<u64> = of(&outcomes, Outcome::Stored);
    let reopened = open(dir.path())
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    for number in of(&outcomes, Outcome::NotStored) {
        let account = reopened
            .get::<Account>(&id(number))
            .await
            .map_err(|e| e.to_string())?;
        let state = account.state().await.map_err(|e| e.to_string())?;
        if state.numbers.contains(&number) {
            return Err(format!(
                "command {number} was answered with an error and is stored"
            ));
        }
    }
    drop(reopened);
    check(dir.path(), &stored).await?;
    Ok(!failed.is_empty())
}

fn of(outcomes: &[(u64, Outcome)], wanted: Outcome) -> Vec<u64> {
    let wanted = outcomes.iter().filter(|(_, outcome)| *outcome == wanted);
    wanted.map(|(number, _)| *number).collect()
}

#[test]
fn answers_match_what_is_stored_when_a_write_fails() {
    for lasting in [false, true] {
        for error in [ENOSPC, EIO] {
            fail_all(Call::Write, (error, lasting, 0), try_fault);
            fail_all(Call::Write, (error, lasting, 100), try_fault);
        }
    }
}

#[test]
fn a_failed_sync_stops_the_store_until_it_is_opened_again_or_affects_no_command() {
    for lasting in [false, true] {
        fail_all(Call::Sync, (EIO, lasting, 0), try_fault);
        fail_all(Call::Sync, (ENOSPC, lasting, 0), try_fault);
    }
}

#[test]
fn answers_match_what_is_stored_when_a_file_cannot_be_opened() {
    for lasting in [false, true] {
        for error in [EACCES, EMFILE, EIO] {
            fail_all(Call::Open, (error, lasting, 0), try_fault);
        }
        fail_all(Call::CreateDir, (ENOSPC, lasting, 0), try_fault);
    }
}

#[test]
fn answers_match_what_is_stored_when_a_rename_fails() {
    for lasting in [false, true] {
        fail_all(Call::Rename, (EIO, lasting, 0), try_fault);
    }
}

#[test]
fn a_call_interrupted_by_a_signal_is_repeated_and_no_command_fails() {
    for (call, partly) in [
        (Call::Open, 0),
        (Call::Write, 0),
        (Call::Write, 100),
        (Call::Sync, 0),
        (Call::Rename, 0),
        (Call::CreateDir, 0),
    ] {
        fail_all(call, (EINTR, false, partly), try_fault);
    }
}
