//! The outcome of a command: events or a refusal.

use std::error::Error;

use crate::domain::aggregate::Aggregate;
use crate::testing::diff::{diff, listed};
use crate::testing::form::{Form, lines};

/// What a command led to, and whether the test has said that it expects a refusal.
#[derive(Debug)]
pub(super) struct Outcome<X> {
    result: Result<Vec<Form>, X>,
    is_refusal_expected: bool,
}

impl<X: Error> Outcome<X> {
    pub(super) fn new(result: Result<Vec<Form>, X>) -> Self {
        Self {
            result,
            is_refusal_expected: false,
        }
    }

    /// Panics unless there are exactly these events, in this order.
    #[track_caller]
    pub(super) fn check_events(&self, expected: Result<Vec<Form>, String>) {
        let expected = match expected {
            Ok(expected) => lines(&expected),
            Err(error) => panic!("an expected event cannot be stored: {error}"),
        };
        match &self.result {
            Ok(events) if lines(events) == expected => {}
            Ok(events) => panic!(
                "the events are not those that were expected\n\n{}",
                diff(&expected, &lines(events))
            ),
            Err(error) => panic!(
                "the command was refused: {error}\n\nexpected events:\n{}",
                listed(&expected)
            ),
        }
    }

    /// Panics unless there is a refusal for which `is_so` returns true.
    #[track_caller]
    pub(super) fn check_error(&mut self, is_so: impl FnOnce(&X) -> bool) {
        match &self.result {
            Err(error) if is_so(error) => {}
            Err(error) => {
                panic!("the command was refused for another reason: {error}\n  {error:?}")
            }
            Ok(events) => panic!(
                "the command was accepted, but a refusal was expected; its events:\n{}",
                listed(&lines(events))
            ),
        }
        self.is_refusal_expected = true;
    }

    /// Panics if there is a refusal that the test has not checked.
    #[track_caller]
    pub(super) fn refuse_silence(&self) {
        if let Err(error) = &self.result
            && !self.is_refusal_expected
        {
            panic!(
                "an earlier command was refused: {error}\n\nif that is expected, say so with `then_error`"
            );
        }
    }
}

/// The answer of a decision, in a form that can be compared.
pub(super) struct Answer(Result<Vec<Form>, String>);

impl Answer {
    pub(super) fn of<A: Aggregate>(outcome: &Result<Vec<A::DomainEvent>, A::Error>) -> Self {
        Self::of_events(outcome, Form::of::<A>)
    }

    pub(super) fn of_events<E, X: Error>(
        outcome: &Result<Vec<E>, X>,
        form_of: impl Fn(&E) -> Result<Form, String>,
    ) -> Self {
        Self(match outcome {
            Ok(events) => events.iter().map(form_of).collect(),
            Err(error) => Err(format!("refused: {error}")),
        })
    }

    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Ok(a), Ok(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.is_like(b)),
            (Err(a), Err(b)) => a == b,
            _ => false,
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        match &self.0 {
            Ok(forms) => lines(forms),
            Err(error) => vec![error.clone()],
        }
    }
}
