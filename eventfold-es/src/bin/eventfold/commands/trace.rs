//! `trace`.

use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::SystemTime;

use eventfold_es::Position;
use eventfold_es::inspect::{Entry, StoreReader, visible};
use serde::Serialize;

use crate::args::Trace;
use crate::commands::followers::{Content, ContentJson};
use crate::event::{self, DIM, NAME};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::progress::Progress;
use crate::time;

/// An event of the trace.
#[derive(Serialize)]
struct Node {
    position: Position,
    stream: String,
    event: String,
    #[serde(serialize_with = "time::serialize")]
    time: SystemTime,
    event_id: Option<String>,
    cause: Option<String>,
    correlation: Option<String>,
    /// The idempotency key, which names the process manager of a reaction.
    key: Option<String>,
}

/// A command of a process manager that had no effect yet.
#[derive(Serialize)]
struct Left<'a> {
    process_manager: &'a str,
    /// `outbox`, `timer` or `dead letter`.
    what: &'static str,
    cause: Option<&'a str>,
    error: Option<&'a str>,
    #[serde(flatten)]
    content: ContentJson<'a>,
}

impl Node {
    fn new(entry: &Entry<'_>) -> Self {
        let event = entry.event();
        let record = event.record();
        Self {
            position: record.position(),
            stream: event::stream(entry),
            event: event.name().to_owned(),
            time: record.time(),
            event_id: record.event_id().map(str::to_owned),
            cause: record.causation_id().map(Into::into),
            correlation: record.correlation_id().map(Into::into),
            key: entry.idempotency_key().map(str::to_owned),
        }
    }
}

/// What belongs to the trace.
#[derive(Default)]
struct Belongs {
    causes: HashSet<String>,
    correlation: Option<String>,
}

impl Belongs {
    fn has(&self, cause: Option<&str>, correlation: Option<&str>) -> bool {
        let is_caused = cause.is_some_and(|cause| self.causes.contains(cause));
        is_caused || (self.correlation.is_some() && self.correlation.as_deref() == correlation)
    }
}

pub(crate) fn run(reader: &StoreReader, trace: &Trace, out: &mut Output) -> Result<()> {
    let progress = Progress::events(reader.head());
    let mut belongs = Belongs::default();
    let mut after = Position::default();
    let first = first_cause(reader, &trace.id)?;
    match &first {
        Some(first) => {
            belongs.causes.extend(first.event_id.clone());
            belongs.correlation.clone_from(&first.correlation);
            // Without a correlation, all that followed is behind it.
            if first.correlation.is_none() {
                after = before(first.position);
            }
        }
        None => belongs.correlation = Some(trace.id.clone()),
    }
    let mut nodes: Vec<Node> = Vec::new();
    let mut is_cut = false;
    reader.read(after, |entry| {
        let event = entry.event();
        let record = event.record();
        progress.at(record.position());
        let is_first = first
            .as_ref()
            .is_some_and(|first| first.position == record.position());
        if is_first
            || belongs.has(
                record.causation_id().as_deref(),
                record.correlation_id().as_deref(),
            )
        {
            if nodes.len() == trace.limit {
                is_cut = true;
                return ControlFlow::Break(());
            }
            belongs.causes.extend(record.event_id().map(str::to_owned));
            nodes.push(Node::new(&entry));
        }
        ControlFlow::Continue(())
    })?;
    drop(progress);
    if nodes.is_empty() {
        let id = visible(&trace.id);
        let head = reader.head();
        return Err(Failure::NotThere(format!(
            "no event up to position {head} has the id or the correlation id `{id}`"
        )));
    }
    let managers = reader.process_managers()?;
    let mut left = Vec::new();
    for manager in &managers {
        let name = manager.follower.name.as_str();
        let add = |what, content: Content<'_>| {
            let context = &content.envelope.context;
            belongs
                .has(
                    context.causation_id.as_deref(),
                    context.correlation_id.as_deref(),
                )
                .then_some(what)
        };
        for waiting in &manager.outbox {
            let content = Content::from(&waiting.content);
            left.extend(add("outbox", content).map(|what| left_of(name, what, content, None)));
        }
        for timer in &manager.timers {
            let content = Content::from(&timer.content);
            left.extend(add("timer", content).map(|what| left_of(name, what, content, None)));
        }
        for letter in &manager.dead_letters {
            let content = Content::from(letter);
            let error = Some(letter.error.as_str());
            left.extend(
                add("dead letter", content).map(|what| left_of(name, what, content, error)),
            );
        }
    }
    if out.is_json() {
        return out.json(&serde_json::json!({ "events": nodes, "waiting": left, "cut": is_cut }));
    }
    print_tree(&nodes, &left, out)?;
    if is_cut {
        let limit = trace.limit;
        out.line(format_args!("and more: `--limit` is {limit}"))?;
    }
    Ok(())
}

fn left_of<'a>(
    process_manager: &'a str,
    what: &'static str,
    content: Content<'a>,
    error: Option<&'a str>,
) -> Left<'a> {
    Left {
        process_manager,
        what,
        cause: content.envelope.context.causation_id.as_deref(),
        error,
        content: content.json(),
    }
}

/// The event with this id, or the one that led to it, from cause to cause. `None` if no event has it.
fn first_cause(reader: &StoreReader, id: &str) -> Result<Option<Node>> {
    let mut wanted = id.to_owned();
    let mut first: Option<Node> = None;
    reader.read_backwards(None, |entry| {
        let event = entry.event();
        if event.record().event_id() != Some(&wanted) {
            return ControlFlow::Continue(());
        }
        let node = Node::new(&entry);
        let cause = node.cause.clone();
        first = Some(node);
        match cause {
            Some(cause) => {
                wanted = cause;
                ControlFlow::Continue(())
            }
            None => ControlFlow::Break(()),
        }
    })?;
    Ok(first)
}

/// The position before `position`.
fn before(position: Position) -> Position {
    let number = crate::progress::number(position).saturating_sub(1);
    number.to_string().parse().unwrap_or_default()
}

/// Prints each event under the one that led to it.
fn print_tree(nodes: &[Node], left: &[Left<'_>], out: &mut Output) -> Result<()> {
    let places = nodes.iter().enumerate();
    let places = places.filter_map(|(i, node)| Some((node.event_id.as_deref()?, i)));
    let places: HashMap<&str, usize> = places.collect();
    let place = |cause: Option<&str>| cause.and_then(|cause| places.get(cause).copied());
    let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
    for (i, node) in nodes.iter().enumerate() {
        // A cause is before its effect. Whatever else the metadata says makes no tree.
        let parent = place(node.cause.as_deref()).filter(|parent| *parent < i);
        children.entry(parent).or_default().push(i);
    }
    let mut rest: Vec<(usize, usize)> = Vec::new();
    let push = |rest: &mut Vec<(usize, usize)>, of: Option<usize>, depth: usize| {
        let below = children.get(&of).into_iter().flatten().rev();
        rest.extend(below.map(|child| (*child, depth)));
    };
    push(&mut rest, None, 0);
    while let Some((i, depth)) = rest.pop() {
        let node = &nodes[i];
        let indent = "  ".repeat(depth);
        let name = out.styled(NAME, visible(&node.event));
        let by = node.key.as_deref().filter(|_| node.cause.is_some());
        let by = by
            .map(|key| format!("  by {}", visible(key)))
            .unwrap_or_default();
        let details = format!("position {}  {}{by}", node.position, time::shown(node.time));
        let details = out.styled(DIM, details);
        out.line(format_args!("{indent}{} {name}  {details}", node.stream))?;
        for waiting in left.iter().filter(|left| place(left.cause) == Some(i)) {
            print_left(waiting, depth + 1, out)?;
        }
        push(&mut rest, Some(i), depth + 1);
    }
    for waiting in left.iter().filter(|left| place(left.cause).is_none()) {
        print_left(waiting, 0, out)?;
    }
    Ok(())
}

fn print_left(left: &Left<'_>, depth: usize, out: &mut Output) -> Result<()> {
    let indent = "  ".repeat(depth);
    let target = left.content.target();
    let name = visible(left.process_manager);
    let error = left
        .error
        .map(|error| format!(": {}", visible(error)))
        .unwrap_or_default();
    out.line(format_args!(
        "{indent}[{} of {name} for {target}{error}]",
        left.what
    ))
}
