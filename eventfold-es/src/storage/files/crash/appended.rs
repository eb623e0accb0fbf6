//! Appends under conditions among commands of aggregates, on disks that fail and lose power: what was
//! answered is there, what was refused is not, and no condition was passed over.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::storage::commit::{CommitError, GroupCommit};
use crate::storage::condition::{After, Clause};
use crate::storage::encoding::event_line::{Common, EncodedEvents, seed_of_none};
use crate::storage::files::crash::power_loss::{in_parallel, rebuilt};
use crate::storage::files::crash::{
    Account, EACCES, EIO, ENOSPC, fail_all, id, note, open, runtime, temp_dir,
};
use crate::storage::files::disk::faults::{Call, Fault, Log, Watch};
use crate::{
    AggregateStore, AppendCondition, AppendError, CommandContext, ExecuteError, NewEvent, Query,
    QueryItem, RecordedEvent,
};

/// How many boundaries the appends are about.
const BOUNDARIES: u64 = 3;
/// How many cases of power loss are tried.
const SEEDS: u64 = 500;

/// One of the events of an append.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Booked {
    number: u64,
    /// How many events the append was decided on.
    seen: usize,
    /// Which one of the append's events it is.
    i: usize,
}

/// What became of an append or a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Stored,
    NotStored,
    Refused,
    Unknown,
}

fn boundary(number: u64) -> String {
    format!("boundary:{}", number % BOUNDARIES)
}

fn tagged(tag: &str) -> Query {
    QueryItem::tagged(tag.parse().expect("a tag")).into()
}

/// What the append `number` is decided on: its boundary, and sometimes an account as well.
fn query(number: u64) -> Query {
    let query = tagged(&boundary(number));
    if number.is_multiple_of(4) {
        let account = format!("account:{}", id(number));
        return query.or_all_of(tagged(&account));
    }
    query
}

/// Whether the append `number` is one. The others are commands.
fn is_append(number: u64) -> bool {
    !number.is_multiple_of(3)
}

async fn append(store: &AggregateStore, number: u64) -> Result<Outcome, String> {
    let Ok(found) = store.query(query(number)).read().await else {
        return Ok(Outcome::NotStored);
    };
    let events = (0..note(number).count).map(|i| {
        let booked = Booked {
            number,
            seen: found.events.len(),
            i,
        };
        let event = NewEvent::new("Booked", &booked).expect("it is JSON");
        event.with_tag(boundary(number).parse().expect("a tag"))
    });
    let condition = AppendCondition::no_event_matches(query(number)).after(found.position);
    match store.append(events, Some(condition)).await {
        Ok(_) => Ok(Outcome::Stored),
        Err(AppendError::ConditionFailed) => Ok(Outcome::Refused),
        Err(AppendError::OutcomeUnknown(_)) => Ok(Outcome::Unknown),
        Err(AppendError::Io(_)) => Ok(Outcome::NotStored),
        Err(error) => Err(format!("append {number}: {error}")),
    }
}

async fn command(store: &AggregateStore, number: u64) -> Result<Outcome, String> {
    let account = store.get::<Account>(&id(number)).await;
    let account = account.map_err(|e| e.to_string())?;
    match account
        .execute(note(number), CommandContext::default())
        .await
    {
        Ok(_) => Ok(Outcome::Stored),
        Err(ExecuteError::OutcomeUnknown(_)) => Ok(Outcome::Unknown),
        Err(ExecuteError::Io(_)) => Ok(Outcome::NotStored),
        Err(error) => Err(format!("command {number}: {error:?}")),
    }
}

/// Appends and sends in groups that are under way together. Refused appends are decided again if
/// `until_stored` says so.
async fn execute(
    store: &AggregateStore,
    numbers: std::ops::Range<u64>,
    until_stored: bool,
    mut note: impl FnMut(u64, Outcome),
) -> Result<(), String> {
    let numbers: Vec<u64> = numbers.collect();
    for group in numbers.chunks(5) {
        let under_way: Vec<_> = group
            .iter()
            .map(|number| {
                let (store, number) = (store.clone(), *number);
                tokio::spawn(async move {
                    if !is_append(number) {
                        return command(&store, number).await;
                    }
                    loop {
                        let outcome = append(&store, number).await;
                        if outcome != Ok(Outcome::Refused) || !until_stored {
                            return outcome;
                        }
                    }
                })
            })
            .collect();
        for (task, number) in under_way.into_iter().zip(group) {
            note(*number, task.await.expect("it does not panic")?);
        }
    }
    Ok(())
}

/// Checks the log of an open store. Returns the numbers that have effects in it.
async fn check_log(store: &AggregateStore) -> Result<Vec<u64>, String> {
    let all = store.query(Query::all()).read().await;
    let all = all.map_err(|e| e.to_string())?;
    let mut numbers = Vec::new();
    // How many events there are of each boundary and each account.
    let mut counts = BTreeMap::<String, usize>::new();
    let mut positions = BTreeMap::<String, Vec<_>>::new();
    // The event that must come next, because an append is stored as a whole.
    let mut expected = None;
    for event in &all.events {
        let tag = if event.is_of_aggregate() {
            let data: serde_json::Value = serde_json::from_str(event.data()).unwrap();
            numbers.push(data["number"].as_u64().unwrap());
            format!("account:{}", event.id())
        } else {
            let booked: Booked = serde_json::from_str(event.data()).map_err(|e| e.to_string())?;
            let tag = boundary(booked.number);
            let of = |tag: &str| counts.get(tag).copied().unwrap_or(0);
            if booked.i == 0 {
                let mut before = of(&tag);
                if booked.number.is_multiple_of(4) {
                    before += of(&format!("account:{}", id(booked.number)));
                }
                if before != booked.seen {
                    return Err(format!(
                        "{booked:?} was decided on other events than {before}"
                    ));
                }
                numbers.push(booked.number);
            }
            let whole = expected.take().unwrap_or(Booked {
                i: 0,
                ..booked.clone()
            });
            if whole != booked {
                return Err(format!("{whole:?} is missing before {booked:?}"));
            }
            let next = booked.i + 1;
            let number = booked.number;
            expected = (next < note(number).count).then_some(Booked { i: next, ..booked });
            tag
        };
        *counts.entry(tag.clone()).or_default() += 1;
        positions.entry(tag).or_default().push(event.position());
    }
    if let Some(missing) = expected {
        return Err(format!("{missing:?} is missing at the end"));
    }
    // The index finds what is there, and nothing else.
    for number in 0..4 {
        for tag in [boundary(number), format!("account:{}", id(number))] {
            let found = store.query(tagged(&tag)).read().await;
            let found = found.map_err(|e| format!("{tag}: {e}"))?;
            let found = found.events.iter().map(RecordedEvent::position);
            let found: Vec<_> = found.collect();
            let there = positions.remove(&tag).unwrap_or_default();
            if found != there {
                return Err(format!("{tag}: {found:?} is found, {there:?} is there"));
            }
        }
    }
    Ok(numbers)
}

/// Opens what is there and compares it with what was answered.
async fn check(dir: &Path, answered: &[u64], refused: &[u64]) -> Result<(), String> {
    let store = open(dir)
        .await
        .map_err(|e| format!("it does not open: {e}"))?;
    let numbers = check_log(&store).await?;
    if let Some(lost) = answered.iter().find(|number| !numbers.contains(number)) {
        return Err(format!("{lost} was answered and is lost"));
    }
    if let Some(stored) = refused.iter().find(|number| numbers.contains(number)) {
        return Err(format!("{stored} was refused and is stored"));
    }
    // The store must still work, and still check conditions.
    execute(&store, 1_000_000..1_000_006, true, |_, _| {}).await?;
    check_log(&store).await?;
    store
        .shutdown()
        .await
        .map_err(|e| format!("shutdown: {e}"))?;
    let report = AggregateStore::verify(dir)
        .await
        .map_err(|e| e.to_string())?;
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
        let executed = execute(&store, numbers, true, mark).await;
        executed.expect("the disk works");
        store.shutdown().await.expect("the disk works");
    });
    watch.stop()
}

#[test]
fn a_power_failure_loses_no_answered_append_stores_none_in_part_and_passes_over_no_condition() {
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
    execute(&store, 0..6, false, &mut note).await?;
    watch.set_fault(fault);
    execute(&store, 6..31, false, &mut note).await?;
    let failed = watch.clear_fault();
    let must_be_opened_again = store.inner.storage.files().check_failed().is_err();
    execute(&store, 31..46, false, &mut note).await?;
    if must_be_opened_again {
        let _ = store.shutdown().await;
    } else {
        check_log(&store).await?;
        store
            .shutdown()
            .await
            .map_err(|e| format!("shutdown: {e}"))?;
    }
    drop(store);
    watch.stop();
    let of = |wanted: &[Outcome]| {
        let wanted = outcomes
            .iter()
            .filter(|(_, outcome)| wanted.contains(outcome));
        wanted.map(|(number, _)| *number).collect::<Vec<u64>>()
    };
    if !must_be_opened_again && !of(&[Outcome::Unknown]).is_empty() {
        return Err("an unknown outcome, and the store goes on".to_owned());
    }
    let refused = of(&[Outcome::NotStored, Outcome::Refused]);
    check(dir.path(), &of(&[Outcome::Stored]), &refused).await?;
    Ok(!failed.is_empty())
}

#[test]
fn answers_to_appends_match_what_is_stored_when_a_call_fails() {
    for lasting in [false, true] {
        fail_all(Call::Write, (ENOSPC, lasting, 0), try_fault);
        fail_all(Call::Write, (EIO, lasting, 100), try_fault);
        fail_all(Call::Sync, (EIO, lasting, 0), try_fault);
        fail_all(Call::Open, (EACCES, lasting, 0), try_fault);
    }
}

/// Holds the committer up until the other end is dropped.
fn block_committer(store: &AggregateStore) -> std::sync::mpsc::Sender<()> {
    use crate::ids::StreamId;
    use crate::storage::files::streams::end::StreamEnd;

    let engine = store.inner.storage.files();
    let (unblock, blocked) = std::sync::mpsc::channel::<()>();
    let (reached, is_reached) = std::sync::mpsc::channel();
    let stream = engine.stream(&StreamId::new("a", "door").expect("a name"));
    let epoch = stream.start_epoch(StreamEnd::default());
    let wait = move |_| {
        let _ = reached.send(());
        let _ = blocked.recv();
    };
    engine.fence(stream, epoch, Box::new(wait));
    is_reached.recv().expect("the committer comes to it");
    unblock
}

type Answer = std::sync::mpsc::Receiver<(Result<Vec<u64>, CommitError>, u64)>;

/// Hands an event with the tag `x` over, under the condition that there is none if `is_first`. The
/// answer has the position of the store's newest event at its time.
async fn hand_over(store: &AggregateStore, is_first: bool) -> Answer {
    let (answered, answer) = std::sync::mpsc::channel();
    let engine = store.inner.storage.files().clone();
    let mut events = EncodedEvents::new(seed_of_none());
    events.push_tagged("Noted", b"1", Some("e"), 0, &Common::default(), ["x"]);
    let clause = Clause {
        query: tagged("x"),
        after: After::Position(0),
    };
    let head = engine.clone();
    engine
        .commit_group(GroupCommit {
            streams: Vec::new(),
            of_none: Some(events),
            condition: if is_first { vec![clause] } else { Vec::new() },
            handed_over: None,
            term: None,
            is_imported: false,
            done: Box::new(move |result| drop(answered.send((result, head.head())))),
        })
        .await;
    answer
}

#[test]
fn an_append_is_refused_once_the_event_that_it_is_refused_for_can_be_read() {
    let dir = temp_dir();
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let unblock = block_committer(&store);
        let stored = hand_over(&store, true).await;
        let refused = hand_over(&store, true).await;
        drop(unblock);
        assert!(matches!(stored.recv().unwrap(), (Ok(_), 1)));
        let (refused, head) = refused.recv().unwrap();
        assert!(matches!(refused, Err(CommitError::ConditionFailed)));
        assert_eq!(head, 1);
        store.shutdown().await.unwrap();
    });
}

#[test]
fn an_append_that_is_refused_for_an_event_that_fails_to_be_stored_is_told_of_that_failure() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        let unblock = block_committer(&store);
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        let first = hand_over(&store, true).await;
        let second = hand_over(&store, true).await;
        drop(unblock);
        for answer in [first, second] {
            let (refused, head) = answer.recv().unwrap();
            assert!(
                matches!(refused, Err(CommitError::NotStored(_))),
                "{refused:?}"
            );
            assert_eq!(head, 0);
        }
        watch.clear_fault();
        // Nobody remembers the event that was not stored.
        assert!(matches!(
            hand_over(&store, true).await.recv().unwrap(),
            (Ok(_), 1)
        ));
        let refused = hand_over(&store, true).await.recv().unwrap().0;
        assert!(matches!(refused, Err(CommitError::ConditionFailed)));
        store.shutdown().await.unwrap();
    });
    watch.stop();
}

#[test]
fn after_a_failed_batch_a_query_waits_until_the_streams_have_the_next_one() {
    let dir = temp_dir();
    let watch = Watch::start(dir.path());
    runtime().block_on(async {
        let store = open(dir.path()).await.unwrap();
        watch.set_fault(Fault::lasting(Call::Write, ENOSPC));
        let (failed, _) = hand_over(&store, false).await.recv().unwrap();
        assert!(failed.is_err());
        watch.clear_fault();
        let engine = store.inner.storage.files().clone();
        let (answered, answer) = std::sync::mpsc::channel();
        let mut events = EncodedEvents::new(seed_of_none());
        events.push_tagged("Noted", b"1", Some("e"), 0, &Common::default(), ["x"]);
        let finder = engine.finder.clone();
        engine
            .commit_group(GroupCommit {
                streams: Vec::new(),
                of_none: Some(events),
                condition: Vec::new(),
                handed_over: None,
                term: None,
                is_imported: false,
                // The head has moved here, and the streams may lack their part of the batch.
                done: Box::new(move |_| {
                    let _ = answered.send(finder.completed());
                }),
            })
            .await;
        assert_eq!(answer.recv().unwrap(), 0);
        store.shutdown().await.unwrap();
    });
    watch.stop();
}
