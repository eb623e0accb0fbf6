//! One aggregate: its events, and its state at each version.

use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Link};
use crate::console::event::{Cut, FOR_PAGE};
use crate::console::failure::{Failure, Result};
use crate::console::html::{
    Text, aggregate_link, bytes, counted, empty, event_link, event_table, json, name, number, time,
};
use crate::console::layout::Page;
use crate::console::reading::{StateAt, StreamPage, state_at, stream_page};
use crate::console::shared::Shared;
use crate::console::states::{Change, Changes, KnownType};
use crate::ids::StreamId;
use crate::text::Shown;

/// How much of a changed value is shown.
const OF_CHANGE: usize = 300;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    if asked.get("type").is_none() && asked.get("id").is_none() {
        return Ok(Page::new(
            "aggregates",
            "Open an aggregate",
            open_form(asked),
        ));
    }
    let id = StreamId::new(asked.required("type")?, asked.required("id")?);
    let id = id.map_err(|error| Failure::Invalid(error.to_string()))?;
    let behind = shared.catch_up().await?;
    let before = asked.number("before")?.unwrap_or(u64::MAX);
    let at = asked.number("at")?;
    let asked = asked.clone();
    let title = format!("{}/{}", id.aggregate_type(), id.id());
    let body = shared.read(move |shared| {
        let now = shared.source.now();
        let places = shared.summary().places(id.aggregate_type(), id.id());
        let names = (id.aggregate_type(), id.id());
        let events = stream_page(&shared.source, &places, names, before)?;
        let newest = events.events.first().map_or(0, |event| event.version);
        let version = places
            .version
            .max(if before == u64::MAX { newest } else { 0 });
        if events.events.is_empty() && version == 0 {
            return Err(Failure::NotThere(format!(
                "There is no aggregate `{}` of the type `{}` up to position {}.",
                Shown(id.id()),
                Shown(id.aggregate_type()),
                shared.source.head()
            )));
        }
        let known = shared
            .types
            .iter()
            .find(|of| of.name == id.aggregate_type());
        let state = known
            .map(|known| state_at(shared, known, id.id(), at.unwrap_or(version)))
            .transpose()?;
        let figures = shared
            .summary()
            .stream(id.aggregate_type(), id.id())
            .map(|row| {
                html! {
                    div { dt { "Events" } dd { (number(row.count.events)) } }
                    div { dt { "Payloads" } dd { (bytes(row.count.bytes)) } }
                    div { dt { "First event" } dd.text { (time(row.first_ms, now)) } }
                    div { dt { "Last event" } dd.text { (time(row.last_ms, now)) } }
                }
            });
        Ok(html! {
            dl.figures {
                div { dt { "Version" } dd { (number(version)) } }
                @if let Some(figures) = figures { (figures) }
            }
            section aria-labelledby="state" {
                h2 #state { "State" }
                @match state {
                    Some(state) => (time_travel(&asked, &id, &state, version)),
                    None => (not_registered(shared, id.aggregate_type())),
                }
            }
            (timeline(&asked, &id, &events, before, now))
        })
    });
    Ok(Page::new("aggregates", title, body.await?).behind(behind))
}

/// The part of the page that the slider replaces.
pub(crate) async fn state(shared: &Arc<Shared>, asked: &Asked) -> Result<Markup> {
    let aggregate_type = asked.required("type")?;
    let id = asked.required("id")?.to_owned();
    let at = asked.number("at")?.unwrap_or(0);
    let known = shared.types.iter().find(|of| of.name == aggregate_type);
    let Some(known) = known.copied() else {
        return Err(Failure::NotThere("This type is not registered.".to_owned()));
    };
    shared.catch_up().await?;
    let asked = asked.clone();
    shared
        .read(move |shared| {
            let state = state_at(shared, &known, &id, at)?;
            Ok(state_part(&asked, &state))
        })
        .await
}

fn open_form(asked: &Asked) -> Markup {
    html! {
        form.filter method="get" action=(asked.base.page("aggregate")) {
            label { "Type " input name="type" required spellcheck="false"; }
            label { "Id " input name="id" required spellcheck="false"; }
            button { "Open" }
        }
    }
}

fn time_travel(asked: &Asked, id: &StreamId, state: &StateAt, version: u64) -> Markup {
    let link = |at: u64| {
        let link = aggregate_link(id.aggregate_type(), id.id()).with("at", at);
        asked.base.to(&link) + "#state"
    };
    html! {
        form.travel method="get" action=(asked.base.page("aggregate") + "#state") data-state=(asked.base.page("state")) {
            input type="hidden" name="type" value=(id.aggregate_type());
            input type="hidden" name="id" value=(id.id());
            a.step href=(link(state.version.saturating_sub(1))) rel="prev" { "← Earlier" }
            label { span { "Version" }
                input type="range" name="at" min="0" max=(version) value=(state.version) autocomplete="off";
            }
            output { (state.version) " of " (version) }
            a.step href=(link((state.version + 1).min(version))) rel="next" { "Later →" }
            button { "Show" }
        }
        div #state-part aria-live="polite" { (state_part(asked, state)) }
    }
}

fn state_part(asked: &Asked, state: &StateAt) -> Markup {
    html! {
        p.quiet {
            @match &state.event {
                Some(event) => {
                    "Version " (state.version) ", after "
                    a href=(asked.base.to(&event_link(event.position))) { (name(&event.name)) }
                    " at " (crate::console::html::absolute(event.ms))
                }
                None => { "Version " (state.version) ", before the first event" }
            }
        }
        div.columns {
            div {
                h3 { "What changed" }
                @match &state.changes {
                    Some(changes) if !changes.listed.is_empty() => (changes_table(changes)),
                    Some(_) => (empty("Nothing: the state is as before.")),
                    None => (empty("There is no event before this state.")),
                }
            }
            div {
                h3 { "State" }
                @match &state.state {
                    Ok(state) => (json(&Cut::of(state, FOR_PAGE))),
                    Err(cause) => {
                        p.problem role="alert" { (Text(cause)) }
                        p { "The state cannot be made of these events by this program. Handles of this \
                             aggregate fail with the same cause." }
                    }
                }
            }
        }
    }
}

fn changes_table(changes: &Changes) -> Markup {
    let value = |value: &Option<String>| match value {
        None => html! { span.quiet { "—" } },
        Some(value) => {
            let cut = Cut::of(value, OF_CHANGE);
            html! { code { (Text(&cut.text)) @if cut.is_cut() { "…" } } }
        }
    };
    let path = |change: &Change| {
        if change.path.is_empty() {
            html! { span.quiet { "the whole state" } }
        } else {
            html! { code { (Text(&change.path)) } }
        }
    };
    html! {
        div.scroll { table.changes {
            caption.hidden { "What the event changed" }
            thead { tr {
                th scope="col" { "Where" } th scope="col" { "Before" } th scope="col" { "After" }
            } }
            tbody { @for change in &changes.listed { tr {
                td data-label="Where" { (path(change)) }
                td.before data-label="Before" { (value(&change.before)) }
                td.after data-label="After" { (value(&change.after)) }
            } } }
        } }
        @if changes.more > 0 { p.quiet { "and " (counted(changes.more as u64, "more change")) } }
    }
}

fn not_registered(shared: &Shared, aggregate_type: &str) -> Markup {
    if shared.source.store().is_none() {
        return empty(
            "A directory alone does not say how states are made of events: `eventfold ui` knows no types. \
             The program can show states in a console of its own, with `eventfold_es::console::router`.",
        );
    }
    let names: Vec<&KnownType> = shared.types.iter().collect();
    html! {
        p.empty {
            "The states of " (name(aggregate_type)) " are shown once the program registers its type: "
            code { "console::router(&store).aggregate::<…>()" } "."
        }
        @if !names.is_empty() {
            p.quiet { "Registered: " @for (i, of) in names.iter().enumerate() {
                @if i > 0 { ", " } (name(of.name))
            } }
        }
    }
}

fn timeline(asked: &Asked, id: &StreamId, events: &StreamPage, before: u64, now: u64) -> Markup {
    let to = |before: Option<u64>| {
        let link: Link<'_> = aggregate_link(id.aggregate_type(), id.id());
        let link = match before {
            Some(before) => link.with("before", before),
            None => link,
        };
        asked.base.to(&link) + "#timeline"
    };
    let oldest = events.events.last().map_or(0, |event| event.version);
    html! {
        section aria-labelledby="timeline" {
            h2 #timeline { "Timeline" }
            @if events.events.is_empty() {
                (empty("There are no older events."))
            } @else {
                (event_table(&asked.base, &events.events, now, false, "The events of this aggregate"))
            }
            nav.pager aria-label="Pages of events" {
                @if before != u64::MAX { a href=(to(None)) { "← Newest" } }
                @if !events.is_end { a rel="next" href=(to(Some(oldest))) { "Older →" } }
            }
        }
    }
}
