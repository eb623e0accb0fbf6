//! The events in the order of the store, the newest first; new ones come by themselves.

use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Link};
use crate::console::failure::{Failure, Result};
use crate::console::html::{Text, counted, empty, event_table, number, read_time};
use crate::console::layout::Page;
use crate::console::reading::{LOOKED_AT, LogPage, Wanted, log_page};
use crate::console::shared::Shared;
use crate::text::Shown;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let wanted = wanted(shared, asked)?;
    let before = asked.number("before")?;
    // Times are found by the summary, which need not be whole for that.
    let behind = shared.catch_up().await?;
    let behind = behind.filter(|_| wanted.since.is_some() || wanted.until.is_some());
    let asked = asked.clone();
    let body = shared.read(move |shared| {
        let now = shared.source.now();
        let head = shared.source.head();
        let found = log_page(shared, &wanted, before)?;
        Ok(body(shared, &asked, &wanted, &found, before, (now, head)))
    });
    Ok(Page::new("log", "Log", body.await?).behind(behind))
}

/// Which events the request asks for.
pub(crate) fn wanted(shared: &Shared, asked: &Asked) -> Result<Wanted> {
    let text = |name: &str| asked.get(name).map(str::to_owned);
    let now = shared.source.now();
    let time = |name: &str| {
        let time = asked.get(name).map(|text| {
            read_time(text, now).ok_or_else(|| {
                let text = Shown(text);
                Failure::Invalid(format!(
                    "`{text}` is no time: write 2026-01-31T12:00:00Z, 2026-01-31 12:00 (UTC), \
                     2026-01-31, or how long ago, as 2h or 7d."
                ))
            })
        });
        time.transpose()
    };
    Ok(Wanted {
        aggregate_type: text("type"),
        id: text("id"),
        name: text("event"),
        tags: asked
            .all("tag")
            .flat_map(str::split_whitespace)
            .map(str::to_owned)
            .collect(),
        correlation: text("correlation"),
        since: time("since")?,
        until: time("until")?,
    })
}

fn body(
    shared: &Shared,
    asked: &Asked,
    wanted: &Wanted,
    found: &LogPage,
    before: Option<u64>,
    (now, head): (u64, u64),
) -> Markup {
    let base = &asked.base;
    let is_newest = before.is_none() && wanted.until.is_none();
    // The position up to which the page shows everything.
    let live = base.to(&asked.on("live", "after", head));
    html! {
        (form(shared, asked, wanted))
        @if is_newest {
            p.live #live data-live=(live) {
                button type="button" #pause hidden { "Pause" }
                span role="status" #live-state { "New events are shown when the page is loaded again." }
            }
        }
        @if found.events.is_empty() && !found.is_unfinished {
            (empty(if wanted.is_everything() { "There are no events yet." } else { "No event is like that." }))
        }
        (event_table(base, &found.events, now, true, "Events, the newest first"))
        @if found.is_unfinished {
            p.notice role="status" {
                (counted(LOOKED_AT, "event")) " were looked at, down to position "
                (number(found.older.unwrap_or(0))) "; " (counted(found.events.len() as u64, "event"))
                " matched. Older ones were not looked at yet."
            }
        }
        nav.pager aria-label="Pages of events" {
            @if before.is_some() { a href=(base.to(&asked.with("before", ""))) { "← Newest" } }
            @if let Some(older) = found.older {
                a rel="next" href=(base.to(&asked.with("before", older))) {
                    @if found.is_unfinished { "Look further back →" } @else { "Older →" }
                }
            }
        }
    }
}

fn form(shared: &Shared, asked: &Asked, wanted: &Wanted) -> Markup {
    let summary = shared.summary();
    let chosen = wanted.aggregate_type.as_deref().unwrap_or_default();
    let is_listed = chosen.is_empty() || summary.of_type(chosen).is_some();
    html! {
        form.filter method="get" action=(asked.base.page("log")) {
            label { "Type "
                select name="type" {
                    option value="" { "all" }
                    @if !is_listed { option value=(chosen) selected { (Text(chosen)) } }
                    @for of in &summary.types {
                        option value=(of.name) selected[*of.name == *chosen] { (Text(&of.name)) }
                    }
                }
            }
            label { "Event " input name="event" value=[wanted.name.as_deref()] list="names" spellcheck="false"; }
            datalist #names {
                @for of in summary.types.iter().filter(|of| chosen.is_empty() || *of.name == *chosen) {
                    @for event in of.names.keys().take(50) { option value=(event) {} }
                }
            }
            label { "Id " input name="id" value=[wanted.id.as_deref()] spellcheck="false"; }
            label { "Tags " input name="tag" value=(wanted.tags.join(" ")) placeholder="course:c-1" spellcheck="false"; }
            label { "Since " input name="since" value=[asked.get("since")] placeholder="2h" spellcheck="false" size="12"; }
            label { "Until " input name="until" value=[asked.get("until")] placeholder="2026-01-31 12:00" spellcheck="false" size="17"; }
            @if let Some(correlation) = &wanted.correlation {
                label { "Correlation " input name="correlation" value=(correlation) spellcheck="false"; }
            }
            button { "Show" }
            @if !wanted.is_everything() { a href=(asked.base.to(&Link::to("log"))) { "Clear" } }
        }
    }
}
