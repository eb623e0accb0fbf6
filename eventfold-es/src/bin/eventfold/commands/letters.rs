//! `dead-letters`.

use std::time::SystemTime;

use eventfold_es::inspect::{StoreReader, visible};
use eventfold_es::{AggregateStore, DeadLetter, FailureKind};
use serde::Serialize;

use crate::args::Letter;
use crate::commands::followers::{Content, ContentJson, managers};
use crate::commands::reading::{open, print_head, wait};
use crate::event::DIM;
use crate::failure::{Failure, Result};
use crate::json::pretty;
use crate::names::Names;
use crate::output::Output;
use crate::place::Place;
use crate::table::{self, Number, Text};
use crate::time;

#[derive(Serialize)]
struct LetterJson<'a> {
    process_manager: &'a str,
    id: &'a str,
    #[serde(serialize_with = "time::serialize")]
    time: SystemTime,
    attempts: u32,
    kind: Option<FailureKind>,
    error: &'a str,
    #[serde(flatten)]
    content: ContentJson<'a>,
}

impl<'a> LetterJson<'a> {
    fn new(process_manager: &'a str, letter: &'a DeadLetter) -> Self {
        Self {
            process_manager,
            id: &letter.id,
            time: letter.time,
            attempts: letter.attempts,
            kind: letter.kind,
            error: &letter.error,
            content: Content::from(letter).json(),
        }
    }
}

pub(crate) fn list(reader: &StoreReader, of: Option<&str>, out: &mut Output) -> Result<()> {
    let mut rows = Vec::new();
    let managers = managers(reader, of)?;
    for manager in &managers {
        let name = &manager.follower.name;
        for letter in &manager.dead_letters {
            if out.is_json() {
                out.json(&LetterJson::new(name, letter))?;
                continue;
            }
            rows.push(vec![
                visible(name).to_string(),
                visible(&letter.id).to_string(),
                time::shown(letter.time),
                letter.attempts.to_string(),
                Content::from(letter).target(),
                visible(&letter.error).to_string(),
            ]);
        }
    }
    if !out.is_json() {
        let columns = [
            Text("PROCESS MANAGER"),
            Text("ID"),
            Text("TIME"),
            Number("ATTEMPTS"),
            Text("TARGET"),
            Text("ERROR"),
        ];
        table::print(out, &columns, rows)?;
        print_head(reader, out)?;
    }
    let unreadable = managers.iter().find_map(|manager| {
        let (offset, cause) = manager.unreadable.first()?;
        Some((&manager.follower.name, offset, cause))
    });
    match unreadable {
        None => Ok(()),
        Some((name, offset, cause)) => {
            let (name, cause) = (visible(name), visible(cause));
            let text = if reader.is_of_directory() {
                format!(
                    "process_managers/{name}/dead_letters.jsonl is damaged at byte {offset}: {cause}"
                )
            } else {
                format!("the dead letters of {name} are damaged at byte {offset}: {cause}")
            };
            Err(std::io::Error::new(std::io::ErrorKind::InvalidData, text).into())
        }
    }
}

pub(crate) fn show(reader: &StoreReader, which: &Letter, out: &mut Output) -> Result<()> {
    let managers = managers(reader, Some(&which.process_manager))?;
    let letters = managers.iter().flat_map(|manager| &manager.dead_letters);
    let Some(letter) = letters.clone().find(|letter| letter.id == which.id) else {
        let ids: Names = letters.map(|letter| letter.id.as_str()).collect();
        return Err(Failure::NotThere(ids.lack("dead letter", &which.id)));
    };
    if out.is_json() {
        return out.json(&LetterJson::new(&which.process_manager, letter));
    }
    let content = Content::from(letter);
    let rows = [
        ("id", visible(&letter.id).to_string()),
        ("target", content.target()),
        ("time", time::shown(letter.time)),
        ("attempts", letter.attempts.to_string()),
        ("error", visible(&letter.error).to_string()),
    ];
    for (name, value) in rows {
        let name = out.styled(DIM, format_args!("{name:<10}"));
        out.line(format_args!("{name}{value}"))?;
    }
    for command in content.commands() {
        let text = serde_json::to_string(command).map_err(|e| Failure::Output(e.into()))?;
        out.line(pretty(&text, 0))?;
    }
    Ok(())
}

pub(crate) fn discard(store: &Place, which: &Letter, out: &mut Output) -> Result<()> {
    let instead =
        "its program discards them (`DeadLetters::discard`, or a console with `allow_writing`)";
    let dir = store.directory("dead-letters discard", instead)?;
    let names = {
        let reader = open(store)?;
        managers(&reader, Some(&which.process_manager))?;
        let managers = reader.process_managers()?;
        let letters = managers
            .into_iter()
            .filter(|of| of.follower.name == which.process_manager);
        let ids = letters
            .flat_map(|of| of.dead_letters)
            .map(|letter| letter.id);
        ids.collect::<Names>()
    };
    let discarded = AggregateStore::discard_dead_letter(dir, &which.process_manager, &which.id);
    if !wait(discarded)?? {
        return Err(Failure::NotThere(names.lack("dead letter", &which.id)));
    }
    if out.is_json() {
        return out.json(&serde_json::json!({ "discarded": which.id }));
    }
    out.line(format_args!("discarded {}", visible(&which.id)))
}
