//! The model as a drawing: commands, what decides them, events, and who reads those, from left to right.

use std::collections::BTreeMap;

use maud::{Markup, html};

use crate::console::html::Text;
use crate::model::Model;

/// How many boxes are drawn. More would be a wall.
const MOST_BOXES: usize = 400;
/// How many characters of a name are drawn.
const NAME: usize = 24;
const WIDTH: usize = 190;
const HEIGHT: usize = 26;
/// From one box to the next, down and across.
const STEP: usize = 34;
const ACROSS: usize = 260;

/// The columns.
const COMMAND: usize = 0;
const DECIDES: usize = 1;
const EVENT: usize = 2;
const READS: usize = 3;

#[derive(Default)]
struct Drawing<'a> {
    boxes: Vec<Drawn<'a>>,
    /// From box to box; the second kind is a command that a process manager sends.
    lines: Vec<(usize, usize, bool)>,
    /// How many boxes each column has.
    filled: [usize; 4],
    deciders: BTreeMap<&'a str, usize>,
    /// The events of each aggregate, and those of none by name.
    events: BTreeMap<&'a str, Vec<usize>>,
    of_none: BTreeMap<&'a str, usize>,
}

struct Drawn<'a> {
    name: &'a str,
    class: &'static str,
    column: usize,
    row: usize,
}

impl<'a> Drawing<'a> {
    fn put(&mut self, column: usize, class: &'static str, name: &'a str) -> usize {
        let row = self.filled[column];
        self.filled[column] += 1;
        self.boxes.push(Drawn {
            name,
            class,
            column,
            row,
        });
        self.boxes.len() - 1
    }

    /// Lets the next group begin below all that is left of the readers.
    fn level(&mut self) {
        let most = self.filled[..READS].iter().max().copied();
        self.filled[..READS].fill(most.unwrap_or_default());
    }

    fn event_of_none(&mut self, name: &'a str) -> usize {
        if let Some(event) = self.of_none.get(name) {
            return *event;
        }
        let event = self.put(EVENT, "event", name);
        self.of_none.insert(name, event);
        event
    }

    fn of(model: &'a Model) -> Self {
        let mut drawing = Self::default();
        for aggregate in &model.aggregates {
            let decider = drawing.put(DECIDES, "aggregate", &aggregate.name);
            drawing.deciders.insert(&aggregate.name, decider);
            for command in aggregate.commands.iter().flatten() {
                let command = drawing.put(COMMAND, "command", &command.name);
                drawing.lines.push((command, decider, false));
            }
            let written = aggregate.events.iter().flatten();
            for event in written.filter(|event| !event.is_retired) {
                let event = drawing.put(EVENT, "event", &event.name);
                drawing.lines.push((decider, event, false));
                drawing
                    .events
                    .entry(&aggregate.name)
                    .or_default()
                    .push(event);
            }
            drawing.level();
        }
        for decision in &model.decisions {
            let decider = drawing.put(DECIDES, "decision", &decision.name);
            drawing.deciders.insert(&decision.name, decider);
            let command = drawing.put(COMMAND, "command", &decision.command.name);
            drawing.lines.push((command, decider, false));
            for event in &decision.events {
                let event = drawing.event_of_none(event);
                drawing.lines.push((decider, event, false));
            }
            drawing.level();
        }
        for projection in &model.projections {
            let reader = drawing.put(READS, "projection", &projection.name);
            drawing.reads(reader, &projection.aggregates, &projection.events);
        }
        for manager in &model.process_managers {
            let reader = drawing.put(READS, "manager", &manager.name);
            drawing.reads(reader, &manager.aggregates, &manager.events);
            for target in manager.dispatches.iter().chain(&manager.decides) {
                if let Some(decider) = drawing.deciders.get(target.as_str()) {
                    drawing.lines.push((reader, *decider, true));
                }
            }
        }
        drawing
    }

    fn reads(&mut self, reader: usize, aggregates: &'a [String], events: &'a [String]) {
        for aggregate in aggregates {
            let of_it = self.events.get(aggregate.as_str()).cloned();
            // An aggregate that does not tell its events is read as a whole.
            let from = of_it.or_else(|| self.deciders.get(aggregate.as_str()).map(|of| vec![*of]));
            let lines = from.into_iter().flatten().map(|from| (from, reader, false));
            self.lines.extend(lines);
        }
        for event in events {
            let event = self.event_of_none(event);
            self.lines.push((event, reader, false));
        }
    }

    fn left(&self, of: usize) -> (usize, usize) {
        let drawn = &self.boxes[of];
        (drawn.column * ACROSS + 5, drawn.row * STEP + 5 + HEIGHT / 2)
    }

    /// A line from box to box. One that leads back to the left is dashed by its class.
    fn path(&self, from: usize, to: usize, is_sent: bool) -> String {
        let ((x1, y1), (x2, y2)) = (self.left(from), self.left(to));
        if is_sent {
            // From below the reader to below the decider, under the events between them.
            let (x1, x2) = (x1 + WIDTH / 2, x2 + WIDTH / 2);
            let (y1, y2) = (y1 + HEIGHT / 2, y2 + HEIGHT / 2);
            let low = y1.max(y2) + STEP;
            return format!("M{x1} {y1}C{x1} {low} {x2} {low} {x2} {y2}");
        }
        let x1 = x1 + WIDTH;
        let middle = usize::midpoint(x1, x2);
        format!("M{x1} {y1}C{middle} {y1} {middle} {y2} {x2} {y2}")
    }
}

/// Draws the model. Everything that it shows is in the tables below it as well.
pub(super) fn draw(model: &Model) -> Markup {
    let drawing = Drawing::of(model);
    let count = drawing.boxes.len();
    if count > MOST_BOXES {
        return html! { p.quiet { "The drawing is left out: it would have " (count) " boxes." } };
    }
    let rows = drawing.filled.iter().max().copied().unwrap_or_default();
    let (width, height) = (READS * ACROSS + WIDTH + 10, rows * STEP + STEP);
    html! {
        div.scroll { svg.model width=(width) height=(height) viewBox=(format!("0 0 {width} {height}"))
            role="img" aria-label="Commands, what decides them, events, projections and process managers" {
            @for (from, to, is_sent) in &drawing.lines {
                path class=(if *is_sent { "sends" } else { "flows" }) d=(drawing.path(*from, *to, *is_sent)) {}
            }
            @for (i, drawn) in drawing.boxes.iter().enumerate() {
                @let (x, y) = drawing.left(i);
                g class=(drawn.class) {
                    title { (Text(drawn.name)) }
                    rect x=(x) y=(y - HEIGHT / 2) width=(WIDTH) height=(HEIGHT) rx="4" {}
                    text x=(x + 10) y=(y + 5) { (short(drawn.name)) }
                }
            }
        } }
        p.legend {
            span.command { "command" } span.aggregate { "aggregate" } span.decision { "decision" }
            span.event { "event" } span.projection { "projection" } span.manager { "process manager" }
            span.quiet { "dashed: sends commands to" }
        }
    }
}

fn short(name: &str) -> Markup {
    match name.char_indices().nth(NAME) {
        None => html! { (Text(name)) },
        Some((end, _)) => html! { (Text(&name[..end])) "…" },
    }
}
