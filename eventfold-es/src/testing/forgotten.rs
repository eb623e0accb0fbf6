//! Given, when, then: what is left when a subject is forgotten.

use serde_json::Value;

use crate::domain::aggregate::Aggregate;
use crate::testing::form::{Form, decode};
use crate::testing::given::{Given, When, apply, place};

impl<A: Aggregate> Given<A> {
    /// Erases the personal data of `subject`, as [`AggregateStore::forget`](crate::AggregateStore::forget)
    /// does: the aggregate is folded again from its events. Later events may have such data again, which a
    /// store would refuse.
    ///
    /// The kit needs no keys. It has personal data in clear, in forms, states and golden histories.
    ///
    /// # Panics
    ///
    /// If no event has personal data of `subject`, if an event cannot be read without it, or as [`given`].
    ///
    /// ```
    /// # use eventfold_es::{personal::Personal, prelude::*, testing};
    /// # use serde::{Deserialize, Serialize};
    /// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    /// struct Registered {
    ///     #[subject]
    ///     customer: u64,
    ///     name: Personal<String>,
    /// }
    ///
    /// #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    /// #[aggregate(events(Registered), commands())]
    /// struct Customer {
    ///     greeting: String,
    /// }
    ///
    /// impl Evolve<Registered> for Customer {
    ///     fn evolve(&mut self, event: &Registered) {
    ///         let name = event.name.known().map_or("customer", String::as_str);
    ///         self.greeting = format!("Dear {name}");
    ///     }
    /// }
    ///
    /// let registered = Registered { customer: 42, name: "Ann".to_owned().into() };
    /// testing::given::<Customer>(events![registered])
    ///     .then_state(|customer| customer.greeting == "Dear Ann")
    ///     .forgotten("customer:42")
    ///     .then_state(|customer| customer.greeting == "Dear customer");
    /// ```
    ///
    /// [`given`]: crate::testing::given
    #[track_caller]
    #[must_use]
    pub fn forgotten(mut self, subject: &str) -> Self {
        let tested = &mut self.aggregate;
        let mut count = 0;
        (tested.live, tested.restored, tested.replayed) =
            (A::default(), A::default(), A::default());
        let mut told = std::mem::take(&mut tested.told);
        for (version, (form, data, ms)) in (1..).zip(&mut told) {
            let mut left = data.clone();
            erase(&mut left, subject, &mut count);
            erase_for_good(data, subject);
            let mut erased = Form::new(form.name.clone(), form.version, left);
            erased.tags = std::mem::take(&mut form.tags);
            *form = erased;
            let place = place::<A>(&tested.id, version, *ms);
            let events = match decode::<A>(form, place) {
                Ok(events) => events,
                Err(error) => panic!("{error}\n  {}", form.line()),
            };
            for event in events.as_slice() {
                apply(&mut tested.live, event);
                apply(&mut tested.restored, event);
                apply(&mut tested.replayed, event);
            }
        }
        tested.told = told;
        assert!(count > 0, "no event has personal data of `{subject}`");
        if let Err(message) = tested.compare() {
            panic!("{message}");
        }
        self
    }
}

impl<A: Aggregate> When<A> {
    /// Erases the personal data of `subject`, as [`Given::forgotten`].
    ///
    /// # Panics
    ///
    /// As [`Given::forgotten`], or if the previous command was refused and no
    /// [`then_error`](Self::then_error) expects that.
    ///
    /// See the example of [`Given::forgotten`].
    #[track_caller]
    #[must_use]
    pub fn forgotten(self, subject: &str) -> Given<A> {
        self.go_on().forgotten(subject)
    }
}

/// The subject of a value in clear.
fn subject_of(value: &Value) -> Option<&str> {
    let members = value.as_object()?;
    members.get("clear").and(members.get("$personal"))?.as_str()
}

/// Replaces each value of `subject` by an erased one, and counts them, and each other one by what it is.
fn erase(value: &mut Value, subject: &str, count: &mut u64) {
    match subject_of(value).map(|of| of == subject) {
        Some(true) => {
            *count += 1;
            *value = serde_json::json!({ "$personal": subject });
        }
        Some(false) => *value = value["clear"].take(),
        None => each(value, &mut |inner| erase(inner, subject, count)),
    }
}

/// Replaces each value of `subject` by an erased one, and leaves the others.
fn erase_for_good(value: &mut Value, subject: &str) {
    match subject_of(value).map(|of| of == subject) {
        Some(true) => *value = serde_json::json!({ "$personal": subject }),
        Some(false) => {}
        None => each(value, &mut |inner| erase_for_good(inner, subject)),
    }
}

fn each(value: &mut Value, run: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(run),
        Value::Object(members) => members.values_mut().for_each(run),
        _ => {}
    }
}
