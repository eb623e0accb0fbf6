//! What a process manager sends: [`Outbox`].

use serde::Serialize;

use crate::aggregate::Aggregate;
use crate::command::{CommandContext, CommandEnvelope};
use crate::event::Recorded;

/// Takes the commands with which a process manager reacts to one event.
///
/// They are dispatched in order. What a command's context leaves out is filled in: the correlation
/// id of the event, the event's id as causation id, and an idempotency key from the manager's name,
/// the event's position and the command's index, so that each takes effect once however often it is
/// dispatched.
#[derive(Debug)]
pub struct Outbox<'a> {
    manager: &'static str,
    record: &'a Recorded<'a>,
    commands: Vec<CommandEnvelope>,
    failed: Option<serde_json::Error>,
}

impl<'a> Outbox<'a> {
    pub(crate) fn new(manager: &'static str, record: &'a Recorded<'a>) -> Self {
        Self {
            manager,
            record,
            commands: Vec::new(),
            failed: None,
        }
    }

    /// Sends `command` to the aggregate `id`.
    pub fn send<A>(&mut self, id: impl Into<String>, command: impl Into<A::Command>)
    where
        A: Aggregate,
        A::Command: Serialize,
    {
        self.send_with::<A>(id, command, CommandContext::default());
    }

    /// Sends `command` to the aggregate `id` with a context, what of which is set goes before what
    /// would be filled in.
    pub fn send_with<A>(
        &mut self,
        id: impl Into<String>,
        command: impl Into<A::Command>,
        context: CommandContext,
    ) where
        A: Aggregate,
        A::Command: Serialize,
    {
        match serde_json::to_value(command.into()) {
            Ok(command) => self.send_envelope(CommandEnvelope {
                aggregate_type: A::AGGREGATE_TYPE.to_owned(),
                instance_id: id.into(),
                command,
                context,
            }),
            Err(error) => drop(self.failed.get_or_insert(error)),
        }
    }

    /// Sends a command that is JSON already.
    pub fn send_envelope(&mut self, mut envelope: CommandEnvelope) {
        let context = &mut envelope.context;
        if context.correlation_id.is_none() {
            context.correlation_id = self.record.correlation_id().map(Into::into);
        }
        if context.causation_id.is_none() {
            context.causation_id = self.record.event_id().map(str::to_owned);
        }
        if context.idempotency_key.is_none() {
            context.idempotency_key = Some(format!(
                "{}/{}/{}",
                self.manager,
                self.record.position,
                self.commands.len()
            ));
        }
        self.commands.push(envelope);
    }

    /// What was sent.
    ///
    /// # Errors
    ///
    /// Why a command could not be written as JSON.
    pub(crate) fn finish(self) -> serde_json::Result<Vec<CommandEnvelope>> {
        self.failed.map_or(Ok(self.commands), Err)
    }
}
