//! The tags of derived events: by name and value, of every type of field.

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::fmt;

use eventfold_es::{DomainEvent as _, EventName, Tags, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct CourseId(u32);

impl fmt::Display for CourseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "c-{}", self.0)
    }
}

fn tags<E: DomainEvent>(event: &E) -> String {
    let mut tags = Tags::new();
    event.append_tags(&mut tags).unwrap();
    tags.to_string()
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: CourseId,
    #[tag("student")]
    #[tag("person")]
    by: String,
    #[tag]
    r#type: u8,
    note: String,
}

fn subscribed(by: &str) -> Subscribed {
    Subscribed {
        course: CourseId(1),
        by: by.to_owned(),
        r#type: 3,
        note: "front row".to_owned(),
    }
}

#[test]
fn a_tag_has_the_name_of_its_field_or_the_one_given_and_the_text_of_its_value() {
    let expected = "course:c-1 person:Ada Lovelace student:Ada Lovelace type:3";
    assert_eq!(tags(&subscribed("Ada Lovelace")), expected);
    let names = ["course", "student", "person", "type"];
    assert_eq!(Subscribed::NAMES[0].tags, names);
}

/// Aliases of types, which no macro sees through.
type Courses = Vec<CourseId>;
type Perhaps<T> = Option<T>;

#[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
struct Enrolled {
    #[tag("course")]
    list: Courses,
    #[tag("course")]
    one: Perhaps<CourseId>,
    #[tag]
    option: Option<u64>,
    #[tag]
    array: [char; 2],
    #[tag]
    boxed: Box<[u8]>,
    #[tag]
    set: BTreeSet<String>,
    #[tag]
    hashed: HashSet<i8>,
    #[tag]
    queue: VecDeque<bool>,
    #[tag]
    text: Box<str>,
}

#[test]
fn an_option_or_a_list_makes_a_tag_for_each_value_also_under_another_name() {
    let enrolled = Enrolled {
        list: vec![CourseId(2), CourseId(1), CourseId(2)],
        one: Some(CourseId(3)),
        option: Some(5),
        array: ['a', 'b'],
        boxed: Box::new([8]),
        set: BTreeSet::from(["x".to_owned()]),
        hashed: HashSet::from([-1]),
        queue: VecDeque::from([true]),
        text: "t".into(),
    };
    assert_eq!(
        tags(&enrolled),
        "array:a array:b boxed:8 course:c-1 course:c-2 course:c-3 hashed:-1 option:5 queue:true \
         set:x text:t"
    );
    let empty = Enrolled {
        text: "t".into(),
        array: ['a', 'a'],
        ..Enrolled::default()
    };
    assert_eq!(tags(&empty), "array:a text:t");
    assert_eq!(Enrolled::NAMES[0].tags[0], "course");
    assert_eq!(Enrolled::NAMES[0].tags.len(), 8);
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum CourseEvent {
    Opened {
        #[tag]
        course: CourseId,
    },
    Moved(#[tag("course")] CourseId, #[tag("room")] Option<u8>, u8),
    Announced,
}

#[test]
fn each_variant_of_an_event_enum_has_the_tags_of_its_own_fields() {
    let course = CourseId(1);
    assert_eq!(
        tags(&CourseEvent::Moved(course.clone(), Some(7), 9)),
        "course:c-1 room:7"
    );
    assert_eq!(tags(&CourseEvent::Opened { course }), "course:c-1");
    assert_eq!(tags(&CourseEvent::Announced), "");
    let of_event = |event: &EventName| event.tags.join(",");
    let names: Vec<String> = CourseEvent::NAMES.iter().map(of_event).collect();
    assert_eq!(names, ["course", "course,room", ""]);
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Subscribed, CourseEvent, Untagged))]
struct Catalogue(BTreeMap<String, u32>);

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Untagged))]
struct Plain;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Untagged;

impl Evolve<Subscribed> for Catalogue {
    fn evolve(&mut self, event: &Subscribed) {
        *self.0.entry(event.note.clone()).or_default() += 1;
    }
}

impl Evolve<CourseEvent> for Catalogue {
    fn evolve(&mut self, _: &CourseEvent) {}
}

impl Evolve<Untagged> for Catalogue {
    fn evolve(&mut self, _: &Untagged) {}
}

impl Evolve<Untagged> for Plain {
    fn evolve(&mut self, _: &Untagged) {}
}

#[test]
fn the_events_of_an_aggregate_have_the_tags_of_their_types_and_it_knows_whether_any_has_one() {
    let of = |event: CatalogueEvent| {
        let mut tags = Tags::new();
        Catalogue::event_tags(&event, &mut tags).unwrap();
        tags.to_string()
    };
    assert_eq!(
        of(CourseEvent::Opened {
            course: CourseId(4)
        }
        .into()),
        "course:c-4"
    );
    assert_eq!(of(Untagged.into()), "");
    assert!(of(subscribed("Ada").into()).contains("student:Ada"));
    const { assert!(Catalogue::HAS_TAGS && !Plain::HAS_TAGS) };
}

#[test]
fn a_value_that_cannot_be_part_of_a_tag_is_an_error_that_names_the_tag() {
    let refused = |by: &str| {
        let refused = subscribed(by).append_tags(&mut Tags::new()).unwrap_err();
        refused.to_string()
    };
    assert_eq!(refused(""), "the tag `student:` has no value");
    assert_eq!(
        refused("a\nb"),
        r"the tag `student:a\u{a}b` contains a control character"
    );
    let long = refused(&"x".repeat(1100));
    assert!(long.ends_with("at most 1024 are possible"), "{long}");
}
