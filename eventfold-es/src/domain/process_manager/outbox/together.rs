//! Commands of an outbox that take effect together: [`SendTogether`].

use serde::{Serialize, de::DeserializeOwned};

use super::{OrSend, Outbox, Unwritable};
use crate::domain::aggregate::Aggregate;
use crate::domain::command::{CommandContext, Content, Part, StoredCommand};

/// Commands that a process manager sends together, see [`Outbox::together`].
#[derive(Debug)]
#[must_use = "the commands are sent only if the closure returns them"]
pub struct SendTogether {
    parts: Vec<Part>,
    failed: Option<Unwritable>,
}

impl SendTogether {
    /// Adds a command for the aggregate `id`.
    ///
    /// See the example of [`Outbox::together`].
    pub fn send<A>(mut self, id: impl Into<String>, command: impl Into<A::Command>) -> Self
    where
        A: Aggregate,
        A::Command: Serialize + DeserializeOwned,
    {
        match Part::typed::<A>(id.into(), &command.into()) {
            Ok(part) => self.parts.push(part),
            Err(unwritable) => {
                self.failed.get_or_insert(unwritable);
            }
        }
        self
    }
}

impl<'a> Outbox<'a> {
    /// Sends commands to several aggregates, which take effect together, in one commit, or not at all.
    /// What is returned says what to send [if they fail](OrSend::or_send).
    ///
    /// They are one command in all else: they have one context and one idempotency key, so they take
    /// effect once; if one of them fails all are tried again together, and become one
    /// [dead letter](crate::DeadLetter), which is replayed as a whole.
    /// [`Together`](crate::Together) has what applies to such commands, and their limits. They wait for
    /// the commands that were sent before to one of their aggregates. If the closure adds no command,
    /// nothing is sent.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// out.together(|t| t.send::<Counter>("a", Add(5)).send::<Counter>("b", Add(7)))
    ///     .or_send::<Counter>("refused", Add(1));
    /// # }
    /// ```
    #[doc(alias("transaction", "atomic", "transfer"))]
    pub fn together(
        &mut self,
        commands: impl FnOnce(SendTogether) -> SendTogether,
    ) -> OrSend<'_, 'a> {
        self.together_with(CommandContext::default(), commands)
    }

    /// As [`together`](Self::together), with a context. Fields that the context sets are kept; the
    /// others are filled in. It must expect no version.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// let context = CommandContext::default().with_actor("transfers");
    /// out.together_with(context, |t| t.send::<Counter>("a", Add(5)).send::<Counter>("b", Add(7)));
    /// # }
    /// ```
    pub fn together_with(
        &mut self,
        context: CommandContext,
        commands: impl FnOnce(SendTogether) -> SendTogether,
    ) -> OrSend<'_, 'a> {
        let command = self.grouped(context, commands);
        self.send_stored(command)
    }

    /// Commands as they are saved, `None` if there are none or a target could not read one.
    fn grouped(
        &mut self,
        context: CommandContext,
        commands: impl FnOnce(SendTogether) -> SendTogether,
    ) -> Option<StoredCommand> {
        let SendTogether { parts, failed } = commands(SendTogether {
            parts: Vec::new(),
            failed: None,
        });
        if let Some(unwritable) = failed {
            self.failed.get_or_insert(unwritable);
            return None;
        }
        (!parts.is_empty()).then_some(StoredCommand {
            content: Content::Together(parts),
            context,
        })
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the last `or_send` of a command says everything"
)]
impl OrSend<'_, '_> {
    /// As [`or_send`](Self::or_send), with several commands that take effect
    /// [together](Outbox::together).
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # fn react(out: &mut Outbox<'_>) {
    /// out.send::<Counter>("all", Add(5))
    ///     .or_together(|t| t.send::<Counter>("refused", Add(1)).send::<Counter>("left", Add(5)));
    /// # }
    /// ```
    pub fn or_together(self, commands: impl FnOnce(SendTogether) -> SendTogether) -> Self {
        let command = self.out.grouped(CommandContext::default(), commands);
        self.or_send_stored(command)
    }
}
