//! Decisions over the events that have some tags.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use eventfold_es::prelude::*;
use eventfold_es::{
    AppendCondition, Call, CallOutcome, CommandContext, Decided, ExecuteError, Layer, NewEvent,
    Position, Query, QueryItem, Refused,
};
use serde::{Deserialize, Serialize};

use crate::support::{open, poll_once, temp_dir};

mod excluded;
mod imported;
mod overtaken;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct CourseDefined {
    #[tag]
    course: String,
    seats: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(CourseDefined, Subscribed))]
struct Seats {
    seats: u32,
    taken: u32,
}

impl Evolve<CourseDefined> for Seats {
    fn evolve(&mut self, event: &CourseDefined) {
        self.seats = event.seats;
    }
}

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {
        self.taken += 1;
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "student", events(Subscribed))]
struct Load {
    courses: u32,
}

impl Evolve<Subscribed> for Load {
    fn evolve(&mut self, _: &Subscribed) {
        self.courses += 1;
    }
}

#[derive(Debug, PartialEq, thiserror::Error)]
enum CourseError {
    #[error("there is no such course")]
    Unknown,
    #[error("the course is full")]
    Full,
    #[error("the student has enough courses")]
    Busy,
    #[error("the course is defined already")]
    Defined,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct DefineCourse {
    course: String,
    seats: u32,
}

#[derive(Decision)]
#[decision(command = DefineCourse, events(CourseDefined), error = CourseError)]
struct Defining {
    #[model(course)]
    seats: Seats,
}

impl Decide<DefineCourse> for Defining {
    fn decide(&self, command: DefineCourse) -> Decision<Self> {
        if self.seats.seats > 0 {
            return Err(CourseError::Defined);
        }
        let DefineCourse { course, seats } = command;
        Ok(events![CourseDefined { course, seats }])
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscribe {
    course: String,
    student: String,
}

#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed), error = CourseError)]
struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(student)]
    load: Load,
}

/// How often [`Subscribing`] was decided for the course `counted`.
static DECIDED: AtomicU32 = AtomicU32::new(0);

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        if command.course == "counted" {
            DECIDED.fetch_add(1, Ordering::Relaxed);
        }
        assert_ne!(command.student, "panic");
        overtaken::hold(&command.student);
        if self.seats.seats == 0 {
            return Err(CourseError::Unknown);
        }
        if self.seats.taken >= self.seats.seats {
            return Err(CourseError::Full);
        }
        if self.load.courses >= 10 {
            return Err(CourseError::Busy);
        }
        let Subscribe { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

async fn define(store: &AggregateStore, course: &str, seats: u32) {
    let course = course.to_owned();
    let define = DefineCourse { course, seats };
    store.decide::<Defining>(define).await.unwrap();
}

fn subscribe(course: &str, student: impl ToString) -> Subscribe {
    Subscribe {
        course: course.to_owned(),
        student: student.to_string(),
    }
}

/// How many students have subscribed to the course.
async fn subscribed(store: &AggregateStore, course: &str) -> usize {
    let tag = format!("course:{course}").parse().unwrap();
    let query = QueryItem::of_type("Subscribed").with_tag(tag);
    store.query(query).read().await.unwrap().events.len()
}

fn refused<D: Decider>(result: Result<Decided<D>, ExecuteError<D::Error>>) -> D::Error {
    match result {
        Err(ExecuteError::Domain(error)) => error,
        Err(error) => panic!("{error}"),
        Ok(_) => panic!("it was not refused"),
    }
}

#[tokio::test]
async fn a_decision_reads_the_events_of_all_its_models() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let unknown = store.decide::<Subscribing>(subscribe("c-1", "ann")).await;
    assert_eq!(refused(unknown), CourseError::Unknown);
    define(&store, "c-1", 2).await;
    let done = store.decide::<Subscribing>(subscribe("c-1", "ann")).await;
    let done = done.unwrap();
    assert_eq!(done.position, store.head());
    assert!(!done.repeated);
    let SubscribingEvent::Subscribed(event) = &done.events[0];
    assert_eq!((&*event.course, &*event.student), ("c-1", "ann"));
    for i in 0..9 {
        define(&store, &format!("other-{i}"), 1).await;
        let other = subscribe(&format!("other-{i}"), "ann");
        store.decide::<Subscribing>(other).await.unwrap();
    }
    let busy = store.decide::<Subscribing>(subscribe("c-1", "ann")).await;
    assert_eq!(refused(busy), CourseError::Busy);
    store
        .decide::<Subscribing>(subscribe("c-1", "ben"))
        .await
        .unwrap();
    let full = store.decide::<Subscribing>(subscribe("c-1", "cid")).await;
    assert_eq!(refused(full), CourseError::Full);
    assert_eq!(subscribed(&store, "c-1").await, 2);
}

#[tokio::test]
async fn the_next_store_decides_on_the_events_of_the_one_before() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 1).await;
    store
        .decide::<Subscribing>(subscribe("c-1", "ann"))
        .await
        .unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let store = open(&dir).await;
    let full = store.decide::<Subscribing>(subscribe("c-1", "ben")).await;
    assert_eq!(refused(full), CourseError::Full);
    let again = DefineCourse {
        course: "c-1".to_owned(),
        seats: 5,
    };
    assert_eq!(
        refused(store.decide::<Defining>(again).await),
        CourseError::Defined
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn many_callers_on_one_boundary_keep_its_rule_and_each_command_is_decided_once() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "counted", 50).await;
    let calls = (0..128).map(|i| {
        let store = store.clone();
        tokio::spawn(async move {
            let command = subscribe("counted", i);
            match store.decide::<Subscribing>(command).await {
                Ok(_) => true,
                Err(ExecuteError::Domain(error)) => {
                    assert_eq!(error, CourseError::Full);
                    false
                }
                Err(error) => panic!("{error}"),
            }
        })
    });
    let calls: Vec<_> = calls.collect();
    let mut stored = 0;
    for call in calls {
        stored += usize::from(call.await.unwrap());
    }
    assert_eq!((stored, subscribed(&store, "counted").await), (50, 50));
    assert_eq!(DECIDED.load(Ordering::Relaxed), 128);
}

/// How many students each course has, and where it had more than seats.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(events(CourseDefined, Subscribed))]
struct Rolls {
    seats: BTreeMap<String, u32>,
    taken: BTreeMap<String, u32>,
    overfull: Vec<String>,
}

impl Evolve<CourseDefined> for Rolls {
    fn evolve(&mut self, event: &CourseDefined) {
        let before = self.seats.insert(event.course.clone(), event.seats);
        if before.is_some() {
            self.overfull.push(format!("{} again", event.course));
        }
    }
}

impl Evolve<Subscribed> for Rolls {
    fn evolve(&mut self, event: &Subscribed) {
        let taken = self.taken.entry(event.course.clone()).or_default();
        *taken += 1;
        if self
            .seats
            .get(&event.course)
            .is_none_or(|seats| *taken > *seats)
        {
            self.overfull.push(format!("{}: {taken}", event.course));
        }
    }
}

/// For how long writers contend, unless the environment says otherwise.
const CONTEND: Duration = Duration::from_millis(700);

/// `EVENTFOLD_SECONDS=60 cargo test -p eventfold-es-tests sixty_four` lasts a minute.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_writers_on_one_boundary_never_break_its_rule() {
    let dir = temp_dir();
    let builder = crate::support::builder(&dir).projection::<Rolls>();
    let store = builder.open().await.unwrap();
    let seconds = std::env::var("EVENTFOLD_SECONDS").ok();
    let seconds = seconds.and_then(|seconds| seconds.parse().ok());
    let contend = seconds.map_or(CONTEND, Duration::from_secs);
    define(&store, "c-0", 40).await;
    let until = std::time::Instant::now() + contend;
    let enough = Arc::new(AtomicUsize::new(0));
    let writers: Vec<_> = (0..64_usize)
        .map(|writer| {
            let (store, enough) = (store.clone(), enough.clone());
            tokio::spawn(async move {
                let mut stored = 0;
                for round in 0.. {
                    // Some courses are full, however slow the machine is.
                    if std::time::Instant::now() > until && enough.load(Ordering::Relaxed) > 100 {
                        break;
                    }
                    // When the course is full, all go on to the next one.
                    let course = format!("c-{}", stored_courses(&store).await);
                    let command = subscribe(&course, format!("{writer}-{round}"));
                    match store.decide::<Subscribing>(command).await {
                        Ok(_) => {
                            stored += 1;
                            enough.fetch_add(1, Ordering::Relaxed);
                        }
                        Err(ExecuteError::Domain(CourseError::Full)) => {
                            let next = DefineCourse {
                                course: format!("c-{}", stored_courses(&store).await + 1),
                                seats: 40,
                            };
                            let defined = store.decide::<Defining>(next).await;
                            assert!(
                                matches!(
                                    defined,
                                    Ok(_) | Err(ExecuteError::Domain(CourseError::Defined))
                                ),
                                "{defined:?}"
                            );
                        }
                        Err(error) => panic!("{error}"),
                    }
                }
                stored
            })
        })
        .collect();
    let mut stored = 0;
    for writer in writers {
        stored += writer.await.unwrap();
    }
    let rolls = store.projection::<Rolls>().unwrap();
    assert_eq!(rolls.overfull, [""; 0]);
    let taken = rolls.taken.values().map(|taken| *taken as usize);
    assert_eq!(taken.sum::<usize>(), stored);
    // The log says the same.
    let subscribed = store.query(QueryItem::of_type("Subscribed")).read().await;
    assert_eq!(subscribed.unwrap().events.len(), stored);
}

/// The number of the newest course.
async fn stored_courses(store: &AggregateStore) -> usize {
    let defined = store.query(QueryItem::of_type("CourseDefined")).backwards();
    let newest = defined.limit(1).read().await.unwrap();
    let data: serde_json::Value = serde_json::from_str(newest.events[0].data()).unwrap();
    let course = data["course"].as_str().unwrap();
    course.trim_start_matches("c-").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_on_boundaries_that_overlap_keep_all_rules() {
    let dir = temp_dir();
    let store = open(&dir).await;
    for course in 0..6 {
        define(&store, &format!("c-{course}"), 7).await;
    }
    let calls: Vec<_> = (0..16)
        .map(|student: u32| {
            let store = store.clone();
            tokio::spawn(async move {
                for round in 0..12 {
                    let course = format!("c-{}", (student + round) % 6);
                    let done = store
                        .decide::<Subscribing>(subscribe(&course, student % 8))
                        .await;
                    assert!(
                        matches!(done, Ok(_) | Err(ExecuteError::Domain(_))),
                        "{done:?}"
                    );
                }
            })
        })
        .collect();
    for call in calls {
        call.await.unwrap();
    }
    for course in 0..6 {
        assert!(subscribed(&store, &format!("c-{course}")).await <= 7);
    }
    for student in 0..8 {
        let tag = format!("student:{student}").parse().unwrap();
        let query = QueryItem::of_type("Subscribed").with_tag(tag);
        assert!(store.query(query).read().await.unwrap().events.len() <= 10);
    }
    assert_eq!(subscribed(&store, "c-0").await, 7);
}

#[tokio::test]
async fn an_event_that_was_appended_between_leads_to_another_decision() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 2).await;
    store
        .decide::<Subscribing>(subscribe("c-1", "ann"))
        .await
        .unwrap();
    for (student, expected) in [("ben", None), ("cid", Some(CourseError::Full))] {
        // The state in memory does not have it.
        let taken = Subscribed {
            course: "c-1".to_owned(),
            student: "x".to_owned(),
        };
        if expected.is_some() {
            store
                .append([NewEvent::of(&taken).unwrap()], None)
                .await
                .unwrap();
        }
        let mut other = NewEvent::new("Renamed", &()).unwrap();
        other = other.with_tag("course:c-1".parse().unwrap());
        store.append([other], None).await.unwrap();
        let done = store.decide::<Subscribing>(subscribe("c-1", student)).await;
        match expected {
            None => drop(done.unwrap()),
            Some(expected) => assert_eq!(refused(done), expected),
        }
    }
}

#[tokio::test]
async fn a_panic_of_a_decision_stores_nothing_and_the_next_command_is_decided() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 2).await;
    let head = store.head();
    let panicked = store.decide::<Subscribing>(subscribe("c-1", "panic")).await;
    let Err(ExecuteError::Panicked(panic)) = panicked else {
        panic!("it did not panic");
    };
    assert_eq!(panic.function(), "decide");
    assert!(panic.to_string().contains("subscribing"), "{panic}");
    assert_eq!(store.head(), head);
    store
        .decide::<Subscribing>(subscribe("c-1", "ann"))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_that_is_abandoned_leaves_its_tags_free() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 5).await;
    for student in 0..3 {
        let mut call = std::pin::pin!(store.decide::<Subscribing>(subscribe("c-1", student)));
        drop(poll_once(&mut call).await);
    }
    store
        .decide::<Subscribing>(subscribe("c-1", "ann"))
        .await
        .unwrap();
    assert!(subscribed(&store, "c-1").await <= 4);
}

#[tokio::test]
async fn a_command_with_the_same_key_is_decided_once() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 5).await;
    let context = CommandContext::default().with_idempotency_key("k-1");
    let send = |student: &'static str| {
        store.decide_with::<Subscribing>(subscribe("c-1", student), context.clone())
    };
    let (first, second) = tokio::join!(send("ann"), send("ann"));
    let (first, second) = (first.unwrap(), second.unwrap());
    assert!(!first.repeated && second.repeated);
    assert_eq!(first.position, second.position);
    assert_eq!(first.events.len(), second.events.len());
    let reused = send("ben").await;
    assert!(
        matches!(&reused, Err(ExecuteError::KeyReused { key }) if key == "k-1"),
        "{reused:?}"
    );
    let other = store.decide_with::<Defining>(
        DefineCourse {
            course: "c-2".to_owned(),
            seats: 1,
        },
        context.clone(),
    );
    assert!(matches!(other.await, Err(ExecuteError::KeyReused { .. })));
    assert_eq!(subscribed(&store, "c-1").await, 1);
    let position = first.position;
    store.shutdown().await.unwrap();
    drop(store);
    let store = open(&dir).await;
    let again = store.decide_with::<Subscribing>(subscribe("c-1", "ann"), context.clone());
    let again = again.await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.position, position);
}

#[tokio::test]
async fn what_cannot_be_decided_is_refused_and_stores_nothing() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let expecting = CommandContext::default().with_expected_version(1);
    let refused = store
        .decide_with::<Subscribing>(subscribe("c-1", "ann"), expecting)
        .await;
    let invalid = store.decide::<Subscribing>(subscribe("", "ann")).await;
    for result in [refused, invalid] {
        let Err(ExecuteError::Io(error)) = result else {
            panic!("{result:?}");
        };
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{error}");
    }
    assert_eq!(store.head(), Position::default());
    store.shutdown().await.unwrap();
    let closed = store.decide::<Subscribing>(subscribe("c-1", "ann")).await;
    assert!(matches!(closed, Err(ExecuteError::Closed)), "{closed:?}");
}

/// Everything about subscriptions in the whole store.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(events(Subscribed))]
struct All {
    subscribed: u32,
}

impl Evolve<Subscribed> for All {
    fn evolve(&mut self, _: &Subscribed) {
        self.subscribed += 1;
    }
}

/// The same model twice, and one without a tag.
#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed), error = CourseError, name = "counting")]
struct Counting {
    #[model(student)]
    one: Load,
    #[model(student)]
    other: Load,
    #[model]
    all: All,
}

impl Decide<Subscribe> for Counting {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        assert_eq!(self.one.courses, self.other.courses);
        if self.all.subscribed >= 5 {
            return Err(CourseError::Full);
        }
        let Subscribe { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_models_and_models_without_a_tag_see_what_other_decisions_store() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 100).await;
    for i in 0..2 {
        store.decide::<Counting>(subscribe("c-1", i)).await.unwrap();
        store
            .decide::<Subscribing>(subscribe("c-1", i))
            .await
            .unwrap();
    }
    let calls: Vec<_> = (0..8)
        .map(|i| {
            let store = store.clone();
            tokio::spawn(async move { store.decide::<Counting>(subscribe("c-1", i)).await.is_ok() })
        })
        .collect();
    let mut stored = 0;
    for call in calls {
        stored += u32::from(call.await.unwrap());
    }
    assert_eq!(stored, 1);
}

#[derive(Default, Clone)]
struct Named(Arc<std::sync::Mutex<Vec<String>>>);

impl Layer for Named {
    fn before(&self, call: &mut Call<'_>) -> Result<(), Refused> {
        call.set_actor("ann");
        if call.context().correlation_id.as_deref() == Some("bad") {
            return Err(Refused::new("no"));
        }
        Ok(())
    }

    fn after(&self, call: &Call<'_>, outcome: CallOutcome<'_>) {
        let said = format!("{} {}", call.command(), outcome.name());
        self.0.lock().unwrap().push(said);
    }
}

#[tokio::test]
async fn layers_are_around_decisions_and_the_context_is_stored_with_the_events() {
    let dir = temp_dir();
    let layer = Named::default();
    let store = crate::support::builder(&dir)
        .layer(layer.clone())
        .open()
        .await
        .unwrap();
    define(&store, "c-1", 1).await;
    let context = CommandContext::default().with_correlation_id("r-1");
    store
        .decide_with::<Subscribing>(subscribe("c-1", "a"), context)
        .await
        .unwrap();
    let full = store.decide::<Subscribing>(subscribe("c-1", "b")).await;
    assert_eq!(refused(full), CourseError::Full);
    let bad = CommandContext::default().with_correlation_id("bad");
    let bad = store
        .decide_with::<Subscribing>(subscribe("c-1", "b"), bad)
        .await;
    assert!(matches!(bad, Err(ExecuteError::Refused(_))));
    let said = layer.0.lock().unwrap().join(", ");
    assert_eq!(
        said,
        "DefineCourse succeeded, Subscribe succeeded, Subscribe refused"
    );
    let events = store.recent(1).await.unwrap();
    assert_eq!(events[0].actor(), Some("ann"));
    assert_eq!(events[0].correlation_id().as_deref(), Some("r-1"));
    let tags: Vec<_> = events[0].tags().collect();
    assert_eq!(tags, ["course:c-1", "student:a"]);
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited))]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64, String);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Deposited {
    amount: u64,
    #[tag]
    owner: String,
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount, owner): Deposit) -> Decision<Self> {
        Ok(events![Deposited { amount, owner }])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, event: &Deposited) {
        self.balance += event.amount;
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(aggregate = Account, events(Deposited))]
struct Balance(u64);

impl Evolve<Deposited> for Balance {
    fn evolve(&mut self, event: &Deposited) {
        self.0 += event.amount;
    }
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "owner", events(Deposited))]
struct Wealth(u64);

impl Evolve<Deposited> for Wealth {
    fn evolve(&mut self, event: &Deposited) {
        self.0 += event.amount;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Rated {
    #[tag]
    owner: String,
    balance: u64,
    wealth: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Rate {
    account: String,
    owner: String,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("it cannot be rated")]
struct NotRated;

#[derive(Decision)]
#[decision(command = Rate, events(Rated), error = NotRated)]
struct Rating {
    #[model(account)]
    balance: Balance,
    #[model(owner)]
    wealth: Wealth,
}

impl Decide<Rate> for Rating {
    fn decide(&self, Rate { owner, .. }: Rate) -> Decision<Self> {
        Ok(events![Rated {
            owner,
            balance: self.balance.0,
            wealth: self.wealth.0,
        }])
    }
}

#[tokio::test]
async fn decisions_read_the_events_of_aggregates_by_their_name_and_by_their_tags() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let mut expected = (0, 0);
    for (id, amount) in [("a", 5), ("b", 7), ("a", 11)] {
        let account = store.get::<Account>(id).await.unwrap();
        account
            .send(Deposit(amount, "ann".to_owned()))
            .await
            .unwrap();
        if id == "a" {
            expected.0 += amount;
        }
        expected.1 += amount;
        let rate = Rate {
            account: "a".to_owned(),
            owner: "ann".to_owned(),
        };
        let done = store.decide::<Rating>(rate).await.unwrap();
        let RatingEvent::Rated(rated) = &done.events[0];
        assert_eq!((rated.balance, rated.wealth), expected);
    }
    let tagged = store.query(QueryItem::tagged("owner:ann".parse().unwrap()));
    assert_eq!(tagged.read().await.unwrap().events.len(), 6);
    let account = store.query(QueryItem::tagged("account:a".parse().unwrap()));
    assert_eq!(account.read().await.unwrap().events.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn decisions_and_conditional_appends_on_one_boundary_exclude_each_other() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 40).await;
    let of_course = Query::of(QueryItem::tagged("course:c-1".parse().unwrap()));
    let mut calls = Vec::new();
    for i in 0..24 {
        let (store, query) = (store.clone(), of_course.clone());
        calls.push(tokio::spawn(async move {
            if i % 2 == 0 {
                return store
                    .decide::<Subscribing>(subscribe("c-1", i))
                    .await
                    .is_ok();
            }
            loop {
                let found = store.query(query.clone()).read().await.unwrap();
                if found.events.len() > 40 {
                    return false;
                }
                let event = Subscribed {
                    course: "c-1".to_owned(),
                    student: i.to_string(),
                };
                let condition = AppendCondition::no_event_matches(query.clone());
                let condition = condition.after(found.position);
                let event = NewEvent::of(&event).unwrap();
                if store.append([event], Some(condition)).await.is_ok() {
                    return true;
                }
            }
        }));
    }
    let mut stored = 0;
    for call in calls {
        stored += usize::from(call.await.unwrap());
    }
    assert_eq!((stored, subscribed(&store, "c-1").await), (24, 24));
    tokio::time::timeout(Duration::from_secs(60), store.shutdown())
        .await
        .unwrap()
        .unwrap();
}
