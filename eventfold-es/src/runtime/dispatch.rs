//! Sending commands in JSON to aggregates.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::StoredCommand;
use crate::domain::process_manager::{FailureKind, Targets};
use crate::error::{DispatchError, ExecuteError, Refused, TogetherError};
use crate::ids::{Position, StreamId};
use crate::runtime::aggregates::Hold;
use crate::runtime::handle::AggregateHandle;
use crate::runtime::together::Together;

/// Sends commands in JSON to aggregates of one type.
pub(crate) trait Dispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        envelope: StoredCommand,
        process_manager: Option<&'static str>,
    ) -> Pin<Box<dyn Future<Output = Result<Position, Failed>> + Send + 'a>>;

    /// Adds a command to those that take effect together.
    fn add(
        &self,
        store: &Arc<Hold>,
        together: Together,
        envelope: &StoredCommand,
    ) -> Result<Together, DispatchError>;
}

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
}

impl Failed {
    /// The failure of commands that were sent together.
    fn of_group(error: TogetherError) -> Self {
        let (kind, effect) = match &error {
            TogetherError::Domain { .. } => (FailureKind::Refusal, Effect::None),
            TogetherError::Refused { refused, .. } => (refusal(refused), Effect::None),
            TogetherError::KeyReused { .. } | TogetherError::TooLarge { .. } => {
                (FailureKind::Undeliverable, Effect::None)
            }
            TogetherError::ExpectedVersion { .. } => (FailureKind::ExpectedVersion, Effect::None),
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
        envelope: StoredCommand,
        process_manager: Option<&'static str>,
    ) -> Pin<Box<dyn Future<Output = Result<Position, Failed>> + Send + 'a>> {
        Box::pin(async move {
            let command: A::Command = envelope.read().map_err(DispatchError::Deserialization)?;
            let id = StreamId::new(A::AGGREGATE_TYPE, &envelope.instance_id);
            let handle = id.map_err(io::Error::from);
            let handle = handle.and_then(|id| AggregateHandle::<A>::get(store, &id));
            let handle = handle.map_err(DispatchError::Io)?;
            let sent = handle
                .send_as(command, envelope.context, process_manager)
                .await;
            sent.map(|done| done.position).map_err(Failed::of)
        })
    }

    fn add(
        &self,
        store: &Arc<Hold>,
        together: Together,
        envelope: &StoredCommand,
    ) -> Result<Together, DispatchError> {
        let command: A::Command = envelope.read().map_err(DispatchError::Deserialization)?;
        let id = StreamId::new(A::AGGREGATE_TYPE, &envelope.instance_id);
        let handle = AggregateHandle::<A>::get(store, &id.map_err(io::Error::from)?)?;
        Ok(together.send(&handle, command))
    }
}

/// The dispatchers of commands in JSON, by aggregate type.
#[derive(Clone, Default)]
pub(crate) struct Dispatchers(HashMap<&'static str, Arc<dyn Dispatcher>>);

impl Targets for Dispatchers {
    fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        let typed = Arc::new(Typed::<A>(PhantomData));
        self.0.insert(A::AGGREGATE_TYPE, typed);
    }
}

/// Sends a command in JSON to its aggregate; `process_manager` names its sender if it is one.
/// Returns the position of the command's last event.
pub(crate) async fn send(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
    process_manager: Option<&'static str>,
) -> Result<Position, Failed> {
    if envelope.is_group() {
        return send_together(store, dispatchers, envelope, process_manager).await;
    }
    match dispatchers.0.get(envelope.aggregate_type.as_str()) {
        Some(dispatcher) => dispatcher.dispatch(store, envelope, process_manager).await,
        None => Err(DispatchError::UnknownAggregateType(envelope.aggregate_type).into()),
    }
}

/// Sends commands in JSON that take effect together.
async fn send_together(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
    process_manager: Option<&'static str>,
) -> Result<Position, Failed> {
    let mut together = Together::new(store.clone());
    for member in envelope.members() {
        let dispatcher = dispatchers.0.get(member.aggregate_type.as_str());
        let unknown = || DispatchError::UnknownAggregateType(member.aggregate_type.clone());
        together = dispatcher
            .ok_or_else(unknown)?
            .add(store, together, member)?;
    }
    let done = together.commit_as(envelope.context, process_manager).await;
    done.map(|done| done.position).map_err(Failed::of_group)
}
