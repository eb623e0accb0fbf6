//! The read side of events that belong to no aggregate: those of decisions, and appended ones.

use std::collections::BTreeMap;

use eventfold_es::prelude::*;
use eventfold_es::{EvolveWith, NewEvent, RecordedEvent, Tag};
use serde::{Deserialize, Serialize};

use crate::support::{TempDir, builder, in_time, open, temp_dir};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
#[event(alias = "Cancelled")]
struct Left {
    #[tag]
    course: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tags("course", "student"), events(Subscribed))]
struct IsSubscribed(bool);

impl Evolve<Subscribed> for IsSubscribed {
    fn evolve(&mut self, _: &Subscribed) {
        self.0 = true;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscribe {
    course: String,
    student: String,
}

#[derive(Decision)]
#[decision(command = Subscribe, events(Subscribed))]
struct Subscribing {
    #[model(course, student)]
    already: IsSubscribed,
}

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        if self.already.0 {
            return Ok(events![]);
        }
        let Subscribe { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

/// An aggregate with an event of a type that decisions have too.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "club", commands(Join), events(Subscribed))]
struct Club {
    members: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Join(String);

impl Decide<Join> for Club {
    fn decide(&self, Join(student): Join) -> Decision<Self> {
        let course = "club".to_owned();
        Ok(events![Subscribed { course, student }])
    }
}

impl Evolve<Subscribed> for Club {
    fn evolve(&mut self, _: &Subscribed) {
        self.members += 1;
    }
}

async fn subscribe(store: &AggregateStore, course: &str, student: &str) {
    let (course, student) = (course.to_owned(), student.to_owned());
    let command = Subscribe { course, student };
    store.decide::<Subscribing>(command).await.unwrap();
}

async fn append(store: &AggregateStore, event: NewEvent) {
    store.append([event], None).await.unwrap();
}

async fn left(store: &AggregateStore, name: &str, course: &str) {
    let payload = serde_json::json!({ "course": course });
    append(store, NewEvent::new(name, &payload).unwrap()).await;
}

/// How many students each course has, and at which position it changed last.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(events(Subscribed, Left))]
struct Courses {
    students: BTreeMap<String, i32>,
    last: Position,
}

impl EvolveWith<Subscribed> for Courses {
    fn evolve_with(&mut self, event: &Subscribed, record: &Recorded<'_>) {
        assert!(!record.is_of_aggregate());
        assert!(
            record
                .tags()
                .any(|tag| tag == format!("course:{}", event.course))
        );
        *self.students.entry(event.course.clone()).or_default() += 1;
        self.last = record.position();
    }
}

impl Evolve<Left> for Courses {
    fn evolve(&mut self, event: &Left) {
        *self.students.entry(event.course.clone()).or_default() -= 1;
    }
}

async fn with_courses(dir: &TempDir) -> AggregateStore {
    builder(dir).projection::<Courses>().open().await.unwrap()
}

#[tokio::test]
async fn a_projection_folds_the_listed_events_that_belong_to_no_aggregate_and_no_others() {
    let dir = temp_dir();
    let store = with_courses(&dir).await;
    subscribe(&store, "c-1", "ann").await;
    subscribe(&store, "c-1", "bob").await;
    subscribe(&store, "c-2", "ann").await;
    let last = store.head();
    // Of the type, but of an aggregate.
    let club = store.get::<Club>("chess").await.unwrap();
    club.send(Join("ann".to_owned())).await.unwrap();
    // Of no aggregate, but of a type that is not listed.
    append(&store, NewEvent::new("Renamed", &()).unwrap()).await;
    left(&store, "Left", "c-1").await;
    left(&store, "Cancelled", "c-2").await;
    let courses = store.projection::<Courses>().unwrap();
    let students = [("c-1".to_owned(), 1), ("c-2".to_owned(), 0)];
    assert_eq!(courses.students, students.into());
    assert_eq!(courses.last, last);
}

#[tokio::test]
async fn a_projection_of_events_goes_on_in_the_next_store() {
    let dir = temp_dir();
    let store = with_courses(&dir).await;
    subscribe(&store, "c-1", "ann").await;
    store.projection::<Courses>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let store = with_courses(&dir).await;
    subscribe(&store, "c-1", "bob").await;
    assert_eq!(store.projection::<Courses>().unwrap().students["c-1"], 2);
}

/// Both kinds of events, each by its own code.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Club), events(Subscribed))]
struct Both {
    of_clubs: Vec<String>,
    of_courses: Vec<String>,
}

impl Project<Club> for Both {
    fn project(&mut self, event: &ClubEvent, record: &Recorded<'_>) {
        let ClubEvent::Subscribed(event) = event;
        self.of_clubs
            .push(format!("{} {}", record.id(), event.student));
    }
}

impl Evolve<Subscribed> for Both {
    fn evolve(&mut self, event: &Subscribed) {
        self.of_courses
            .push(format!("{} {}", event.course, event.student));
    }
}

#[tokio::test]
async fn one_type_of_events_is_told_apart_by_whether_an_aggregate_stored_it() {
    let dir = temp_dir();
    let store = builder(&dir).projection::<Both>().open().await.unwrap();
    subscribe(&store, "c-1", "ann").await;
    let club = store.get::<Club>("chess").await.unwrap();
    club.send(Join("bob".to_owned())).await.unwrap();
    let both = store.projection::<Both>().unwrap();
    assert_eq!(
        (both.of_clubs, both.of_courses),
        (vec!["chess bob".to_owned()], vec!["c-1 ann".to_owned()])
    );
}

/// The projection of a later program, in which the payload has another shape.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "courses", events(SubscribedNow))]
struct CoursesNow {
    students: BTreeMap<String, i32>,
    #[serde(default)]
    names: Vec<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "Subscribed", version = 2, upcast(1 = with_name))]
struct SubscribedNow {
    #[tag]
    course: String,
    name: String,
}

fn with_name(old: Subscribed) -> SubscribedNow {
    SubscribedNow {
        course: old.course,
        name: old.student,
    }
}

impl Evolve<SubscribedNow> for CoursesNow {
    fn evolve(&mut self, event: &SubscribedNow) {
        *self.students.entry(event.course.clone()).or_default() += 1;
        self.names.push(event.name.clone());
    }
}

#[tokio::test]
async fn a_new_version_of_a_listed_event_builds_the_projection_again() {
    let dir = temp_dir();
    let store = with_courses(&dir).await;
    subscribe(&store, "c-1", "ann").await;
    store.projection::<Courses>().unwrap();
    store.shutdown().await.unwrap();
    drop(store);
    let later = builder(&dir).projection::<CoursesNow>();
    let store = later.open().await.unwrap();
    let courses = store.projection::<CoursesNow>().unwrap();
    assert_eq!(
        (courses.students["c-1"], courses.names),
        (1, vec!["ann".to_owned()])
    );
}

#[tokio::test]
async fn an_event_that_cannot_be_read_is_said_to_belong_to_no_aggregate() {
    let dir = temp_dir();
    let store = with_courses(&dir).await;
    append(&store, NewEvent::new("Subscribed", &5).unwrap()).await;
    let error = store.projection::<Courses>().unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidData);
    let text = error.to_string();
    let expected = "`courses` at position 1, of no aggregate, event `Subscribed`: ";
    assert!(text.contains(expected), "{text}");
}

/// Sends each student of a course to a club.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(events(Subscribed), dispatches(Club))]
struct Inviting {
    invited: u32,
}

impl ReactTo<Subscribed> for Inviting {
    fn react_to_event(&mut self, event: &Subscribed, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        self.invited += 1;
        out.send::<Club>("chess", Join(event.student.clone()));
    }
}

#[tokio::test]
async fn a_process_manager_reacts_once_to_each_listed_event_of_a_decision() {
    let dir = temp_dir();
    for student in ["ann", "bob"] {
        let inviting = builder(&dir).process_manager::<Inviting>();
        let store = inviting.open().await.unwrap();
        subscribe(&store, "c-1", student).await;
        left(&store, "Left", "c-1").await;
        let report = store.run_process_managers().await.unwrap();
        // What the club stored is an event of the type too, and of an aggregate.
        assert_eq!((report.dispatched, report.dead_lettered), (1, 0));
        let again = store.run_process_managers().await.unwrap();
        assert_eq!(again.dispatched, 0);
        store.shutdown().await.unwrap();
    }
    let store = open(&dir).await;
    let club = store.get::<Club>("chess").await.unwrap();
    assert_eq!(club.state().await.unwrap().members, 2);
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

/// What the tests of filters look at: two courses, two students, and a club.
async fn filled(dir: &TempDir) -> AggregateStore {
    let store = open(dir).await;
    subscribe(&store, "c-1", "ann").await;
    subscribe(&store, "c-1", "bob").await;
    let club = store.get::<Club>("chess").await.unwrap();
    club.send(Join("ann".to_owned())).await.unwrap();
    subscribe(&store, "c-2", "ann").await;
    append(&store, NewEvent::new("Untagged", &()).unwrap()).await;
    store
}

/// For each filter the positions that it lets through.
fn filters() -> [(Vec<Tag>, Vec<u64>); 6] {
    [
        (vec![tag("course:c-1")], vec![1, 2]),
        (vec![tag("student:ann")], vec![1, 3, 4]),
        (vec![tag("student:ann"), tag("course:c-1")], vec![1]),
        (vec![tag("club:chess")], vec![3]),
        (vec![tag("club:chess"), tag("student:bob")], vec![]),
        (vec![tag("course")], vec![]),
    ]
}

/// The places of events among those of the store: the positions in memory have gaps.
fn places(all: &[RecordedEvent], some: &[RecordedEvent]) -> Vec<u64> {
    let place = |event: &RecordedEvent| {
        let before = all
            .iter()
            .filter(|other| other.position() <= event.position());
        before.count() as u64
    };
    some.iter().map(place).collect()
}

async fn backwards(store: &AggregateStore, tags: Vec<Tag>) -> Vec<RecordedEvent> {
    let mut events = tags
        .into_iter()
        .fold(store.backwards(), eventfold_es::Backwards::tagged);
    let mut found = Vec::new();
    while let Some(event) = in_time("an event", events.next()).await {
        found.insert(0, event.unwrap());
    }
    found
}

#[tokio::test]
async fn a_tagged_subscription_delivers_the_events_that_have_all_of_its_tags() {
    let dir = temp_dir();
    let store = filled(&dir).await;
    let all = backwards(&store, vec![]).await;
    for (tags, expected) in filters() {
        let subscription = store.subscribe(Position::default());
        let mut events = tags
            .iter()
            .cloned()
            .fold(subscription, eventfold_es::Subscription::tagged);
        let mut found = Vec::new();
        for _ in &expected {
            let event = in_time("an event", events.next()).await;
            found.push(event.unwrap().unwrap());
        }
        assert_eq!(places(&all, &found), expected, "{tags:?}");
    }
    // Nothing else comes before the end.
    let mut events = store
        .subscribe(Position::default())
        .tagged(tag("course:c-1"))
        .tagged(tag("student:bob"));
    store.shutdown().await.unwrap();
    let event = in_time("an event", events.next()).await.unwrap().unwrap();
    assert_eq!(places(&all, &[event]), [2]);
    assert!(in_time("the end", events.next()).await.unwrap().is_err());
}

#[tokio::test]
async fn tagged_events_are_read_backwards() {
    let dir = temp_dir();
    let store = filled(&dir).await;
    let all = backwards(&store, vec![]).await;
    for (tags, expected) in filters() {
        let found = backwards(&store, tags.clone()).await;
        assert_eq!(places(&all, &found), expected, "{tags:?}");
    }
}
