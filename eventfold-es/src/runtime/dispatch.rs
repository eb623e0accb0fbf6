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
use crate::domain::process_manager::Targets;
use crate::error::{DispatchError, ExecuteError};
use crate::ids::StreamId;
use crate::runtime::aggregates::Hold;
use crate::runtime::handle::AggregateHandle;

/// Sends commands in JSON to aggregates of one type.
pub(crate) trait Dispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a Arc<Hold>,
        envelope: StoredCommand,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>>;
}

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: DispatchError,
    /// Whether the same command may succeed later.
    pub(crate) may_retry: bool,
}

impl From<DispatchError> for Failed {
    fn from(error: DispatchError) -> Self {
        let may_retry = match &error {
            DispatchError::Execution(_) => true,
            DispatchError::Io(error) => error.kind() != io::ErrorKind::InvalidInput,
            _ => false,
        };
        Self { error, may_retry }
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
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>> {
        Box::pin(async move {
            let command: A::Command = envelope.read().map_err(DispatchError::Deserialization)?;
            let id = StreamId::new(A::AGGREGATE_TYPE, &envelope.instance_id);
            let handle = id.map_err(io::Error::from);
            let handle = handle.and_then(|id| AggregateHandle::<A>::get(store, &id));
            let handle = handle.map_err(DispatchError::Io)?;
            handle
                .execute(command, envelope.context)
                .await
                .map_err(|error| Failed {
                    may_retry: match &error {
                        // The basis of the command has changed, and does not change back. The
                        // command does not become another one either.
                        ExecuteError::ExpectedVersion { .. } | ExecuteError::KeyReused { .. } => {
                            false
                        }
                        // An invalid context does not change either.
                        ExecuteError::Io(error) => error.kind() != io::ErrorKind::InvalidInput,
                        _ => true,
                    },
                    error: DispatchError::Execution(Box::new(error)),
                })?;
            Ok(())
        })
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

/// Sends a command in JSON to its aggregate.
pub(crate) async fn send(
    store: &Arc<Hold>,
    dispatchers: &Dispatchers,
    envelope: StoredCommand,
) -> Result<(), Failed> {
    match dispatchers.0.get(envelope.aggregate_type.as_str()) {
        Some(dispatcher) => dispatcher.dispatch(store, envelope).await,
        None => Err(DispatchError::UnknownAggregateType(envelope.aggregate_type).into()),
    }
}
