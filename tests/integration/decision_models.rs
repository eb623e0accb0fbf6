//! Decision models and the queries of decisions, without a store.

use eventfold_es::{Query, QueryItem, StoredEvent, Tag, Tags, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "course-defined", alias = "CourseDefined", version = 2, upcast(1 = of_number))]
struct CourseDefined {
    #[tag]
    course: String,
    capacity: u32,
}

fn of_number((course, capacity): (String, u32)) -> CourseDefined {
    CourseDefined { course, capacity }
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Waitlisted", "Joined" = joined))]
enum SeatEvent {
    Subscribed {
        #[tag]
        course: String,
        #[tag]
        student: String,
    },
}

#[derive(Deserialize)]
struct Joined {
    course: String,
    students: Vec<String>,
}

fn joined(old: Joined) -> Vec<SeatEvent> {
    let course = old.course;
    let students = old.students.into_iter();
    let one = |student| SeatEvent::Subscribed {
        course: course.clone(),
        student,
    };
    students.map(one).collect()
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(CourseDefined, SeatEvent))]
struct Seats {
    capacity: u32,
    students: Vec<String>,
    positions: Vec<String>,
}

impl Evolve<CourseDefined> for Seats {
    fn evolve(&mut self, event: &CourseDefined) {
        self.capacity = event.capacity;
    }
}

impl EvolveWith<SeatEvent> for Seats {
    fn evolve_with(&mut self, event: &SeatEvent, record: &Recorded<'_>) {
        let SeatEvent::Subscribed { student, .. } = event;
        self.students.push(student.clone());
        self.positions.push(record.id().to_owned());
    }
}

fn tagged(texts: &[&str]) -> Tags {
    texts
        .iter()
        .map(|text| text.parse::<Tag>().unwrap())
        .collect()
}

#[test]
fn a_model_is_folded_from_its_events_under_all_names_and_in_every_version() {
    let mut seats = Seats::default();
    let event = eventfold::Event::new("", serde_json::Value::Null);
    let record = Recorded::of_eventfold(&event, "hall", "h-1");
    for (name, data) in [
        ("CourseDefined", r#"["c-1",5]"#),
        ("Subscribed", r#"{"course":"c-1","student":"Ada"}"#),
        ("Waitlisted", r#"{"course":"c-1","student":"Eve"}"#),
        ("Joined", r#"{"course":"c-1","students":["Bob","Cleo"]}"#),
    ] {
        let stored = StoredEvent::new(name, data).with_record(&record);
        seats.apply_stored(stored).unwrap();
    }
    assert_eq!(seats.capacity, 5);
    assert_eq!(seats.students, ["Ada", "Bob", "Cleo"]);
    assert_eq!(seats.positions, ["h-1"; 3]);
}

#[test]
fn an_event_of_another_name_or_shape_is_an_error_and_changes_nothing() {
    let mut seats = Seats::default();
    let unknown = seats.apply_stored(StoredEvent::new("Renamed", "null"));
    assert_eq!(
        unknown.unwrap_err().to_string(),
        "no event is named `Renamed`"
    );
    let malformed = seats.apply_stored(StoredEvent::new("Subscribed", "5"));
    assert!(
        malformed
            .unwrap_err()
            .to_string()
            .starts_with("event `Subscribed` cannot be read")
    );
    assert!(seats.students.is_empty());
}

#[test]
fn the_query_of_a_model_has_the_names_of_its_events_with_aliases_and_retired_ones() {
    let names = [
        "CourseDefined",
        "Joined",
        "Subscribed",
        "Waitlisted",
        "course-defined",
    ];
    let item = QueryItem::new(names, tagged(&["course:c-1"])).unwrap();
    assert_eq!(Seats::query(tagged(&["course:c-1"])), Query::of(item));
    assert_eq!(Seats::TAGS, ["course"]);
}

/// A model by two tags, one without tags, and one of a stream.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tags("student", "course"), events(SeatEvent))]
struct Seat(bool);

#[derive(Debug, Default, DecisionModel)]
#[decision_model(events(CourseDefined))]
struct Courses(u32);

#[derive(Debug, Default, DecisionModel)]
#[decision_model(aggregate = Hall, events(Opened, Rented))]
struct IsOpen(bool);

impl Evolve<SeatEvent> for Seat {
    fn evolve(&mut self, _: &SeatEvent) {
        self.0 = true;
    }
}

impl Evolve<CourseDefined> for Courses {
    fn evolve(&mut self, _: &CourseDefined) {
        self.0 += 1;
    }
}

impl Evolve<Opened> for IsOpen {
    fn evolve(&mut self, _: &Opened) {
        self.0 = true;
    }
}

impl Evolve<Rented> for IsOpen {
    fn evolve(&mut self, _: &Rented) {
        self.0 = false;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "lecture-hall", commands(), events(Opened))]
struct Hall;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

/// An event of another aggregate, or of none, about a hall.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Rented {
    #[tag("lecture-hall")]
    hall: u8,
}

impl Evolve<Opened> for Hall {
    fn evolve(&mut self, _: &Opened) {}
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Move {
    student: String,
    to: Target,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Target {
    course: String,
    hall: u8,
    former: u8,
}

#[derive(Decision)]
#[decision(command = Move, events(SeatEvent))]
struct Moving {
    #[model(course = to.course, student)]
    seat: Seat,
    #[model]
    courses: Courses,
    #[model(hall = to.hall)]
    next: IsOpen,
    #[model("lecture-hall" = to.former)]
    former: IsOpen,
}

impl Decide<Move> for Moving {
    fn decide(&self, command: Move) -> Decision<Self> {
        let is_possible = !self.seat.0 && self.courses.0 > 0 && self.next.0 && !self.former.0;
        let subscribed = SeatEvent::Subscribed {
            course: command.to.course,
            student: command.student,
        };
        Ok(if is_possible {
            events![subscribed]
        } else {
            events![]
        })
    }
}

fn command(hall: u8) -> Move {
    Move {
        student: "Ada".to_owned(),
        to: Target {
            course: "c-1".to_owned(),
            hall,
            former: 9,
        },
    }
}

#[test]
fn the_boundary_of_a_decision_is_what_one_of_its_models_selects_with_the_values_of_the_command() {
    let items = [
        (
            vec!["Subscribed", "Waitlisted", "Joined"],
            tagged(&["course:c-1", "student:Ada"]),
        ),
        (vec!["course-defined", "CourseDefined"], Tags::new()),
        (vec!["Opened", "Rented"], tagged(&["lecture-hall:7"])),
        (vec!["Opened", "Rented"], tagged(&["lecture-hall:9"])),
    ];
    let items = items.map(|(types, tags)| QueryItem::new(types, tags).unwrap());
    assert_eq!(
        Moving::query(&command(7)),
        Ok(Query::of_items(items).unwrap())
    );
    // Two models with the same events are one item.
    let query = Moving::query(&command(9)).unwrap();
    assert_eq!(query.items().map(<[QueryItem]>::len), Some(3));
}

#[test]
fn a_value_that_cannot_be_part_of_a_tag_has_no_boundary() {
    let command = Move {
        student: String::new(),
        ..command(7)
    };
    let error = Moving::query(&command).unwrap_err();
    assert_eq!(error.to_string(), "the tag `student:` has no value");
}

/// Neither `Clone` nor `Serialize`.
struct Count;

#[derive(Decision)]
#[decision(command = Count, event = SeatEvent, name = "count")]
struct Counting {
    #[model]
    courses: Courses,
}

impl Decide<Count> for Counting {
    fn decide(&self, _: Count) -> Decision<Self> {
        assert_eq!(self.courses.0, 0);
        Ok(vec![])
    }
}

#[test]
fn a_command_is_copied_and_has_the_fingerprint_of_its_content_if_its_type_allows_it() {
    assert_eq!(Moving::repeat(&command(7)), Some(command(7)));
    assert_eq!(
        Moving::fingerprint(&command(7)),
        Moving::fingerprint(&command(7))
    );
    assert_ne!(
        Moving::fingerprint(&command(7)),
        Moving::fingerprint(&command(8))
    );
    assert_eq!((Moving::NAME, Moving::COMMAND_NAME), ("moving", "Move"));

    assert!(Counting::repeat(&Count).is_none());
    assert_eq!(Counting::fingerprint(&Count), None);
    assert_eq!(Counting::NAME, "count");
}
