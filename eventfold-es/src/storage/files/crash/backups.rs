//! Each call to the disk of a backup, or of a copy that follows, made to fail in turn: the earlier backup stays as it was, and the
//! next attempt succeeds.

use std::path::Path;

use crate::storage::files::crash::{
    Account, EACCES, EIO, ENOSPC, check, fail_all, id, large, note, open, temp_dir,
};
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::disk::faults::{Call, Choices, Fault, Watch};
use crate::{AggregateStore, Follow, Position};

/// Stores the commands `numbers`.
async fn send(store: &AggregateStore, numbers: std::ops::Range<u64>) {
    for number in numbers {
        let account = store.get::<Account>(&id(number)).await.unwrap();
        let command = if number % 2 == 0 {
            large(number)
        } else {
            note(number)
        };
        account.send(command).await.unwrap();
    }
}

/// Restores the backup `backup` up to `position`, and checks that it has the commands `answered`.
async fn restores(backup: &Path, position: Position, answered: u64) -> Result<(), String> {
    let dir = temp_dir();
    let to = dir.path().join("restored");
    let report = AggregateStore::restore(backup, &to).to(position).await;
    let report = report.map_err(|e| format!("it is not restored: {e}"))?;
    if report.position != position {
        return Err(format!("restored to {} of {position}", report.position));
    }
    check(&to, &(0..answered).collect::<Vec<_>>()).await
}

/// Takes a backup in which a call fails, after one that succeeded. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let (base, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let store = open(&base).await.map_err(|e| e.to_string())?;
    send(&store, 0..4).await;
    let first = store.backup(&backup).await.map_err(|e| e.to_string())?;
    send(&store, 4..10).await;
    let watch = Watch::resume(&backup);
    watch.set_fault(fault);
    let taken = store.backup(&backup).await;
    let failed = watch.clear_fault();
    if taken.is_ok() && failed.iter().any(|(call, _)| *call == Call::Sync) {
        return Err(format!("a failed sync was not noticed: {failed:?}"));
    }
    restores(&backup, first.position, 4)
        .await
        .map_err(|e| format!("the earlier backup: {e}"))?;
    failed_syncs::forget(&backup);
    let again = store.backup(&backup).await;
    let again = again.map_err(|e| format!("the next attempt: {e}"))?;
    if again.position != store.head() {
        return Err(format!("{again:?}"));
    }
    let log = watch.stop();
    restores(&backup, again.position, 10).await?;
    // A power failure after that loses nothing.
    let left = temp_dir();
    log.image(log.end(), &mut Choices::new(fault.number), left.path())
        .map_err(|e| e.to_string())?;
    restores(left.path(), again.position, 10)
        .await
        .map_err(|e| format!("after a power failure: {e}"))?;
    let report = AggregateStore::verify(&backup)
        .await
        .map_err(|e| e.to_string())?;
    if !report.findings.is_empty() {
        return Err(report.to_string());
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    Ok(!failed.is_empty())
}

#[test]
fn a_backup_in_which_a_write_fails_leaves_the_earlier_one_valid_and_is_taken_up_again() {
    for lasting in [false, true] {
        fail_all(Call::Write, (ENOSPC, lasting, 0), try_fault);
        fail_all(Call::Write, (EIO, lasting, 100), try_fault);
    }
}

#[test]
fn a_backup_in_which_a_sync_fails_leaves_the_earlier_one_valid_and_is_taken_up_again() {
    for lasting in [false, true] {
        fail_all(Call::Sync, (EIO, lasting, 0), try_fault);
    }
}

#[test]
fn a_backup_in_which_a_file_cannot_be_made_or_renamed_leaves_the_earlier_one_valid() {
    for lasting in [false, true] {
        fail_all(Call::Open, (EACCES, lasting, 0), try_fault);
        fail_all(Call::Rename, (EIO, lasting, 0), try_fault);
    }
}

/// Takes the first backup, in which a call fails. Returns whether any did.
async fn try_first(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let (base, backup) = (dir.path().join("store"), dir.path().join("backup"));
    let store = open(&base).await.map_err(|e| e.to_string())?;
    send(&store, 0..6).await;
    let watch = Watch::start(&backup);
    watch.set_fault(fault);
    let taken = store.backup(&backup).await;
    let failed = watch.clear_fault();
    if taken.is_err() {
        // Half a backup is no store, and no backup.
        let to = dir.path().join("restored");
        let restored = AggregateStore::restore(&backup, &to).await;
        if restored.is_ok() && failed.iter().all(|(call, _)| *call != Call::Sync) {
            return Err("half a backup is restored".to_owned());
        }
    }
    failed_syncs::forget(&backup);
    let again = store.backup(&backup).await;
    let again = again.map_err(|e| format!("the next attempt: {e}"))?;
    watch.stop();
    restores(&backup, again.position, 6).await?;
    store.shutdown().await.map_err(|e| e.to_string())?;
    Ok(!failed.is_empty())
}

#[test]
fn a_first_backup_in_which_a_call_fails_is_not_taken_for_whole_and_is_taken_up_again() {
    for (call, error) in [
        (Call::CreateDir, ENOSPC),
        (Call::Open, EACCES),
        (Call::Write, ENOSPC),
        (Call::Sync, EIO),
        (Call::Rename, EIO),
    ] {
        fail_all(call, (error, false, 0), try_first);
    }
}

/// Brings `follow` up to `head`.
async fn catch_up(follow: &mut Follow, head: Position) -> std::io::Result<()> {
    while follow.followed().position < head {
        follow.next().await?;
    }
    Ok(())
}

/// Follows a store, and a call fails on the way. Returns whether any did.
async fn try_follow(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let (base, copy) = (dir.path().join("store"), dir.path().join("copy"));
    let store = open(&base).await.map_err(|e| e.to_string())?;
    send(&store, 0..2).await;
    let watch = Watch::start(&copy);
    let follow = AggregateStore::follow(&base, &copy).await;
    let mut follow = follow.map_err(|e| e.to_string())?;
    // Then it appends to its newest file.
    send(&store, 2..4).await;
    let caught_up = catch_up(&mut follow, store.head()).await;
    caught_up.map_err(|e| e.to_string())?;
    let before = store.head();
    send(&store, 4..10).await;
    watch.set_fault(fault);
    let followed = catch_up(&mut follow, store.head()).await;
    let failed = watch.clear_fault();
    if followed.is_ok() && failed.iter().any(|(call, _)| *call == Call::Sync) {
        return Err(format!("a failed sync was not noticed: {failed:?}"));
    }
    if followed.is_err() && follow.next().await.is_ok() {
        return Err("a copy that has failed goes on".to_owned());
    }
    drop(follow);
    restores(&copy, before, 4)
        .await
        .map_err(|e| format!("what the copy had before: {e}"))?;
    failed_syncs::forget(&copy);
    let again = AggregateStore::follow(&base, &copy).await;
    let mut again = again.map_err(|e| format!("following again: {e}"))?;
    let caught_up = catch_up(&mut again, store.head()).await;
    caught_up.map_err(|e| format!("following again: {e}"))?;
    drop(again);
    let log = watch.stop();
    // A power failure takes nothing from the copy, which becomes a store.
    let left = temp_dir();
    log.image(log.end(), &mut Choices::new(fault.number), left.path())
        .map_err(|e| e.to_string())?;
    for promoted in [&copy, left.path()] {
        check(promoted, &(0..10).collect::<Vec<_>>()).await?;
    }
    store.shutdown().await.map_err(|e| e.to_string())?;
    Ok(!failed.is_empty())
}

#[test]
fn a_copy_in_which_a_call_fails_keeps_what_it_had_and_follows_again() {
    for (call, error) in [
        (Call::Open, EACCES),
        (Call::Write, ENOSPC),
        (Call::Sync, EIO),
        (Call::Rename, EIO),
    ] {
        for lasting in [false, true] {
            fail_all(call, (error, lasting, 100), try_follow);
        }
    }
}
