//! The model: what the types of the program say, and what the stored events say.

use std::collections::BTreeMap;
use std::sync::Arc;

use maud::{Markup, html};

mod drawing;

use crate::console::asked::{Asked, Base, Link};
use crate::console::failure::Result;
use crate::console::html::{bytes, counted, empty, name, number};
use crate::console::layout::Page;
use crate::console::shared::Shared;
use crate::console::summary::{Count, Summary};
use crate::model::{EventInfo, Model};

type Names = BTreeMap<Box<str>, Count>;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let behind = shared.catch_up().await?;
    let base = asked.base.clone();
    let body = shared.read(move |shared| {
        let (summary, model) = (shared.summary(), &shared.model);
        Ok(html! {
            @if *model == Model::default() {
                p.quiet {
                    "What the stored events say: their names, by the type of their aggregates. Commands, \
                     versions and who reads what are known to the types, which a console has that is \
                     mounted into the program."
                }
            } @else {
                p.quiet {
                    "What the types of the program say that the store and the console know, with the counts \
                     of the stored events."
                }
                (drawing::draw(model))
            }
            @if summary.types.is_empty() && summary.of_none.is_empty() && *model == Model::default() {
                (empty("There are no events yet."))
            }
            (aggregates(&summary, model, &base))
            (of_none(&summary, model, &base))
            (followers(model, &base))
        })
    });
    Ok(Page::new("model", "Model", body.await?).behind(behind))
}

/// Each aggregate type that the types or the stored events have.
fn aggregates(summary: &Summary, model: &Model, base: &Base) -> Markup {
    let told = model.aggregates.iter().map(|of| of.name.as_str());
    let stored = summary.types.iter().map(|of| &*of.name);
    let mut types: Vec<&str> = told.chain(stored).collect();
    types.sort_unstable();
    types.dedup();
    html! { @for of in types {
        @let stored = summary.types.iter().find(|stored| *stored.name == *of);
        @let info = model.aggregates.iter().find(|info| info.name == of);
        section {
            h2 { (name(of)) " " span.quiet { @match stored {
                Some(stored) => {
                    a href=(base.to(&Link::to("aggregates").with("type", of))) {
                        (counted(stored.ids.len() as u64, "aggregate"))
                    }
                    ", " (counted(stored.all.events, "event"))
                }
                None => "none stored",
            } } }
            @if let Some(commands) = info.and_then(|info| info.commands.as_ref()) {
                p { "Commands: " @for (i, command) in commands.iter().enumerate() {
                    @if i > 0 { ", " } span.command { (name(&command.name)) }
                } }
            }
            @let none = Names::default();
            @let infos = info.and_then(|info| info.events.as_deref()).unwrap_or_default();
            (events(infos, stored.map_or(&none, |stored| &stored.names), Some(of), base))
        }
    } }
}

/// The events of decisions, and the decisions.
fn of_none(summary: &Summary, model: &Model, base: &Base) -> Markup {
    html! { @if !summary.of_none.is_empty() || !model.events.is_empty() {
        section {
            h2 { "Of no aggregate " span.quiet { "events of decisions" } }
            @for decision in &model.decisions {
                p {
                    span.decision { (name(&decision.name)) } " decides "
                    span.command { (name(&decision.command.name)) }
                }
            }
            (events(&model.events, &summary.of_none, None, base))
        }
    } }
}

/// The events that the types tell, and those that are stored.
fn events(
    infos: &[EventInfo],
    stored: &Names,
    aggregate_type: Option<&str>,
    base: &Base,
) -> Markup {
    let log = |event: &str| {
        let link = Link::to("log").with("event", event);
        base.to(&match aggregate_type {
            Some(aggregate_type) => link.with("type", aggregate_type),
            None => link,
        })
    };
    // A stored name that is an alias belongs to its event.
    let is_told = |stored: &str| {
        let mut names = infos
            .iter()
            .flat_map(|info| info.aliases.iter().chain([&info.name]));
        names.any(|name| name == stored)
    };
    let untold = stored.keys().filter(|name| !is_told(name));
    let count = |info: &EventInfo| {
        let names = info.aliases.iter().chain([&info.name]);
        let counts = names.filter_map(|name| stored.get(name.as_str()));
        counts.fold((0, 0), |all, of| (all.0 + of.events, all.1 + of.bytes))
    };
    html! {
        div.scroll.narrow { table {
            caption.hidden { "Events" }
            thead { tr {
                th scope="col" { "Event" } th scope="col" { "Form" }
                th.number scope="col" { "Count" } th.number scope="col" { "Payloads" }
            } }
            tbody {
                @for info in infos {
                    @let (events, size) = count(info);
                    tr {
                        td data-label="Event" { a.event href=(log(&info.name)) { (name(&info.name)) } }
                        td.quiet data-label="Form" { (form(info)) }
                        td.number data-label="Count" { (number(events)) }
                        td.number data-label="Payloads" { (bytes(size)) }
                    }
                }
                @for event in untold {
                    @let of = &stored[event];
                    tr {
                        td data-label="Event" { a.event href=(log(event)) { (name(event)) } }
                        td.quiet data-label="Form" { @if !infos.is_empty() { "no type tells it" } }
                        td.number data-label="Count" { (number(of.events)) }
                        td.number data-label="Payloads" { (bytes(of.bytes)) }
                    }
                }
            }
        } }
    }
}

/// The history of an event in a few words.
fn form(info: &EventInfo) -> Markup {
    html! {
        @if info.is_retired { "retired" }
        @else if let Some(version) = info.version { "version " (version) }
        @if !info.aliases.is_empty() {
            ", once " @for (i, alias) in info.aliases.iter().enumerate() {
                @if i > 0 { ", " } (name(alias))
            }
        }
        @if !info.upcasts.is_empty() { ", " (counted(info.upcasts.len() as u64, "upcast")) }
        @if !info.tags.is_empty() {
            ", tagged " @for (i, tag) in info.tags.iter().enumerate() {
                @if i > 0 { ", " } (name(tag))
            }
        }
    }
}

/// Who reads what, and sends what.
fn followers(model: &Model, base: &Base) -> Markup {
    let follower = |of: &str| base.to(&Link::to("follower").with("name", of));
    let list = |parts: &[&Vec<String>], has_others: bool| {
        let names: Vec<&String> = parts.iter().flat_map(|part| part.iter()).collect();
        html! {
            @for (i, of) in names.iter().enumerate() { @if i > 0 { ", " } (name(of)) }
            @if has_others { @if !names.is_empty() { ", " } "all events of no aggregate" }
        }
    };
    html! { @if !model.projections.is_empty() || !model.process_managers.is_empty() {
        section {
            h2 { "Read side" }
            div.scroll.narrow { table {
                caption.hidden { "Projections and process managers" }
                thead { tr {
                    th scope="col" { "Name" } th scope="col" { "Kind" } th scope="col" { "Reads" }
                    th scope="col" { "Sends to" }
                } }
                tbody {
                    @for of in &model.projections { tr {
                        td data-label="Name" { a href=(follower(&of.name)) { (name(&of.name)) } }
                        td data-label="Kind" { "projection, version " (of.version) }
                        td data-label="Reads" { (list(&[&of.aggregates, &of.events], of.gets_all_other_events)) }
                        td data-label="Sends to" {}
                    } }
                    @for of in &model.process_managers { tr {
                        td data-label="Name" { a href=(follower(&of.name)) { (name(&of.name)) } }
                        td data-label="Kind" { "process manager" }
                        td data-label="Reads" { (list(&[&of.aggregates, &of.events], of.gets_all_other_events)) }
                        td data-label="Sends to" { (list(&[&of.dispatches, &of.decides], false)) }
                    } }
                }
            } }
        }
    } }
}
