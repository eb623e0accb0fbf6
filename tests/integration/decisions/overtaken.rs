//! What was decided on is overtaken, or is not durable yet.

use std::sync::LazyLock;

use super::*;
use crate::support::{Door, eventually, in_time, stall};

/// A decision that is being made, and the door that it stands at.
#[derive(Default)]
pub(super) struct Held {
    begun: Door,
    door: Door,
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

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_refusal_is_answered_once_the_events_that_it_is_based_on_are_durable() {
    let dir = temp_dir();
    let store = open(&dir).await;
    define(&store, "c-1", 1).await;
    // Both states are in memory from here on.
    let unknown = store.decide::<Subscribing>(subscribe("c-2", "bob")).await;
    assert_eq!(refused(unknown), CourseError::Unknown);
    let stalled = stall(&store).await;
    let mut first = Box::pin(store.decide::<Subscribing>(subscribe("c-1", "ann")));
    let mut second = Box::pin(store.decide::<Subscribing>(subscribe("c-1", "bob")));
    // Enough for the first to be handed over and for the second to be refused.
    let soon = Duration::from_millis(100);
    assert!(tokio::time::timeout(soon, &mut first).await.is_err());
    assert!(tokio::time::timeout(soon, &mut second).await.is_err());
    drop(stalled);
    in_time("the first", first).await.unwrap();
    assert_eq!(
        refused(in_time("the second", second).await),
        CourseError::Full
    );
}
