//! Commands of process managers on their way to aggregates, or to the dead letters.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::io;
use std::marker::PhantomData;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::aggregate::Aggregate;
use crate::command::CommandEnvelope;
use crate::engine::disk;
use crate::error::DispatchError;
use crate::store::AggregateStore;

/// A command that a process manager wants sent.
#[derive(Debug, Clone)]
pub(crate) struct Outgoing {
    pub(crate) envelope: CommandEnvelope,
}

/// Sends commands in JSON to aggregates of one type.
pub(crate) trait Dispatcher: Send + Sync {
    fn dispatch<'a>(
        &'a self,
        store: &'a AggregateStore,
        envelope: CommandEnvelope,
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>>;
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
    ) -> Pin<Box<dyn Future<Output = Result<(), DispatchError>> + Send + 'a>> {
        Box::pin(async move {
            let command: A::Command =
                serde_json::from_value(envelope.command).map_err(DispatchError::Deserialization)?;
            let handle = store.get::<A>(&envelope.instance_id).await?;
            handle
                .execute(command, envelope.context)
                .await
                .map_err(|error| DispatchError::Execution(Box::new(error)))?;
            Ok(())
        })
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

/// Appends a command that did not succeed to the dead letters in `path`, durably.
pub(crate) fn append_dead_letter(
    path: &Path,
    envelope: &CommandEnvelope,
    error: &str,
) -> io::Result<()> {
    #[derive(Serialize)]
    struct DeadLetter<'a> {
        envelope: &'a CommandEnvelope,
        error: &'a str,
        /// Seconds since 1970.
        ts: u64,
    }

    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let letter = DeadLetter {
        envelope,
        error,
        ts: now.map_or(0, |now| now.as_secs()),
    };
    let mut line = serde_json::to_vec(&letter)?;
    line.push(b'\n');
    if let Some(dir) = path.parent() {
        disk::create_dir(dir)?;
    }
    disk::append_durably(path, &line)
}
