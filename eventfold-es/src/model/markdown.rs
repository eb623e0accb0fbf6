//! A model in Markdown.

use std::fmt::Write as _;

use serde_json::Value;

use crate::model::{
    AggregateInfo, CommandInfo, DecisionInfo, EventInfo, Model, ProcessManagerInfo, ProjectionInfo,
};
use crate::text::Shown;

impl Model {
    /// The model in Markdown, with a diagram in Mermaid, which GitHub and GitLab draw, for example. Names
    /// are written so that none can be taken for Markdown.
    ///
    /// See the example of [`model`](mod@crate::model).
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut page = Page::default();
        page.paragraph("# Model");
        page.fenced("mermaid", &self.mermaid());
        page.paragraph(
            "Commands are round, aggregates square, decisions diamonds, projections cylinders, process \
             managers hexagons; events are flags. A dotted line is read, a thick one sends commands.",
        );
        for aggregate in &self.aggregates {
            page.aggregate(aggregate, self);
        }
        for decision in &self.decisions {
            page.decision(decision);
        }
        if !self.events.is_empty() {
            page.paragraph("## Events that belong to no aggregate");
            page.events(&self.events);
        }
        page.projections(&self.projections);
        page.process_managers(&self.process_managers);
        page.0
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn paragraph(&mut self, text: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(text);
        self.0.push('\n');
    }

    /// A block that shows `text` as it is.
    fn fenced(&mut self, language: &str, text: &str) {
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let text = text.trim_end();
        self.paragraph(&format!("{fence}{language}\n{text}\n{fence}"));
    }

    fn table<const COLUMNS: usize>(
        &mut self,
        heads: [&str; COLUMNS],
        rows: impl Iterator<Item = [String; COLUMNS]>,
    ) {
        let cell = |cell: &String| {
            if cell.is_empty() {
                " |".to_owned()
            } else {
                format!(" {cell} |")
            }
        };
        let row = |cells: &[String]| "|".to_owned() + &cells.iter().map(cell).collect::<String>();
        let mut table = vec![row(&heads.map(str::to_owned)), "|---".repeat(COLUMNS) + "|"];
        table.extend(rows.map(|cells| row(&cells)));
        self.paragraph(&table.join("\n"));
    }

    fn aggregate(&mut self, aggregate: &AggregateInfo, model: &Model) {
        let name = &aggregate.name;
        self.paragraph(&format!("## Aggregate {}", code(name)));
        let mut text = format!("State version {}.", aggregate.state_version);
        let _ = match aggregate.snapshot_every {
            Some(u64::MAX) => write!(text, " No snapshots are taken."),
            Some(every) => write!(text, " A snapshot every {} events.", every.max(1)),
            None => Ok(()),
        };
        text.push_str(if aggregate.skips_unknown_events {
            " Events with unknown names are left out."
        } else {
            " Events with unknown names are refused."
        });
        self.paragraph(&text);
        match &aggregate.commands {
            Some(commands) => self.commands(commands),
            None => self.paragraph("Its command type does not tell its commands."),
        }
        match &aggregate.events {
            Some(events) => self.events(events),
            None => self.paragraph("Its event type does not tell its events."),
        }
        self.relations(name, model);
    }

    /// Who reads the aggregate, and who sends commands to it.
    fn relations(&mut self, name: &str, model: &Model) {
        let (projections, managers) = (&model.projections, &model.process_managers);
        let has = |names: &[String]| names.iter().any(|other| other == name);
        let projected = projections.iter().filter(|one| has(&one.aggregates));
        let reacts = managers.iter().filter(|one| has(&one.aggregates));
        let sends = managers.iter().filter(|one| has(&one.dispatches));
        let decides = model.decisions.iter().filter(|decision| {
            let mut models = decision.models.iter();
            models.any(|model| model.aggregate.as_deref() == Some(name))
        });
        let relations = [
            ("Projected by", list(projected.map(|one| &one.name))),
            ("Reacted to by", list(reacts.map(|one| &one.name))),
            ("Gets commands of", list(sends.map(|one| &one.name))),
            ("Decided on by", list(decides.map(|one| &one.name))),
        ];
        let there = relations.iter().filter(|(_, names)| !names.is_empty());
        let sentences: Vec<_> = there
            .map(|(what, names)| format!("{what} {names}."))
            .collect();
        if !sentences.is_empty() {
            self.paragraph(&sentences.join(" "));
        }
    }

    fn commands(&mut self, commands: &[CommandInfo]) {
        if commands.is_empty() {
            return self.paragraph("It has no commands.");
        }
        let rows = commands.iter().map(|command| [code(&command.name)]);
        self.table(["Command"], rows);
        for command in commands {
            self.schema(&command.name, command.schema.as_ref());
        }
    }

    fn events(&mut self, events: &[EventInfo]) {
        if events.is_empty() {
            return self.paragraph("It has no events.");
        }
        let rows = events.iter().map(|event| {
            let version = match event.version {
                Some(version) => version.to_string(),
                None if event.is_retired => "retired".to_owned(),
                None => String::new(),
            };
            let mut upcasts: Vec<String> = event
                .upcasts
                .iter()
                .map(|step| match step.from {
                    Some(from) => format!("from {from} by {}", code(&step.by)),
                    None => format!("at last by {}", code(&step.by)),
                })
                .collect();
            if event.is_retired && upcasts.is_empty() {
                upcasts.push("read as nothing".to_owned());
            }
            [
                code(&event.name),
                version,
                list(&event.aliases),
                upcasts.join(", "),
                list(&event.tags),
            ]
        });
        self.table(
            ["Event", "Version", "Also read as", "Older versions", "Tags"],
            rows,
        );
        for event in events {
            self.schema(&event.name, event.schema.as_ref());
        }
    }

    fn schema(&mut self, name: &str, schema: Option<&Value>) {
        if let Some(schema) = schema {
            self.paragraph(&format!("Payload of {}:", code(name)));
            self.fenced("json", &format!("{schema:#}"));
        }
    }

    fn decision(&mut self, decision: &DecisionInfo) {
        self.paragraph(&format!("## Decision {}", code(&decision.name)));
        let command = &decision.command;
        let events = if decision.events.is_empty() {
            "no event".to_owned()
        } else {
            list(&decision.events)
        };
        self.paragraph(&format!(
            "Decides {}. May store {events}.",
            code(&command.name)
        ));
        self.schema(&command.name, command.schema.as_ref());
        let rows = decision.models.iter().map(|model| {
            let of = match &model.aggregate {
                Some(aggregate) => format!("aggregate {}", code(aggregate)),
                None if model.tags.is_empty() => "all".to_owned(),
                None => list(&model.tags),
            };
            [code(&model.field), list(&model.events), of]
        });
        self.table(["Decided on", "Events", "Tags"], rows);
    }

    fn projections(&mut self, projections: &[ProjectionInfo]) {
        if projections.is_empty() {
            return;
        }
        self.paragraph("## Projections");
        let rows = projections.iter().map(|projection| {
            [
                code(&projection.name),
                projection.version.to_string(),
                list(&projection.aggregates),
                others(&projection.events, projection.gets_all_other_events),
            ]
        });
        self.table(
            ["Projection", "Version", "Aggregates", "Other events"],
            rows,
        );
    }

    fn process_managers(&mut self, managers: &[ProcessManagerInfo]) {
        if managers.is_empty() {
            return;
        }
        self.paragraph("## Process managers");
        let rows = managers.iter().map(|manager| {
            [
                code(&manager.name),
                list(&manager.aggregates),
                others(&manager.events, manager.gets_all_other_events),
                list(&manager.dispatches),
                list(&manager.decides),
            ]
        });
        let heads = [
            "Process manager",
            "Reacts to aggregates",
            "Other events",
            "Sends to aggregates",
            "Sends to decisions",
        ];
        self.table(heads, rows);
    }
}

fn others(events: &[String], all: bool) -> String {
    if all { "all".to_owned() } else { list(events) }
}

/// The names, one after the other.
fn list(names: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| code(name.as_ref())).collect();
    names.join(", ")
}

/// A name as code. It cannot be taken for Markdown or HTML, nor for the end of a table's cell or line.
fn code(name: &str) -> String {
    let name = Shown(name).to_string();
    let is_plain = |c: char| c.is_alphanumeric() || "-_.:/() =,".contains(c);
    if name.chars().all(is_plain) && name.trim() == name && !name.is_empty() {
        return format!("`{name}`");
    }
    let mut html = String::from("<code>");
    for c in name.chars() {
        if c.is_ascii_punctuation() || c == ' ' {
            let _ = write!(html, "&#{};", u32::from(c));
        } else {
            html.push(c);
        }
    }
    html + "</code>"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_as_code_whatever_it_has() {
        for (name, shown) in [
            ("bank-account", "`bank-account`"),
            ("Überwiesen", "`Überwiesen`"),
            ("a|b", "<code>a&#124;b</code>"),
            ("a`b", "<code>a&#96;b</code>"),
            ("a\nb", "<code>a&#92;u&#123;a&#125;b</code>"),
            (
                "<b>*x*</b>",
                "<code>&#60;b&#62;&#42;x&#42;&#60;&#47;b&#62;</code>",
            ),
            (" a", "<code>&#32;a</code>"),
            ("", "<code></code>"),
        ] {
            assert_eq!(code(name), shown, "{name:?}");
        }
    }

    #[test]
    fn a_fence_is_longer_than_every_row_of_backticks_within() {
        let mut page = Page::default();
        page.fenced("json", "\"````\"");
        assert_eq!(page.0, "`````json\n\"````\"\n`````\n");
    }
}
