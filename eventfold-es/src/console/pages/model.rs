//! What the stored events say about the model: their names, by the type of their aggregates.

use std::sync::Arc;

use maud::html;

use crate::console::asked::{Asked, Link};
use crate::console::failure::Result;
use crate::console::html::{bytes, counted, empty, name, number};
use crate::console::layout::Page;
use crate::console::shared::Shared;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let behind = shared.catch_up().await?;
    let base = asked.base.clone();
    let body = shared.read(move |shared| {
        let summary = shared.summary();
        let mut types: Vec<_> = summary.types.iter().collect();
        types.sort_by(|a, b| a.name.cmp(&b.name));
        let of_none = (!summary.of_none.is_empty()).then_some(&summary.of_none);
        Ok(html! {
            p.quiet { "What the stored events say: their names, by the type of their aggregates." }
            @if types.is_empty() && of_none.is_none() { (empty("There are no events yet.")) }
            @for of in types {
                section {
                    h2 { (name(&of.name)) " " span.quiet {
                        a href=(base.to(&Link::to("aggregates").with("type", &of.name))) {
                            (counted(of.ids.len() as u64, "aggregate"))
                        }
                        ", " (counted(of.all.events, "event"))
                    } }
                    (names(&of.names, Some(&of.name), &base))
                }
            }
            @if let Some(of_none) = of_none {
                section {
                    h2 { "Of no aggregate " span.quiet { "events of decisions" } }
                    (names(of_none, None, &base))
                }
            }
        })
    });
    Ok(Page::new("model", "Model", body.await?).behind(behind))
}

fn names(
    of: &std::collections::BTreeMap<Box<str>, crate::console::summary::Count>,
    aggregate_type: Option<&str>,
    base: &crate::console::asked::Base,
) -> maud::Markup {
    let log = |event: &str| {
        let link = Link::to("log").with("event", event);
        base.to(&match aggregate_type {
            Some(aggregate_type) => link.with("type", aggregate_type),
            None => link,
        })
    };
    html! {
        div.scroll.narrow { table {
            caption.hidden { "Events" }
            thead { tr {
                th scope="col" { "Event" } th.number scope="col" { "Count" } th.number scope="col" { "Payloads" }
            } }
            tbody { @for (event, count) in of { tr {
                td data-label="Event" { a.event href=(log(event)) { (name(event)) } }
                td.number data-label="Count" { (number(count.events)) }
                td.number data-label="Payloads" { (bytes(count.bytes)) }
            } } }
        } }
    }
}
