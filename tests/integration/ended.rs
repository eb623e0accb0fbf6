//! Aggregates that have ended: they take no commands, and everything else of them is read as before.

use std::io::{Cursor, ErrorKind};

use eventfold_es::__private::example::Counter;
use eventfold_es::prelude::*;
use eventfold_es::{
    DecodeError, EncodeError, Ended, ExportForm, FailureKind, InjectOptions, LifecycleEvent,
    StoredEvent, TogetherError, UnknownEvents, Version,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::scripted::{
    Gate, GateCommand, clock, command, open_on_demand, passed, run, tell,
};
use crate::support::{Ledger, LedgerCommand as Do, builder, check, open, temp_dir};

const REASON: &str = "closed by \"Åse\"\nfor good \u{1F600}";

async fn ledger(store: &AggregateStore, id: &str) -> AggregateHandle<Ledger> {
    store.get(id).await.unwrap()
}

/// The reason with which the ledger refuses a command.
async fn refused(ledger: &AggregateHandle<Ledger>) -> String {
    match ledger.send(Do::Add(1)).await {
        Err(ExecuteError::Ended { reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

fn key(key: &str) -> CommandContext {
    CommandContext::default().with_idempotency_key(key)
}

#[tokio::test]
async fn an_ended_aggregate_refuses_commands_with_reason_and_time_and_keeps_its_state() {
    let dir = temp_dir();
    let clock = clock();
    let store = builder(&dir).clock(clock.clone()).open().await.unwrap();
    let ended = ledger(&store, "a").await;
    ended.send(Do::AddAll(vec![1, 2])).await.unwrap();
    let end = store.end::<Ledger>("a", REASON).await.unwrap();
    assert!(!end.takes_commands() && end.archived.is_none());
    let Ended { reason, when, .. } = end.ended.clone().unwrap();
    assert_eq!((reason.as_str(), when), (REASON, clock.now()));

    let head = store.head();
    for command in [Do::Add(1), Do::Nothing, Do::Refuse] {
        let refused = ended.send(command).await.unwrap_err();
        let text = refused.to_string();
        let ExecuteError::Ended { reason, when, .. } = refused else {
            panic!("{text}");
        };
        assert_eq!((reason.as_str(), when), (REASON, clock.now()));
        assert!(
            text.contains(REASON) && text.contains("1970-01-12T13:46:40Z"),
            "{text}"
        );
    }
    let expecting = CommandContext::default().with_expected_version(1);
    let refused = ended.send_with(Do::Add(1), expecting).await;
    assert!(matches!(refused, Err(ExecuteError::Ended { .. })));
    let previewed = ended.preview(Do::Add(1)).await;
    assert!(matches!(previewed, Err(ExecuteError::Ended { .. })));
    assert_eq!(store.head(), head, "something was stored");

    assert_eq!(ended.state().await.unwrap(), Ledger::of([1, 2]));
    let loaded = ended.load().await.unwrap();
    assert_eq!((loaded.state.count, loaded.version), (2, 3.into()));
    assert_eq!(ended.lifecycle().await.unwrap(), end);
    let before = ended.at(Version::from(1)).await;
    assert_eq!(before.unwrap().state, Ledger::of([1]));
    let after = ended.at(Version::from(3)).await;
    assert_eq!(after.unwrap().state, Ledger::of([1, 2]));
    let other = ledger(&store, "b").await;
    other.send(Do::Add(1)).await.unwrap();
    assert!(other.lifecycle().await.unwrap().takes_commands());
    store.shutdown().await.unwrap();
    check(&dir);
}

#[tokio::test]
async fn an_end_outlives_the_memory_of_the_aggregate_its_snapshots_and_the_store() {
    for snapshot_every in [1, 2, 100] {
        let dir = temp_dir();
        let open = || builder(&dir).snapshot_every(snapshot_every).open();
        let store = open().await.unwrap();
        for id in ["a", "b"] {
            ledger(&store, id).await.send(Do::Add(1)).await.unwrap();
            store.end::<Ledger>(id, REASON).await.unwrap();
        }
        for _ in 0..2 {
            store.shutdown().await.unwrap();
            let store = open().await.unwrap();
            for id in ["a", "b"] {
                let ledger = ledger(&store, id).await;
                assert_eq!(refused(&ledger).await, REASON);
                assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
            }
            store.shutdown().await.unwrap();
        }
    }
}

#[tokio::test]
async fn ending_twice_changes_nothing_and_returns_the_first_reason() {
    let dir = temp_dir();
    let store = open(&dir).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    let first = store.end::<Ledger>("a", "first").await.unwrap();
    let head = store.head();
    assert_eq!(store.end::<Ledger>("a", "second").await.unwrap(), first);
    assert_eq!(store.head(), head);
    assert_eq!(refused(&ledger(&store, "a").await).await, "first");
}

#[tokio::test]
async fn an_aggregate_without_events_cannot_be_ended_and_stays_as_it_is() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let error = store.end::<Ledger>("new", "why not").await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error}");
    assert!(error.to_string().contains("has no events"), "{error}");
    assert!(store.list::<Ledger>().await.unwrap().is_empty());
    ledger(&store, "new").await.send(Do::Add(1)).await.unwrap();
}

#[tokio::test]
async fn a_command_that_was_answered_before_the_end_is_answered_again_under_its_key() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let ended = ledger(&store, "a").await;
    let first = ended.send_with(Do::Add(5), key("k-1")).await.unwrap();
    store.end::<Ledger>("a", REASON).await.unwrap();
    for _ in 0..2 {
        let again = ended.send_with(Do::Add(5), key("k-1")).await.unwrap();
        assert!(again.repeated);
        assert_eq!(
            (again.version, again.position),
            (first.version, first.position)
        );
        assert_eq!(again.events, first.events);
    }
    let other = ended.send_with(Do::Add(5), key("k-2")).await;
    assert!(matches!(other, Err(ExecuteError::Ended { .. })));
    drop(ended);
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let ended = ledger(&store, "a").await;
    let again = ended.send_with(Do::Add(5), key("k-1")).await.unwrap();
    assert!(again.repeated);
}

#[tokio::test]
async fn commands_that_take_effect_together_are_all_refused_if_one_aggregate_has_ended() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (open, ended) = (ledger(&store, "a").await, ledger(&store, "b").await);
    let both = || {
        let group = store.together().send(&open, Do::Add(1));
        group.send(&ended, Do::Add(2))
    };
    let first = both().commit_with(key("g-1")).await.unwrap();
    store.end::<Ledger>("b", REASON).await.unwrap();
    let error = both().commit().await.unwrap_err();
    assert_eq!(error.index(), Some(1));
    let TogetherError::Ended { stream, reason, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((stream.id(), reason.as_str()), ("b", REASON));
    assert_eq!(open.state().await.unwrap(), Ledger::of([1]));
    let again = both().commit_with(key("g-1")).await.unwrap();
    assert!(again.repeated && again.position == first.position);
    open.send(Do::Add(3)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_managers_command_to_an_ended_aggregate_is_a_dead_letter_of_its_kind() {
    let dir = temp_dir();
    let clock = clock();
    let store = open_on_demand(&dir, &clock).await;
    command(&store, "over", GateCommand::Open).await;
    store.end::<Gate>("over", REASON).await.unwrap();
    tell(&store, "send over 1").await;
    tell(&store, "send other 2").await;
    tell(&store, "together over 3 other 4").await;
    tell(&store, "either over 5 other 6").await;
    assert_eq!(run(&store).await, (2, 2));
    assert_eq!(passed(&store, "other").await, [2, 6]);
    assert!(passed(&store, "over").await.is_empty());
    let letters = store
        .dead_letters("scripted")
        .unwrap()
        .list()
        .await
        .unwrap();
    assert_eq!(letters.len(), 2);
    for letter in letters {
        assert_eq!(letter.kind, Some(FailureKind::Ended), "{letter:?}");
        assert!(letter.error.contains(REASON), "{letter:?}");
    }
}

/// All that was noted of counters' and ledgers' lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "lives", aggregates(Ledger, Counter))]
struct Lives {
    events: u64,
    noted: Vec<(String, String, u64)>,
}

impl Project<Ledger> for Lives {
    fn project(&mut self, _: &<Ledger as Aggregate>::DomainEvent, _: &Recorded<'_>) {
        self.events += 1;
    }

    fn lifecycle(&mut self, noted: &LifecycleEvent, record: &Recorded<'_>) {
        let noted = format!("{noted:?}");
        let version = record.version().into();
        self.noted.push((record.id().to_owned(), noted, version));
    }
}

impl Project<Counter> for Lives {
    fn project(&mut self, _: &<Counter as Aggregate>::DomainEvent, _: &Recorded<'_>) {}
}

/// Counts what it is handed as JSON. It knows nothing of ends.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct ByHand(Vec<String>);

impl Projection for ByHand {
    const NAME: &'static str = "by-hand";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, _: &str, event: &eventfold::Event) {
        self.0.push(event.event_type.clone());
    }
}

/// Notes the ends of ledgers in a gate.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "mourner", aggregates(Ledger), dispatches(Gate))]
struct Mourner;

impl React<Ledger> for Mourner {
    fn react_to(
        &mut self,
        _: &<Ledger as Aggregate>::DomainEvent,
        _: &Recorded<'_>,
        _: &mut Outbox<'_>,
    ) {
    }

    fn lifecycle(&mut self, noted: &LifecycleEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        assert_eq!(noted.name(), "eventfold:ended");
        let LifecycleEvent::Ended { reason } = noted else {
            return;
        };
        assert_eq!(reason, REASON);
        let number = u64::from(record.version());
        out.send::<Gate>("ended", GateCommand::Pass(number));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn projections_process_managers_and_subscriptions_get_the_end_as_what_it_is() {
    let dir = temp_dir();
    let open = || {
        let store = builder(&dir).projection::<Lives>().projection::<ByHand>();
        store.process_manager::<Mourner>().open()
    };
    let store = open().await.unwrap();
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    store.end::<Ledger>("a", REASON).await.unwrap();
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (1, 0));
    assert_eq!(passed(&store, "ended").await, [2]);

    let ended = format!(
        "{:?}",
        LifecycleEvent::Ended {
            reason: REASON.to_owned()
        }
    );
    let expected = Lives {
        events: 1,
        noted: vec![("a".to_owned(), ended, 2)],
    };
    let check = async |store: &AggregateStore| {
        assert_eq!(store.projection::<Lives>().unwrap(), expected);
        assert_eq!(store.projection::<ByHand>().unwrap().0, ["Added"]);
        let mut events = store.subscribe(Position::default());
        let added = events.next().await.unwrap().unwrap();
        assert_eq!(added.lifecycle().unwrap(), None);
        let end = events.next().await.unwrap().unwrap();
        let reason = REASON.to_owned();
        assert_eq!(
            end.lifecycle().unwrap(),
            Some(LifecycleEvent::Ended { reason })
        );
        assert_eq!((end.id(), end.version()), ("a", 2.into()));
        assert!(end.decode::<Ledger>().unwrap().as_slice().is_empty());
        assert_eq!(end.data(), json!({ "reason": REASON }).to_string());
    };
    check(&store).await;
    store.rebuild_projection::<Lives>().unwrap();
    check(&store).await;
    store.shutdown().await.unwrap();
    let store = open().await.unwrap();
    check(&store).await;
}

#[tokio::test]
async fn an_end_is_exported_and_imported() {
    for form in [ExportForm::EventLines, ExportForm::CloudEvents] {
        let (from, to) = (temp_dir(), temp_dir());
        let store = open(&from).await;
        ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
        let end = store.end::<Ledger>("a", REASON).await.unwrap();
        let export = store.export().form(form).without_process_managers();
        let (lines, _) = export.write_to(Vec::new()).await.unwrap();
        let copy = open(&to).await;
        copy.import(Cursor::new(lines)).await.unwrap();
        let ledger = ledger(&copy, "a").await;
        assert_eq!(ledger.lifecycle().await.unwrap(), end);
        assert_eq!(refused(&ledger).await, REASON);
        assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    }
}

#[tokio::test]
async fn an_ended_aggregate_takes_no_events_that_were_decided_elsewhere() {
    let dir = temp_dir();
    let store = open(&dir).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    let event = eventfold::Event::new("Added", json!({ "amount": 2 })).with_id("e-2");
    let inject = |event: &eventfold::Event| {
        store.inject_event::<Ledger>("a", event.clone(), InjectOptions::default())
    };
    let reserved = eventfold::Event::new("eventfold:ended", json!({ "reason": "" }));
    let error = inject(&reserved).await.unwrap_err();
    assert!(error.to_string().contains("reserved"), "{error}");
    inject(&event).await.unwrap();
    store.end::<Ledger>("a", REASON).await.unwrap();
    inject(&event).await.unwrap();
    let other = eventfold::Event::new("Added", json!({ "amount": 3 }));
    let error = inject(&other).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(error.to_string().contains("has ended"), "{error}");
    assert_eq!(
        ledger(&store, "a").await.state().await.unwrap(),
        Ledger::of([1, 2])
    );
}

/// An aggregate that knows every event, and one whose event has a name of the store's.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Strict;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Named(String);

impl Aggregate for Strict {
    const AGGREGATE_TYPE: &'static str = "strict";
    const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Reject;
    type Command = String;
    type DomainEvent = Named;
    type Error = std::convert::Infallible;

    fn handle(&self, name: String) -> Result<Vec<Named>, Self::Error> {
        Ok(vec![Named(name)])
    }

    fn apply(self, _: &Named) -> Self {
        self
    }

    fn encode_event(
        event: &Named,
        data: &mut Vec<u8>,
    ) -> Result<std::borrow::Cow<'static, str>, EncodeError> {
        data.extend_from_slice(b"{}");
        Ok(event.0.clone().into())
    }

    fn decode_event(stored: StoredEvent<'_>) -> Result<eventfold_es::Decoded<Named>, DecodeError> {
        if stored.name().starts_with("eventfold:") {
            return Err(stored.unknown());
        }
        Ok(eventfold_es::Decoded::one(Named(stored.name().to_owned())))
    }

    fn knows_event(name: &str) -> bool {
        !name.starts_with("eventfold:")
    }
}

#[tokio::test]
async fn an_end_is_no_unknown_event_and_no_event_of_a_program_can_pass_for_it() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let strict = store.get::<Strict>("a").await.unwrap();
    strict.send("Usual".to_owned()).await.unwrap();
    let error = strict.send("eventfold:ended".to_owned()).await.unwrap_err();
    assert!(
        error.to_string().contains("reserved for the store"),
        "{error}"
    );
    store.end::<Strict>("a", REASON).await.unwrap();
    store.shutdown().await.unwrap();
    let store = open(&dir).await;
    let strict = store.get::<Strict>("a").await.unwrap();
    assert_eq!(strict.version().await.unwrap(), Version::from(2));
    let refused = strict.send("Usual".to_owned()).await;
    assert!(matches!(refused, Err(ExecuteError::Ended { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn commands_that_race_with_an_end_are_before_it_or_refused() {
    let dir = temp_dir();
    let store = open(&dir).await;
    ledger(&store, "a").await.send(Do::Add(0)).await.unwrap();
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                let ledger = ledger(&store, "a").await;
                let mut last = 0;
                for round in 0..25 {
                    if (task, round) == (3, 10) {
                        store.end::<Ledger>("a", REASON).await.unwrap();
                    }
                    match ledger.send(Do::Add(1)).await {
                        Ok(done) => last = u64::from(done.version),
                        Err(ExecuteError::Ended { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                last
            })
        })
        .collect();
    let mut last = 0;
    for task in tasks {
        last = task.await.unwrap().max(last);
    }
    let version = u64::from(ledger(&store, "a").await.version().await.unwrap());
    assert_eq!(version, last + 1, "the end is the last record");
}

#[tokio::test]
async fn the_stream_of_an_ended_aggregate_has_one_more_event_for_other_programs() {
    let dir = temp_dir();
    let store = open(&dir).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    store.end::<Ledger>("a", REASON).await.unwrap();
    let events = store.read_events("ledger", "a").await.unwrap();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1].event_type, "eventfold:ended");
    assert_eq!(events[1].data, json!({ "reason": REASON }));
    store.shutdown().await.unwrap();
    let stream = dir.path().join("streams/ledger/a");
    let reader = eventfold::EventReader::new(&stream);
    let read: Vec<_> = reader
        .read_full()
        .unwrap()
        .map(|event| event.unwrap().0)
        .collect();
    assert_eq!(read, events);
}

#[tokio::test]
async fn an_end_is_in_a_backup_and_in_the_store_that_is_restored_from_it() {
    let (dir, backup, restored) = (temp_dir(), temp_dir(), temp_dir());
    let store = open(dir.path()).await;
    ledger(&store, "a").await.send(Do::Add(1)).await.unwrap();
    store.end::<Ledger>("a", REASON).await.unwrap();
    let (backup, restored) = (backup.path().join("b"), restored.path().join("r"));
    store.backup(&backup).await.unwrap();
    store.shutdown().await.unwrap();
    AggregateStore::restore(&backup, &restored).await.unwrap();
    let store = open(&restored).await;
    assert_eq!(refused(&ledger(&store, "a").await).await, REASON);
}

#[test]
fn the_testing_kit_tells_projections_and_process_managers_of_an_end() {
    let end = || LifecycleEvent::Ended {
        reason: REASON.to_owned(),
    };
    eventfold_es::testing::projection::<Lives>()
        .given::<Ledger>("a", vec![crate::support::LedgerEvent::Added { amount: 1 }])
        .given_lifecycle::<Ledger>("a", end())
        .then_state(|lives| {
            lives.events == 1 && lives.noted == [("a".to_owned(), format!("{:?}", end()), 2)]
        });
    eventfold_es::testing::process_manager::<Mourner>()
        .when_lifecycle::<Ledger>("a", end())
        .then(|out| {
            out.send::<Gate>("ended", GateCommand::Pass(1));
        });
}
