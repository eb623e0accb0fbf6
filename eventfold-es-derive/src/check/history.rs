//! The rules of versions and their steps, and of retired events.

use crate::ast::history::{History, Retired, What};
use crate::errors::Errors;
use crate::name::Name;

/// There is one step from each version below the current one.
pub(super) fn versions(history: &History, errors: &mut Errors) {
    let steps = history.steps();
    for pair in steps.windows(2) {
        if pair[0].from == pair[1].from {
            let from = pair[0].from;
            errors.repeated(
                &pair[1].number,
                format!("the step from version `{from}` is given twice; remove one of them"),
                &pair[0].number,
                "first given here",
            );
        }
    }
    let last = steps.last().map(|step| step.from);
    let (Some(version), Some(_)) = (history.is_known.then_some(history.version), &history.steps)
    else {
        return;
    };
    match (&history.given, &history.upcast) {
        (None, Some(upcast)) => {
            let leads_to = last.map_or(2, |last| last.saturating_add(1));
            errors.at(
                upcast,
                format!(
                    "`upcast` leads to a version that is not given; add `version = {leads_to}`"
                ),
            );
        }
        (Some(given), None) if version > 1 => errors.at(
            given,
            format!(
                "no step leads to version `{version}`; add `upcast({})`, the path of a function \
                 for each older version",
                shown(1..version)
            ),
        ),
        (_, None) => {}
        (Some(_), Some(upcast)) => {
            for step in steps.iter().filter(|step| step.from >= version) {
                let remedy = match version {
                    1 => "which has no older ones; raise `version`, or remove the step".to_owned(),
                    2 => "so the one step there is begins at `1`".to_owned(),
                    _ => format!("so steps begin at `1` to `{}`", version - 1),
                };
                errors.at(
                    &step.number,
                    format!("version `{version}` is the one that is written, {remedy}"),
                );
            }
            let missing = (1..version).filter(|from| steps.iter().all(|step| step.from != *from));
            let missing = shown(missing);
            if !missing.is_empty() {
                errors.at(
                    upcast,
                    format!("a step is missing; add `{missing}`, the path of a function for each"),
                );
            }
        }
    }
}

/// `1 = path, 2 = path`; only the first ones if there are many.
fn shown(versions: impl Iterator<Item = u32>) -> String {
    let mut versions = versions;
    let mut shown: Vec<String> = versions
        .by_ref()
        .take(4)
        .map(|version| format!("{version} = path"))
        .collect();
    if versions.next().is_some() {
        shown.push("..".to_owned());
    }
    shown.join(", ")
}

/// No name is retired twice. `is_used` finds out whether a name is still in use, and reports it.
pub(super) fn retired(
    retired: &[Retired],
    errors: &mut Errors,
    mut is_used: impl FnMut(&Name, &mut Errors) -> bool,
) {
    let mut earlier: Vec<&Name> = Vec::new();
    for event in retired {
        let What::Named(name) = &event.what else {
            continue;
        };
        name.check_stored("event name", "MoneyDeposited", errors);
        if let Some(first) = earlier.iter().find(|first| first.value == name.value) {
            errors.repeated(
                name,
                format!("`{}` is retired twice; remove one of them", name.value),
                first,
                "first given here",
            );
        } else if !is_used(name, errors) {
            earlier.push(name);
        }
    }
}
