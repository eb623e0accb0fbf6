//! The checks of `#[aggregate_impl]`: a method is for a command or event that the aggregate has, and a
//! decision returns a decision.

use std::marker::PhantomData;

use crate::domain::aggregate::{Aggregate, Decision, DecisionTypes};

/// The methods of the type `A`.
///
/// If it is an aggregate, the compiler selects the functions here, and otherwise those of
/// [`NotAnAggregate`]. So it reports that once, and nothing else about each method.
#[derive(Debug)]
pub struct Methods<A>(PhantomData<A>);

impl<A: Aggregate + DecisionTypes> Methods<A> {
    /// Checks that the aggregate has the command `C`.
    #[inline]
    pub fn has_command<C: CommandOf<A>>() {}

    /// Checks that the aggregate has the event `E`.
    #[inline]
    pub fn has_event<E: EventOf<A> + ?Sized>() {}

    /// The decision that a method returned.
    #[inline]
    pub fn decision<R: DecisionOf<A>>(returned: R) -> Decision<A> {
        returned.decision()
    }
}

/// For a type that is not an aggregate. The program does not compile, so nothing here ever runs.
pub trait NotAnAggregate {
    fn has_command<C>() {}

    fn has_event<E: ?Sized>() {}

    fn decision<R, D>(_: R) -> D {
        unreachable!()
    }
}

impl<A> NotAnAggregate for Methods<A> {}

/// A command of the aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a command of `{A}`",
    label = "`{A}` does not list this command",
    note = "add `{Self}` to `#[aggregate(commands(...))]` on `{A}`, or mark the method `#[helper]` if it decides nothing"
)]
pub trait CommandOf<A> {}

#[diagnostic::do_not_recommend]
impl<A, C> CommandOf<A> for C
where
    A: Aggregate,
    A::Command: From<C>,
{
}

/// An event of the aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an event of `{A}`",
    label = "`{A}` does not list this event",
    note = "add `{Self}` to `#[aggregate(events(...))]` on `{A}`, or mark the method `#[helper]` if it is no event's effect"
)]
pub trait EventOf<A> {}

#[diagnostic::do_not_recommend]
impl<A, E> EventOf<A> for E
where
    A: Aggregate,
    A::DomainEvent: From<E>,
{
}

/// A decision of the aggregate `A`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a decision of `{A}`",
    label = "expected `Decision<Self>`",
    note = "return `Decision<Self>`, which is `Result<Vec<_>, _>` of the event enum and the error of `{A}`, or mark the method `#[helper]` if it decides nothing"
)]
pub trait DecisionOf<A: DecisionTypes> {
    fn decision(self) -> Decision<A>;
}

#[diagnostic::do_not_recommend]
impl<A, E, X> DecisionOf<A> for Result<Vec<E>, X>
where
    A: DecisionTypes<DomainEvent = E, Error = X>,
{
    #[inline]
    fn decision(self) -> Decision<A> {
        self
    }
}
