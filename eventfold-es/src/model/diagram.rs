//! The diagram of a model, in Mermaid.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::Model;
use crate::text::Shown;

impl Model {
    /// The diagram alone, in Mermaid.
    ///
    /// ```
    /// # use eventfold_es::__private::example::{Counter, Total};
    /// let diagram = eventfold_es::model![Counter, Total].mermaid();
    /// assert!(diagram.starts_with("flowchart LR\n"));
    /// ```
    #[must_use]
    pub fn mermaid(&self) -> String {
        let mut diagram = Diagram::default();
        diagram.text.push_str("flowchart LR\n");
        for aggregate in &self.aggregates {
            let (name, node) = (&aggregate.name, diagram.aggregate(&aggregate.name));
            for command in aggregate.commands.iter().flatten() {
                diagram.command(&format!("{name} {}", command.name), &command.name, &node);
            }
            let events = aggregate.events.iter().flatten();
            for event in events.filter(|event| !event.is_retired) {
                let event_node = diagram.id('e', &format!("{name} {}", event.name));
                let label = label_of(&event.name);
                diagram.line(&format!("{node} --> {event_node}>\"{label}\"]"));
            }
        }
        for event in self.events.iter().filter(|event| !event.is_retired) {
            diagram.event(&event.name);
        }
        for decision in &self.decisions {
            let node = diagram.node('d', "{", &decision.name, "}");
            diagram.decisions.insert(&decision.name, node.clone());
            let command = &decision.command.name;
            diagram.command(&format!("{} {command}", decision.name), command, &node);
            for event in &decision.events {
                let event = diagram.event(event);
                diagram.line(&format!("{node} --> {event}"));
            }
            let mut read: Vec<String> = Vec::new();
            for model in &decision.models {
                match &model.aggregate {
                    Some(aggregate) => read.push(diagram.aggregate(aggregate)),
                    None => read.extend(model.events.iter().map(|event| diagram.event(event))),
                }
            }
            diagram.reads(read, &node);
        }
        for projection in &self.projections {
            let node = diagram.node('p', "[(", &projection.name, ")]");
            let read = diagram.read(
                &projection.aggregates,
                &projection.events,
                projection.gets_all_other_events,
            );
            diagram.reads(read, &node);
        }
        for manager in &self.process_managers {
            let node = diagram.node('m', "{{", &manager.name, "}}");
            let read = diagram.read(
                &manager.aggregates,
                &manager.events,
                manager.gets_all_other_events,
            );
            diagram.reads(read, &node);
            for aggregate in &manager.dispatches {
                let aggregate = diagram.aggregate(aggregate);
                diagram.line(&format!("{node} ==> {aggregate}"));
            }
            for decision in &manager.decides {
                if let Some(decision) = diagram.decisions.get(decision.as_str()).cloned() {
                    diagram.line(&format!("{node} ==> {decision}"));
                }
            }
        }
        diagram.text
    }
}

/// The text so far, and the nodes of names that several lines may mean.
#[derive(Default)]
struct Diagram<'a> {
    text: String,
    ids: BTreeSet<String>,
    aggregates: BTreeMap<&'a str, String>,
    events: BTreeMap<&'a str, String>,
    decisions: BTreeMap<&'a str, String>,
    other_events: Option<String>,
}

impl<'a> Diagram<'a> {
    fn line(&mut self, line: &str) {
        let _ = writeln!(self.text, "    {line}");
    }

    /// The id of a new node. It depends on the name alone as far as possible, so a change of the program
    /// changes few lines.
    fn id(&mut self, kind: char, name: &str) -> String {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
        let name: String = name.chars().map(plain).collect();
        let mut id = format!("{kind}_{name}");
        let mut number = 1;
        while !self.ids.insert(id.clone()) {
            number += 1;
            id = format!("{kind}_{name}_{number}");
        }
        id
    }

    /// Adds a node in the shape of these brackets.
    fn node(&mut self, kind: char, open: &str, label: &str, close: &str) -> String {
        let node = self.id(kind, label);
        self.line(&format!("{node}{open}\"{}\"{close}", label_of(label)));
        node
    }

    /// Adds a command for `node`.
    fn command(&mut self, name: &str, label: &str, node: &str) {
        let command = self.id('c', name);
        let label = label_of(label);
        self.line(&format!("{command}([\"{label}\"]) --> {node}"));
    }

    /// The node of an aggregate, which is added if it is only named so far.
    fn aggregate(&mut self, name: &'a str) -> String {
        if let Some(node) = self.aggregates.get(name) {
            return node.clone();
        }
        let node = self.node('a', "[", name, "]");
        self.aggregates.insert(name, node.clone());
        node
    }

    /// The node of an event that belongs to no aggregate.
    fn event(&mut self, name: &'a str) -> String {
        if let Some(node) = self.events.get(name) {
            return node.clone();
        }
        let node = self.node('e', ">", name, "]");
        self.events.insert(name, node.clone());
        node
    }

    /// The nodes of these aggregates and events.
    fn read(&mut self, aggregates: &'a [String], events: &'a [String], all: bool) -> Vec<String> {
        let mut nodes: Vec<_> = aggregates.iter().map(|name| self.aggregate(name)).collect();
        nodes.extend(events.iter().map(|name| self.event(name)));
        if all {
            let others = match self.other_events.clone() {
                Some(others) => others,
                None => self.node('e', ">", "all events of no aggregate", "]"),
            };
            self.other_events = Some(others.clone());
            nodes.push(others);
        }
        nodes
    }

    /// Lets `reader` read these nodes.
    fn reads(&mut self, mut nodes: Vec<String>, reader: &str) {
        nodes.sort_unstable();
        nodes.dedup();
        for node in nodes {
            self.line(&format!("{node} -.-> {reader}"));
        }
    }
}

/// A name within the quotes of a label. Whatever Mermaid could read as its own is a character's number.
fn label_of(name: &str) -> String {
    let mut label = String::new();
    for c in Shown(name).to_string().chars() {
        if c.is_alphanumeric() || "-_.:/ ".contains(c) {
            label.push(c);
        } else {
            let _ = write!(label, "#{};", u32::from(c));
        }
    }
    label
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_label_has_no_character_that_mermaid_reads_as_its_own() {
        for (name, label) in [
            ("bank-account", "bank-account"),
            ("a\"];b", "a#34;#93;#59;b"),
            ("#lt;`", "#35;lt#59;#96;"),
            ("a\nb", "a#92;u#123;a#125;b"),
        ] {
            assert_eq!(label_of(name), label);
        }
    }
}
