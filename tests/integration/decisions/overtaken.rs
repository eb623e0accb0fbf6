//! What was decided on is overtaken.

use std::sync::LazyLock;

use super::*;
use crate::support::{Door, eventually, in_time};

/// A decision that is being made, and the door that it stands at.
#[derive(Default)]
pub(super) struct Held {
    pub(super) begun: Door,
    pub(super) door: Door,
}

/// By the student.
static HELD: LazyLock<BTreeMap<&str, Held>> = LazyLock::new(|| {
    ["late", "busy"]
        .map(|student| (student, Held::default()))
        .into()
});

/// Holds a decision up for some students.
pub(super) fn hold(student: &str) {
    if let Some(held) = HELD.get(student) {
        held.begun.open();
        held.door.pass();
    }
}

async fn append_subscribed(store: &AggregateStore, course: &str, student: &str) {
    let event = Subscribed {
        course: course.to_owned(),
        student: student.to_owned(),
    };
    let event = NewEvent::of(&event).unwrap();
    store.append([event], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_decision_is_made_again_if_an_event_of_any_of_its_models_is_stored_meanwhile() {
    for student in ["late", "busy"] {
        let dir = temp_dir();
        let store = open(&dir).await;
        define(&store, "c-1", 1).await;
        let deciding = store.clone();
        let decided = tokio::spawn(async move {
            let command = subscribe("c-1", student);
            deciding.decide::<Subscribing>(command).await
        });
        let held = &HELD[student];
        eventually("it is decided", || held.begun.is_open()).await;
        // A seat in the course, or ten courses of the student.
        let expected = if student == "late" {
            append_subscribed(&store, "c-1", "ann").await;
            CourseError::Full
        } else {
            for course in 10..20 {
                append_subscribed(&store, &format!("c-{course}"), student).await;
            }
            CourseError::Busy
        };
        held.door.open();
        let decided = in_time("the decision", decided).await.unwrap();
        assert_eq!(refused(decided), expected);
        let there = subscribed(&store, "c-1").await;
        assert_eq!(there, usize::from(student == "late"));
    }
}
