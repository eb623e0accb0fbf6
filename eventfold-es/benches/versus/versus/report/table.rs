//! The numbers as tables in Markdown.

use std::fmt::Write as _;

use super::{Part, Report};
use crate::contender::Contender;
use crate::rows::{Goal, Row, grouped};
use crate::stats::{Spread, lower_quartile, number};
use crate::work::growth::Size;

pub(super) fn write(report: &Report, part: Part) -> String {
    let mut out = String::new();
    let _ = writeln!(out, "{}.\n", report.machine.shown());
    let _ = writeln!(
        out,
        "Medians (least-most) of {} rounds, commands for {} s each; the ratios are medians of the \
         ratios within the rounds.\n",
        report.rounds, report.seconds
    );
    let (goals, sweeps): (Vec<&Row>, Vec<&Row>) =
        part.rows(report).partition(|row| !row.goals.is_empty());
    if !goals.is_empty() {
        out.push_str(&rows(&goals, true));
    }
    if part == Part::Peers {
        out.push_str(&rows(&sweeps, false));
        return out;
    }
    if part == Part::Tags {
        out.push_str(&attempts(&goals));
        if !sweeps.is_empty() {
            out.push('\n');
            out.push_str(&rows(&sweeps, false));
        }
        return out;
    }
    if let Some(size) = report.growth.iter().find(|size| size.aggregates == 10_000) {
        let _ = writeln!(out, "\n{}", live(size));
    }
    if !sweeps.is_empty() {
        out.push('\n');
        out.push_str(&rows(&sweeps, false));
    }
    if !report.growth.is_empty() {
        out.push('\n');
        out.push_str(&growth(&report.growth));
    }
    out
}

fn rows(rows: &[&Row], with_goals: bool) -> String {
    let mut shown = Contender::ALL.to_vec();
    shown.retain(|who| rows.iter().any(|row| !row.values(*who).is_empty()));
    let others = shown.iter().filter(|who| **who != Contender::Current);
    let mut head = vec!["work".to_owned(), String::new()];
    head.extend(shown.iter().map(|who| who.name().to_owned()));
    head.extend(others.clone().map(|who| format!("/ {}", who.name())));
    let mut rule = vec!["---", "---"];
    rule.resize(head.len(), "--:");
    if with_goals {
        head.push("goal".to_owned());
        rule.push("---");
    }
    let mut out = format!("| {} |\n|{}|\n", head.join(" | "), rule.join("|"));
    for row in rows {
        let _ = write!(out, "| {} | {} |", row.name, row.unit.name());
        for contender in &shown {
            let shown = Spread::of(&row.values(*contender)).map(Spread::shown);
            let why = row.why_left_out(*contender).unwrap_or_default();
            let _ = write!(out, " {} |", shown.as_deref().unwrap_or(why));
        }
        for other in others.clone() {
            let ratios = row.ratios(Contender::Current, *other);
            let ratio = Spread::of(&ratios).map(|ratio| number(ratio.median));
            let _ = write!(out, " {}", ratio.unwrap_or_default());
            if let Some(quartile) = lower_quartile(&ratios) {
                let _ = write!(out, " (lower quartile {})", number(quartile));
            }
            out.push_str(" |");
        }
        if with_goals {
            let verdicts = row.goals.iter().map(|goal| verdict(row, *goal));
            let _ = write!(out, " {} |", verdicts.collect::<Vec<_>>().join("; "));
        }
        out.push('\n');
    }
    if let Some(row) = rows.iter().find(|row| row.is_main()) {
        let of_peers = row.is_of_peers;
        let lacking = shown.iter().map(|who| who.does_not_promise(of_peers));
        let lacking = lacking.collect::<Vec<_>>().join(" | ");
        let rest = " |".repeat(head.len() - 2 - shown.len());
        let _ = writeln!(out, "| *does not promise* | | {lacking} |{rest}");
    }
    out
}

/// How often the rule was applied for each decision.
fn attempts(rows: &[&Row]) -> String {
    let mut out = String::new();
    for row in rows {
        let attempts = Contender::ALL.into_iter().filter_map(|who| {
            let attempts = Spread::of(&row.attempts(who))?;
            Some(format!("{} {}", who.name(), attempts.shown()))
        });
        let attempts: Vec<_> = attempts.collect();
        if !attempts.is_empty() {
            let attempts = attempts.join(", ");
            let _ = writeln!(
                out,
                "\n{}: so often the rule was applied for each decision that was stored: {attempts}.",
                row.name
            );
        }
    }
    out
}

/// A goal and whether it is met.
pub(super) fn verdict(row: &Row, goal: Goal) -> String {
    let unit = row.unit.name();
    let reached = |values: &[f64]| Spread::of(values).map(|spread| spread.median);
    let (text, is_met) = match goal {
        Goal::Times(times, other) => (
            times_of(row, times, other),
            reached(&row.ratios(Contender::Current, other)).map(|ratio| ratio >= times),
        ),
        Goal::AtLeast(least) => (
            format!("≥ {} {unit}", number(least)),
            reached(&row.values(Contender::Current)).map(|value| value >= least),
        ),
        Goal::AtMost(most) => (
            format!("≤ {} {unit}", number(most)),
            reached(&row.values(Contender::Current)).map(|value| value <= most),
        ),
        Goal::NoFailedAttempts => (
            "each decision is made once".to_owned(),
            Spread::of(&row.attempts(Contender::Current)).map(|attempts| attempts.most <= 1.0),
        ),
    };
    match is_met {
        Some(true) => format!("{text}: met"),
        Some(false) => {
            let bare = match goal {
                Goal::Times(_, other) => reached(&row.ratios(Contender::NoStore, other)),
                Goal::AtLeast(_) | Goal::AtMost(_) | Goal::NoFailedAttempts => None,
            };
            let bare = bare.map(|ratio| format!(" ({} × without a store)", number(ratio)));
            format!("{text}: **not met**{}", bare.unwrap_or_default())
        }
        None => format!("{text}: not measured"),
    }
}

/// The text of [`Goal::Times`].
fn times_of(row: &Row, times: f64, other: Contender) -> String {
    if row.unit.is_time() && times < 1.0 {
        return format!("≤ {:.0} × {}'s time", 1.0 / times, other.name());
    }
    format!("≥ {times} × {}", other.name())
}

/// The one goal that is about memory.
fn live(size: &Size) -> String {
    let is_met = size.memory <= 64.0 && size.threads <= 16 && size.descriptors <= 256;
    format!(
        "10,000 live aggregates take {} MiB over the empty store, {} threads and {} descriptors. \
         Goal ≤ 64 MiB, ≤ 16 threads, ≤ 256 descriptors: {}. (0.2.0 has a thread and an open file \
         for each.)",
        number(size.memory),
        size.threads,
        size.descriptors,
        if is_met { "met" } else { "**not met**" },
    )
}

fn growth(sizes: &[Size]) -> String {
    let mut out = String::from(
        "| live aggregates | first commands/s, 1 client | MiB over the empty store \
         | KiB an aggregate | threads | descriptors | idle projection read, µs \
         | 64 clients on all of them, commands/s |\n|--:|--:|--:|--:|--:|--:|--:|--:|\n",
    );
    for size in sizes {
        let aggregates = crate::work::count(size.aggregates);
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} | {} |",
            grouped(size.aggregates),
            number(size.first_commands),
            number(size.memory),
            number(size.memory * 1024.0 / aggregates),
            size.threads,
            size.descriptors,
            number(size.idle_read),
            number(size.commands),
        );
    }
    out
}
