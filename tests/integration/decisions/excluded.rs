//! Decisions that share some of their tags.

use std::sync::LazyLock;

use super::overtaken::Held;
use super::*;
use crate::support::{eventually, in_time};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Queued {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

/// Whether one student is in one course.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tags("course", "student"), events(Subscribed))]
struct Place {
    is_taken: bool,
}

impl Evolve<Subscribed> for Place {
    fn evolve(&mut self, _: &Subscribed) {
        self.is_taken = true;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Queue {
    course: String,
    student: String,
}

/// Puts a student who is not in the course on its list.
#[derive(Decision)]
#[decision(command = Queue, events(Queued), error = CourseError)]
struct Queueing {
    #[model(course, student)]
    place: Place,
}

static HELD: LazyLock<Held> = LazyLock::new(Held::default);
static QUEUED: AtomicU32 = AtomicU32::new(0);

impl Decide<Queue> for Queueing {
    fn decide(&self, command: Queue) -> Decision<Self> {
        QUEUED.fetch_add(1, Ordering::Relaxed);
        HELD.begun.open();
        HELD.door.pass();
        if self.place.is_taken {
            return Err(CourseError::Defined);
        }
        let Queue { course, student } = command;
        Ok(events![Queued { course, student }])
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Assign {
    course: String,
    student: String,
}

/// Subscribes a student without a look at the course.
#[derive(Decision)]
#[decision(command = Assign, events(Subscribed), error = CourseError)]
struct Assigning {
    #[model(student)]
    load: Load,
}

static ASSIGNED: AtomicU32 = AtomicU32::new(0);

impl Decide<Assign> for Assigning {
    fn decide(&self, command: Assign) -> Decision<Self> {
        ASSIGNED.fetch_add(1, Ordering::Relaxed);
        assert!(self.load.courses < 10);
        let Assign { course, student } = command;
        Ok(events![Subscribed { course, student }])
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn decisions_that_share_any_tag_are_made_one_after_the_other_and_each_once() {
    let dir = temp_dir();
    let store = open(&dir).await;
    let (course, student) = ("c-1".to_owned(), "ann".to_owned());
    let queue = Queue {
        course: course.clone(),
        student: student.clone(),
    };
    let deciding = store.clone();
    let first = tokio::spawn(async move { deciding.decide::<Queueing>(queue).await });
    eventually("it is decided", || HELD.begun.is_open()).await;
    // It shares the second tag of the model only, and would store what the model reads.
    let assign = Assign { course, student };
    let mut second = Box::pin(store.decide::<Assigning>(assign));
    assert!(poll_once(&mut second).await.is_none());
    let early = ASSIGNED.load(Ordering::Relaxed);
    HELD.door.open();
    assert_eq!(early, 0, "they are decided at the same time");
    let second = in_time("the second", second).await.unwrap();
    let first = in_time("the first", first).await.unwrap().unwrap();
    assert!(first.position < second.position);
    let attempts = [&QUEUED, &ASSIGNED].map(|of| of.load(Ordering::Relaxed));
    assert_eq!(attempts, [1, 1]);
}
