//! Stores that drop the oldest files of their journal: what keeps a file, who is told, and what works as before.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use eventfold_es::__private::example::{Add, Counter, Forward, Total};
use eventfold_es::inspect::StoreReader;
use eventfold_es::{
    AggregateStore, AggregateStoreBuilder, Batch, DroppedJournal, Follower, JournalDropped,
    ManualClock, NewEvent, Position, Projection, Query, QueryItem, Reads, RestorePoint, StateError,
    Version, WhyKept,
};
use serde::{Deserialize, Serialize};

use crate::support::files::{copy, segments};
use crate::support::{Ledger, LedgerCommand as Do, TempDir, fast_temp_dir, in_time};

/// Whatever is stored is old enough.
const ANY_AGE: Duration = Duration::ZERO;
/// How many rounds fill three files of the journal and begin a fourth.
const ROUNDS: u64 = 130;

fn at(number: u64) -> Position {
    number.to_string().parse().unwrap()
}

fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

/// A store with a projection, that compresses only what it is told to.
fn builder(dir: &Path) -> AggregateStoreBuilder {
    plain(dir).projection::<Total>()
}

fn plain(dir: &Path) -> AggregateStoreBuilder {
    AggregateStore::builder(dir).compress_journal(false)
}

/// A round: a large event of a ledger, and one of a counter.
async fn fill(store: &AggregateStore, rounds: std::ops::Range<u64>) {
    for round in rounds {
        let ledger = store
            .get::<Ledger>(&format!("l-{}", round % 5))
            .await
            .unwrap();
        ledger
            .send(Do::Write(format!("{round:05} ").repeat(3_000)))
            .await
            .unwrap();
        let counter = store
            .get::<Counter>(&format!("c-{}", round % 3))
            .await
            .unwrap();
        counter.send(Add(round + 1)).await.unwrap();
    }
}

/// A closed store in `dir` whose projection has everything.
async fn make(dir: &Path) {
    let store = builder(dir).open().await.unwrap();
    fill(&store, 0..ROUNDS).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    assert!(segments(dir).len() > 3);
}

/// Drops what can be dropped of the closed store in `dir`, and closes it again.
async fn drop_all(dir: &Path) -> DroppedJournal {
    let store = builder(dir).open().await.unwrap();
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    assert!(report.files > 1 && report.bytes > 500_000, "{report:?}");
    store.shutdown().await.unwrap();
    report
}

/// A store of the backup in `backup`, with the projection `Again`.
async fn restored(backup: &Path) -> (TempDir, AggregateStore) {
    let restored = fast_temp_dir();
    AggregateStore::restore(backup, restored.path())
        .await
        .unwrap();
    let builder = plain(restored.path()).projection::<Again>();
    let store = builder.open().await.unwrap();
    (restored, store)
}

/// The states of all aggregates.
async fn states(store: &AggregateStore) -> (Vec<Ledger>, Vec<Counter>) {
    let (mut ledgers, mut counters) = (Vec::new(), Vec::new());
    for id in 0..5 {
        let ledger = store.get::<Ledger>(&format!("l-{id}")).await.unwrap();
        ledgers.push(ledger.state().await.unwrap());
    }
    for id in 0..3 {
        let counter = store.get::<Counter>(&format!("c-{id}")).await.unwrap();
        counters.push(counter.state().await.unwrap());
    }
    (ledgers, counters)
}

/// That `error` says that the journal begins after `begins_after`, and that the events after `asked` were asked for.
fn tells(error: &io::Error, begins_after: Position, asked: Position) {
    let told = JournalDropped::of(error).unwrap_or_else(|| panic!("{error}"));
    assert_eq!(
        (told.begins_after, told.asked_after),
        (begins_after, asked),
        "{error}"
    );
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{error}");
    let text = error.to_string();
    assert!(
        text.contains(&format!("begins after position {begins_after}")),
        "{text}"
    );
}

/// Why the oldest file stays, in a store that drops nothing.
async fn why(store: &AggregateStore, keep_for: Duration) -> WhyKept {
    let report = store.drop_old_journal(keep_for).await.unwrap();
    assert_eq!(
        (report.files, report.begins_after),
        (0, Position::default()),
        "{report:?}"
    );
    let [first, others @ ..] = report.kept.as_slice() else {
        panic!("{report:?}");
    };
    assert_eq!(first.first, at(1));
    let is_told = |why: &WhyKept| {
        matches!(
            why,
            WhyKept::OlderStays | WhyKept::NeededToOpen | WhyKept::StillOpen
        )
    };
    assert!(others.iter().all(|file| is_told(&file.why)), "{report:?}");
    first.why.clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn aggregates_commands_and_followers_go_on_without_the_files_that_they_do_not_need() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let before = states(&store).await;
    let total = store.projection::<Total>().unwrap();
    let files = segments(dir.path()).len() as u64;
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    assert_eq!(report.events, number(report.begins_after));
    assert_eq!(segments(dir.path()).len() as u64, files - report.files);
    assert_eq!(report.kept.len() as u64, files - report.files);
    assert_eq!(states(&store).await, before);

    fill(&store, ROUNDS..ROUNDS + 10).await;
    let more: u64 = (ROUNDS + 1..=ROUNDS + 10).sum();
    assert_eq!(
        store.projection::<Total>().unwrap().value,
        total.value + more
    );
    let head = store.head();
    assert_eq!(number(head), 2 * (ROUNDS + 10));
    assert_eq!(store.recent(20).await.unwrap().len(), 20);
    let after = states(&store).await;
    store.shutdown().await.unwrap();

    let verified = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(verified.findings.is_empty(), "{verified}");
    let told = (verified.events, verified.streams, verified.dropped);
    assert_eq!(told, (number(head), 8, report.events));
    let text = format!("the journal begins after position {}", report.begins_after);
    assert!(verified.to_string().contains(&text), "{verified}");

    // Loaded from the first event on.
    for snapshot in crate::support::files::files_below(&dir.path().join("streams")) {
        if snapshot.ends_with("views/state.snapshot.json") {
            std::fs::remove_file(snapshot).unwrap();
        }
    }
    let store = builder(dir.path()).open().await.unwrap();
    assert_eq!(states(&store).await, after);
    assert_eq!(
        store.projection::<Total>().unwrap().value,
        total.value + more
    );
    let ledger = store.get::<Ledger>("l-1").await.unwrap();
    // A version is found in the aggregate's own file.
    let past = ledger.at("2".parse::<Version>().unwrap()).await.unwrap();
    assert_eq!(past.state.text, "00006 ".repeat(3_000));
    store.compress().await.unwrap();
    assert_eq!(states(&store).await, after);
    store.archive::<Ledger>("l-1").await.unwrap();
    store.shutdown().await.unwrap();
    let verified = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(verified.findings.is_empty(), "{verified}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_stays_while_its_newest_event_is_young() {
    let dir = fast_temp_dir();
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let open = || builder(dir.path()).clock(clock.clone()).open();
    let store = open().await.unwrap();
    fill(&store, 0..ROUNDS).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    let store = open().await.unwrap();
    let keep_for = Duration::from_secs(3600);
    assert!(
        matches!(why(&store, keep_for).await, WhyKept::TooYoung { newest } if newest == clock.now())
    );
    clock.advance(Duration::from_secs(3599));
    assert!(matches!(
        why(&store, keep_for).await,
        WhyKept::TooYoung { .. }
    ));
    clock.advance(Duration::from_secs(2));
    let report = store.drop_old_journal(keep_for).await.unwrap();
    assert!(report.files > 1, "{report:?}");
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_projection_that_is_not_registered_any_more_keeps_what_it_has_not_read() {
    let dir = fast_temp_dir();
    let store = builder(dir.path()).open().await.unwrap();
    fill(&store, 0..2).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    let store = plain(dir.path()).open().await.unwrap();
    fill(&store, 2..ROUNDS).await;
    store.shutdown().await.unwrap();
    let store = plain(dir.path()).open().await.unwrap();
    let expected = WhyKept::Follower {
        name: "projection `total`".to_owned(),
        position: at(4),
    };
    assert_eq!(why(&store, ANY_AGE).await, expected);
    assert_eq!(expected.to_string(), "projection `total` is at position 4");
    store.shutdown().await.unwrap();
    // Whoever deletes what it has saved can do without.
    std::fs::remove_dir_all(dir.path().join("projections/total")).unwrap();
    let store = plain(dir.path()).open().await.unwrap();
    assert!(store.drop_old_journal(ANY_AGE).await.unwrap().files > 1);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_and_has_saved_nothing_yet_keeps_everything() {
    let dir = fast_temp_dir();
    let store = plain(dir.path()).open().await.unwrap();
    fill(&store, 0..ROUNDS).await;
    store.shutdown().await.unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    let kept = why(&store, ANY_AGE).await;
    assert!(
        matches!(&kept, WhyKept::Follower { name, position } if name == "projection `total`" && *position == at(0)),
        "{kept}"
    );
    store.shutdown().await.unwrap();
    let store = plain(dir.path())
        .process_manager::<Forward>()
        .open()
        .await
        .unwrap();
    let kept = why(&store, ANY_AGE).await;
    assert!(
        matches!(&kept, WhyKept::Follower { name, .. } if name == "process manager `forward`"),
        "{kept}"
    );
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_manager_keeps_what_it_may_look_for_again() {
    let dir = fast_temp_dir();
    let store = plain(dir.path())
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .open()
        .await
        .unwrap();
    fill(&store, 0..2).await;
    store.run_process_managers().await.unwrap();
    let position = store.read_side().process_managers[0].follower.position;
    store.shutdown().await.unwrap();
    let store = plain(dir.path()).open().await.unwrap();
    fill(&store, 2..ROUNDS).await;
    store.shutdown().await.unwrap();
    let store = plain(dir.path()).open().await.unwrap();
    let kept = why(&store, ANY_AGE).await;
    assert!(
        matches!(&kept, WhyKept::Follower { name, position: at } if name == "process manager `forward`" && *at <= position),
        "{kept}"
    );
    store.shutdown().await.unwrap();

    // It goes on, and then it has everything.
    let store = plain(dir.path())
        .process_manager::<Forward>()
        .aggregate_type::<Counter>()
        .open()
        .await
        .unwrap();
    store.run_process_managers().await.unwrap();
    store.shutdown().await.unwrap();
    let open = || {
        plain(dir.path())
            .process_manager::<Forward>()
            .aggregate_type::<Counter>()
            .open()
    };
    let store = open().await.unwrap();
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    assert!(report.files > 1, "{report:?}");
    fill(&store, ROUNDS..ROUNDS + 2).await;
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (2, 0));
    store.shutdown().await.unwrap();
    let store = open().await.unwrap();
    let all = store
        .get::<Counter>("all")
        .await
        .unwrap()
        .state()
        .await
        .unwrap();
    assert_eq!(all.value, (1..=ROUNDS + 2).sum::<u64>());
    store.shutdown().await.unwrap();
    let verified = AggregateStore::verify(dir.path()).await.unwrap();
    assert!(verified.is_clean(), "{verified}");
}

/// A follower that keeps its position in memory.
#[derive(Clone, Default)]
struct Outside(Arc<Mutex<Position>>);

impl Follower for Outside {
    const NAME: &'static str = "outside";
    type Error = io::Error;

    fn reads(&self) -> Reads {
        Reads::nothing().aggregate::<Ledger>()
    }

    async fn position(&mut self) -> io::Result<Position> {
        Ok(*self.0.lock().unwrap())
    }

    async fn apply(&mut self, batch: &Batch) -> io::Result<()> {
        *self.0.lock().unwrap() = batch.position();
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registered_follower_keeps_what_it_has_not_taken() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let store = builder(dir.path())
        .follower(Outside::default())
        .open()
        .await
        .unwrap();
    let kept = why(&store, ANY_AGE).await;
    assert!(
        matches!(&kept, WhyKept::Follower { name, position } if name == "follower `outside`" && *position == at(0)),
        "{kept}"
    );
    let head = store.head();
    let waited = in_time("the follower", store.wait_for_follower::<Outside>(head)).await;
    waited.unwrap();
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    assert!(report.files > 1, "{report:?}");
    store.shutdown().await.unwrap();
    // One that begins again is told.
    let store = builder(dir.path())
        .follower(Outside::default())
        .open()
        .await
        .unwrap();
    let failed = in_time("the follower", store.wait_for_follower::<Outside>(head)).await;
    let text = failed.unwrap_err().to_string();
    assert!(
        text.contains(&format!("begins after position {}", report.begins_after)),
        "{text}"
    );
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_reads_in_this_process_keeps_what_is_not_read_yet() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    let mut events = store.subscribe(Position::default());
    let kept = why(&store, ANY_AGE).await;
    assert_eq!(kept, WhyKept::Reader { position: at(0) });
    for _ in 1..=number(store.head()) {
        in_time("the next event", events.next())
            .await
            .unwrap()
            .unwrap();
    }
    let mut backwards = store.backwards();
    in_time("the newest event", backwards.next())
        .await
        .unwrap()
        .unwrap();
    let kept = why(&store, ANY_AGE).await;
    assert!(matches!(kept, WhyKept::Reader { .. }), "{kept}");
    drop(backwards);
    let report = store.drop_old_journal(ANY_AGE).await.unwrap();
    assert!(report.files > 1, "{report:?}");
    fill(&store, ROUNDS..ROUNDS + 1).await;
    let next = in_time("the next event", events.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(next.position(), at(2 * ROUNDS + 1));
    drop(events);
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_no_aggregate_stay_and_are_found() {
    for is_tagged in [true, false] {
        let dir = fast_temp_dir();
        let store = plain(dir.path()).open().await.unwrap();
        let name = NewEvent::new("Noted", "a note").unwrap();
        if is_tagged {
            let tag = "about:this".parse().unwrap();
            store.append([name.with_tag(tag)], None).await.unwrap();
        } else {
            store.append([name], None).await.unwrap();
        }
        fill(&store, 0..ROUNDS).await;
        store.shutdown().await.unwrap();
        let store = plain(dir.path()).open().await.unwrap();
        let kept = why(&store, ANY_AGE).await;
        let is_told = matches!(kept, WhyKept::Tagged { position } | WhyKept::OfNoAggregate { position } if position == at(1));
        assert!(is_told, "{kept}");
        if is_tagged {
            let item = QueryItem::tagged("about:this".parse().unwrap());
            let query = Query::of_items([item]).unwrap();
            let found = store.query(query).read().await.unwrap();
            assert_eq!(found.events.len(), 1);
        }
        store.shutdown().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_opening_needs_stays() {
    let dir = fast_temp_dir();
    let store = builder(dir.path()).open().await.unwrap();
    fill(&store, 0..10).await;
    store.projection::<Total>().unwrap();
    assert!(matches!(why(&store, ANY_AGE).await, WhyKept::StillOpen));
    store.shutdown().await.unwrap();
    make(dir.path()).await;
    let store = builder(dir.path()).open().await.unwrap();
    fill(&store, ROUNDS..ROUNDS + 3).await;
    store.drop_old_journal(ANY_AGE).await.unwrap();
    // As a killed process leaves it.
    let killed = copy(dir.path());
    store.shutdown().await.unwrap();
    let store = builder(killed.path()).open().await.unwrap();
    assert_eq!(number(store.head()), 20 + 2 * (ROUNDS + 3));
    states(&store).await;
    store.shutdown().await.unwrap();
}

/// As [`Total`], by another name.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Again {
    events: u64,
}

impl Projection for Again {
    const NAME: &'static str = "again";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.events += 1;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_would_have_to_read_what_was_dropped_is_told_where_the_journal_begins() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let dropped = drop_all(dir.path()).await.begins_after;
    let before_it = at(number(dropped) - 1);
    let open = || {
        builder(dir.path())
            .projection::<Again>()
            .process_manager::<Forward>()
            .open()
    };
    let store = open().await.unwrap();

    let mut events = store.subscribe(Position::default());
    let error = in_time("an error", events.next())
        .await
        .unwrap()
        .unwrap_err();
    tells(&error, dropped, at(0));
    let mut events = store.subscribe(before_it);
    let error = in_time("an error", events.next())
        .await
        .unwrap()
        .unwrap_err();
    tells(&error, dropped, before_it);
    let mut events = store.subscribe(dropped);
    let next = in_time("the next event", events.next())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(number(next.position()), number(dropped) + 1);

    tells(
        &store.recent(usize::MAX).await.unwrap_err(),
        dropped,
        before_it,
    );
    let mut backwards = store.backwards();
    let mut read = 0;
    let error = loop {
        match in_time("the next event", backwards.next()).await.unwrap() {
            Ok(_) => read += 1,
            Err(error) => break error,
        }
    };
    tells(&error, dropped, before_it);
    assert_eq!(read, number(store.head()) - number(dropped));

    tells(&store.projection::<Again>().unwrap_err(), dropped, at(0));
    tells(
        &store.rebuild_projection::<Total>().unwrap_err(),
        dropped,
        at(0),
    );
    let failed = store.rebuild::<Total>().await.unwrap_err();
    tells(&failed, dropped, at(0));
    // What was there goes on.
    let total = store.projection::<Total>().unwrap().value;
    assert_eq!(total, (1..=ROUNDS).sum::<u64>());
    let error = store.run_process_managers().await.unwrap_err();
    assert!(
        error.to_string().contains("begins after position"),
        "{error}"
    );
    let past = store.read_at::<Total>(at(10)).await.unwrap_err();
    assert!(past.to_string().contains("begins after position"), "{past}");
    let ledger = store.get::<Ledger>("l-1").await.unwrap();
    match ledger.at(at(10)).await {
        Err(StateError::Io(error)) => tells(&error, dropped, at(9)),
        other => panic!("{other:?}"),
    }
    let error = store.export().write_to(Vec::new()).await.unwrap_err();
    assert!(
        error.to_string().contains("begins after position"),
        "{error}"
    );
    let item = QueryItem::of_type("Written");
    let query = Query::of_items([item]).unwrap();
    let error = store.query(query).read().await.unwrap_err();
    assert!(
        error.to_string().contains("begins after position"),
        "{error}"
    );
    drop((events, backwards));
    store.shutdown().await.unwrap();

    let reader = StoreReader::open(dir.path()).unwrap();
    assert_eq!(reader.begins_after(), dropped);
    let error = reader
        .read(Position::default(), |_| ControlFlow::Continue(()))
        .unwrap_err();
    tells(&error, dropped, at(0));
    let mut read = 0;
    let rest = reader.read(dropped, |_| {
        read += 1;
        ControlFlow::Continue(())
    });
    rest.unwrap();
    assert_eq!(read, number(reader.head()) - number(dropped));
    assert!(reader.compare(&reader, |_, _| {}).is_err());

    // The projection did not come out smaller: nothing of it was saved.
    assert!(
        !dir.path()
            .join("projections/again/journal_checkpoint.json")
            .exists()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_from_before_keeps_everything_and_one_from_after_has_the_aggregates() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let (old, new) = (fast_temp_dir(), fast_temp_dir());
    let store = builder(dir.path()).open().await.unwrap();
    store.backup(old.path()).await.unwrap();
    let dropped = store.drop_old_journal(ANY_AGE).await.unwrap().begins_after;
    fill(&store, ROUNDS..ROUNDS + 5).await;
    let expected = states(&store).await;
    store.backup(old.path()).await.unwrap();
    let taken = store.backup(new.path()).await.unwrap();
    fill(&store, ROUNDS + 5..ROUNDS + 7).await;
    let later = states(&store).await;
    let retaken = store.backup(new.path()).await.unwrap();
    assert!(retaken.position > taken.position);
    store.shutdown().await.unwrap();
    for backup in [old.path(), new.path()] {
        let verified = AggregateStore::verify(backup).await.unwrap();
        assert!(verified.findings.is_empty(), "{verified}");
    }

    let (_restored, store) = restored(old.path()).await;
    assert_eq!(states(&store).await, expected);
    assert_eq!(store.projection::<Again>().unwrap().events, ROUNDS + 5);
    store.shutdown().await.unwrap();

    let (restored_dir, store) = restored(new.path()).await;
    assert_eq!(states(&store).await, later);
    tells(&store.projection::<Again>().unwrap_err(), dropped, at(0));
    fill(&store, 0..2).await;
    store.shutdown().await.unwrap();
    let verified = AggregateStore::verify(restored_dir.path()).await.unwrap();
    assert!(
        verified.is_clean() && verified.dropped == number(dropped),
        "{verified}"
    );

    // Up to a position that the backup knows, and not to an earlier one.
    for (position, is_known) in [(dropped, true), (taken.position, true), (at(10), false)] {
        let restored = fast_temp_dir();
        let restore = AggregateStore::restore(new.path(), restored.path());
        let done = restore.to(RestorePoint::from(position)).await;
        match done {
            Ok(_) => {
                assert!(is_known, "{position}");
                let store = plain(restored.path()).open().await.unwrap();
                assert_eq!(store.head(), position);
                let all = states(&store).await;
                assert!(position != taken.position || all == expected);
                fill(&store, 0..1).await;
                store.shutdown().await.unwrap();
                let verified = AggregateStore::verify(restored.path()).await.unwrap();
                assert!(verified.is_clean(), "{verified}");
            }
            Err(error) => {
                assert!(!is_known, "{error}");
                assert!(
                    error.to_string().contains("begins after position"),
                    "{error}"
                );
            }
        }
    }
    // A backup that ends before the journal begins cannot go on.
    let stale = fast_temp_dir();
    let source = fast_temp_dir();
    let store = builder(source.path()).open().await.unwrap();
    fill(&store, 0..3).await;
    store.backup(stale.path()).await.unwrap();
    fill(&store, 3..ROUNDS).await;
    store.projection::<Total>().unwrap();
    store.shutdown().await.unwrap();
    drop_all(source.path()).await;
    let error = AggregateStore::backup_of(source.path(), stale.path())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("choose an empty directory"),
        "{error}"
    );
    // It is as it was.
    let verified = AggregateStore::verify(stale.path()).await.unwrap();
    assert!(verified.is_clean() && verified.events == 6, "{verified}");
    let fresh = fast_temp_dir();
    AggregateStore::backup_of(source.path(), fresh.path())
        .await
        .unwrap();
    // A backup that is opened becomes a store.
    let store = builder(fresh.path()).open().await.unwrap();
    assert_eq!(number(store.head()), 2 * ROUNDS);
    states(&store).await;
    store.shutdown().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_looks_at_the_store_beside_it_is_told_too() {
    let dir = fast_temp_dir();
    make(dir.path()).await;
    let mut early = StoreReader::open(dir.path()).unwrap();
    let first = early.read(Position::default(), |_| ControlFlow::Break(()));
    first.unwrap();
    let store = builder(dir.path()).open().await.unwrap();
    let dropped = store.drop_old_journal(ANY_AGE).await.unwrap().begins_after;
    let error = early
        .read(Position::default(), |_| ControlFlow::Continue(()))
        .unwrap_err();
    tells(&error, dropped, at(0));
    fill(&store, ROUNDS..ROUNDS + 2).await;
    early.refresh().unwrap();
    assert_eq!(early.begins_after(), dropped);
    let late = StoreReader::open(dir.path()).unwrap();
    assert_eq!(late.begins_after(), dropped);
    let id = eventfold_es::StreamId::new("ledger", "l-1").unwrap();
    let mut of_stream = 0;
    late.read_stream(&id, |_| {
        of_stream += 1;
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(
        of_stream,
        (0..ROUNDS + 2).filter(|round| round % 5 == 1).count()
    );
    store.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_store_in_memory_keeps_all_events() {
    let store = AggregateStore::in_memory().open().await.unwrap();
    let error = store.drop_old_journal(ANY_AGE).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    let opened = AggregateStore::in_memory()
        .keep_journal_for(ANY_AGE)
        .open()
        .await;
    let error = opened.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
}
