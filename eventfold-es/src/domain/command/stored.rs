//! A command as it is saved and sent: [`StoredCommand`].

use serde::de::DeserializeOwned;
use serde::ser::Error as _;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::command::{CommandContext, CommandEnvelope};
use crate::event::value;

/// A [`CommandEnvelope`] whose command is JSON text, with any number and any depth. Both have the
/// same form in a file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StoredCommand {
    pub(crate) aggregate_type: String,
    pub(crate) instance_id: String,
    command: Box<RawValue>,
    pub(crate) context: CommandContext,
    /// The further commands that take effect together with this one, under its context. Their own
    /// contexts are empty.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) together: Vec<StoredCommand>,
}

impl StoredCommand {
    pub(crate) fn new<C: Serialize>(
        aggregate_type: &str,
        instance_id: String,
        command: &C,
        context: CommandContext,
    ) -> serde_json::Result<Self> {
        let command = to_raw_value(command)?;
        if command.get().contains('\n') {
            // A dead letter is one line.
            let text = "its JSON has a line break, but it is stored in one line: write it \
                        without line breaks, also in a `RawValue`";
            return Err(serde_json::Error::custom(text));
        }
        Ok(Self {
            aggregate_type: aggregate_type.to_owned(),
            instance_id,
            command,
            context,
            together: Vec::new(),
        })
    }

    /// Whether it is several commands that take effect together.
    pub(crate) fn is_group(&self) -> bool {
        !self.together.is_empty()
    }

    /// The command, and those that take effect together with it.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Self> {
        [self].into_iter().chain(&self.together)
    }

    /// Whether the command, or one that takes effect together with it, is for this aggregate.
    pub(crate) fn is_for(&self, aggregate_type: &str, id: &str) -> bool {
        let mut members = self.members();
        members.any(|member| member.aggregate_type == aggregate_type && member.instance_id == id)
    }

    /// Those that take effect together with it, for display.
    pub(crate) fn shown_together(&self) -> serde_json::Result<Vec<CommandEnvelope>> {
        let members = self.together.iter();
        members.map(|member| member.clone().into_shown()).collect()
    }

    /// Reads the command.
    pub(crate) fn read<C: DeserializeOwned>(&self) -> serde_json::Result<C> {
        serde_json::from_str(self.command.get())
    }

    /// The same for the public interface. Fails if it has a number that a `Value` cannot hold.
    pub(crate) fn to_envelope(&self) -> serde_json::Result<CommandEnvelope> {
        if self.is_group() {
            let text = "it is one of several commands that take effect together";
            return Err(serde_json::Error::custom(text));
        }
        Ok(self.clone().with_command(value::read(self.command.get())?))
    }

    /// The same for display: a number that a `Value` cannot hold becomes a text.
    pub(crate) fn into_shown(self) -> serde_json::Result<CommandEnvelope> {
        let command = value::shown(self.command.get())?;
        Ok(self.with_command(command))
    }

    fn with_command(self, command: serde_json::Value) -> CommandEnvelope {
        CommandEnvelope {
            aggregate_type: self.aggregate_type,
            instance_id: self.instance_id,
            command,
            context: self.context,
        }
    }
}

impl TryFrom<CommandEnvelope> for StoredCommand {
    type Error = serde_json::Error;

    fn try_from(envelope: CommandEnvelope) -> serde_json::Result<Self> {
        let CommandEnvelope {
            aggregate_type,
            instance_id,
            command,
            context,
        } = envelope;
        Self::new(&aggregate_type, instance_id, &command, context)
    }
}
