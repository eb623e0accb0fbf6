//! Commands in JSON on their way to aggregates.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use serde::de::DeserializeOwned;

use super::reacting::Outcome;
use crate::aggregate::Aggregate;
use crate::command::CommandEnvelope;
use crate::error::{DispatchError, ExecuteError};
use crate::store::AggregateStore;

/// Sends commands in JSON to aggregates of one type.
pub(crate) trait Dispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        envelope: CommandEnvelope,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>>;
}

/// A command that did not succeed.
#[derive(Debug)]
pub(crate) struct Failed {
    pub(crate) error: DispatchError,
    /// Whether the same command may succeed another time.
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
pub(crate) struct Typed<A>(PhantomData<fn() -> A>);

impl<A> Typed<A> {
    pub(crate) fn new() -> Self {
        Self(PhantomData)
    }
}

impl<A> Dispatcher for Typed<A>
where
    A: Aggregate,
    A::Command: DeserializeOwned,
{
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        envelope: CommandEnvelope,
    ) -> Pin<Box<dyn Future<Output = Result<(), Failed>> + Send + 'a>> {
        Box::pin(async move {
            let command: A::Command =
                serde_json::from_value(envelope.command).map_err(DispatchError::Deserialization)?;
            let handle = store
                .get::<A>(&envelope.instance_id)
                .await
                .map_err(DispatchError::Io)?;
            handle
                .execute(command, envelope.context)
                .await
                .map_err(|error| Failed {
                    // What the command was based on has changed, and does not change back.
                    may_retry: !matches!(error, ExecuteError::Conflict),
                    error: DispatchError::Execution(Box::new(error)),
                })?;
            Ok(())
        })
    }
}

/// Sends a command in JSON to its aggregate.
pub(crate) async fn send(store: &AggregateStore, envelope: CommandEnvelope) -> Result<(), Failed> {
    let target = envelope.aggregate_type.clone();
    match store.inner.dispatchers().get(target.as_str()) {
        Some(dispatcher) => dispatcher.dispatch(store, envelope).await,
        None => Err(DispatchError::UnknownAggregateType(target).into()),
    }
}

/// Sends a command of a process manager.
pub(crate) async fn dispatch(store: &AggregateStore, envelope: CommandEnvelope) -> Outcome {
    let target = envelope.aggregate_type.clone();
    let id = envelope.instance_id.clone();
    match send(store, envelope).await {
        Ok(()) => {
            tracing::info!(target_type = %target, target_id = %id, "command dispatched");
            Outcome::Succeeded
        }
        // The command did not fail, the store did.
        Err(_) if store.inner.check_usable().is_err() => Outcome::Undecided,
        Err(failed) => Outcome::Failed {
            error: failed.error.to_string(),
            may_retry: failed.may_retry,
        },
    }
}

/// Where commands of process managers go, by aggregate type.
pub(crate) type Dispatchers = HashMap<&'static str, Arc<dyn Dispatcher>>;

/// Takes the aggregate types that commands can be sent to. Not part of the public interface.
pub struct Targets<'a>(pub(crate) &'a mut Dispatchers);

impl Targets<'_> {
    /// Adds the aggregates of type `A`.
    pub fn add<A>(&mut self)
    where
        A: Aggregate,
        A::Command: DeserializeOwned,
    {
        let typed = Arc::new(Typed::<A>::new());
        self.0.insert(A::AGGREGATE_TYPE, typed);
    }
}

impl fmt::Debug for Targets<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}
