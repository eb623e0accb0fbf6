//! Projections, followers and process managers: all of them, and one.

use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Base, Link};
use crate::console::event::Cut;
use crate::console::failure::{Failure, Result};
use crate::console::html::{
    Text, bytes, counted, empty, event_link, line, name, number, stream, system_time,
};
use crate::console::layout::Page;
use crate::console::read_side;
use crate::console::read_side::{FollowerView, ManagerView, ReadSideView};
use crate::console::reading::ROWS;
use crate::console::shared::Shared;
use crate::domain::command::CommandEnvelope;
use crate::following::Running;
use crate::following::saved::SavedContent;
use crate::text::Shown;

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let base = asked.base.clone();
    let body = shared.read(move |shared| {
        shared.source.refresh()?;
        let view = read_side::view(&shared.source)?;
        let is_live = shared.source.store().is_some();
        Ok(html! {
            p.quiet {
                @if is_live { "As they are now in this program." }
                @else { "As they were last saved in the directory." }
            }
            (projections(&view, &base))
            (followers(&view, &base))
            (managers(&view, &base))
        })
    });
    Ok(Page::new("read-side", "Read side", body.await?))
}

/// One projection, follower or process manager.
pub(crate) async fn one(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let wanted = asked.required("name")?.to_owned();
    let asked = asked.clone();
    let title = wanted.clone();
    let body = shared.read(move |shared| {
        shared.source.refresh()?;
        let view = read_side::view(&shared.source)?;
        let now = shared.source.now();
        let followers = view.followers().filter(|(of, _)| of.name == wanted);
        let followers: Vec<(&FollowerView, &str)> = followers.collect();
        let manager = view.manager(&wanted);
        if followers.is_empty() && manager.is_none() {
            return Err(Failure::NotThere(format!(
                "No projection, follower or process manager has the name `{}`.",
                Shown(&wanted)
            )));
        }
        let base = &asked.base;
        Ok(html! {
            @for (of, kind) in followers { (follower(of, kind, base, now)) }
            @if let Some(of) = manager {
                (follower(&of.follower, "process manager", base, now))
                (work(of, base, now))
            }
        })
    });
    Ok(Page::new("read-side", title, body.await?))
}

/// How far it is behind.
pub(crate) fn lag_of(of: &FollowerView) -> Markup {
    if of.lag == 0 {
        html! { "0" }
    } else {
        html! { span.warn { (number(of.lag)) } }
    }
}

/// Whether it works.
pub(crate) fn state_of(of: &FollowerView) -> Markup {
    match of.running {
        Some(Running::Stopped) => html! { span.bad { "stopped" } },
        _ if of.error.is_some() => html! { span.warn { "had an error" } },
        Some(Running::Live) => html! { span.good { "live" } },
        Some(Running::StandingBy) => {
            html! { "in " (of.elsewhere.as_deref().map_or("another process", |runner| runner)) }
        }
        Some(Running::OnDemand) => html! { "on demand" },
        None => html! { "saved" },
    }
}

fn projections(view: &ReadSideView, base: &Base) -> Markup {
    html! {
        section aria-labelledby="projections" {
            h2 #projections { "Projections" }
            @if view.projections.is_empty() {
                (empty("No projection is known here."))
            } @else {
                (table_of("Projections", &view.projections, base))
            }
        }
    }
}

/// What is fed outside of the store, if there is something.
fn followers(view: &ReadSideView, base: &Base) -> Markup {
    html! { @if !view.followers.is_empty() {
        section aria-labelledby="followers" {
            h2 #followers { "Followers" }
            (table_of("Followers", &view.followers, base))
        }
    } }
}

fn table_of(caption: &str, all: &[FollowerView], base: &Base) -> Markup {
    html! {
        div.scroll { table {
            caption.hidden { (caption) }
            thead { tr {
                th scope="col" { "Name" }
                th.number scope="col" { "Position" } th.number scope="col" { "Lag" }
                th.number scope="col" { "Skipped" } th scope="col" { "State" }
                th.wide scope="col" { "Last error" }
            } }
            tbody { @for of in all { tr {
                td data-label="Name" { (follower_link(of, base))
                    @if let Some(version) = of.version.filter(|version| *version > 1) {
                        span.quiet { " version " (version) }
                    } }
                td.number data-label="Position" { (number(of.position)) }
                td.number data-label="Lag" { (lag_of(of)) }
                td.number data-label="Skipped" { (number(of.skipped_count)) }
                td data-label="State" { (state_of(of)) }
                td.wide data-label="Last error" { (error_of(of)) }
            } } }
        } }
    }
}

fn managers(view: &ReadSideView, base: &Base) -> Markup {
    html! {
        section aria-labelledby="managers" {
            h2 #managers { "Process managers" }
            @if view.managers.is_empty() {
                (empty("No process manager is known here."))
            } @else {
                div.scroll { table {
                    caption.hidden { "Process managers" }
                    thead { tr {
                        th scope="col" { "Name" }
                        th.number scope="col" { "Position" } th.number scope="col" { "Lag" }
                        th.number scope="col" { "Skipped" } th.number scope="col" { "Outbox" }
                        th.number scope="col" { "Timers" } th.number scope="col" { "Dead letters" }
                        th scope="col" { "State" } th.wide scope="col" { "Last error" }
                    } }
                    tbody { @for manager in &view.managers { @let of = &manager.follower; tr {
                        td data-label="Name" { (follower_link(of, base)) }
                        td.number data-label="Position" { (number(of.position)) }
                        td.number data-label="Lag" { (lag_of(of)) }
                        td.number data-label="Skipped" { (number(of.skipped_count)) }
                        td.number data-label="Outbox" { (number(manager.outgoing as u64)) }
                        td.number data-label="Timers" { (number(manager.set_timers as u64)) }
                        td.number data-label="Dead letters" { (letters_of(manager, base)) }
                        td data-label="State" {
                            @if manager.is_registered { (state_of(of)) }
                            @else { span.warn { "not registered" } }
                        }
                        td.wide data-label="Last error" { (error_of(of)) }
                    } } }
                } }
            }
        }
    }
}

fn letters_of(of: &ManagerView, base: &Base) -> Markup {
    let to = base.to(&Link::to("dead-letters").with("of", &of.follower.name));
    match of.dead_letters.len() {
        0 if of.unreadable.is_empty() => html! { "0" },
        count => html! { a.bad href=(to) { (number(count as u64)) } },
    }
}

fn error_of(of: &FollowerView) -> Markup {
    match &of.error {
        None => html! { span.quiet { "—" } },
        Some(error) => {
            let cut = Cut::of(error, 200);
            html! { (Text(&cut.text)) @if cut.is_cut() { "…" } }
        }
    }
}

fn follower_link(of: &FollowerView, base: &Base) -> Markup {
    html! { a href=(base.to(&Link::to("follower").with("name", &of.name))) { (name(&of.name)) } }
}

fn follower(of: &FollowerView, kind: &str, base: &Base, now: u64) -> Markup {
    html! {
        dl.figures {
            div { dt { "Kind" } dd.text { (kind) @if let Some(version) = of.version { ", version " (version) } } }
            div { dt { "State" } dd.text { (state_of(of)) } }
            div { dt { "Position" } dd { (number(of.position)) } }
            div { dt { "Lag" } dd { (lag_of(of)) } }
            @if let Some(size) = of.bytes { div { dt { "Checkpoint" } dd { (bytes(size)) } } }
            div { dt { "Skipped" } dd { (number(of.skipped_count)) } }
        }
        @if let Some(error) = &of.error {
            section aria-labelledby="error" {
                h2 #error { "Last error" }
                p.problem { (Text(error)) }
                @if of.is_stopped() {
                    p { "It does not run until the store is opened again. Correct the cause, or let it skip \
                         what it cannot take: " code { "OnFailure::Skip" } "." }
                }
            }
        }
        @if !of.unknown.is_empty() {
            section aria-labelledby="unknown" {
                h2 #unknown { "Events that it does not know" }
                ul { @for (aggregate_type, event) in of.unknown.iter().take(ROWS) {
                    li { (name(event)) " of " (name(aggregate_type)) }
                } }
            }
        }
        @if of.skipped_count > 0 {
            section aria-labelledby="skipped" {
                h2 #skipped { "Skipped events" }
                div.scroll { table {
                    caption.hidden { "Skipped events, the newest first" }
                    thead { tr {
                        th.number scope="col" { "Position" } th scope="col" { "Aggregate" }
                        th scope="col" { "Event" } th scope="col" { "Skipped" } th.wide scope="col" { "Why" }
                    } }
                    tbody { @for skipped in of.skipped.iter().rev().take(ROWS) { tr {
                        td.number data-label="Position" {
                            a href=(base.to(&event_link(skipped.position.get()))) { (number(skipped.position.get())) }
                        }
                        td data-label="Aggregate" { (stream(base, &skipped.aggregate_type, &skipped.id)) }
                        td data-label="Event" { (name(&skipped.event)) }
                        td data-label="Skipped" { (system_time(skipped.time, now)) }
                        td.wide data-label="Why" { (Text(&Cut::of(&skipped.error, 500).text)) }
                    } } }
                } }
                @if of.skipped_count > ROWS as u64 {
                    p.quiet { "The newest of " (counted(of.skipped_count, "skipped event")) "." }
                }
            }
        }
    }
}

/// What a process manager has to do.
fn work(of: &ManagerView, base: &Base, now: u64) -> Markup {
    html! {
        @if let Some(problem) = &of.problem { p.problem { (Text(problem)) } }
        section aria-labelledby="outbox" {
            h2 #outbox { "Outbox" }
            @if of.outbox.is_empty() {
                (empty("No command waits."))
            } @else {
                div.scroll { table {
                    caption.hidden { "Commands that are being sent or wait for their next attempt" }
                    thead { tr {
                        th.number scope="col" { "Number" } th.number scope="col" { "Attempts" }
                        th scope="col" { "For" } th.wide scope="col" { "Command" } th scope="col" { "Given up" }
                    } }
                    tbody { @for waiting in of.outbox.iter().take(ROWS) { tr {
                        td.number data-label="Number" { (waiting.number) }
                        td.number data-label="Attempts" { (waiting.attempts) }
                        td data-label="For" { (target(&waiting.content, base)) }
                        td.wide data-label="Command" { (command(&waiting.content.envelope)) }
                        td data-label="Given up" {
                            @match &waiting.given_up {
                                Some(error) => (Text(&Cut::of(error, 200).text)),
                                None => span.quiet { "—" },
                            }
                        }
                    } } }
                } }
                (of_all(of.outbox.len(), "command"))
            }
        }
        section aria-labelledby="timers" {
            h2 #timers { "Timers" }
            @if of.timers.is_empty() {
                (empty("No timer is set."))
            } @else {
                div.scroll { table {
                    caption.hidden { "Timers, the next one first" }
                    thead { tr {
                        th scope="col" { "Due (UTC)" } th scope="col" { "Key" } th scope="col" { "For" }
                        th.wide scope="col" { "Command" }
                    } }
                    tbody { @for timer in of.timers.iter().take(ROWS) { tr {
                        td data-label="Due" { (system_time(timer.due, now)) }
                        td data-label="Key" { (name(&timer.key)) }
                        td data-label="For" { (target(&timer.content, base)) }
                        td.wide data-label="Command" { (command(&timer.content.envelope)) }
                    } } }
                } }
                (of_all(of.timers.len(), "timer"))
            }
        }
        section aria-labelledby="letters" {
            h2 #letters { "Dead letters" }
            @if of.dead_letters.is_empty() && of.unreadable.is_empty() {
                (empty("There are none."))
            } @else {
                p { a href=(base.to(&Link::to("dead-letters").with("of", &of.follower.name))) {
                    (counted(of.dead_letters.len() as u64, "dead letter"))
                } }
            }
        }
    }
}

fn of_all(count: usize, what: &str) -> Markup {
    html! { @if count > ROWS { p.quiet { "The first of " (counted(count as u64, what)) "." } } }
}

fn target(content: &SavedContent, base: &Base) -> Markup {
    target_of(
        &content.envelope,
        &content.together,
        content.decision.as_deref(),
        base,
    )
}

/// What a command of a process manager is for.
pub(crate) fn target_of(
    envelope: &CommandEnvelope,
    together: &[CommandEnvelope],
    decision: Option<&str>,
    base: &Base,
) -> Markup {
    if let Some(decision) = decision {
        return html! { "decision " (name(decision)) };
    }
    html! {
        (stream(base, &envelope.aggregate_type, &envelope.instance_id))
        @for other in together { ", " (stream(base, &other.aggregate_type, &other.instance_id)) }
    }
}

fn command(envelope: &CommandEnvelope) -> Markup {
    line(&Cut::of(&envelope.command.to_string(), 400))
}
