//! Sending commands in JSON to aggregates and decisions.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Content, ForDecision, Part, StoredCommand};
use crate::domain::decider::Decider;
use crate::domain::process_manager::{FailureKind, Targets};
use crate::error::{DispatchError, ExecuteError, Refused, TogetherError};
use crate::ids::{Position, StreamId};
use crate::runtime::aggregates::Hold;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::sender::Sender;
use crate::runtime::together::Together;

/// Sends commands in JSON to aggregates of one type.
pub(crate) trait Dispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        part: Part,
        context: CommandContext,
        sender: Option<&'a Sender>,
    ) -> Sending<'a>;

    /// Adds a command to those that take effect together.
    fn add(
        &self,
        store: &Arc<Hold>,
        part: &Part,
        together: Together,
    ) -> Result<Together, DispatchError>;
}

/// Sends commands in JSON to one decision.
trait DecisionDispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        command: ForDecision,
        context: CommandContext,
        sender: Option<&'a Sender>,
    ) -> Sending<'a>;
}

type Sending<'a> = Pin<Box<dyn Future<Output = Result<Position, Failed>> + Send + 'a>>;

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: DispatchError,
    pub(crate) kind: FailureKind,
    pub(crate) effect: Effect,
}

/// Whether a command that failed had an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Certainly not.
    None,
    /// The caller cannot tell.
    Unclear,
    /// Nobody can tell before the store is opened again.
    UnknownUntilOpened,
}

/// The failure of a command that was not sent.
impl From<DispatchError> for Failed {
    fn from(error: DispatchError) -> Self {
        let kind = match &error {
            DispatchError::Refused(refused) => refusal(refused),
            DispatchError::Io(error) => io_kind(error),
            _ => FailureKind::Undeliverable,
        };
        Self {
            error,
            kind,
            effect: Effect::None,
        }
    }
}

impl Failed {
    /// The failure of a command that was sent.
    fn of<E: std::error::Error + Send + Sync>(error: ExecuteError<E>) -> Self {
        let (kind, effect) = match &error {
            ExecuteError::Domain(_) => (FailureKind::Refusal, Effect::None),
            ExecuteError::Refused(refused) => (refusal(refused), Effect::None),
            ExecuteError::KeyReused { .. } => (FailureKind::Undeliverable, Effect::None),
            ExecuteError::ExpectedVersion { .. } => (FailureKind::ExpectedVersion, Effect::None),
            ExecuteError::Ended { .. } => (FailureKind::Ended, Effect::None),
            ExecuteError::Archived { .. } => (FailureKind::Archived, Effect::None),
            ExecuteError::Conflict => (FailureKind::Conflict, Effect::None),
            ExecuteError::Io(error) => (io_kind(error), Effect::None),
            ExecuteError::Panicked(_) => (FailureKind::Panic, Effect::None),
            ExecuteError::ActorGone => (FailureKind::Io, Effect::Unclear),
            ExecuteError::OutcomeUnknown(_) | ExecuteError::Closed => {
                (FailureKind::Io, Effect::UnknownUntilOpened)
            }
        };
        Self {
            error: error.into(),
            kind,
            effect,
        }
    }

    /// The failure of commands that were sent together.
    fn of_together(error: TogetherError) -> Self {
        let (kind, effect) = match &error {
            TogetherError::Domain { .. } => (FailureKind::Refusal, Effect::None),
            TogetherError::Refused { refused, .. } => (refusal(refused), Effect::None),
            TogetherError::KeyReused { .. } | TogetherError::TooLarge { .. } => {
                (FailureKind::Undeliverable, Effect::None)
            }
            TogetherError::ExpectedVersion { .. } => (FailureKind::ExpectedVersion, Effect::None),
            TogetherError::Ended { .. } => (FailureKind::Ended, Effect::None),
            TogetherError::Archived { .. } => (FailureKind::Archived, Effect::None),
            TogetherError::Conflict => (FailureKind::Conflict, Effect::None),
            TogetherError::Io(error) => (io_kind(error), Effect::None),
            TogetherError::Panicked { .. } => (FailureKind::Panic, Effect::None),
            TogetherError::ActorGone => (FailureKind::Io, Effect::Unclear),
            TogetherError::OutcomeUnknown(_) | TogetherError::Closed => {
                (FailureKind::Io, Effect::UnknownUntilOpened)
            }
        };
        Self {
            error: DispatchError::Execution(Box::new(error)),
            kind,
            effect,
        }
    }
}

/// A layer's refusal.
fn refusal(refused: &Refused) -> FailureKind {
    if refused.is_for_now() {
        FailureKind::Postponed
    } else {
        FailureKind::Refusal
    }
}

/// A name or a context that is not valid does not change.
fn io_kind(error: &io::Error) -> FailureKind {
    match error.kind() {
        io::ErrorKind::InvalidInput => FailureKind::Undeliverable,
        _ => FailureKind::Io,
    }
}

/// Sends to aggregates of type `A`.
struct Typed<A>(PhantomData<fn() -> A>);

impl<A> Dispatcher for Typed<A>
where
    A: Aggregate,
    A::Command: DeserializeOwned,
{
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        part: Part,
        context: CommandContext,
        sender: Option<&'a Sender>,
    ) -> Sending<'a> {
        Box::pin(async move {
            let (handle, command) = target::<A>(store, &part)?;
            let sent = handle.send_as(command, context, sender).await;
            sent.map(|done| done.position).map_err(Failed::of)
        })
    }

    fn add(
        &self,
        store: &Arc<Hold>,
        part: &Part,
        together: Together,
    ) -> Result<Together, DispatchError> {
        let (handle, command) = target::<A>(store, part)?;
        Ok(together.send(&handle, command))
    }
}

/// The aggregate that a command is for, and the command.
fn target<A>(
    store: &Arc<Hold>,
    part: &Part,
) -> Result<(AggregateHandle<A>, A::Command), DispatchError>
where
    A: Aggregate,
    A::Command: DeserializeOwned,
{
    let command = part.read().map_err(DispatchError::Deserialization)?;
    let id = StreamId::new(A::AGGREGATE_TYPE, &part.instance_id);
    let id = id.map_err(io::Error::from)?;
    Ok((AggregateHandle::get(store, &id)?, command))
}

/// Sends to the decision `D`.
struct Deciding<D>(PhantomData<fn() -> D>);

impl<D> DecisionDispatcher for Deciding<D>
where
    D: Decider,
    D::Command: DeserializeOwned,
{
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        command: ForDecision,
        context: CommandContext,
        sender: Option<&'a Sender>,
    ) -> Sending<'a> {
        Box::pin(async move {
            let command = command.read().map_err(DispatchError::Deserialization)?;
            let decided = store.decide::<D>(command, context, sender).await;
            decided.map(|done| done.position).map_err(Failed::of)
        })
    }
}

/// The dispatchers of commands in JSON, by aggregate type and by the names of decisions.
#[derive(Clone, Default)]
pub(crate) struct Dispatchers {
    aggregates: HashMap<&'static str, Arc<dyn Dispatcher>>,
    decisions: HashMap<&'static str, Arc<dyn DecisionDispatcher>>,
}

impl Dispatchers {
    fn of_type(&self, part: &Part) -> Result<&dyn Dispatcher, DispatchError> {
        let dispatcher = self.aggregates.get(part.aggregate_type.as_str());
        let unknown = || DispatchError::UnknownAggregateType(part.aggregate_type.clone());
        Ok(&**dispatcher.ok_or_else(unknown)?)
    }
}

impl Targets for Dispatchers {
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        let typed = Arc::new(Typed::<A>(PhantomData));
        self.aggregates.insert(A::AGGREGATE_TYPE, typed);
    }

    fn add_decision<D>(&mut self)
    where
        D: Decider,
        D::Command: DeserializeOwned,
    {
        let deciding = Arc::new(Deciding::<D>(PhantomData));
        self.decisions.insert(D::NAME, deciding);
    }
}

/// Sends a command in JSON, or several that take effect together; `sender` is the process
/// manager that sends it, if one does. Returns the position of the last event.
pub(crate) async fn send(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
    sender: Option<&Sender>,
) -> Result<Position, Failed> {
    let context = envelope.context;
    match envelope.content {
        Content::One(part) => {
            let dispatcher = dispatchers.of_type(&part)?;
            dispatcher.dispatch(store, part, context, sender).await
        }
        Content::Together(parts) => {
            let mut together = Together::new(store.clone());
            for part in &parts {
                together = dispatchers.of_type(part)?.add(store, part, together)?;
            }
            let done = together.commit_as(context, sender).await;
            done.map(|done| done.position).map_err(Failed::of_together)
        }
        Content::Decision(command) => match dispatchers.decisions.get(command.name.as_str()) {
            Some(dispatcher) => dispatcher.dispatch(store, command, context, sender).await,
            None => Err(DispatchError::UnknownDecision(command.name).into()),
        },
    }
}
