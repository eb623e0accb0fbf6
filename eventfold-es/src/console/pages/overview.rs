//! The first page: how the store is, at a glance.

use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Base, Link};
use crate::console::failure::Result;
use crate::console::html::{bytes, counted, empty, event_table, name, number};
use crate::console::layout::Page;
use crate::console::pages::read_side::{lag_of, state_of};
use crate::console::read_side;
use crate::console::read_side::ReadSideView;
use crate::console::reading::{Wanted, log_page};
use crate::console::shared::{DiskKnown, Shared};
use crate::console::source::Source;
use crate::console::summary::{MINUTE, Summary};

/// How many minutes the chart shows.
const MINUTES: u64 = 60;
/// How many of the newest events are shown.
const NEWEST: usize = 10;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let behind = shared.catch_up().await?;
    let disk = shared.disk_use().await;
    let base = asked.base.clone();
    let page = shared.read(move |shared| {
        let now = shared.source.now();
        let newest = log_page(shared, &Wanted::default(), None)?.events;
        let read_side = read_side::view(&shared.source)?;
        let condition = shared.source.condition()?;
        let head = shared.source.head();
        let mut todo = what_needs_somebody(&read_side, &base);
        if let Some(problem) = &condition.problem {
            todo.insert(0, html! { (crate::console::html::Text(problem)) });
        }
        let summary = shared.summary();
        let minute = now / MINUTE;
        let body = html! {
            @if todo.is_empty() {
                p.good role="status" { "Nothing needs somebody." }
            } @else {
                section.needs aria-labelledby="needs" {
                    h2 #needs { "Needs somebody" }
                    ul { @for item in &todo { li { (item) } } }
                }
            }
            dl.figures {
                div { dt { "Newest position" } dd { (number(head)) } }
                div { dt { "Events" } dd { (number(summary.all.events)) } }
                div {
                    dt { "Aggregates" }
                    dd { a href=(base.page("aggregates")) { (number(summary.streams.len() as u64)) } }
                }
                div { dt { "Types" } dd { (number(summary.types.len() as u64)) } }
                div { dt { "Payloads" } dd { (bytes(summary.all.bytes)) } }
                div { dt { "Disk" } dd { (disk_sum(&disk)) } }
                div { dt { "Store" } dd.text { (condition.text) } }
            }
            (dropped(&shared.source))
            section aria-labelledby="rate" {
                h2 #rate { "Events per minute" }
                (chart(&summary, minute))
                p.quiet {
                    (counted(summary.in_minutes(minute, 1), "event")) " in this minute, "
                    (number(summary.in_minutes(minute, MINUTES))) " in the last hour, "
                    (number(summary.in_minutes(minute, 24 * 60))) " in the last day"
                }
            }
            div.columns {
                section aria-labelledby="read-side" {
                    h2 #read-side { "Read side" }
                    (glance(&read_side, &base))
                }
                section aria-labelledby="disk" {
                    h2 #disk { "Disk" }
                    (disk_table(&disk))
                }
            }
            section aria-labelledby="newest" {
                h2 #newest { "Newest events" }
                @if newest.is_empty() {
                    (empty("There are no events yet."))
                } @else {
                    (event_table(&base, &newest[..newest.len().min(NEWEST)], now, true, "The newest events"))
                    p { a href=(base.page("log")) { "All events" } }
                }
            }
        };
        Ok(body)
    });
    Ok(Page::new("overview", "Overview", page.await?).behind(behind))
}

/// Says that there were more events, if there were.
pub(crate) fn dropped(source: &Source) -> Markup {
    let until = source.begins_after();
    html! { @if until > 0 {
        p.quiet {
            "The events up to position " (number(until)) " were dropped from the journal. They are neither \
             counted nor shown here."
        }
    } }
}

fn what_needs_somebody(read_side: &ReadSideView, base: &Base) -> Vec<Markup> {
    let mut todo = Vec::new();
    let of_managers = read_side.managers.iter().map(|of| &of.follower);
    for of in read_side.followers().map(|(of, _)| of).chain(of_managers) {
        let to = base.to(&Link::to("follower").with("name", &of.name));
        let linked = html! { a href=(to) { (name(&of.name)) } };
        if of.is_stopped() {
            todo.push(html! { (linked) " has stopped, " (counted(of.lag, "event")) " behind." });
        } else if of.error.is_some() {
            todo.push(html! { (linked) " had an error. Its cause may be gone." });
        }
        if of.skipped_count > 0 {
            todo.push(html! { (linked) " skipped " (counted(of.skipped_count, "event")) "." });
        }
        if !of.unknown.is_empty() {
            todo.push(html! { (linked) " does not know " (counted(of.unknown.len() as u64, "name")) " of events." });
        }
    }
    for of in &read_side.managers {
        let process_manager = &of.follower.name;
        let to = base.to(&Link::to("dead-letters").with("of", process_manager));
        if !of.dead_letters.is_empty() {
            let count = counted(of.dead_letters.len() as u64, "dead letter");
            todo.push(html! { (name(process_manager)) " has " a href=(to) { (count) } "." });
        }
        if !of.unreadable.is_empty() || of.problem.is_some() {
            todo.push(html! { "What " (name(process_manager)) " saved " a href=(to) { "cannot be read" } "." });
        }
        if !of.is_registered {
            todo.push(html! {
                (name(process_manager)) " has files here and is not registered: its timers and commands wait."
            });
        }
    }
    todo
}

/// The bars of the last minutes, oldest first. They are told in the text below as well.
fn chart(summary: &Summary, minute: u64) -> Markup {
    let first = (minute + 1).saturating_sub(MINUTES);
    let counts: Vec<u64> = (first..=minute).map(|of| summary.in_minute(of)).collect();
    let most = counts.iter().copied().max().unwrap_or(0);
    html! {
        figure.chart {
            svg viewBox="0 0 600 80" preserveAspectRatio="none" role="img"
                aria-label=(format!("Events per minute in the last hour, at most {}", number(most))) {
                @for (i, count) in counts.iter().enumerate() {
                    @let height = if *count == 0 { 0 } else { (count * 78).div_ceil(most.max(1)) };
                    rect.bar x=(i * 10 + 1) y=(80 - height) width="8" height=(height) {
                        title { (number(*count)) " events, " (59 - i.min(59)) " min ago" }
                    }
                }
                line.axis x1="0" y1="79.5" x2="600" y2="79.5" {}
            }
            figcaption { span { "60 min ago" } span { "at most " (number(most)) } span { "now" } }
        }
    }
}

fn glance(read_side: &ReadSideView, base: &Base) -> Markup {
    if read_side.followers().next().is_none() && read_side.managers.is_empty() {
        return empty("No projection and no process manager is known here.");
    }
    let managers = read_side
        .managers
        .iter()
        .map(|of| (&of.follower, "process manager"));
    html! {
        div.scroll { table {
            caption.hidden { "Projections and process managers" }
            thead { tr {
                th scope="col" { "Name" } th scope="col" { "Kind" }
                th.number scope="col" { "Lag" } th scope="col" { "State" }
            } }
            tbody { @for (of, kind) in read_side.followers().chain(managers) { tr {
                td data-label="Name" {
                    a href=(base.to(&Link::to("follower").with("name", &of.name))) { (name(&of.name)) }
                }
                td data-label="Kind" { (kind) }
                td.number data-label="Lag" { (lag_of(of)) }
                td data-label="State" { (state_of(of)) }
            } } }
        } }
    }
}

fn disk_sum(disk: &DiskKnown) -> Markup {
    match disk {
        DiskKnown::None => html! { "none" },
        DiskKnown::NotYet => html! { span.quiet { "…" } },
        DiskKnown::Known(Err(_)) => html! { span.bad { "unknown" } },
        DiskKnown::Known(Ok(used)) => {
            html! { (bytes(used.parts.iter().map(|part| part.bytes).sum())) }
        }
    }
}

fn disk_table(disk: &DiskKnown) -> Markup {
    match disk {
        DiskKnown::None => empty("This store has no directory."),
        DiskKnown::NotYet => {
            empty("The files are being measured. Load the page again in a moment.")
        }
        DiskKnown::Known(Err(error)) => html! {
            p.problem { (crate::console::html::Text(error)) }
        },
        DiskKnown::Known(Ok(used)) => html! {
            div.scroll { table {
                caption.hidden { "Disk use" }
                thead { tr {
                    th scope="col" { "Part" } th.number scope="col" { "Files" }
                    th.number scope="col" { "Size" }
                } }
                tbody { @for part in &used.parts { tr {
                    td data-label="Part" {
                        @if part.name == "." { "other files" } @else { (name(&part.name)) }
                    }
                    td.number data-label="Files" { (number(part.files)) }
                    td.number data-label="Size" { (bytes(part.bytes)) }
                } } }
            } }
        },
    }
}
