//! The commands that a process manager sends: [`Outbox`], [`OrSend`].

use serde::{Serialize, de::DeserializeOwned};

use crate::clock::unix_millis;
use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, CommandEnvelope, Content, Part, StoredCommand};
use crate::domain::process_manager::origin::Origin;
use crate::domain::process_manager::{DeadLetter, Due, Order, Timer};
use crate::event::Recorded;
use crate::ids::TraceParent;

mod decide;
mod together;

pub use together::SendTogether;

/// Takes the commands with which a process manager reacts to one event: those to send at once, and
/// those to send later. Each may have others that are sent if it [fails](OrSend::or_send).
///
/// They are sent in order. Fields that a command's context does not set are filled in: the event's
/// correlation id and its place in a trace, the event's id as causation id, and an idempotency key. The key is made of the
/// manager's name, the event's position and the command's index. So each command takes effect once,
/// however often it is dispatched.
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
///             _ => {
///                 out.schedule_as::<Counter>("reminder", Duration::from_secs(3600), "all", Add(1));
///             }
///         }
///         out.send::<Counter>("seen", Add(1));
///         Ok(())
///     }
/// }
/// ```
#[derive(Debug)]
pub struct Outbox<'a> {
    manager: &'static str,
    origin: Origin<'a>,
    /// The span of the reaction, if it has one in a trace.
    span: Option<TraceParent>,
    orders: Vec<Order>,
    sent: usize,
    scheduled: usize,
    failed: Option<Unwritable>,
}

/// A command that was put into an [`Outbox`], to say what is sent if it fails.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # fn react(out: &mut Outbox<'_>) {
/// out.send::<Counter>("all", Add(5)).or_send::<Counter>("refused", Add(1));
/// # }
/// ```
#[doc(alias("compensation", "compensating transaction", "rollback", "undo"))]
#[derive(Debug)]
pub struct OrSend<'o, 'a> {
    out: &'o mut Outbox<'a>,
    /// The command's index among the orders and the end of its key; `None` if it cannot be saved.
    command: Option<(usize, String)>,
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the last `or_send` of a command says everything"
)]
impl OrSend<'_, '_> {
    /// Sends `command` to the aggregate `id` if the command before it fails.
    ///
    /// It is sent once the command before it is given up and certainly had no effect: after the last
    /// attempt that [`Retry`](crate::Retry) allows. It takes the failed command's place, durably and
    /// under an idempotency key of its own. So one of the two takes effect, and never both. If it is
    /// unknown whether the failed command had an effect, it becomes a dead letter.
    ///
    /// The failed command leaves no dead letter. If this command fails too, the next
    /// `or_send` takes its turn; after the last one,
    /// [`on_dead_letter`](crate::ProcessManager::on_dead_letter) does. A command that nothing answers
    /// becomes a [dead letter](crate::DeadLetter), which can be replayed.
    ///
    /// That of a scheduled command belongs to it: [`cancel`](Outbox::cancel) cancels both.
    ///
    /// See the example of [`OrSend`].
    pub fn or_send<A>(self, id: impl Into<String>, command: impl Into<A::Command>) -> Self
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.or_send_with::<A>(id, command, CommandContext::default())
    }

    /// As [`or_send`](Self::or_send), with a context. Fields that the context sets are kept; the
    /// others are filled in.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// let context = CommandContext::default().with_actor("fulfilment");
    /// out.send::<Counter>("all", Add(5)).or_send_with::<Counter>("refused", Add(1), context);
    /// # }
    /// ```
    pub fn or_send_with<A>(
        self,
        id: impl Into<String>,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) -> Self
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let command = self.out.typed::<A>(id.into(), &command.into(), context);
        self.or_send_stored(command)
    }

    /// As [`or_send`](Self::or_send), for a command that is already JSON.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>, envelope: CommandEnvelope) {
    /// out.send::<Counter>("all", Add(5)).or_send_envelope(envelope);
    /// # }
    /// ```
    pub fn or_send_envelope(self, envelope: CommandEnvelope) -> Self {
        let command = self.out.untyped(envelope);
        self.or_send_stored(command)
    }

    fn or_send_stored(self, or_send: Option<StoredCommand>) -> Self {
        let Self { out, command } = self;
        if let (Some((index, end)), Some(or_send)) = (&command, or_send) {
            let count = out.orders[*index].commands().count();
            let key = out.key(&format!("{end}/or{count}"));
            let or_send = out.fill_in(or_send, key);
            if let Some(list) = out.orders[*index].or_send() {
                list.push(or_send);
            }
        }
        Self { out, command }
    }
}

/// A command that cannot be saved until it is sent.
#[derive(Debug, thiserror::Error)]
#[error("the command for {target} {problem}: {source}")]
pub(crate) struct Unwritable {
    target: String,
    problem: &'static str,
    source: Box<dyn std::error::Error + Send + Sync>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(manager: &'static str, record: &'a Recorded<'a>) -> Self {
        Self::of(manager, Origin::Event(record))
    }

    /// The outbox for the answer to `letter`, which was given up when everything up to `position` was
    /// reacted to.
    pub(crate) fn answering(manager: &'static str, letter: &'a DeadLetter, position: u64) -> Self {
        Self::of(manager, Origin::DeadLetter(letter, position))
    }

    /// The commands come from this span, not from that of the event.
    pub(crate) fn within(self, span: Option<TraceParent>) -> Self {
        Self { span, ..self }
    }

    fn of(manager: &'static str, origin: Origin<'a>) -> Self {
        Self {
            manager,
            origin,
            span: None,
            orders: Vec::new(),
            sent: 0,
            scheduled: 0,
            failed: None,
        }
    }

    /// Sends `command` to the aggregate `id`. What is returned says what to send
    /// [if it fails](OrSend::or_send).
    ///
    /// See the example of [`Outbox`].
    pub fn send<A>(
        &mut self,
        id: impl Into<String>,
        command: impl Into<A::Command>,
    ) -> OrSend<'_, 'a>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.send_with::<A>(id, command, CommandContext::default())
    }

    /// Sends `command` to the aggregate `id` with a context. Fields that the context sets are kept;
    /// the others are filled in.
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
    ) -> OrSend<'_, 'a>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let command = self.typed::<A>(id.into(), &command.into(), context);
        self.send_stored(command)
    }

    /// Sends a command that is already JSON.
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
    pub fn send_envelope(&mut self, envelope: CommandEnvelope) -> OrSend<'_, 'a> {
        let command = self.untyped(envelope);
        self.send_stored(command)
    }

    fn send_stored(&mut self, command: Option<StoredCommand>) -> OrSend<'_, 'a> {
        let command = command.map(|command| {
            let end = self.sent.to_string();
            self.sent += 1;
            let command = self.fill_in(command, self.key(&end));
            self.orders.push(Order::Send(command, Vec::new()));
            (self.orders.len() - 1, end)
        });
        OrSend { out: self, command }
    }

    /// The idempotency key with this end.
    fn key(&self, end: &str) -> String {
        format!("{}/{}/{end}", self.manager, self.origin.key())
    }

    /// Sends `command` to the aggregate `id` when it is `due`. It cannot be cancelled: use
    /// [`schedule_as`](Self::schedule_as) for that. What is returned says what to send
    /// [if it fails](OrSend::or_send) then.
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
    #[doc(alias("scheduler", "timer", "deadline", "timeout", "delay", "reminder"))]
    pub fn schedule<A>(
        &mut self,
        due: impl Into<Due>,
        id: impl Into<String>,
        command: impl Into<A::Command>,
    ) -> OrSend<'_, 'a>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.schedule_typed::<A>(None, due.into(), id.into(), command.into())
    }

    /// Sends `command` to the aggregate `id` when it is `due`, unless `key` is
    /// [cancelled](Self::cancel) by then. It replaces an unsent command that the process manager
    /// scheduled under the same `key`.
    ///
    /// See the example of [`Outbox`].
    pub fn schedule_as<A>(
        &mut self,
        key: &str,
        due: impl Into<Due>,
        id: impl Into<String>,
        command: impl Into<A::Command>,
    ) -> OrSend<'_, 'a>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        self.schedule_typed::<A>(Some(key), due.into(), id.into(), command.into())
    }

    /// As [`schedule_as`](Self::schedule_as), or [`schedule`](Self::schedule) without a key, for a
    /// command that is already JSON.
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
    ) -> OrSend<'_, 'a> {
        let command = self.untyped(envelope);
        self.schedule_stored(key, due.into(), command)
    }

    fn schedule_stored(
        &mut self,
        key: Option<&str>,
        due: Due,
        command: Option<StoredCommand>,
    ) -> OrSend<'_, 'a> {
        let command = command.map(|command| {
            let end = self.schedule_one(key, due, command);
            (self.orders.len() - 1, end)
        });
        OrSend { out: self, command }
    }

    /// Returns the end of the command's key.
    fn schedule_one(&mut self, key: Option<&str>, due: Due, command: StoredCommand) -> String {
        let due = match due {
            Due::At(time) => unix_millis(time),
            Due::After(after) => {
                let after = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                self.origin.unix_millis().saturating_add(after)
            }
        };
        let index = self.scheduled;
        self.scheduled += 1;
        let end = format!("t{index}");
        // Without a key it gets one that no cancellation can name, the same at each reaction.
        let key = match key {
            Some(key) => format!("={key}"),
            None => format!("{}/{index}", self.origin.key()),
        };
        let timer = Timer {
            due,
            envelope: self.fill_in(command, self.key(&end)),
            or_send: Vec::new(),
            answers_failure: false,
        };
        self.orders.push(Order::Schedule(key, timer));
        end
    }

    /// Cancels the command that the process manager scheduled under `key`, and what is to be sent
    /// [if it fails](OrSend::or_send). The command is never sent, even if it is due or failed in an
    /// earlier attempt. Nothing happens if there is no such command, or if it is being sent or has
    /// ended.
    ///
    /// See the example of [`Outbox`].
    pub fn cancel(&mut self, key: &str) {
        self.orders.push(Order::Cancel(format!("={key}")));
    }

    fn schedule_typed<A>(
        &mut self,
        key: Option<&str>,
        due: Due,
        id: String,
        command: A::Command,
    ) -> OrSend<'_, 'a>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let command = self.typed::<A>(id, &command, CommandContext::default());
        self.schedule_stored(key, due, command)
    }

    /// A command as it is saved, `None` if its target could not read it.
    fn typed<A>(
        &mut self,
        id: String,
        command: &A::Command,
        context: CommandContext,
    ) -> Option<StoredCommand>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let part = Part::typed::<A>(id, command);
        let part = part.map_err(|unwritable| self.failed.get_or_insert(unwritable));
        Some(StoredCommand {
            content: Content::One(part.ok()?),
            context,
        })
    }

    /// A command that is already JSON, as it is saved.
    fn untyped(&mut self, envelope: CommandEnvelope) -> Option<StoredCommand> {
        let target = format!("{}/{}", envelope.aggregate_type, envelope.instance_id);
        let stored = StoredCommand::try_from(envelope);
        let unwritable = |error| Unwritable::of(target, "cannot be written as JSON", error);
        stored
            .map_err(|error| self.failed.get_or_insert(unwritable(error)))
            .ok()
    }

    fn fill_in(&mut self, mut command: StoredCommand, key: String) -> StoredCommand {
        if let Err(source) = command.context.check() {
            self.failed
                .get_or_insert(Unwritable::new(&command, "cannot be sent", source));
        }
        if !command.is_single() && command.context.expected_version.is_some() {
            let problem = "cannot be sent";
            let source = "its context expects a version, but not of which aggregate";
            self.failed
                .get_or_insert(Unwritable::new(&command, problem, source));
        }
        let context = &mut command.context;
        if context.correlation_id.is_none() {
            context.correlation_id = self.origin.correlation_id().map(Into::into);
        }
        if context.causation_id.is_none() {
            context.causation_id = self.origin.causation_id().map(str::to_owned);
        }
        if context.traceparent.is_none() {
            context.traceparent = self.span.or_else(|| self.origin.traceparent());
        }
        context.idempotency_key.get_or_insert(key);
        command
    }

    /// The commands to send at once; those to send later are left out.
    ///
    /// # Errors
    ///
    /// As [`finish`](Self::finish).
    pub(crate) fn into_sent(self) -> Result<Vec<CommandEnvelope>, Unwritable> {
        let orders = self.finish()?.into_iter();
        let sent = orders.filter_map(|order| match order {
            Order::Send(command, _) => Some(command),
            Order::Schedule(..) | Order::Cancel(_) => None,
        });
        sent.map(|command| {
            let envelope = command.to_envelope();
            envelope.map_err(|error| Unwritable::new(&command, "is not a `CommandEnvelope`", error))
        })
        .collect()
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

impl Unwritable {
    /// `command` has this problem.
    pub(crate) fn new(
        command: &StoredCommand,
        problem: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::of(command.to_string(), problem, source)
    }

    /// The command for `target` has this problem.
    fn of(
        target: String,
        problem: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self {
            target,
            problem,
            source: source.into(),
        }
    }
}

impl Part {
    /// A command as it is saved, if its target can read it.
    fn typed<A>(id: String, command: &A::Command) -> Result<Self, Unwritable>
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        let target = format!("{}/{id}", A::AGGREGATE_TYPE);
        let part = Self::new(A::AGGREGATE_TYPE, id, command)
            .map_err(|error| Unwritable::of(target, "cannot be written as JSON", error))?;
        part.read::<A::Command>()
            .map_err(|error| Unwritable::of(part.to_string(), "could not be read again", error))?;
        Ok(part)
    }
}
