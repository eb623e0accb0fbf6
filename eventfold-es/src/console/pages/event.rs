//! One event, with everything that is recorded with it, what led to it and what followed.

use std::ops::ControlFlow;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, header};
use maud::{Markup, html};

use crate::console::asked::{Asked, Link};
use crate::console::event::{Event, FOR_PAGE};
use crate::console::failure::{Failure, Result};
use crate::console::html::{
    Text, bytes, counted, event_link, json, line, name, number, relative, stream, time,
};
use crate::console::layout::{Page, with_type};
use crate::console::read_side;
use crate::console::read_side::ReadSideView;
use crate::console::reading::{LOOKED_AT, event_at, neighbours, with_event_at};
use crate::console::shared::Shared;
use crate::console::trace::{Trace, trace};
use crate::text::Shown;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let by_id = asked.get("id").map(str::to_owned);
    let position = match by_id {
        None => asked.number("position")?,
        Some(_) => None,
    };
    if by_id.is_none() && position.is_none() {
        asked.required("position")?;
    }
    let source = shared.source.clone();
    let head = crate::runtime::background::blocking(move || source.refresh()).await?;
    let asked = asked.clone();
    let (title, body) = shared
        .read(move |shared| {
            let source = &shared.source;
            let found = match (&by_id, position) {
                (Some(id), _) => find(shared, id)?,
                (None, Some(position)) => event_at(source, position, FOR_PAGE)?,
                (None, None) => None,
            };
            let Some(event) = found else {
                return Err(Failure::NotThere(match (&by_id, position) {
                    (Some(id), _) => format!(
                        "No event with the id `{}` is among the newest {}.",
                        Shown(id),
                        counted(LOOKED_AT, "event")
                    ),
                    (_, position) => format!(
                        "There is no event at position {}: the newest is at {head}.",
                        position.unwrap_or(0)
                    ),
                }));
            };
            let tree = trace(source, &event)?;
            // Damage of their files is told on their own pages.
            let read_side = read_side::view(source).ok();
            let now = source.now();
            let title = event.name.clone();
            let (before, after) = neighbours(source, event.position)?;
            let neighbours = html! {
                nav.pager aria-label="Neighbours in the log" {
                    @if let Some(before) = before {
                        a rel="prev" href=(asked.base.to(&event_link(before))) { "← Earlier" }
                    }
                    @if let Some(after) = after {
                        a rel="next" href=(asked.base.to(&event_link(after))) { "Later →" }
                    }
                }
            };
            let body = body(&asked, &event, &tree, read_side.as_ref(), now);
            Ok((title, html! { (body) (neighbours) }))
        })
        .await?;
    Ok(Page::new("log", title, body))
}

/// The payload as it is stored, as a text that no browser takes for anything else.
pub(crate) async fn raw(shared: &Arc<Shared>, asked: &Asked) -> Result<Response<Body>> {
    asked.required("position")?;
    let position = asked.number("position")?.unwrap_or(0);
    let source = shared.source.clone();
    crate::runtime::background::blocking(move || source.refresh()).await?;
    let data = shared
        .read(move |shared| {
            let data = with_event_at(&shared.source, position, |stored| stored.data().to_owned())?;
            data.ok_or_else(|| {
                Failure::NotThere(format!("There is no event at position {position}."))
            })
        })
        .await?;
    let mut response = with_type(StatusCode::OK, "text/plain; charset=utf-8", data);
    let file = format!("attachment; filename=\"event-{position}.json\"");
    if let Ok(file) = HeaderValue::from_str(&file) {
        response
            .headers_mut()
            .insert(header::CONTENT_DISPOSITION, file);
    }
    Ok(response)
}

/// The event with this id, among the newest.
fn find(shared: &Shared, id: &str) -> Result<Option<Event>> {
    let mut found = None;
    let mut left = LOOKED_AT;
    shared.source.read_backwards(None, &mut |stored| {
        left -= 1;
        if stored.record().event_id == Some(id) {
            found = Some(Event::of(stored, FOR_PAGE));
        }
        if found.is_some() || left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    Ok(found)
}

fn body(
    asked: &Asked,
    event: &Event,
    tree: &Trace,
    read_side: Option<&ReadSideView>,
    now: u64,
) -> Markup {
    let base = &asked.base;
    let raw = base.to(&Link::to("raw").with("position", event.position));
    html! {
        div.columns {
            section aria-labelledby="record" {
                h2 #record { "Record" }
                (record(asked, event, now))
            }
            section aria-labelledby="payload" {
                h2 #payload { "Payload" }
                (json(&event.data))
                p.quiet {
                    (bytes(event.data.length as u64))
                    @if event.data.is_cut() { ", of which " (bytes(event.data.text.len() as u64)) " are shown" }
                    " · " a href=(raw) { "Raw text" }
                }
                @if let Some(meta) = &event.meta {
                    h3 { "Metadata" }
                    (json(meta))
                }
            }
        }
        section aria-labelledby="trace" {
            h2 #trace { "Causes and effects" }
            (tree_of(asked, event, tree, read_side, now))
        }
    }
}

fn record(asked: &Asked, event: &Event, now: u64) -> Markup {
    let base = &asked.base;
    let text = |label: &str, text: &Option<String>| match text {
        None => html! {},
        Some(text) => html! { div { dt { (label) } dd { (name(text)) } } },
    };
    html! {
        dl.record {
            div { dt { "Aggregate" } dd { (stream(base, &event.aggregate_type, &event.id)) } }
            @if event.is_of_aggregate() { div { dt { "Version" } dd { (number(event.version)) } } }
            div { dt { "Position" } dd { (number(event.position)) } }
            div { dt { "Time" } dd { (time(event.ms, now)) } }
            (text("Id", &event.own_id))
            (text("Actor", &event.actor))
            @if let Some(correlation) = &event.correlation {
                div { dt { "Correlation" } dd {
                    a href=(base.to(&Link::to("log").with("correlation", correlation))) { (name(correlation)) }
                } }
            }
            @if let Some(cause) = &event.causation {
                div { dt { "Cause" } dd {
                    a href=(base.to(&Link::to("event").with("id", cause))) { (name(cause)) }
                } }
            }
            (text("Key", &event.key))
            @if !event.tags.is_empty() {
                div { dt { "Tags" } dd { @for tag in &event.tags {
                    a.tag href=(base.to(&Link::to("log").with("tag", tag))) { (name(tag)) } " "
                } } }
            }
        }
    }
}

fn tree_of(
    asked: &Asked,
    event: &Event,
    tree: &Trace,
    read_side: Option<&ReadSideView>,
    now: u64,
) -> Markup {
    let base = &asked.base;
    html! {
        @if tree.is_cut_before {
            p.notice { "The first cause is further back than the " (counted(LOOKED_AT, "event"))
                " that were looked at." }
        }
        ol.tree {
            @for (depth, of) in tree.in_tree_order() {
                li.{ "depth-" (depth.min(8)) } aria-current=[(of.position == event.position).then_some("true")] {
                    a.event href=(base.to(&event_link(of.position))) { (name(&of.name)) }
                    " " (stream(base, &of.aggregate_type, &of.id))
                    " " span.quiet { "position " (of.position) ", " (relative(of.ms, now)) }
                    " " (line(&of.data))
                    @if let Some(read_side) = read_side {
                        @for waiting in Trace::waiting_for(read_side, of) {
                            p.waiting {
                                span.badge { (waiting.what) } " of " (name(waiting.manager)) ": "
                                @if waiting.command.aggregate_type.is_empty() { "a decision" }
                                @else { (stream(base, &waiting.command.aggregate_type, &waiting.command.instance_id)) }
                                @if let Some(error) = waiting.error { ": " (Text(error)) }
                            }
                        }
                    }
                }
            }
        }
        @if tree.len() == 1 { p.quiet { "No cause and no effect of it is known." } }
        @if tree.is_full { p.notice { "There are more: only the first ones are shown." } }
        @if let Some(until) = tree.looked_until {
            p.notice { "Effects were looked for up to position " (number(until)) "." }
        }
    }
}
