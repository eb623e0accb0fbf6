//! Imports on disks that fail and lose power: what is stored is what the first lines say, in whole
//! commits, and an import that is done again makes the rest of it.

use std::io::Cursor;
use std::path::Path;
use std::sync::OnceLock;

use crate::storage::files::crash::power_loss::{failures, rebuilt};
use crate::storage::files::crash::{
    Account, EACCES, EINTR, EIO, EMFILE, ENOSPC, fail_all, id, note, open, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};
use crate::{AggregateStore, ImportError, ImportReport, NewEvent};

/// How many cases of power loss are tried.
const SEEDS: u64 = 500;
/// In how many imports the lines enter, each with the lines of those before.
const IMPORTS: usize = 5;

/// The lines of a store with commits of one stream, of several and of none, some with tags.
fn lines() -> &'static str {
    static LINES: OnceLock<String> = OnceLock::new();
    // On a thread that runs no other runtime.
    let source = || std::thread::spawn(|| runtime().block_on(source())).join();
    LINES.get_or_init(|| source().expect("it does not panic"))
}

async fn source() -> String {
    let store = AggregateStore::in_memory().open().await.expect("memory");
    for number in 0..30 {
        let one = store.get::<Account>(&id(number)).await.expect("open");
        let other = store.get::<Account>(&id(number + 1)).await.expect("open");
        match number % 3 {
            0 => drop(one.send(note(number)).await.expect("it is stored")),
            1 => {
                let together = store.together().send(&one, note(number));
                let together = together.send(&other, note(number + 1000));
                together.commit().await.expect("it is stored");
            }
            _ => {
                let event = NewEvent::new("Noted", &number).expect("it is JSON");
                let tag = format!("number:{}", number % 4).parse().expect("a tag");
                let event = event.with_tag(tag);
                store.append([event], None).await.expect("it is stored");
            }
        }
    }
    // In memory positions have gaps. In files they are those of the lines' order.
    let exported = export(&store).await.expect("memory");
    let numbered = exported.lines().zip(1..).map(|(line, position)| {
        let (start, rest) = line.split_once("\"position\":").expect("it has one");
        let (_, end) = rest.split_once(',').expect("more follows");
        format!("{start}\"position\":{position},{end}\n")
    });
    numbered.collect()
}

async fn export(store: &AggregateStore) -> Result<String, String> {
    let exported = store.export().write_to(Vec::new()).await;
    let (lines, _) = exported.map_err(|e| format!("it is not exported: {e}"))?;
    String::from_utf8(lines).map_err(|e| e.to_string())
}

async fn import(store: &AggregateStore, lines: &str) -> Result<ImportReport, ImportError> {
    store.import(Cursor::new(lines.to_owned())).await
}

/// The beginnings of the lines, each longer than the one before, which end with whole commits.
fn beginnings() -> impl Iterator<Item = &'static str> {
    let all = lines();
    let mut whole = Vec::new();
    let mut end = 0;
    for line in all.split_inclusive('\n') {
        end += line.len();
        let ends_commit = match line.split_once("\"commit\":[") {
            None => true,
            Some((_, rest)) => {
                let (place, rest) = rest.split_once(',').expect("two numbers");
                rest.starts_with(&format!("{place}]"))
            }
        };
        if ends_commit {
            whole.push(end);
        }
    }
    (1..=IMPORTS).map(move |i| &all[..whole[whole.len() * i / IMPORTS - 1]])
}

/// Fails unless `left` is what the first lines say.
fn check_left(left: &str) -> Result<(), String> {
    let is_whole = lines().starts_with(left) && beginning_is_whole(left);
    if is_whole {
        Ok(())
    } else {
        Err(format!("this is no beginning of the lines:\n{left}"))
    }
}

/// Whether no commit is cut off at the end of `left`.
fn beginning_is_whole(left: &str) -> bool {
    let next = lines()[left.len()..].lines().next();
    next.is_none_or(|next| !next.contains("\"commit\":[") || next.contains("\"commit\":[1,"))
}

/// Opens what is left, which has at least `answered` events, and imports again.
async fn check(dir: &Path, answered: usize) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let left = export(&store).await?;
    check_left(&left)?;
    let events = left.lines().count();
    if events < answered {
        return Err(format!("{events} of {answered} events are left"));
    }
    let again = import(&store, lines()).await;
    let again = again.map_err(|e| format!("the import that is done again: {e}"))?;
    if again.skipped != events as u64 || export(&store).await? != lines() {
        return Err(format!("the import that was done again: {again:?}"));
    }
    store
        .shutdown()
        .await
        .map_err(|e| format!("shutdown: {e}"))?;
    drop(store);
    let report = AggregateStore::verify(dir)
        .await
        .map_err(|e| e.to_string())?;
    if report.is_clean() {
        Ok(())
    } else {
        Err(report.to_string())
    }
}

/// Imports while a call fails. Returns whether any did.
async fn try_fault(fault: Fault) -> Result<bool, String> {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    let store = open(dir.path()).await.map_err(|e| e.to_string())?;
    let mut beginnings = beginnings();
    let first = beginnings.next().expect("there are some");
    import(&store, first).await.map_err(|e| e.to_string())?;
    watch.set_fault(fault);
    let mut answered = first;
    let mut done = Ok(());
    for beginning in beginnings {
        match import(&store, beginning).await {
            Ok(_) => answered = beginning,
            Err(error) => {
                done = Err(error);
                break;
            }
        }
    }
    let failed = watch.clear_fault();
    if fault.error == EINTR && done.is_err() {
        return Err(format!("an interrupted call was noticed: {done:?}"));
    }
    let must_be_opened_again = store.inner.storage.files().check_failed().is_err();
    check_left(&export(&store).await?)?;
    if must_be_opened_again {
        let again = import(&store, lines()).await;
        if again.is_ok() && answered != lines() {
            return Err("a failed store imports something".to_owned());
        }
    } else {
        // A stream that was in trouble may say so once more.
        let _ = import(&store, lines()).await;
        let again = import(&store, lines()).await;
        again.map_err(|e| format!("the store does not go on: {e}"))?;
    }
    let closed = store.shutdown().await;
    if closed.is_err() && !must_be_opened_again {
        return Err(format!("shutdown: {closed:?}"));
    }
    drop(store);
    watch.stop();
    check(dir.path(), answered.lines().count()).await?;
    Ok(!failed.is_empty())
}

#[test]
fn an_import_in_which_a_write_fails_leaves_whole_commits_in_order_and_is_done_again() {
    for lasting in [false, true] {
        fail_all(Call::Write, (ENOSPC, lasting, 0), try_fault);
        fail_all(Call::Write, (EIO, lasting, 100), try_fault);
    }
    fail_all(Call::Write, (EINTR, false, 0), try_fault);
}

#[test]
fn an_import_in_which_a_sync_fails_leaves_whole_commits_in_order_and_is_done_again() {
    for lasting in [false, true] {
        fail_all(Call::Sync, (EIO, lasting, 0), try_fault);
    }
}

#[test]
fn an_import_in_which_a_file_cannot_be_opened_leaves_whole_commits_in_order_and_is_done_again() {
    for lasting in [false, true] {
        fail_all(Call::Open, (EMFILE, lasting, 0), try_fault);
        fail_all(Call::Open, (EACCES, lasting, 0), try_fault);
    }
}

/// An import, and what it did to the disk. The numbers of events that were answered are marked.
fn recorded() -> Log {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.expect("the disk works");
        for beginning in beginnings() {
            import(&store, beginning).await.expect("the disk works");
            watch.mark(beginning.lines().count() as u64);
        }
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn an_import_whose_power_fails_keeps_what_was_answered_and_is_done_again() {
    let log = recorded();
    let failed = failures(SEEDS, |seed| {
        rebuilt(&log, seed, |dir, answered| {
            let most = answered.iter().max().copied().unwrap_or(0);
            let most = usize::try_from(most).expect("few events");
            runtime().block_on(check(dir, most))
        })
    });
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}
