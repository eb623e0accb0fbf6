//! Decisions on events of several aggregates or of none: [`Decider`].

use std::any::TypeId;

use serde::{Serialize, de::DeserializeOwned};

use crate::domain::aggregate::{Decision, DecisionTypes};
use crate::domain::decision_context::DecisionContext;
use crate::domain::decision_model::{ErasedModel, ModelState};
use crate::domain::query::Query;
use crate::event::{DecodeError, DomainEvent, InvalidTag, Schema, StoredEvent, Tags};
use crate::model::DecisionModelInfo;

/// A decision on one command, whose rule spans more than one aggregate.
///
/// Derive it with [`Decision`](derive@crate::Decision), and implement [`Decide`](crate::Decide) for
/// its command. The implementing type has the [models](crate::DecisionModel) that the decision depends on. What
/// they are folded from is its *boundary*: no other event of it is stored between the decision and its
/// own events.
///
/// ```
/// # eventfold_es::__courses!();
/// use eventfold_es::{Decider, QueryItem, Query, Tag};
///
/// let subscribe = Subscribe { course: "c-1".into(), student: "s-7".into() };
/// let boundary = Subscribing::query(&subscribe)?;
/// let seats = QueryItem::of_type("CourseDefined")
///     .or_type("Subscribed")
///     .with_tag(Tag::new("course", "c-1")?);
/// let load = QueryItem::of_type("Subscribed").with_tag(Tag::new("student", "s-7")?);
/// assert_eq!(boundary, Query::of(seats).or(load));
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
#[doc(alias("dcb", "dynamic consistency boundary"))]
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decision",
    label = "`{Self}` does not implement `Decider`",
    note = "add `#[derive(Decision)]` with `#[decision(...)]` to `{Self}`"
)]
pub trait Decider:
    DecisionTypes<
        DomainEvent: DomainEvent + Serialize + DeserializeOwned + Clone + Send + Sync + 'static,
        Error: std::error::Error + Send + Sync + 'static,
    > + Send
    + Sized
    + 'static
{
    /// Names the decision, in spans and in what a process manager keeps of a command for it.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// assert_eq!(Subscribing::NAME, "subscribing");
    /// ```
    const NAME: &'static str;

    /// The command that is decided.
    type Command: Send + 'static;

    /// The name of the command's type, for [layers](crate::Layer) and spans.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// assert_eq!(Subscribing::COMMAND_NAME, "Subscribe");
    /// ```
    const COMMAND_NAME: &'static str;

    /// The boundary of the decision on `command`: the events of all its models.
    ///
    /// # Errors
    ///
    /// [`InvalidTag`] if a value of the command cannot be part of a tag.
    ///
    /// See the example of [`Decider`].
    fn query(command: &Self::Command) -> Result<Query, InvalidTag> {
        let mut queries = Self::__MODELS.iter().map(|model| model.query(command));
        let first = queries.next().unwrap_or_else(|| Ok(Query::all()));
        queries.try_fold(first?, |all, query| Ok(all.or_all_of(query?)))
    }

    /// A copy of a command, so that it can be decided again. `None` if there is none. See
    /// [`Aggregate::repeat`](crate::Aggregate::repeat).
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// let command = Subscribe { course: "c-1".into(), student: "s-7".into() };
    /// assert_eq!(Subscribing::repeat(&command), Some(command));
    /// ```
    fn repeat(_command: &Self::Command) -> Option<Self::Command> {
        None
    }

    /// A fingerprint of a command's content, by which another command under its idempotency key is
    /// noticed. See [`Aggregate::fingerprint`](crate::Aggregate::fingerprint).
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// let command = Subscribe { course: "c-1".into(), student: "s-7".into() };
    /// assert!(Subscribing::fingerprint(&command).is_some());
    /// ```
    fn fingerprint(_command: &Self::Command) -> Option<u64> {
        None
    }

    /// Makes the JSON Schema of the command, if its type offers one.
    #[doc(hidden)]
    const __COMMAND_SCHEMA: Schema = None;

    /// The models, in the order of their states.
    #[doc(hidden)]
    const __MODELS: &'static [ModelOf<Self::Command>];

    /// The decision on these states, one for each of the models, which are left in their default.
    #[doc(hidden)]
    fn __take(states: &mut [ModelState]) -> Self;

    /// Puts the states back to where they were taken from.
    #[doc(hidden)]
    fn __put_back(self, states: &mut [ModelState]);

    /// Decides on its own states.
    #[doc(hidden)]
    fn __decide(&self, command: Self::Command, context: &DecisionContext<'_>) -> Decision<Self>;
}

/// Decides `command` on these states, which are unchanged afterwards, also after a panic. There is one
/// for each of the [models](Decider::__MODELS), in their order.
pub(crate) fn decide_on<D: Decider>(
    states: &mut [ModelState],
    command: D::Command,
    context: &DecisionContext<'_>,
) -> Decision<D> {
    let taken = Taken::<D> {
        decider: Some(D::__take(states)),
        states,
    };
    let decider = taken.decider.as_ref().expect("only `drop` takes it");
    decider.__decide(command, context)
}

/// Puts the states back when it is dropped.
struct Taken<'a, D: Decider> {
    decider: Option<D>,
    states: &'a mut [ModelState],
}

impl<D: Decider> Drop for Taken<'_, D> {
    fn drop(&mut self) {
        if let Some(decider) = self.decider.take() {
            decider.__put_back(self.states);
        }
    }
}

/// One model of a decision on commands of type `C`, for a runtime that keeps states of many types.
///
/// Two models of one decision may be of one type, and for some commands even have the same tags: each
/// has a state of its own.
#[derive(Debug)]
pub struct ModelOf<C> {
    model: ErasedModel,
    /// The field of the decision, for errors.
    pub(crate) field: &'static str,
    tags: fn(&C, &mut Tags) -> Result<(), InvalidTag>,
}

/// Folds an event into the state of a model, see [`ModelOf::fold`].
pub(crate) type Fold = fn(&mut ModelState, StoredEvent<'_>) -> Result<(), DecodeError>;

impl<C> ModelOf<C> {
    /// The model in this field. `tags` appends its tags with the values of a command.
    #[must_use]
    pub const fn new(
        model: ErasedModel,
        field: &'static str,
        tags: fn(&C, &mut Tags) -> Result<(), InvalidTag>,
    ) -> Self {
        Self { model, field, tags }
    }

    /// The type of the model. With the [tags](Self::tags) it says which state a command needs.
    #[must_use]
    pub fn type_id(&self) -> TypeId {
        (self.model.type_id)()
    }

    /// The tags of the model for this command, with their values.
    ///
    /// # Errors
    ///
    /// If a value of the command cannot be part of a tag.
    pub fn tags(&self, command: &C) -> Result<Tags, InvalidTag> {
        let mut tags = Tags::new();
        (self.tags)(command, &mut tags)?;
        Ok(tags)
    }

    /// The events of the model with these [tags](Self::tags).
    #[must_use]
    pub fn query_of(&self, tags: Tags) -> Query {
        (self.model.query)(tags)
    }

    /// The events of the model for this command.
    ///
    /// # Errors
    ///
    /// As [`tags`](Self::tags).
    pub fn query(&self, command: &C) -> Result<Query, InvalidTag> {
        self.tags(command).map(self.model.query)
    }

    /// What the model says, for a [`Model`](crate::model::Model).
    pub(crate) fn about(&self) -> DecisionModelInfo {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let ErasedModel {
            tags,
            events,
            is_of_aggregate,
            ..
        } = self.model;
        DecisionModelInfo {
            field: self.field.to_owned(),
            aggregate: tags
                .first()
                .filter(|_| is_of_aggregate)
                .map(|tag| (*tag).to_owned()),
            tags: if is_of_aggregate {
                Vec::new()
            } else {
                owned(tags)
            },
            events: events.iter().map(|event| event.name.to_owned()).collect(),
        }
    }

    /// The state before any event.
    #[must_use]
    pub fn fresh(&self) -> ModelState {
        (self.model.fresh)()
    }

    /// [`fold`](Self::fold) as a value.
    pub(crate) fn folding(&self) -> Fold {
        self.model.fold
    }

    /// Folds an event that the [query](Self::query) selects. If it panics, the state is of no use any
    /// more.
    ///
    /// # Errors
    ///
    /// If the event cannot be read. The state is unchanged then.
    ///
    /// # Panics
    ///
    /// If the state is of another model, or if the code of the model panics.
    pub fn fold(&self, state: &mut ModelState, stored: StoredEvent<'_>) -> Result<(), DecodeError> {
        (self.model.fold)(state, stored)
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use serde::{Deserialize, Serialize};

    use super::*;
    use crate::domain::aggregate::{Decide, Evolve};
    use eventfold_es_derive::{Decision, DecisionModel, DomainEvent};

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
    #[event(crate = crate)]
    struct Added {
        #[tag]
        counter: u8,
        amount: u64,
    }

    #[derive(Debug, Default, DecisionModel)]
    #[decision_model(tag = "counter", events(Added), crate = crate)]
    struct Sum(u64);

    impl Evolve<Added> for Sum {
        fn evolve(&mut self, event: &Added) {
            self.0 += event.amount;
        }
    }

    /// Adds the sum of one counter to another, and panics if that is 0.
    #[derive(Clone)]
    struct Add {
        from: u8,
        to: u8,
    }

    #[derive(Decision)]
    #[decision(command = Add, events(Added), crate = crate)]
    struct Adding {
        #[model(counter = from)]
        from: Sum,
        #[model(counter = to)]
        to: Sum,
    }

    impl Decide<Add> for Adding {
        fn decide(&self, command: Add) -> Decision<Self> {
            assert_ne!(self.from.0, 0, "nothing to add to {}", self.to.0);
            let (counter, amount) = (command.to, self.from.0 + self.to.0);
            Ok(vec![Added { counter, amount }.into()])
        }
    }

    /// The states of both models, with these sums.
    fn states(sums: [u64; 2]) -> Vec<ModelState> {
        let state = |(model, sum): (&ModelOf<Add>, u64)| {
            let mut state = model.fresh();
            let data = format!(r#"{{"counter":1,"amount":{sum}}}"#);
            let stored = StoredEvent::new("Added", &data);
            model.fold(&mut state, stored).unwrap();
            state
        };
        Adding::__MODELS.iter().zip(sums).map(state).collect()
    }

    fn sums(states: &[ModelState]) -> Vec<u64> {
        let sum = |state: &ModelState| state.downcast_ref::<Sum>().unwrap().0;
        states.iter().map(sum).collect()
    }

    #[test]
    fn a_decision_is_made_on_its_states_and_leaves_them_as_they_were() {
        let mut states = states([3, 4]);
        let add = Add { from: 1, to: 2 };
        let decided = decide_on::<Adding>(&mut states, add, &DecisionContext::default());
        let Ok([AddingEvent::Added(added)]) = decided.as_deref() else {
            panic!("one event");
        };
        assert_eq!((added.counter, added.amount), (2, 7));
        assert_eq!(sums(&states), [3, 4]);
    }

    #[test]
    fn a_decision_that_panics_leaves_its_states_as_they_were() {
        let mut states = states([0, 4]);
        let add = Add { from: 1, to: 2 };
        let decide = || decide_on::<Adding>(&mut states, add, &DecisionContext::default());
        assert!(catch_unwind(AssertUnwindSafe(decide)).is_err());
        assert_eq!(sums(&states), [0, 4]);
    }

    #[test]
    fn each_model_says_which_state_and_which_events_a_command_needs() {
        let add = Add { from: 1, to: 2 };
        let needs = |model: &ModelOf<Add>| {
            let tags = model.tags(&add).unwrap();
            assert_eq!(model.query(&add).unwrap(), model.query_of(tags.clone()));
            (model.field, model.type_id(), tags.to_string())
        };
        let needs: Vec<_> = Adding::__MODELS.iter().map(needs).collect();
        let of = TypeId::of::<Sum>();
        let expected = [("from", of, "counter:1"), ("to", of, "counter:2")];
        assert_eq!(
            needs,
            expected.map(|(field, of, tags)| (field, of, tags.to_owned()))
        );
    }

    #[test]
    fn an_event_that_cannot_be_read_changes_no_state() {
        let mut states = states([3, 4]);
        let stored = StoredEvent::new("Added", "5");
        let folded = Adding::__MODELS[0].fold(&mut states[0], stored);
        assert!(matches!(folded, Err(DecodeError::Malformed { .. })));
        assert_eq!(sums(&states), [3, 4]);
    }
}
