//! A command as it is saved and sent: [`StoredCommand`].

use std::fmt;

use serde::de::DeserializeOwned;
use serde::ser::{Error as _, SerializeStruct as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use crate::domain::command::{CommandContext, CommandEnvelope};
use crate::domain::decider::Decider;
use crate::event::value;

/// A [`CommandEnvelope`] whose command is JSON text, with any number and any depth; or several that
/// take effect together, or the command of a decision. A single one has the form of a
/// [`CommandEnvelope`] in a file. A reader that knows only these misses `aggregate_type` in the others,
/// and refuses them.
#[derive(Debug, Clone)]
pub(crate) struct StoredCommand {
    pub(crate) content: Content,
    pub(crate) context: CommandContext,
}

/// What is sent as one.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    One(Part),
    /// Commands that take effect together. There is at least one.
    Together(Vec<Part>),
    Decision(ForDecision),
}

/// A command for one aggregate.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Part {
    pub(crate) aggregate_type: String,
    pub(crate) instance_id: String,
    command: Box<RawValue>,
}

/// A command for a decision.
#[derive(Debug, Clone)]
pub(crate) struct ForDecision {
    /// The name of the decision.
    pub(crate) name: String,
    /// The tags of its models.
    pub(crate) tags: Vec<String>,
    command: Box<RawValue>,
}

/// The target and the command in their form for users.
pub(crate) struct ShownCommand {
    pub(crate) envelope: CommandEnvelope,
    /// The commands that take effect together with it.
    pub(crate) together: Vec<CommandEnvelope>,
    pub(crate) decision: Option<String>,
}

/// The form in a file, as it is read.
#[derive(Deserialize)]
struct Form {
    aggregate_type: Option<String>,
    instance_id: Option<String>,
    together: Option<Vec<Part>>,
    decision: Option<String>,
    tags: Option<Vec<String>>,
    #[serde(default, deserialize_with = "present")]
    command: Option<Box<RawValue>>,
    context: CommandContext,
}

/// Reads a member that is there. `null` is a command too.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Box<RawValue>>, D::Error> {
    Box::<RawValue>::deserialize(deserializer).map(Some)
}

impl Serialize for StoredCommand {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut form = serializer.serialize_struct("StoredCommand", 4)?;
        match &self.content {
            Content::One(part) => {
                form.serialize_field("aggregate_type", &part.aggregate_type)?;
                form.serialize_field("instance_id", &part.instance_id)?;
                form.serialize_field("command", &part.command)?;
            }
            Content::Together(parts) => form.serialize_field("together", parts)?,
            Content::Decision(decision) => {
                form.serialize_field("decision", &decision.name)?;
                form.serialize_field("tags", &decision.tags)?;
                form.serialize_field("command", &decision.command)?;
            }
        }
        form.serialize_field("context", &self.context)?;
        form.end()
    }
}

impl<'de> Deserialize<'de> for StoredCommand {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let form = Form::deserialize(deserializer)?;
        let missing = D::Error::missing_field;
        let content = match (form.together, form.decision) {
            (None, None) => Content::One(Part {
                aggregate_type: form
                    .aggregate_type
                    .ok_or_else(|| missing("aggregate_type"))?,
                instance_id: form.instance_id.ok_or_else(|| missing("instance_id"))?,
                command: form.command.ok_or_else(|| missing("command"))?,
            }),
            (Some(parts), None) if !parts.is_empty() && form.aggregate_type.is_none() => {
                Content::Together(parts)
            }
            (None, Some(name)) if form.aggregate_type.is_none() => Content::Decision(ForDecision {
                name,
                tags: form.tags.ok_or_else(|| missing("tags"))?,
                command: form.command.ok_or_else(|| missing("command"))?,
            }),
            _ => {
                let text = "it is neither the command of one aggregate, nor several commands \
                            `together`, nor the command of a `decision`";
                return Err(D::Error::custom(text));
            }
        };
        Ok(Self {
            content,
            context: form.context,
        })
    }
}

/// The JSON of a command.
fn written<C: Serialize>(command: &C) -> serde_json::Result<Box<RawValue>> {
    let command = to_raw_value(command)?;
    if command.get().contains('\n') {
        // A dead letter is one line.
        let text = "its JSON has a line break, but it is stored in one line: write it \
                    without line breaks, also in a `RawValue`";
        return Err(serde_json::Error::custom(text));
    }
    Ok(command)
}

impl Part {
    pub(crate) fn new<C: Serialize>(
        aggregate_type: &str,
        instance_id: String,
        command: &C,
    ) -> serde_json::Result<Self> {
        Ok(Self {
            aggregate_type: aggregate_type.to_owned(),
            instance_id,
            command: written(command)?,
        })
    }

    /// Reads the command.
    pub(crate) fn read<C: DeserializeOwned>(&self) -> serde_json::Result<C> {
        serde_json::from_str(self.command.get())
    }

    fn with_command(self, command: Value, context: CommandContext) -> CommandEnvelope {
        CommandEnvelope {
            aggregate_type: self.aggregate_type,
            instance_id: self.instance_id,
            command,
            context,
        }
    }

    fn shown(self, context: CommandContext) -> serde_json::Result<CommandEnvelope> {
        let command = value::shown(self.command.get())?;
        Ok(self.with_command(command, context))
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.aggregate_type, self.instance_id)
    }
}

impl ForDecision {
    /// The command of a decision whose models have these tags for it.
    pub(crate) fn new<D>(command: &D::Command, tags: Vec<String>) -> serde_json::Result<Self>
    where
        D: Decider,
        D::Command: Serialize,
    {
        Ok(Self {
            name: D::NAME.to_owned(),
            tags,
            command: written(command)?,
        })
    }

    /// Reads the command.
    pub(crate) fn read<C: DeserializeOwned>(&self) -> serde_json::Result<C> {
        serde_json::from_str(self.command.get())
    }
}

impl StoredCommand {
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn new<C: Serialize>(
        aggregate_type: &str,
        instance_id: String,
        command: &C,
        context: CommandContext,
    ) -> serde_json::Result<Self> {
        let part = Part::new(aggregate_type, instance_id, command)?;
        Ok(Self {
            content: Content::One(part),
            context,
        })
    }

    /// The commands for aggregates.
    pub(crate) fn parts(&self) -> &[Part] {
        match &self.content {
            Content::One(part) => std::slice::from_ref(part),
            Content::Together(parts) => parts,
            Content::Decision(_) => &[],
        }
    }

    pub(crate) fn is_single(&self) -> bool {
        matches!(self.content, Content::One(_))
    }

    /// The streams that may have its events. Those of a decision are in none, which has no type and no
    /// id.
    pub(crate) fn streams(&self) -> impl Iterator<Item = (&str, &str)> {
        let parts = self.parts().iter();
        let parts = parts.map(|part| (part.aggregate_type.as_str(), part.instance_id.as_str()));
        let none = matches!(self.content, Content::Decision(_)).then_some(("", ""));
        parts.chain(none)
    }

    /// The type and the id of its first target, for spans. For a decision, its name.
    pub(crate) fn first_target(&self) -> (&str, &str) {
        match (&self.content, self.parts()) {
            (Content::Decision(decision), _) => ("", &decision.name),
            (_, [first, ..]) => (&first.aggregate_type, &first.instance_id),
            (_, []) => ("", ""),
        }
    }

    /// The same for the public interface. Fails if it has a number that a `Value` cannot hold, or if it
    /// is no command for one aggregate.
    pub(crate) fn to_envelope(&self) -> serde_json::Result<CommandEnvelope> {
        let Content::One(part) = &self.content else {
            let text = "a `CommandEnvelope` has one command for one aggregate";
            return Err(serde_json::Error::custom(text));
        };
        let command = value::read(part.command.get())?;
        Ok(part.clone().with_command(command, self.context.clone()))
    }

    /// Fails if it cannot be [shown](Self::into_shown).
    pub(crate) fn check_shown(&self) -> serde_json::Result<()> {
        let of_decision = match &self.content {
            Content::Decision(decision) => Some(&decision.command),
            Content::One(_) | Content::Together(_) => None,
        };
        let of_parts = self.parts().iter().map(|part| &part.command);
        let mut commands = of_parts.chain(of_decision);
        commands.try_for_each(|command| value::shown(command.get()).map(drop))
    }

    /// The same for display: a number that a `Value` cannot hold becomes a text.
    pub(crate) fn into_shown(self) -> serde_json::Result<ShownCommand> {
        let context = self.context;
        let (mut parts, decision) = match self.content {
            Content::One(part) => (vec![part], None),
            Content::Together(parts) => (parts, None),
            Content::Decision(decision) => {
                let part = Part {
                    aggregate_type: String::new(),
                    instance_id: String::new(),
                    command: decision.command,
                };
                (vec![part], Some(decision.name))
            }
        };
        let first = parts.remove(0).shown(context.clone())?;
        let others = parts.into_iter().map(|part| part.shown(context.clone()));
        Ok(ShownCommand {
            envelope: first,
            together: others.collect::<Result<_, _>>()?,
            decision,
        })
    }
}

/// Names the target.
impl fmt::Display for StoredCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Content::Decision(decision) = &self.content {
            return write!(f, "the decision `{}`", decision.name);
        }
        for (i, part) in self.parts().iter().enumerate() {
            let separator = if i > 0 { " and " } else { "" };
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

impl TryFrom<CommandEnvelope> for Part {
    type Error = serde_json::Error;

    fn try_from(envelope: CommandEnvelope) -> serde_json::Result<Self> {
        Self::new(
            &envelope.aggregate_type,
            envelope.instance_id,
            &envelope.command,
        )
    }
}

impl TryFrom<CommandEnvelope> for StoredCommand {
    type Error = serde_json::Error;

    fn try_from(mut envelope: CommandEnvelope) -> serde_json::Result<Self> {
        let context = std::mem::take(&mut envelope.context);
        Ok(Self {
            content: Content::One(envelope.try_into()?),
            context,
        })
    }
}
