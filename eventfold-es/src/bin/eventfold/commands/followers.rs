//! `projections`, `process-managers`, `outbox` and `timers`.

use std::path::Path;
use std::time::SystemTime;

use eventfold_es::inspect::{
    SavedContent, SavedFollower, SavedProcessManager, StoreReader, visible,
};
use eventfold_es::{CommandEnvelope, DeadLetter, Position};
use serde::Serialize;

use crate::args::OfManager;
use crate::commands::reading::print_head;
use crate::failure::{Failure, Result};
use crate::names::Names;
use crate::output::Output;
use crate::table::{self, Number, Text};
use crate::time;

#[derive(Serialize)]
struct FollowerJson<'a> {
    name: &'a str,
    version: u32,
    position: Position,
    lag: u64,
    bytes: u64,
    unknown: Vec<UnknownJson<'a>>,
    skipped: Vec<SkippedJson<'a>>,
    problem: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    read_model: Option<&'a Path>,
}

#[derive(Serialize)]
struct UnknownJson<'a> {
    #[serde(rename = "type")]
    aggregate_type: &'a str,
    event: &'a str,
}

#[derive(Serialize)]
struct SkippedJson<'a> {
    position: Position,
    #[serde(rename = "type")]
    aggregate_type: &'a str,
    id: &'a str,
    event: &'a str,
    error: &'a str,
    #[serde(serialize_with = "time::serialize")]
    time: SystemTime,
}

#[derive(Serialize)]
struct ManagerJson<'a> {
    #[serde(flatten)]
    follower: FollowerJson<'a>,
    outbox: usize,
    timers: usize,
    dead_letters: usize,
    unreadable_dead_letters: usize,
}

/// What a command is for, as JSON has it.
#[derive(Serialize)]
pub(crate) struct ContentJson<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    decision: Option<&'a str>,
    /// One for each aggregate, or the one of a decision.
    commands: Vec<&'a CommandEnvelope>,
}

/// The parts of a command of a process manager, wherever it waits.
#[derive(Clone, Copy)]
pub(crate) struct Content<'a> {
    pub(crate) envelope: &'a CommandEnvelope,
    pub(crate) together: &'a [CommandEnvelope],
    pub(crate) decision: Option<&'a str>,
}

impl<'a> From<&'a SavedContent> for Content<'a> {
    fn from(content: &'a SavedContent) -> Self {
        Self {
            envelope: &content.envelope,
            together: &content.together,
            decision: content.decision.as_deref(),
        }
    }
}

impl<'a> From<&'a DeadLetter> for Content<'a> {
    fn from(letter: &'a DeadLetter) -> Self {
        Self {
            envelope: &letter.envelope,
            together: &letter.together,
            decision: letter.decision.as_deref(),
        }
    }
}

impl<'a> Content<'a> {
    pub(crate) fn commands(self) -> impl Iterator<Item = &'a CommandEnvelope> {
        std::iter::once(self.envelope).chain(self.together)
    }

    pub(crate) fn json(self) -> ContentJson<'a> {
        ContentJson {
            decision: self.decision,
            commands: self.commands().collect(),
        }
    }

    /// What the command is for.
    pub(crate) fn target(self) -> String {
        if let Some(decision) = self.decision {
            return format!("decision {}", visible(decision));
        }
        let targets = self.commands().map(|command| {
            let CommandEnvelope {
                aggregate_type,
                instance_id,
                ..
            } = command;
            format!("{}/{}", visible(aggregate_type), visible(instance_id))
        });
        targets.collect::<Vec<_>>().join(", ")
    }

    /// The commands in one line.
    pub(crate) fn command(self) -> String {
        let commands = self.commands().map(|command| command.command.to_string());
        visible(&commands.collect::<Vec<_>>().join(", ")).to_string()
    }
}

impl ContentJson<'_> {
    /// As [`Content::target`].
    pub(crate) fn target(&self) -> String {
        match self.commands.split_first() {
            None => String::new(),
            Some((first, rest)) => {
                let together: Vec<CommandEnvelope> = rest.iter().map(|of| (*of).clone()).collect();
                Content {
                    envelope: first,
                    together: &together,
                    decision: self.decision,
                }
                .target()
            }
        }
    }
}

impl<'a> FollowerJson<'a> {
    fn new(follower: &'a SavedFollower) -> Self {
        let unknown = follower
            .unknown
            .iter()
            .map(|(aggregate_type, event)| UnknownJson {
                aggregate_type,
                event,
            });
        let skipped = follower.skipped.iter().map(|skipped| SkippedJson {
            position: skipped.position,
            aggregate_type: &skipped.aggregate_type,
            id: &skipped.id,
            event: &skipped.event,
            error: &skipped.error,
            time: skipped.time,
        });
        Self {
            name: &follower.name,
            version: follower.version,
            position: follower.position,
            lag: follower.lag,
            bytes: follower.bytes,
            unknown: unknown.collect(),
            skipped: skipped.collect(),
            problem: follower.problem.as_deref(),
            read_model: follower.read_model.as_deref(),
        }
    }
}

pub(crate) fn projections(reader: &StoreReader, out: &mut Output) -> Result<()> {
    let projections = reader.projections()?;
    if out.is_json() {
        return projections
            .iter()
            .try_for_each(|of| out.json(&FollowerJson::new(of)));
    }
    let rows = projections.iter().map(|of| {
        vec![
            visible(&of.name).to_string(),
            of.version.to_string(),
            of.position.to_string(),
            table::count(of.lag),
            table::bytes(of.bytes),
            of.skipped.len().to_string(),
        ]
    });
    let columns = [
        Text("PROJECTION"),
        Number("VERSION"),
        Number("POSITION"),
        Number("LAG"),
        Number("STATE"),
        Number("SKIPPED"),
    ];
    table::print(out, &columns, rows.collect())?;
    print_problems(projections.iter(), out)?;
    print_head(reader, out)
}

/// Prints what is wrong with each, and the events that it left out.
fn print_problems<'a>(
    followers: impl Iterator<Item = &'a SavedFollower>,
    out: &mut Output,
) -> Result<()> {
    for follower in followers {
        let name = visible(&follower.name).to_string();
        if let Some(problem) = &follower.problem {
            out.line(format_args!("{name}: {}", visible(problem)))?;
        }
        for (aggregate_type, event) in &follower.unknown {
            let (aggregate_type, event) = (visible(aggregate_type), visible(event));
            out.line(format_args!(
                "{name} does not know the event {event} of {aggregate_type}"
            ))?;
        }
        for skipped in &follower.skipped {
            let (event, error) = (visible(&skipped.event), visible(&skipped.error));
            let position = skipped.position;
            out.line(format_args!(
                "{name} skipped {event} at position {position}: {error}"
            ))?;
        }
    }
    Ok(())
}

pub(crate) fn process_managers(reader: &StoreReader, out: &mut Output) -> Result<()> {
    let managers = reader.process_managers()?;
    if out.is_json() {
        return managers.iter().try_for_each(|of| {
            out.json(&ManagerJson {
                follower: FollowerJson::new(&of.follower),
                outbox: of.outbox.len(),
                timers: of.timers.len(),
                dead_letters: of.dead_letters.len(),
                unreadable_dead_letters: of.unreadable.len(),
            })
        });
    }
    let rows = managers.iter().map(|of| {
        vec![
            visible(&of.follower.name).to_string(),
            of.follower.position.to_string(),
            table::count(of.follower.lag),
            table::bytes(of.follower.bytes),
            of.outbox.len().to_string(),
            of.timers.len().to_string(),
            of.dead_letters.len().to_string(),
            of.follower.skipped.len().to_string(),
        ]
    });
    let columns = [
        Text("PROCESS MANAGER"),
        Number("POSITION"),
        Number("LAG"),
        Number("STATE"),
        Number("OUTBOX"),
        Number("TIMERS"),
        Number("DEAD"),
        Number("SKIPPED"),
    ];
    table::print(out, &columns, rows.collect())?;
    print_problems(managers.iter().map(|of| &of.follower), out)?;
    print_head(reader, out)
}

/// The process managers, or the one with this name.
pub(crate) fn managers(
    reader: &StoreReader,
    name: Option<&str>,
) -> Result<Vec<SavedProcessManager>> {
    let mut managers = reader.process_managers()?;
    if let Some(name) = name {
        let names: Names = managers
            .iter()
            .map(|of| of.follower.name.as_str())
            .collect();
        if !names.contains(name) {
            return Err(Failure::NotThere(names.lack("process manager", name)));
        }
        managers.retain(|of| of.follower.name == name);
    }
    Ok(managers)
}

#[derive(Serialize)]
struct WaitingJson<'a> {
    process_manager: &'a str,
    number: u64,
    attempts: u32,
    given_up: Option<&'a str>,
    #[serde(flatten)]
    content: ContentJson<'a>,
}

pub(crate) fn outbox(reader: &StoreReader, of: &OfManager, out: &mut Output) -> Result<()> {
    let mut rows = Vec::new();
    for manager in &managers(reader, of.process_manager.as_deref())? {
        let name = &manager.follower.name;
        for waiting in &manager.outbox {
            let content = Content::from(&waiting.content);
            if out.is_json() {
                out.json(&WaitingJson {
                    process_manager: name,
                    number: waiting.number,
                    attempts: waiting.attempts,
                    given_up: waiting.given_up.as_deref(),
                    content: content.json(),
                })?;
                continue;
            }
            rows.push(vec![
                visible(name).to_string(),
                waiting.number.to_string(),
                waiting.attempts.to_string(),
                content.target(),
                content.command(),
            ]);
        }
    }
    if out.is_json() {
        return Ok(());
    }
    let columns = [
        Text("PROCESS MANAGER"),
        Number("NUMBER"),
        Number("ATTEMPTS"),
        Text("TARGET"),
        Text("COMMAND"),
    ];
    table::print(out, &columns, rows)?;
    print_head(reader, out)
}

#[derive(Serialize)]
struct TimerJson<'a> {
    process_manager: &'a str,
    key: &'a str,
    #[serde(serialize_with = "time::serialize")]
    due: SystemTime,
    #[serde(flatten)]
    content: ContentJson<'a>,
}

pub(crate) fn timers(reader: &StoreReader, of: &OfManager, out: &mut Output) -> Result<()> {
    let managers = managers(reader, of.process_manager.as_deref())?;
    let mut timers: Vec<_> = managers
        .iter()
        .flat_map(|of| {
            of.timers
                .iter()
                .map(|timer| (of.follower.name.as_str(), timer))
        })
        .collect();
    timers.sort_by_key(|(_, timer)| timer.due);
    if out.is_json() {
        return timers.into_iter().try_for_each(|(name, timer)| {
            out.json(&TimerJson {
                process_manager: name,
                key: &timer.key,
                due: timer.due,
                content: Content::from(&timer.content).json(),
            })
        });
    }
    let rows = timers.into_iter().map(|(name, timer)| {
        let content = Content::from(&timer.content);
        vec![
            time::shown(timer.due),
            visible(name).to_string(),
            visible(&timer.key).to_string(),
            content.target(),
            content.command(),
        ]
    });
    let columns = [
        Text("DUE"),
        Text("PROCESS MANAGER"),
        Text("KEY"),
        Text("TARGET"),
        Text("COMMAND"),
    ];
    table::print(out, &columns, rows.collect())?;
    print_head(reader, out)
}
