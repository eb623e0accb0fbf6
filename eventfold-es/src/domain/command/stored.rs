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
        })
    }

    /// Reads the command.
    pub(crate) fn read<C: DeserializeOwned>(&self) -> serde_json::Result<C> {
        serde_json::from_str(self.command.get())
    }

    /// The same for the public interface. Fails if it has a number that a `Value` cannot hold.
    pub(crate) fn to_envelope(&self) -> serde_json::Result<CommandEnvelope> {
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
