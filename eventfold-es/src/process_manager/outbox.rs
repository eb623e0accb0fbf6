//! What a process manager sends: [`Outbox`], [`Due`].

use std::time::{Duration, SystemTime};

use serde::de::DeserializeOwned;
use serde::{Deserialize as _, Serialize};
use serde_json::Value;

use super::{Order, Timer};
use crate::aggregate::Aggregate;
use crate::clock::unix_millis;
use crate::command::{CommandContext, CommandEnvelope};
use crate::event::Recorded;

/// Takes the commands with which a process manager reacts to one event: those to send at once, and
/// those to send later.
///
/// They are sent in order. What a command's context leaves out is filled in: the correlation
/// id of the event, the event's id as causation id, and an idempotency key from the manager's name,
/// the event's position and the command's index, so that each takes effect once however often it is
/// dispatched.
///
/// ```
/// use std::time::Duration;
///
/// # use eventfold_es::{*, __private::example::*};
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Default, Serialize, Deserialize)]
/// # struct Reminder;
/// impl ProcessManager for Reminder {
/// #   const NAME: &'static str = "reminder";
/// #   fn subscriptions(&self) -> &'static [&'static str] { &["counter"] }
/// #   fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
/// #       Vec::new()
/// #   }
///     fn react_stored(
///         &mut self,
///         stored: StoredEvent<'_>,
///         out: &mut Outbox<'_>,
///     ) -> Result<(), DecodeError> {
///         let id = stored.record().id();
///         match id {
///             "done" => out.cancel("reminder"),
///             // An hour after the event; a further event puts it off.
///             _ => out.schedule_as::<Counter>("reminder", Duration::from_secs(3600), "all", Add(1)),
///         }
///         out.send::<Counter>("seen", Add(1));
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Outbox<'a> {
    manager: &'static str,
    record: &'a Recorded<'a>,
    orders: Vec<Order>,
    sent: usize,
    scheduled: usize,
    failed: Option<Unwritable>,
}

/// How deeply a command, or its metadata, may be nested: the files that keep it put it six levels deep,
/// and `serde_json` reads 127.
const DEEPEST: usize = 127 - 6;

fn depth(value: &Value) -> usize {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => return 0,
    };
    inner.unwrap_or(0) + 1
}

/// A command that cannot be kept until it is sent.
#[derive(Debug, thiserror::Error)]
#[error("its command for {aggregate_type}/{id} {problem}: {source}")]
pub(crate) struct Unwritable {
    aggregate_type: String,
    id: String,
    problem: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// When a command is to be sent: at a time, or some time after the event.
///
/// "After" counts from the [time of the event](Recorded::time), not from when the process manager
/// comes to it: a deadline does not move because the program was down, and is the same whenever the
/// event is reacted to. What is due already is sent at once.
///
/// ```
/// use std::time::{Duration, SystemTime};
///
/// use eventfold_es::Due;
///
/// assert_eq!(Due::from(Duration::from_secs(60)), Due::After(Duration::from_secs(60)));
/// assert_eq!(Due::from(SystemTime::UNIX_EPOCH), Due::At(SystemTime::UNIX_EPOCH));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// At this time, to the millisecond.
    At(SystemTime),
    /// So long after the event, to the millisecond.
    After(Duration),
}

impl From<SystemTime> for Due {
    fn from(at: SystemTime) -> Self {
        Self::At(at)
    }
}

impl From<Duration> for Due {
    fn from(after: Duration) -> Self {
        Self::After(after)
    }
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(manager: &'static str, record: &'a Recorded<'a>) -> Self {
        Self {
            manager,
            record,
            orders: Vec::new(),
            sent: 0,
            scheduled: 0,
            failed: None,
        }
    }

    /// Sends `command` to the aggregate `id`.
    ///
    /// See the example of [`Outbox`].
    pub fn send<A>(&mut self, id: impl Into<String>, command: impl Into<A::Command>)
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.send_with::<A>(id, command, CommandContext::default());
    }

    /// Sends `command` to the aggregate `id` with a context, what of which is set goes before what
    /// would be filled in.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// let context = CommandContext::default().with_actor("fulfilment");
    /// out.send_with::<Counter>("all", Add(5), context);
    /// # }
    /// ```
    pub fn send_with<A>(
        &mut self,
        id: impl Into<String>,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        if let Some(envelope) = self.envelope::<A>(id.into(), command.into(), context) {
            self.send_envelope(envelope);
        }
    }

    /// Sends a command that is JSON already.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// out.send_envelope(CommandEnvelope {
    ///     aggregate_type: "counter".to_owned(),
    ///     instance_id: "all".to_owned(),
    ///     command: serde_json::json!(5),
    ///     context: CommandContext::default(),
    /// });
    /// # }
    /// ```
    pub fn send_envelope(&mut self, envelope: CommandEnvelope) {
        let key = format!("{}/{}/{}", self.manager, self.record.position, self.sent);
        self.sent += 1;
        let envelope = self.fill_in(envelope, key);
        self.orders.push(Order::Send(envelope));
    }

    /// Sends `command` to the aggregate `id` when it is `due`. It cannot be cancelled:
    /// [`schedule_as`](Self::schedule_as) gives it a key for that.
    ///
    /// ```
    /// use std::time::{Duration, SystemTime};
    ///
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>, time: SystemTime) {
    /// out.schedule::<Counter>(Duration::from_secs(900), "all", Add(5)); // after the event
    /// out.schedule::<Counter>(time, "all", Add(5)); // at that time
    /// # }
    /// ```
    pub fn schedule<A>(
        &mut self,
        due: impl Into<Due>,
        id: impl Into<String>,
        command: impl Into<A::Command>,
    ) where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.schedule_typed::<A>(None, due.into(), id.into(), command.into());
    }

    /// Sends `command` to the aggregate `id` when it is `due`, unless `key` is
    /// [cancelled](Self::cancel) by then. What the process manager scheduled under `key` before and
    /// has not sent yet is replaced.
    ///
    /// See the example of [`Outbox`].
    pub fn schedule_as<A>(
        &mut self,
        key: &str,
        due: impl Into<Due>,
        id: impl Into<String>,
        command: impl Into<A::Command>,
    ) where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.schedule_typed::<A>(Some(key), due.into(), id.into(), command.into());
    }

    /// As [`schedule_as`](Self::schedule_as), or [`schedule`](Self::schedule) without a key, for a
    /// command that is JSON already.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>, envelope: CommandEnvelope) {
    /// out.schedule_envelope(Some("reminder"), Duration::from_secs(900), envelope);
    /// # }
    /// ```
    pub fn schedule_envelope(
        &mut self,
        key: Option<&str>,
        due: impl Into<Due>,
        envelope: CommandEnvelope,
    ) {
        let due = match due.into() {
            Due::At(time) => unix_millis(time),
            Due::After(after) => {
                let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                self.record.unix_millis().saturating_add(after)
            }
        };
        let (position, index) = (self.record.position, self.scheduled);
        self.scheduled += 1;
        let idempotency_key = format!("{}/{position}/t{index}", self.manager);
        // Without a key it has one that no cancellation can name, the same at each reaction.
        let key = match key {
            Some(key) => format!("={key}"),
            None => format!("{position}/{index}"),
        };
        let envelope = self.fill_in(envelope, idempotency_key);
        let timer = Timer { due, envelope };
        self.orders.push(Order::Schedule(key, timer));
    }

    /// Takes back what the process manager scheduled under `key`: it is never sent, not even if it
    /// is due or was tried without success. Nothing happens if there is nothing, or it was sent.
    ///
    /// See the example of [`Outbox`].
    pub fn cancel(&mut self, key: &str) {
        self.orders.push(Order::Cancel(format!("={key}")));
    }

    fn schedule_typed<A>(&mut self, key: Option<&str>, due: Due, id: String, command: A::Command)
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        if let Some(envelope) = self.envelope::<A>(id, command, CommandContext::default()) {
            self.schedule_envelope(key, due, envelope);
        }
    }

    fn envelope<A>(
        &mut self,
        id: String,
        command: A::Command,
        context: CommandContext,
    ) -> Option<CommandEnvelope>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let problem = |problem, source: serde_json::Error| Unwritable {
            aggregate_type: A::AGGREGATE_TYPE.to_owned(),
            id: id.clone(),
            problem,
            source: source.into(),
        };
        let command = serde_json::to_value(command).map_err(|error| {
            let what = "cannot be written as JSON (its whole numbers have up to 64 bits here)";
            problem(what, error)
        });
        let command = command.and_then(|command| match A::Command::deserialize(&command) {
            Ok(_) => Ok(command),
            Err(error) => Err(problem("could not be read again", error)),
        });
        match command {
            Ok(command) => Some(CommandEnvelope {
                aggregate_type: A::AGGREGATE_TYPE.to_owned(),
                instance_id: id,
                command,
                context,
            }),
            Err(unwritable) => {
                self.failed.get_or_insert(unwritable);
                None
            }
        }
    }

    fn fill_in(&mut self, mut envelope: CommandEnvelope, key: String) -> CommandEnvelope {
        let metadata = envelope.context.metadata.as_ref();
        if depth(&envelope.command).max(metadata.map_or(0, depth)) > DEEPEST {
            let text = format!("it has more than {DEEPEST} levels");
            self.failed.get_or_insert(Unwritable {
                aggregate_type: envelope.aggregate_type.clone(),
                id: envelope.instance_id.clone(),
                problem: "is nested too deeply",
                source: text.into(),
            });
        }
        let context = &mut envelope.context;
        if let Err(source) = context.check() {
            self.failed.get_or_insert(Unwritable {
                aggregate_type: envelope.aggregate_type.clone(),
                id: envelope.instance_id.clone(),
                problem: "cannot be sent",
                source: source.into(),
            });
        }
        if context.correlation_id.is_none() {
            context.correlation_id = self.record.correlation_id().map(Into::into);
        }
        if context.causation_id.is_none() {
            context.causation_id = self.record.event_id().map(str::to_owned);
        }
        context.idempotency_key.get_or_insert(key);
        envelope
    }

    /// The commands to send at once; those to send later are left out.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub(crate) fn into_sent(self) -> Result<Vec<CommandEnvelope>, Unwritable> {
        let orders = self.finish()?.into_iter();
        let sent = orders.filter_map(|order| match order {
            Order::Send(envelope) => Some(envelope),
            Order::Schedule(..) | Order::Cancel(_) => None,
        });
        Ok(sent.collect())
    }

    /// What is to be done.
    ///
    /// # Errors
    ///
    /// Which command could not be written as JSON, and why.
    pub(crate) fn finish(self) -> Result<Vec<Order>, Unwritable> {
        self.failed.map_or(Ok(self.orders), Err)
    }
}
