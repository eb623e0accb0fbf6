//! All aggregates, page by page.

use std::cmp::Reverse;
use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Base, Link};
use crate::console::failure::{Failure, Result};
use crate::console::html::{aggregate_link, bytes, counted, empty, name, number, time};
use crate::console::layout::Page;
use crate::console::pages::overview::dropped;
use crate::console::reading::ROWS;
use crate::console::shared::Shared;
use crate::console::summary::{StreamRow, Summary};
use crate::text::Shown;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Last,
    First,
    Name,
    Events,
    Bytes,
}

const ORDERS: [(Order, &str, &str); 5] = [
    (Order::Last, "last", "last event"),
    (Order::First, "first", "first event"),
    (Order::Name, "name", "type and id"),
    (Order::Events, "events", "number of events"),
    (Order::Bytes, "bytes", "size"),
];

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let behind = shared.catch_up().await?;
    let sort = asked.get("sort").unwrap_or("last");
    let order = ORDERS.iter().find(|(_, of, _)| *of == sort);
    let order = order
        .map(|(order, ..)| *order)
        .ok_or_else(|| Failure::Invalid(format!("There is no order `{}`.", Shown(sort))))?;
    let first = usize::try_from(asked.number("from")?.unwrap_or(0)).unwrap_or(usize::MAX);
    let asked = asked.clone();
    let body = shared.read(move |shared| {
        let now = shared.source.now();
        let summary = shared.summary();
        let of_type = asked.get("type");
        let part = asked.get("id");
        let of_type = match of_type {
            None => None,
            Some(wanted) => Some(summary.of_type(wanted).map(|(place, _)| place).ok_or_else(|| {
                Failure::NotThere(format!("No aggregate has the type `{}`.", Shown(wanted)))
            })?),
        };
        let mut rows: Vec<&StreamRow> = summary
            .streams
            .iter()
            .filter(|row| of_type.is_none_or(|place| row.of_type == place))
            .filter(|row| part.is_none_or(|part| row.id.contains(part)))
            .collect();
        let count = rows.len();
        let shown = sorted_part(&summary, &mut rows, order, first);
        Ok(html! {
            (form(&summary, &asked, order))
            (dropped(&shared.source))
            p.quiet role="status" {
                (counted(count as u64, "aggregate"))
                @if summary.unlisted > 0 {
                    ". Not all aggregates are listed: the console keeps " (number(summary.streams.len() as u64))
                    " of them in memory. Others are found by their exact type and id: "
                    a href=(asked.base.page("aggregate")) { "open one" } "."
                }
            }
            @if shown.is_empty() {
                (empty(if count == 0 { "No aggregate is like that." } else { "There are no more." }))
            } @else {
                (table(&summary, shown, &asked.base, now))
            }
            nav.pager aria-label="Pages of aggregates" {
                @if first > 0 {
                    a rel="prev" href=(asked.base.to(&asked.with("from", first.saturating_sub(ROWS)))) { "← Back" }
                }
                @if first.saturating_add(ROWS) < count {
                    a rel="next" href=(asked.base.to(&asked.with("from", first + ROWS))) { "More →" }
                }
            }
        })
    });
    Ok(Page::new("aggregates", "Aggregates", body.await?).behind(behind))
}

/// The rows of one page. Only as many as necessary are sorted.
fn sorted_part<'a, 'b>(
    summary: &Summary,
    rows: &'a mut Vec<&'b StreamRow>,
    order: Order,
    first: usize,
) -> &'a [&'b StreamRow] {
    let compare = |a: &&StreamRow, b: &&StreamRow| {
        let named = |of: &StreamRow| &*summary.types[of.of_type].name;
        let by_name = || named(a).cmp(named(b)).then_with(|| a.id.cmp(&b.id));
        match order {
            Order::Last => b.last_ms.cmp(&a.last_ms),
            Order::First => a.first_ms.cmp(&b.first_ms),
            Order::Name => by_name(),
            Order::Events => Reverse(a.count.events).cmp(&Reverse(b.count.events)),
            Order::Bytes => Reverse(a.count.bytes).cmp(&Reverse(b.count.bytes)),
        }
        .then_with(by_name)
    };
    if first >= rows.len() {
        return &[];
    }
    let end = first.saturating_add(ROWS).min(rows.len());
    if end < rows.len() {
        rows.select_nth_unstable_by(end, compare);
    }
    rows.truncate(end);
    if first > 0 {
        rows.select_nth_unstable_by(first, compare);
    }
    let shown = &mut rows[first..];
    shown.sort_unstable_by(compare);
    shown
}

fn form(summary: &Summary, asked: &Asked, order: Order) -> Markup {
    let chosen = asked.get("type").unwrap_or_default();
    html! {
        form.filter method="get" action=(asked.base.page("aggregates")) {
            label { "Type "
                select name="type" {
                    option value="" { "all" }
                    @for of in &summary.types {
                        option value=(of.name) selected[*of.name == *chosen] {
                            (crate::console::html::Text(&of.name)) " (" (number(of.ids.len() as u64)) ")"
                        }
                    }
                }
            }
            label { "Id contains " input type="search" name="id" value=[asked.get("id")] spellcheck="false"; }
            label { "By "
                select name="sort" {
                    @for (of, value, label) in ORDERS {
                        option value=(value) selected[of == order] { (label) }
                    }
                }
            }
            button { "Show" }
        }
    }
}

fn table(summary: &Summary, rows: &[&StreamRow], base: &Base, now: u64) -> Markup {
    html! {
        div.scroll { table {
            caption.hidden { "Aggregates" }
            thead { tr {
                th scope="col" { "Type" } th scope="col" { "Id" }
                th.number scope="col" { "Events" } th.number scope="col" { "Size" }
                th scope="col" { "First event (UTC)" } th scope="col" { "Last event (UTC)" }
            } }
            tbody { @for row in rows {
                @let aggregate_type = &summary.types[row.of_type].name;
                tr {
                    td data-label="Type" {
                        a.type href=(base.to(&Link::to("aggregates").with("type", aggregate_type))) {
                            (name(aggregate_type))
                        }
                    }
                    td data-label="Id" {
                        a href=(base.to(&aggregate_link(aggregate_type, &row.id))) { (name(&row.id)) }
                    }
                    td.number data-label="Events" { (number(row.count.events)) }
                    td.number data-label="Size" { (bytes(row.count.bytes)) }
                    td data-label="First" { (time(row.first_ms, now)) }
                    td data-label="Last" { (time(row.last_ms, now)) }
                }
            } }
        } }
    }
}
