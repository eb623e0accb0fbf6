//! The effect of an event that depends on when and where it happened: [`EvolveWith`].

use crate::domain::aggregate::Evolve;
use crate::event::Recorded;

/// The effect of one event on a [decision model](crate::DecisionModel) or a
/// [projection](crate::Projection) that depends on the event's record: its time, its stream, who sent
/// the command.
///
/// Implement it instead of [`Evolve`] for an event that `#[decision_model(events(...))]` or
/// `#[projection(events(...))]` lists. Each of these events has one of the two. Whoever implements `Evolve` has this as well. The state of an
/// aggregate is made by `Evolve` alone.
///
/// ```
/// use eventfold_es::{EvolveWith, Query, Recorded, StoredEvent, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct SignInFailed {
///     #[tag]
///     user: String,
/// }
///
/// #[derive(Debug, Default, DecisionModel)]
/// #[decision_model(tag = "user", events(SignInFailed))]
/// struct LastFailure {
///     ms: Option<u64>,
/// }
///
/// impl EvolveWith<SignInFailed> for LastFailure {
///     fn evolve_with(&mut self, _: &SignInFailed, record: &Recorded<'_>) {
///         self.ms = Some(record.unix_millis());
///     }
/// }
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not evolve by the event `{E}`",
    label = "no `impl Evolve<{E}> for {Self}`",
    note = "write `impl Evolve<{E}> for {Self}`, or `EvolveWith<{E}>` if it needs the event's record, or remove `{E}` from the events of `{Self}`"
)]
pub trait EvolveWith<E: ?Sized> {
    /// Folds `event` into the state. It depends on its arguments alone, and must take every event of
    /// this type that was ever stored.
    fn evolve_with(&mut self, event: &E, record: &Recorded<'_>);
}

#[diagnostic::do_not_recommend]
impl<M: Evolve<E>, E: ?Sized> EvolveWith<E> for M {
    #[inline]
    fn evolve_with(&mut self, event: &E, _: &Recorded<'_>) {
        self.evolve(event);
    }
}
