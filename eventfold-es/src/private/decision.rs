//! What the derives of decisions and of their models check, and call.

use super::names::{Message, str_eq};
use crate::domain::aggregate::{Decision, DecisionTypes};
use crate::domain::decide_with::DecideWith;
use crate::domain::decision_context::DecisionContext;
use crate::event::{EventName, InvalidTag, TagText, Tags};

/// A decision that decides its command.
///
/// [`DecideWith`] says what an aggregate lacks, this what a decision lacks.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not decide its command `{C}`",
    label = "no `impl Decide<{C}> for {Self}`",
    note = "write `impl Decide<{C}> for {Self}`, or `DecideWith<{C}>` if the decision depends on the time or on who sent the command"
)]
pub trait DecidesCommand<C>: DecisionTypes {
    fn decide_command(&self, command: C, context: &DecisionContext<'_>) -> Decision<Self>;
}

#[diagnostic::do_not_recommend]
impl<D: DecideWith<C>, C> DecidesCommand<C> for D {
    #[inline]
    fn decide_command(&self, command: C, context: &DecisionContext<'_>) -> Decision<Self> {
        self.decide_with(command, context)
    }
}

/// A value of a command by which a model is read.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be the value of a model's tag",
    label = "`{Self}` has no text: it does not implement `Display`",
    note = "implement `std::fmt::Display` for `{Self}`",
    note = "a model is read by one value of each tag, so an `Option` or a list cannot give it"
)]
pub trait ModelValue {
    /// Adds the tag with this value.
    fn add_to(&self, name: &'static str, tags: &mut Tags) -> Result<(), InvalidTag>;
}

#[diagnostic::do_not_recommend]
impl<T: TagText> ModelValue for T {
    fn add_to(&self, name: &'static str, tags: &mut Tags) -> Result<(), InvalidTag> {
        tags.add(name, self)
    }
}

/// Adds the tag `name` with the value of a command.
pub fn add_value<V: ModelValue>(
    name: &'static str,
    value: &V,
    tags: &mut Tags,
) -> Result<(), InvalidTag> {
    value.add_to(name, tags)
}

/// Fails to compile unless the event has each of the model's tags.
///
/// # Panics
///
/// If it lacks one, with a message for the user.
#[track_caller]
pub const fn assert_event_has_tags(model: &str, event: &str, names: &[EventName], tags: &[&str]) {
    let mut name = 0;
    while name < names.len() {
        // A retired event is not written any more.
        if names[name].version.is_some() {
            let mut tag = 0;
            while tag < tags.len() {
                if !contains(names[name].tags, tags[tag]) {
                    lacks_tag(model, event, &names[name], names.len() > 1, tags[tag]);
                }
                tag += 1;
            }
        }
        name += 1;
    }
}

#[track_caller]
const fn lacks_tag(model: &str, event: &str, lacking: &EventName, is_set: bool, tag: &str) -> ! {
    let message = Message::new()
        .with("`")
        .with(model)
        .with("` reads `")
        .with(event)
        .with("` by the tag `")
        .with(tag);
    let message = if is_set {
        message
            .with("`, which its event `")
            .with(lacking.name)
            .with("` does not have")
    } else {
        message
            .with("`, which `")
            .with(event)
            .with("` does not have")
    };
    let message = message
        .with("; mark the field with its value `#[tag]`, or `#[tag(\"")
        .with(tag)
        .with("\")]` if the field has another name, or remove `")
        .with(event)
        .with("` from the events of `")
        .with(model)
        .with("`");
    panic!("{}", message.as_str());
}

/// Fails to compile unless the event is one of the aggregate's, or is tagged by its type.
///
/// # Panics
///
/// If it is not, with a message for the user.
#[track_caller]
pub const fn assert_event_is_of(
    model: &str,
    event: &str,
    names: &[EventName],
    aggregate: (&str, &str, Option<&[EventName]>),
) {
    let (aggregate, aggregate_type, Some(known)) = aggregate else {
        // An aggregate written by hand does not say which events it has.
        return;
    };
    let mut name = 0;
    while name < names.len() {
        let EventName {
            name: text,
            version,
            tags,
            ..
        } = names[name];
        if version.is_some() && !is_known(known, text) && !contains(tags, aggregate_type) {
            let message = Message::new()
                .with("`")
                .with(model)
                .with("` reads `")
                .with(event)
                .with("` from the stream of `")
                .with(aggregate)
                .with("`, which has no event of the stored name `")
                .with(text)
                .with("`; remove `")
                .with(event)
                .with("` from the events of `")
                .with(model)
                .with("`, or tag it: `#[tag(\"")
                .with(aggregate_type)
                .with("\")]`");
            panic!("{}", message.as_str());
        }
        name += 1;
    }
}

/// Fails to compile unless the values called `given` are those of the model's tags.
///
/// # Panics
///
/// If they are others, with a message for the user.
#[track_caller]
pub const fn assert_values_are_given(
    model: &str,
    tags: &[&str],
    is_of_aggregate: bool,
    given: &[&str],
) {
    if is_of_aggregate && given.len() == 1 {
        return;
    }
    let mut tag = 0;
    while tag < tags.len() {
        if !contains(given, tags[tag]) {
            break;
        }
        tag += 1;
    }
    let missing = if tag < tags.len() {
        Some(tags[tag])
    } else {
        None
    };
    let mut value = 0;
    while value < given.len() {
        if !contains(tags, given[value]) {
            break;
        }
        value += 1;
    }
    let unknown = if value < given.len() {
        Some(given[value])
    } else {
        None
    };
    let message = Message::new().with("`").with(model);
    let message = match (unknown, missing) {
        (None, None) => return,
        (Some(unknown), Some(missing)) => message
            .with("` is read by the tag `")
            .with(missing)
            .with("`, not by `")
            .with(unknown)
            .with("`; if the command's field `")
            .with(unknown)
            .with("` has its value, write `#[model(")
            .with_tag(missing)
            .with(" = ")
            .with(unknown)
            .with(")]`"),
        (None, Some(missing)) if is_of_aggregate => message
            .with("` is read from the stream of one `")
            .with(missing)
            .with("`; write which field of the command has its id: `#[model(field)]`"),
        (None, Some(missing)) => {
            let message = message
                .with("` is read by the tag `")
                .with(missing)
                .with("`; write which field of the command has its value: `#[model(")
                .with_tag(missing)
                .with(" = field)]`");
            if is_identifier(missing) {
                message
                    .with(", or `#[model(")
                    .with(missing)
                    .with(")]` for a field of the same name")
            } else {
                message
            }
        }
        (Some(unknown), None) => message
            .with("` is not read by a tag `")
            .with(unknown)
            .with("`; remove it from `#[model(...)]`"),
    };
    panic!("{}", message.as_str());
}

impl Message {
    /// The message with a tag as it is written in `#[model(...)]`.
    const fn with_tag(self, tag: &str) -> Self {
        if is_identifier(tag) {
            self.with(tag)
        } else {
            self.with("\"").with(tag).with("\"")
        }
    }
}

const fn is_identifier(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        let is_digit = bytes[i].is_ascii_digit();
        if !(bytes[i].is_ascii_alphabetic() || bytes[i] == b'_' || (is_digit && i > 0)) {
            return false;
        }
        i += 1;
    }
    true
}

const fn contains(texts: &[&str], text: &str) -> bool {
    let mut i = 0;
    while i < texts.len() {
        if str_eq(texts[i], text) {
            return true;
        }
        i += 1;
    }
    false
}

const fn is_known(names: &[EventName], text: &str) -> bool {
    let mut i = 0;
    while i < names.len() {
        if str_eq(names[i].name, text) || contains(names[i].aliases, text) {
            return true;
        }
        i += 1;
    }
    false
}
