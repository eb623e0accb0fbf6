//! The dead letters, and what may be done with them.

use std::sync::Arc;

use maud::{Markup, html};

use crate::console::asked::{Asked, Base, Link};
use crate::console::event::{Cut, FOR_PAGE};
use crate::console::failure::{Failure, Result};
use crate::console::html::{Text, counted, empty, json, name, number, system_time};
use crate::console::layout::Page;
use crate::console::pages::read_side::target_of;
use crate::console::read_side;
use crate::console::read_side::ManagerView;
use crate::console::reading::ROWS;
use crate::console::shared::Shared;
use crate::domain::process_manager::DeadLetter;
use crate::store::ReplayError;
use crate::text::Shown;

/// What a form asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Replay,
    Discard,
}

pub(crate) async fn page(shared: &Arc<Shared>, asked: &Asked) -> Result<Page> {
    let asked = asked.clone();
    let body = shared.read(move |shared| {
        shared.source.refresh()?;
        let view = read_side::view(&shared.source)?;
        let now = shared.source.now();
        let of = asked.get("of");
        let managers: Vec<&ManagerView> = view
            .managers
            .iter()
            .filter(|manager| of.is_none_or(|of| of == manager.follower.name))
            .collect();
        if let (Some(of), true) = (of, managers.is_empty()) {
            let of = Shown(of);
            return Err(Failure::NotThere(format!("No process manager has the name `{of}`.")));
        }
        let count: usize = managers.iter().map(|of| of.dead_letters.len()).sum();
        Ok(html! {
            @if let Some(done) = asked.get("done") { p.good role="status" { (Text(done)) } }
            @if !shared.may_write && count > 0 {
                p.quiet {
                    "This console is read-only. "
                    @if shared.source.store().is_some() {
                        "The program allows it to replay and discard: " code { "console::router(&store).allow_writing()" } "."
                    } @else {
                        "The program that has the store replays them; " code { "eventfold dead-letters discard" }
                        " discards one while the store is closed."
                    }
                }
            }
            @if count == 0 && managers.iter().all(|of| of.unreadable.is_empty() && of.problem.is_none()) {
                (empty("There are no dead letters: every command of every process manager took effect, or waits."))
            }
            @for manager in &managers { (letters(shared, &asked, manager, now)) }
        })
    });
    Ok(Page::new("dead-letters", "Dead letters", body.await?))
}

fn letters(shared: &Shared, asked: &Asked, of: &ManagerView, now: u64) -> Markup {
    let process_manager = &of.follower.name;
    if of.dead_letters.is_empty() && of.unreadable.is_empty() && of.problem.is_none() {
        return html! {};
    }
    let first = asked.get("of").and(asked.number("from").ok().flatten());
    let first = usize::try_from(first.unwrap_or(0)).unwrap_or(usize::MAX);
    let all = of.dead_letters.len();
    let base = &asked.base;
    let page = |first: usize| {
        let link = Link::to("dead-letters").with("of", process_manager);
        base.to(&link.with("from", first))
    };
    let may_write = shared.may_write && of.is_registered;
    html! {
        section {
            h2 { (name(process_manager)) " " span.quiet { (counted(all as u64, "dead letter")) } }
            @if let Some(problem) = &of.problem { p.problem { (Text(problem)) } }
            @for (offset, cause) in of.unreadable.iter().take(ROWS) {
                p.problem {
                    "The line at byte " (number(*offset)) " of its dead letters cannot be read: " (Text(cause))
                }
            }
            @if may_write && all > 1 {
                form.inline method="post" action=(base.page("replay")) {
                    (hidden(shared, process_manager, None))
                    button { "Replay all " (number(all as u64)) }
                }
            }
            @for letter in of.dead_letters.iter().rev().skip(first).take(ROWS) {
                (card(shared, base, process_manager, letter, may_write, now))
            }
            nav.pager aria-label="Pages of dead letters" {
                @if first > 0 { a rel="prev" href=(page(first.saturating_sub(ROWS))) { "← Newer" } }
                @if first.saturating_add(ROWS) < all { a rel="next" href=(page(first + ROWS)) { "Older →" } }
            }
        }
    }
}

fn card(
    shared: &Shared,
    base: &Base,
    process_manager: &str,
    letter: &DeadLetter,
    may_write: bool,
    now: u64,
) -> Markup {
    let commands = std::iter::once(&letter.envelope).chain(&letter.together);
    let cause = letter.envelope.context.causation_id.as_deref();
    html! {
        article.letter {
            h3 { "For " (target_of(&letter.envelope, &letter.together, letter.decision.as_deref(), base)) }
            p.problem { (Text(&Cut::of(&letter.error, 2_000).text)) }
            p.quiet {
                "Id " (name(&letter.id)) " · " (system_time(letter.time, now))
                " · " (counted(u64::from(letter.attempts), "attempt"))
                @if let Some(cause) = cause {
                    " · " a href=(base.to(&Link::to("event").with("id", cause))) { "its cause" }
                }
            }
            details {
                summary { "Command" }
                @for command in commands {
                    (json(&Cut::of(&command.command.to_string(), FOR_PAGE)))
                }
            }
            @if may_write {
                div.actions {
                    form method="post" action=(base.page("replay")) {
                        (hidden(shared, process_manager, Some(&letter.id)))
                        button { "Replay" }
                    }
                    details {
                        summary { "Discard…" }
                        form method="post" action=(base.page("discard")) {
                            (hidden(shared, process_manager, Some(&letter.id)))
                            p { "Its command is never sent then." }
                            button.danger { "Discard for good" }
                        }
                    }
                }
            }
        }
    }
}

fn hidden(shared: &Shared, process_manager: &str, id: Option<&str>) -> Markup {
    html! {
        input type="hidden" name="token" value=(shared.token);
        input type="hidden" name="of" value=(process_manager);
        @if let Some(id) = id { input type="hidden" name="letter" value=(id); }
    }
}

/// Replays or discards dead letters, and returns what to tell about it. Without `letter` all are meant.
pub(crate) async fn change(
    shared: &Shared,
    action: Action,
    process_manager: &str,
    letter: Option<&str>,
) -> Result<String> {
    let Some(store) = shared.source.store().filter(|_| shared.may_write) else {
        return Err(Failure::Refused(
            "This console is read-only: nothing was changed. The program that has the store allows it to \
             replay and discard with `console::router(&store).allow_writing()`."
                .to_owned(),
        ));
    };
    let letters = store.dead_letters(process_manager).map_err(not_there)?;
    let name = Shown(process_manager);
    match (action, letter) {
        (Action::Replay, Some(id)) => {
            tracing::info!(
                pm_name = process_manager,
                letter = id,
                "the console replays a dead letter"
            );
            match letters.replay(id).await {
                Ok(()) => Ok(format!(
                    "The dead letter {} of {name} took effect.",
                    Shown(id)
                )),
                Err(ReplayError::Failed(error)) => Err(Failure::Refused(format!(
                    "The command failed again, and is a dead letter again: {error}"
                ))),
                Err(ReplayError::Io(error)) => Err(not_there(error)),
            }
        }
        (Action::Replay, None) => {
            tracing::info!(
                pm_name = process_manager,
                "the console replays all dead letters"
            );
            let report = letters.replay_all().await?;
            Ok(format!(
                "{name}: {} took effect, {} failed again.",
                counted(report.dispatched as u64, "command"),
                number(report.dead_lettered as u64)
            ))
        }
        (Action::Discard, Some(id)) => {
            tracing::info!(
                pm_name = process_manager,
                letter = id,
                "the console discards a dead letter"
            );
            letters.discard(id).await.map_err(not_there)?;
            Ok(format!(
                "The dead letter {} of {name} was discarded.",
                Shown(id)
            ))
        }
        (Action::Discard, None) => Err(Failure::Invalid(
            "The form does not say which dead letter to discard.".to_owned(),
        )),
    }
}

/// An error of the dead letters: what is not there is not a failure of the store.
fn not_there(error: std::io::Error) -> Failure {
    match error.kind() {
        std::io::ErrorKind::NotFound => Failure::NotThere(error.to_string()),
        _ => Failure::Store(error),
    }
}
