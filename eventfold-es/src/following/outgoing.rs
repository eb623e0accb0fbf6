//! The part of a checkpoint that a process manager has besides its state: [`Saved`], the commands
//! to send and the timers, which [`ToSave`] writes.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::domain::command::StoredCommand;
use crate::domain::process_manager::{FailureKind, Timer};
use crate::following::chain::Chain;

/// The newest form of the saved work. It is written only where it is needed, see [`Saved`].
const FORM: u32 = 3;

/// A command to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    /// Unique within the process manager, in the order in which commands are sent. A command that
    /// is sent because another one failed has the number of that one.
    pub(crate) number: u64,
    /// How often it was tried.
    #[serde(default)]
    pub(crate) attempts: u32,
    /// If it took effect, its events are after this position.
    pub(crate) since: u64,
    /// The timer that it comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) timer: Option<String>,
    /// The dead letter that it comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) letter: Option<String>,
    pub(crate) envelope: StoredCommand,
    /// The commands to send if it fails: the first of them, and if that fails too, the next.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub(crate) or_send: Vec<StoredCommand>,
    /// Whether it answers the failure of another command.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub(crate) answers_failure: bool,
    /// It is not sent any more, and becomes a dead letter with this error.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) given_up: Option<GivenUp>,
}

/// Why a command was given up.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct GivenUp {
    pub(crate) error: String,
    pub(crate) kind: FailureKind,
}

impl Outgoing {
    /// The command `number`, which was not tried yet.
    pub(crate) fn new(number: u64, envelope: StoredCommand) -> Self {
        Self {
            number,
            attempts: 0,
            since: 0,
            timer: None,
            letter: None,
            envelope,
            or_send: Vec::new(),
            answers_failure: false,
            given_up: None,
        }
    }

    /// The id of the dead letter that it would become.
    pub(crate) fn letter_id(&self) -> String {
        let letter = self.letter.clone();
        letter.unwrap_or_else(|| self.number.to_string())
    }

    fn form(&self) -> Option<u32> {
        let is_new = !self.or_send.is_empty() || self.answers_failure || self.given_up.is_some();
        form_of([&self.envelope].into_iter().chain(&self.or_send), is_new)
    }
}

/// The form that a command or a timer with these commands needs, `None` for the first one. `is_new`
/// says whether it has something else that a reader of that form would drop.
fn form_of<'a>(mut commands: impl Iterator<Item = &'a StoredCommand>, is_new: bool) -> Option<u32> {
    if commands.all(StoredCommand::is_single) {
        is_new.then_some(2)
    } else {
        Some(FORM)
    }
}

/// The unfinished work of a process manager, as it is saved.
///
/// Form 1 has the commands as `outgoing`, and no number. Form 2 has them as `commands` and is
/// written if a command or a timer has something that a reader of form 1 would drop. Such a reader
/// misses `outgoing` and refuses the checkpoint. Form 3 is the same, and is written if there are
/// commands that take effect together, or for a decision.
#[derive(Debug, Default)]
pub(crate) struct Saved {
    /// The number of the next command.
    pub(crate) next: u64,
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) timers: BTreeMap<String, Timer>,
    /// The length of the file of dead letters. Later letters belong to commands in here.
    pub(crate) letters: Option<u64>,
    /// The checksum of that file. An earlier form lacks it.
    pub(crate) letters_sum: Option<Chain>,
}

/// The same, to be written. It owns nothing: a save copies no command.
#[derive(Debug)]
pub(crate) struct ToSave<'a> {
    pub(crate) next: u64,
    pub(crate) outgoing: Vec<&'a Outgoing>,
    pub(crate) timers: &'a BTreeMap<String, Timer>,
    pub(crate) letters: Option<u64>,
    pub(crate) letters_sum: Option<Chain>,
    /// Each command was read back by itself: see [`read_back`](crate::following::pending::read_back).
    pub(crate) is_read_back: bool,
}

/// The form in a file, of `C`, the commands, and `T`, the timers.
#[derive(Serialize, Deserialize)]
struct Form<C, T> {
    #[serde(rename = "form", skip_serializing_if = "Option::is_none", default)]
    number: Option<u32>,
    next: u64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    outgoing: Option<C>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    commands: Option<C>,
    timers: T,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    letters: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    letters_sum: Option<Chain>,
}

impl Serialize for ToSave<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let of_timer = |timer: &Timer| {
            let is_new = !timer.or_send.is_empty() || timer.answers_failure;
            let commands = [&timer.envelope].into_iter().chain(&timer.or_send);
            form_of(commands, is_new)
        };
        let of_commands = self.outgoing.iter().filter_map(|outgoing| outgoing.form());
        let number = of_commands
            .chain(self.timers.values().filter_map(of_timer))
            .max();
        let commands = self.outgoing.as_slice();
        let (outgoing, commands) = if number.is_some() {
            (None, Some(commands))
        } else {
            (Some(commands), None)
        };
        Form {
            number,
            next: self.next,
            outgoing,
            commands,
            timers: self.timers,
            letters: self.letters,
            letters_sum: self.letters_sum,
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Saved {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;

        let form: Form<Vec<Outgoing>, BTreeMap<String, Timer>> = Form::deserialize(deserializer)?;
        let outgoing = match form.number {
            None => form
                .outgoing
                .ok_or_else(|| D::Error::missing_field("outgoing")),
            Some(2..=FORM) => form
                .commands
                .ok_or_else(|| D::Error::missing_field("commands")),
            Some(other) => Err(D::Error::custom(format_args!(
                "its unfinished work has form {other}, which a newer version of eventfold-es wrote; \
                 this one reads up to form {FORM}"
            ))),
        }?;
        Ok(Self {
            next: form.next,
            outgoing,
            timers: form.timers,
            letters: form.letters,
            letters_sum: form.letters_sum,
        })
    }
}

impl Saved {
    /// The same, to be written. It is read back then.
    pub(crate) fn to_save(&self) -> ToSave<'_> {
        ToSave {
            next: self.next,
            outgoing: self.outgoing.iter().collect(),
            timers: &self.timers,
            letters: self.letters,
            letters_sum: self.letters_sum,
            is_read_back: false,
        }
    }

    /// Up to this offset, no line of the file of dead letters can be unfinished: later lines belong
    /// to commands in here. `None` if there are no such commands, so that all lines are finished.
    pub(crate) fn settled_letters(&self) -> Option<u64> {
        self.letters.filter(|_| !self.outgoing.is_empty())
    }

    /// The ids of the dead letters that the commands may become.
    pub(crate) fn letter_ids(&self) -> HashSet<String> {
        self.outgoing.iter().map(Outgoing::letter_id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::command::CommandContext;

    /// What a reader of form 1 requires.
    #[derive(Debug, Deserialize)]
    struct FormOne {
        #[expect(dead_code, reason = "only read")]
        next: u64,
        #[expect(dead_code, reason = "only read")]
        outgoing: Vec<serde::de::IgnoredAny>,
        #[expect(dead_code, reason = "only read")]
        timers: serde::de::IgnoredAny,
    }

    fn command() -> StoredCommand {
        let context = CommandContext::default();
        StoredCommand::new("a", "b".to_owned(), &(), context).unwrap()
    }

    fn saved(outgoing: Outgoing) -> Saved {
        Saved {
            next: 1,
            outgoing: vec![outgoing],
            ..Saved::default()
        }
    }

    fn written(saved: &Saved) -> String {
        let text = serde_json::to_string(&saved.to_save()).unwrap();
        let read: Saved = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&read.to_save()).unwrap(), text);
        text
    }

    #[test]
    fn work_without_answers_to_failures_has_the_form_that_every_0_3_0_reads() {
        let text = written(&saved(Outgoing::new(0, command())));
        assert_eq!(
            text,
            r#"{"next":1,"outgoing":[{"number":0,"attempts":0,"since":0,"envelope":{"aggregate_type":"a","instance_id":"b","command":null,"context":{"actor":null,"correlation_id":null,"metadata":null}}}],"timers":{}}"#
        );
        serde_json::from_str::<FormOne>(&text).unwrap();
    }

    #[test]
    fn an_answer_to_a_failure_is_refused_by_a_reader_that_would_drop_it() {
        let mut all = Vec::new();
        let mut outgoing = Outgoing::new(0, command());
        outgoing.or_send.push(command());
        all.push(saved(outgoing));
        let mut outgoing = Outgoing::new(0, command());
        outgoing.answers_failure = true;
        all.push(saved(outgoing));
        let mut outgoing = Outgoing::new(0, command());
        outgoing.given_up = Some(GivenUp {
            error: "no".to_owned(),
            kind: FailureKind::Refusal,
        });
        all.push(saved(outgoing));
        for (or_send, answers_failure) in [(vec![command()], false), (Vec::new(), true)] {
            let mut saved = Saved::default();
            let timer = Timer {
                due: 1,
                envelope: command(),
                or_send,
                answers_failure,
            };
            saved.timers.insert("=t".to_owned(), timer);
            all.push(saved);
        }
        for saved in all {
            let refused = serde_json::from_str::<FormOne>(&written(&saved)).unwrap_err();
            assert!(refused.to_string().contains("missing field `outgoing`"));
        }
    }

    /// Commands that take effect together, and one for a decision.
    fn not_single() -> [StoredCommand; 2] {
        let context = r#""context":{"actor":null,"correlation_id":null,"metadata":null}"#;
        [
            format!(
                r#"{{"together":[{{"aggregate_type":"a","instance_id":"b","command":1}},{{"aggregate_type":"a","instance_id":"c","command":null}}],{context}}}"#
            ),
            format!(r#"{{"decision":"d","tags":["t:1"],"command":null,{context}}}"#),
        ]
        .map(|text| {
            let command: StoredCommand = serde_json::from_str(&text).unwrap();
            assert_eq!(serde_json::to_string(&command).unwrap(), text);
            command
        })
    }

    #[test]
    fn commands_that_take_effect_together_or_for_a_decision_are_refused_by_older_readers() {
        /// What a reader of forms 1 and 2 requires of a command.
        #[derive(Debug, Deserialize)]
        struct Older {
            #[expect(dead_code, reason = "only read")]
            aggregate_type: String,
        }

        for command in not_single() {
            let text = serde_json::to_string(&command).unwrap();
            let refused = serde_json::from_str::<Older>(&text).unwrap_err();
            assert!(
                refused
                    .to_string()
                    .contains("missing field `aggregate_type`")
            );

            let mut all = vec![saved(Outgoing::new(0, command.clone()))];
            let mut outgoing = Outgoing::new(0, self::command());
            outgoing.or_send.push(command.clone());
            all.push(saved(outgoing));
            let mut with_timer = Saved::default();
            let timer = Timer {
                due: 1,
                envelope: self::command(),
                or_send: vec![command],
                answers_failure: false,
            };
            with_timer.timers.insert("=t".to_owned(), timer);
            all.push(with_timer);
            for saved in all {
                let text = written(&saved);
                assert!(text.starts_with(r#"{"form":3,"#), "{text}");
                let refused = serde_json::from_str::<FormOne>(&text).unwrap_err();
                assert!(refused.to_string().contains("missing field `outgoing`"));
            }
        }
    }

    #[test]
    fn a_command_that_is_two_things_at_once_is_refused() {
        let context = r#""context":{"actor":null,"correlation_id":null,"metadata":null}"#;
        for content in [
            r#""together":[]"#,
            r#""together":[{"aggregate_type":"a","instance_id":"b","command":1}],"decision":"d""#,
            r#""aggregate_type":"a","instance_id":"b","decision":"d","tags":[],"command":1"#,
            r#""aggregate_type":"a","instance_id":"b""#,
            r#""decision":"d","command":1"#,
        ] {
            let text = format!("{{{content},{context}}}");
            assert!(
                serde_json::from_str::<StoredCommand>(&text).is_err(),
                "{text}"
            );
        }
    }

    #[test]
    fn work_in_a_newer_form_is_refused() {
        let newer = r#"{"form":4,"next":1,"commands":[],"timers":{}}"#;
        let refused = serde_json::from_str::<Saved>(newer)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("form 4, which a newer version"),
            "{refused}"
        );
    }
}
