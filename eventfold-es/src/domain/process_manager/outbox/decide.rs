//! The commands of an outbox for decisions.

use serde::{Serialize, de::DeserializeOwned};

use super::{OrSend, Outbox, Unwritable};
use crate::domain::command::{CommandContext, Content, ForDecision, StoredCommand};
use crate::domain::decider::Decider;
use crate::event::InvalidTag;

impl<'a> Outbox<'a> {
    /// Sends a command to the [decision](Decider) `D`. What is returned says what to send
    /// [if it fails](OrSend::or_send).
    ///
    /// The store must know the decision: list it in `#[process_manager(decides(...))]`, or register it
    /// by [`AggregateStoreBuilder::decision`](crate::store::AggregateStoreBuilder::decision). Its
    /// [`NAME`](Decider::NAME) is saved with the command. Commands whose decisions have a tag of their
    /// boundaries in common are sent one after the other, in order.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::Outbox;
    /// # fn react(out: &mut Outbox<'_>) {
    /// out.decide::<Subscribing>(Subscribe { course: "c-1".into(), student: "s-7".into() });
    /// # }
    /// ```
    #[doc(alias("dcb"))]
    pub fn decide<D>(&mut self, command: impl Into<D::Command>) -> OrSend<'_, 'a>
    where
        D: Decider,
        D::Command: Serialize + DeserializeOwned,
    {
        self.decide_with::<D>(command, CommandContext::default())
    }

    /// As [`decide`](Self::decide), with a context. Fields that the context sets are kept; the others
    /// are filled in. It must expect no version.
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::{CommandContext, Outbox};
    /// # fn react(out: &mut Outbox<'_>) {
    /// let context = CommandContext::default().with_actor("enrolment");
    /// let subscribe = Subscribe { course: "c-1".into(), student: "s-7".into() };
    /// out.decide_with::<Subscribing>(subscribe, context);
    /// # }
    /// ```
    pub fn decide_with<D>(
        &mut self,
        command: impl Into<D::Command>,
        context: CommandContext,
    ) -> OrSend<'_, 'a>
    where
        D: Decider,
        D::Command: Serialize + DeserializeOwned,
    {
        let command = self.deciding::<D>(&command.into(), context);
        self.send_stored(command)
    }

    /// A command as it is saved, `None` if the decision could not read it.
    fn deciding<D>(
        &mut self,
        command: &D::Command,
        context: CommandContext,
    ) -> Option<StoredCommand>
    where
        D: Decider,
        D::Command: Serialize + DeserializeOwned,
    {
        let command = written::<D>(command);
        let command = command.map_err(|unwritable| self.failed.get_or_insert(unwritable));
        Some(StoredCommand {
            content: Content::Decision(command.ok()?),
            context,
        })
    }
}

#[expect(
    clippy::return_self_not_must_use,
    reason = "the last `or_send` of a command says everything"
)]
impl OrSend<'_, '_> {
    /// As [`or_send`](Self::or_send), with a command for a [decision](Outbox::decide).
    ///
    /// ```
    /// # eventfold_es::__courses!();
    /// # use eventfold_es::Outbox;
    /// # fn react(out: &mut Outbox<'_>) {
    /// let subscribe = |course: &str| Subscribe { course: course.into(), student: "s-7".into() };
    /// out.decide::<Subscribing>(subscribe("c-1")).or_decide::<Subscribing>(subscribe("c-2"));
    /// # }
    /// ```
    pub fn or_decide<D>(self, command: impl Into<D::Command>) -> Self
    where
        D: Decider,
        D::Command: Serialize + DeserializeOwned,
    {
        let context = CommandContext::default();
        let command = self.out.deciding::<D>(&command.into(), context);
        self.or_send_stored(command)
    }
}

/// A command as it is saved, if the decision can read it.
fn written<D>(command: &D::Command) -> Result<ForDecision, Unwritable>
where
    D: Decider,
    D::Command: Serialize + DeserializeOwned,
{
    let target = || format!("the decision `{}`", D::NAME);
    let tags = tags_of::<D>(command)
        .map_err(|error| Unwritable::of(target(), "has a value that is no tag", error))?;
    let written = ForDecision::new::<D>(command, tags)
        .map_err(|error| Unwritable::of(target(), "cannot be written as JSON", error))?;
    written
        .read::<D::Command>()
        .map_err(|error| Unwritable::of(target(), "could not be read again", error))?;
    Ok(written)
}

/// The tags of the decision's models for this command, each once.
fn tags_of<D: Decider>(command: &D::Command) -> Result<Vec<String>, InvalidTag> {
    let mut all = Vec::new();
    for model in D::__MODELS {
        let tags = model.tags(command)?;
        all.extend(tags.iter().map(|tag| tag.as_str().to_owned()));
    }
    all.sort_unstable();
    all.dedup();
    Ok(all)
}
