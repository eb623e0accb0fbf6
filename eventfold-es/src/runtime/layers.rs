//! The layers of a store, and a command's way through them: [`Layers`].

use std::future::Future;

use tracing::Span;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::layer::{Call, CallOutcome, Layer};
use crate::error::{ExecuteError, Panic, guarded, panic_message};
use crate::meter::Outcome;
use crate::runtime::committed::{Committed, Preview};

/// The layers of a store, the outermost first.
#[derive(Default)]
pub(crate) struct Layers(Vec<Box<dyn Layer>>);

type Answer<A> = Result<Committed<A>, ExecuteError<<A as Aggregate>::Error>>;

impl Layers {
    pub(crate) fn add(&mut self, layer: impl Layer) {
        self.0.push(Box::new(layer));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes `call` through all layers. `send` sends the command with the context that they leave.
    /// The layers run within `span`. `outcome` says how the command ended.
    pub(crate) async fn around<T, E, F>(
        &self,
        call: Call<'_>,
        span: &Span,
        send: impl FnOnce(CommandContext) -> F,
        outcome: fn(&Result<T, ExecuteError<E>>) -> CallOutcome<'_>,
    ) -> Result<T, ExecuteError<E>>
    where
        E: std::error::Error + Send + Sync + 'static,
        F: Future<Output = Result<T, ExecuteError<E>>>,
    {
        let mut passed = Passed::new(call, span);
        let answer = match passed.enter(self) {
            Ok(context) => send(context).await,
            Err(error) => Err(error),
        };
        passed.leave(outcome(&answer));
        answer
    }
}

/// A call, and the layers that it is inside of.
pub(crate) struct Passed<'a> {
    inside: &'a [Box<dyn Layer>],
    call: Call<'a>,
    span: &'a Span,
    is_ended: bool,
}

impl<'a> Passed<'a> {
    /// A call before all layers, which run within `span`.
    pub(crate) fn new(call: Call<'a>, span: &'a Span) -> Self {
        Self {
            inside: &[],
            call,
            span,
            is_ended: false,
        }
    }

    /// Passes all layers, and returns the context that they leave.
    pub(crate) fn enter<E>(&mut self, layers: &'a Layers) -> Result<CommandContext, ExecuteError<E>>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let _span = self.span.enter();
        for (i, layer) in layers.0.iter().enumerate() {
            match guarded(|| layer.before(&mut self.call)) {
                Ok(Ok(())) => self.inside = &layers.0[..=i],
                Ok(Err(refused)) => return Err(ExecuteError::Refused(refused)),
                Err(panic) => {
                    let panic = Panic::new("Layer::before", self.call.stream(), &*panic);
                    return Err(ExecuteError::Panicked(panic));
                }
            }
        }
        Ok(self.call.context().clone())
    }

    /// Leaves the layers, the innermost first.
    pub(crate) fn leave(&mut self, outcome: CallOutcome<'_>) {
        self.is_ended = true;
        let _span = self.span.enter();
        for layer in self.inside.iter().rev() {
            if let Err(panic) = guarded(|| layer.after(&self.call, outcome)) {
                let panic = panic_message(&*panic);
                tracing::error!(panic, "`Layer::after` panicked");
            }
        }
    }
}

impl Drop for Passed<'_> {
    fn drop(&mut self) {
        if !self.is_ended {
            self.leave(CallOutcome::Abandoned);
        }
    }
}

/// How a command ended.
pub(crate) fn outcome<A: Aggregate>(answer: &Answer<A>) -> CallOutcome<'_> {
    match answer {
        Ok(done) => CallOutcome::Succeeded {
            events: done.events.len(),
            version: done.version,
            position: done.position,
        },
        Err(error) => failure(error),
    }
}

/// The same outcome, to be counted.
#[inline]
pub(crate) fn metered(outcome: CallOutcome<'_>) -> Outcome {
    match outcome {
        CallOutcome::Succeeded { .. } | CallOutcome::Previewed => Outcome::Succeeded,
        CallOutcome::Refused(_) => Outcome::Refused,
        CallOutcome::Conflict => Outcome::Conflict,
        CallOutcome::Failed(_) => Outcome::Failed,
        CallOutcome::Abandoned => Outcome::Abandoned,
    }
}

/// How the preview of a command ended.
pub(crate) fn preview_outcome<A: Aggregate>(
    answer: &Result<Preview<A>, ExecuteError<A::Error>>,
) -> CallOutcome<'_> {
    match answer {
        Ok(_) => CallOutcome::Previewed,
        Err(error) => failure(error),
    }
}

/// How a command that failed ended.
pub(crate) fn failure<E>(error: &ExecuteError<E>) -> CallOutcome<'_>
where
    E: std::error::Error + Send + Sync + 'static,
{
    match error {
        ExecuteError::Domain(error) => CallOutcome::Refused(error),
        ExecuteError::Refused(refused) => CallOutcome::Refused(&**refused),
        ExecuteError::ExpectedVersion { .. } | ExecuteError::Conflict => CallOutcome::Conflict,
        error @ (ExecuteError::Ended { .. } | ExecuteError::Archived { .. }) => {
            CallOutcome::Refused(error)
        }
        error => CallOutcome::Failed(error),
    }
}
