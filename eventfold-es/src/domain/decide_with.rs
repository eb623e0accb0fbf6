//! The decision on a command that needs more than the state: [`DecideWith`].

use crate::domain::aggregate::{Decide, Decision, DecisionTypes};
use crate::domain::decision_context::DecisionContext;

/// The decision on one command that depends on the time, on the aggregate's own id or version, or on
/// who sent the command.
///
/// Implement it instead of [`Decide`] for a command that `#[aggregate(commands(...))]` lists, or for that
/// of a [decision](crate::Decider). Each command has one of the two. Whoever implements `Decide` has this as well, so a
/// generic bound is `DecideWith`.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use eventfold_es::{DecisionContext, prelude::*, testing};
/// # use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(commands(Redeem), events(Redeemed), error = Expired)]
/// struct Voucher {
///     is_redeemed: bool,
/// }
///
/// const LAST_DAY: SystemTime = SystemTime::UNIX_EPOCH;
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Redeem;
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Redeemed { by: String }
/// # #[derive(Debug, thiserror::Error)] #[error("the voucher has expired")] struct Expired;
/// # impl Evolve<Redeemed> for Voucher {
/// #     fn evolve(&mut self, _: &Redeemed) { self.is_redeemed = true; }
/// # }
///
/// impl DecideWith<Redeem> for Voucher {
///     fn decide_with(&self, _: Redeem, context: &DecisionContext<'_>) -> Decision<Self> {
///         if context.time() > LAST_DAY {
///             return Err(Expired);
///         }
///         let by = context.actor().unwrap_or("anonymous").to_owned();
///         Ok(events![Redeemed { by }])
///     }
/// }
///
/// testing::given::<Voucher>(events![])
///     .at(LAST_DAY)
///     .when(Redeem)
///     .then(events![Redeemed { by: "anonymous".into() }]);
/// testing::given::<Voucher>(events![])
///     .at(LAST_DAY + Duration::from_secs(1))
///     .when(Redeem)
///     .then_error(|Expired| true);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide the command `{C}`",
    label = "no `impl Decide<{C}> for {Self}`",
    note = "write `impl Decide<{C}> for {Self}` or a method in an `#[aggregate_impl]` block, or remove `{C}` from the commands of `{Self}`"
)]
pub trait DecideWith<C>: DecisionTypes {
    /// Decides `command` on the current state. Returns the events that happened, none if nothing
    /// changes. It depends on its arguments alone.
    ///
    /// # Errors
    ///
    /// The reason why the command is refused. Nothing is stored then.
    fn decide_with(&self, command: C, context: &DecisionContext<'_>) -> Decision<Self>;
}

impl<A: Decide<C>, C> DecideWith<C> for A {
    #[inline]
    fn decide_with(&self, command: C, _: &DecisionContext<'_>) -> Decision<Self> {
        self.decide(command)
    }
}
