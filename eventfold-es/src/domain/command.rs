//! What travels with a command: [`CommandContext`] and [`CommandEnvelope`].

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::aggregate::Aggregate;
use crate::domain::decision_context::DecisionContext;
use crate::event::{SCHEMA_VERSION, TRACEPARENT, value};
use crate::ids::{TraceParent, Version};

mod fingerprint;
mod stored;

pub(crate) use fingerprint::{Fingerprint, fingerprint_of};

pub(crate) use stored::{Content, ForDecision, Part, StoredCommand};

/// The context of a command: who issued it, what it belongs to, and which conditions must hold for
/// it to be executed.
///
/// ```
/// use eventfold_es::CommandContext;
/// use serde_json::json;
///
/// let context = CommandContext::default()
///     .with_actor("user-42")
///     .with_correlation_id("request-7")
///     .with_metadata(json!({ "source": "api" }))
///     .with_expected_version(3);
/// assert_eq!(context.actor.as_deref(), Some("user-42"));
/// ```
///
/// The origin of the command is stored with each of its events, in the keys of
/// [`eventfold::Event`]:
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// let context = CommandContext::default().with_actor("ann").with_correlation_id("r-1");
/// counter.send_with(Add(5), context).await?;
/// let events = store.read_events("counter", "c-1").await?;
/// assert_eq!(events[0].actor.as_deref(), Some("ann"));
/// assert_eq!(events[0].meta.as_ref().unwrap()["correlation_id"], "r-1");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CommandContext {
    /// Who issued the command; stored as the events' `actor`.
    pub actor: Option<String>,
    /// What the command belongs to across aggregates; stored as `meta.correlation_id`.
    pub correlation_id: Option<String>,
    /// More members for the events' `meta`: a JSON object. Any other value is ignored.
    pub metadata: Option<Value>,
    /// The device that issued the command; stored as `meta.source_device`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub source_device: Option<String>,
    /// What caused the command, usually an event's id; stored as `meta.causation_id`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub causation_id: Option<String>,
    /// The version that the stream must have when the command is decided: its number of events.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub expected_version: Option<Version>,
    /// Names the command: repeating it then has no further effect. Stored as `key`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub idempotency_key: Option<String>,
    /// The span of a distributed trace that the command comes from; stored as `meta.traceparent`.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub traceparent: Option<TraceParent>,
}

impl CommandContext {
    /// Sets who issues the command, a user or a service for example: the `actor` of its events.
    ///
    /// ```
    /// # use eventfold_es::CommandContext;
    /// let context = CommandContext::default().with_actor("user-42");
    /// ```
    #[must_use]
    pub fn with_actor(mut self, actor: impl Into<String>) -> Self {
        self.actor = Some(actor.into());
        self
    }

    /// Sets what the command belongs to, across aggregates and services: the `meta.correlation_id`
    /// of its events. A process manager's commands take it from the event.
    ///
    /// ```
    /// # use eventfold_es::CommandContext;
    /// let context = CommandContext::default().with_correlation_id("request-7");
    /// ```
    #[doc(alias("correlation", "tracing", "trace id", "request id"))]
    #[must_use]
    pub fn with_correlation_id(mut self, id: impl Into<String>) -> Self {
        self.correlation_id = Some(id.into());
        self
    }

    /// Sets more members for the `meta` of the command's events, and replaces those set before. A
    /// value that is not a JSON object is ignored. The ids of this context replace members with the
    /// same names. In a derived aggregate, the event's version replaces `schema_version`.
    ///
    /// ```
    /// # use eventfold_es::CommandContext;
    /// let source = serde_json::json!({ "source": "api" });
    /// let context = CommandContext::default().with_metadata(source);
    /// ```
    #[doc(alias("headers", "tenant"))]
    #[must_use]
    pub fn with_metadata(mut self, meta: Value) -> Self {
        self.metadata = Some(meta);
        self
    }

    /// Sets which device the command comes from: the `meta.source_device` of its events.
    ///
    /// ```
    /// # use eventfold_es::CommandContext;
    /// let context = CommandContext::default().with_source_device("phone-1");
    /// ```
    #[must_use]
    pub fn with_source_device(mut self, device_id: impl Into<String>) -> Self {
        self.source_device = Some(device_id.into());
        self
    }

    /// Sets what caused the command, usually an event's id: the `meta.causation_id` of its events.
    ///
    /// ```
    /// # use eventfold_es::CommandContext;
    /// let context = CommandContext::default().with_causation_id("5f2c9d1e");
    /// ```
    #[doc(alias("causation"))]
    #[must_use]
    pub fn with_causation_id(mut self, id: impl Into<String>) -> Self {
        self.causation_id = Some(id.into());
        self
    }

    /// Requires the stream to be at `version`, as
    /// [`AggregateHandle::version`](crate::runtime::handle::AggregateHandle::version) counts: 0 for
    /// a stream that does not exist yet. Otherwise the command is refused with
    /// [`ExecuteError::ExpectedVersion`](crate::error::ExecuteError::ExpectedVersion), which names
    /// both versions. It is never retried.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let only_first = CommandContext::default().with_expected_version(0);
    /// counter.send_with(Add(5), only_first.clone()).await?;
    /// let late = counter.send_with(Add(5), only_first).await;
    /// let Err(ExecuteError::ExpectedVersion { expected, actual }) = late else { panic!("{late:?}") };
    /// assert!(expected == 0 && actual == 1);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias(
        "etag",
        "if-match",
        "optimistic",
        "optimistic locking",
        "optimistic concurrency",
        "compare and swap"
    ))]
    #[must_use]
    pub fn with_expected_version(mut self, version: impl Into<Version>) -> Self {
        self.expected_version = Some(version.into());
        self
    }

    /// Names the command. If a command with the same key is sent to the same stream again, it
    /// stores nothing. The caller gets the events that the first command stored, also after a
    /// restart.
    ///
    /// A stream remembers at least its last 1,000 keys. A command that was refused, or that stored
    /// no event, is decided again. The key is looked up before the expected version. Another
    /// command under the same key is refused, with
    /// [`KeyReused`](crate::error::ExecuteError::KeyReused), if the aggregate has
    /// [fingerprints](Aggregate::fingerprint) of its commands, as derived ones have. Otherwise it
    /// counts as the same command. An empty key, which a request without a key may lead to, is
    /// refused when the command is sent.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let store = AggregateStore::open(dir.path()).await?;
    /// # let counter = store.get::<Counter>("c-1").await?;
    /// let context = CommandContext::default().with_idempotency_key("payment-17");
    /// let first = counter.send_with(Add(5), context.clone()).await?;
    /// let again = counter.send_with(Add(5), context).await?;
    /// assert_eq!(again.version, first.version);
    /// assert!(again.repeated && !first.repeated);
    /// assert_eq!(counter.state().await?.value, 5);
    /// # Ok(())
    /// # }
    /// ```
    #[doc(alias("idempotent", "idempotency", "deduplication", "exactly once"))]
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }

    /// Sets which span of a distributed trace the command comes from: the `meta.traceparent` of its
    /// events. The commands of process managers that react to these events take it from them.
    ///
    /// With the feature `opentelemetry` the spans of the command belong to that trace, and the events
    /// name the command's own span; [watching a store](crate::guide::watching_a_store#traces) tells more.
    /// Then a caller that is in a span of the trace need not set it.
    ///
    /// See the example of [`TraceParent`].
    #[doc(alias("distributed tracing", "trace context", "opentelemetry"))]
    #[must_use]
    pub fn with_traceparent(mut self, traceparent: TraceParent) -> Self {
        self.traceparent = Some(traceparent);
        self
    }

    /// What the decision on the command knows. The stream and its version are to be filled in.
    pub(crate) fn decision(&self, ms: u64) -> DecisionContext<'_> {
        DecisionContext {
            ms,
            actor: self.actor.as_deref(),
            correlation_id: self.correlation_id.as_deref(),
            causation_id: self.causation_id.as_deref(),
            metadata: self.metadata.as_ref(),
            ..DecisionContext::default()
        }
    }

    /// Fails with [`io::ErrorKind::InvalidInput`] if no command may be sent with this context.
    pub(crate) fn check(&self) -> io::Result<()> {
        if self.idempotency_key.as_deref() == Some("") {
            let text = "the command's idempotency key is empty: give each command a key of its own, or none";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    /// The `meta` of an event of the command, `None` if it would be empty. `version` is the
    /// [`event_version`](Aggregate::event_version).
    pub(crate) fn meta(&self, version: Option<u32>) -> Option<Map<String, Value>> {
        let has_id = self.correlation_id.is_some()
            || self.causation_id.is_some()
            || self.traceparent.is_some();
        if self.metadata.is_none()
            && !has_id
            && self.source_device.is_none()
            && version.is_none_or(|version| version <= 1)
        {
            return None;
        }
        let mut meta = match &self.metadata {
            Some(Value::Object(members)) => members.clone(),
            _ => Map::new(),
        };
        let ids = [
            ("correlation_id", &self.correlation_id),
            ("causation_id", &self.causation_id),
            ("source_device", &self.source_device),
        ];
        for (name, id) in ids {
            if let Some(id) = id {
                meta.insert(name.to_owned(), Value::String(id.clone()));
            }
        }
        if let Some(traceparent) = self.traceparent {
            meta.insert(TRACEPARENT.to_owned(), traceparent.to_string().into());
        }
        if let Some(version) = version {
            // The metadata may be that of another event, with its version.
            meta.remove(SCHEMA_VERSION);
            if version > 1 {
                meta.insert(SCHEMA_VERSION.to_owned(), version.into());
            }
        }
        (!meta.is_empty()).then_some(meta)
    }
}

/// A command in JSON with its target, as process managers produce it and
/// [`CommandBus::dispatch_envelope`](crate::store::bus::CommandBus::dispatch_envelope) takes it.
///
/// ```
/// # use eventfold_es::{CommandContext, CommandEnvelope, __private::example::Add};
/// let envelope = CommandEnvelope {
///     aggregate_type: "counter".to_owned(),
///     instance_id: "c-1".to_owned(),
///     command: serde_json::to_value(Add(5))?,
///     context: CommandContext::default(),
/// };
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CommandEnvelope {
    /// The type of the target, its [`Aggregate::AGGREGATE_TYPE`]. The store must know it, by
    /// [`AggregateStoreBuilder::aggregate_type`](crate::store::AggregateStoreBuilder::aggregate_type)
    /// or from the `dispatches(...)` of a process manager.
    pub aggregate_type: String,
    /// The target's id.
    pub instance_id: String,
    /// The target's [`Aggregate::Command`] in JSON, as its `Deserialize` reads it. It has no
    /// integers above `u64::MAX` or below `i64::MIN`. A command for
    /// [`Outbox::send`](crate::domain::process_manager::Outbox::send) may have some.
    pub command: Value,
    /// The context of the command. Fields that a process manager does not set are filled in, see
    /// [`ProcessManager::react`](crate::domain::process_manager::ProcessManager::react).
    pub context: CommandContext,
}

/// Writes a domain event as an [`eventfold::Event`] with a new id, the current time, and the actor
/// and `meta` of the context. Nothing is stored.
///
/// # Errors
///
/// The error from serde if the event cannot be written as JSON.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// let context = CommandContext::default().with_actor("ann").with_correlation_id("r-1");
/// let event = to_eventfold_event::<Counter>(&CounterEvent::Added { amount: 5 }, &context)?;
/// assert_eq!((event.event_type.as_str(), &event.data["amount"]), ("Added", &5.into()));
/// assert_eq!(event.meta.unwrap()["correlation_id"], "r-1");
/// # Ok::<(), serde_json::Error>(())
/// ```
pub fn to_eventfold_event<A: Aggregate>(
    domain_event: &A::DomainEvent,
    ctx: &CommandContext,
) -> serde_json::Result<eventfold::Event> {
    let mut data = Vec::new();
    let name = A::encode_event(domain_event, &mut data)
        .map_err(<serde_json::Error as serde::ser::Error>::custom)?;
    let data =
        std::str::from_utf8(&data).map_err(<serde_json::Error as serde::de::Error>::custom)?;
    let mut event =
        eventfold::Event::new(&name, value::read(data)?).with_id(Uuid::new_v4().to_string());
    event.actor.clone_from(&ctx.actor);
    event.meta = ctx.meta(A::event_version(domain_event)).map(Value::Object);
    Ok(event)
}
