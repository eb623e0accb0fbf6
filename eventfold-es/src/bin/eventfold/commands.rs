//! The subcommands.

mod backups;
mod compare;
mod events;
mod followers;
mod letters;
mod maintenance;
mod moving;
pub(crate) mod reading;
mod search;
mod stats;
mod streams;
mod trace;
mod ui;

use std::process::ExitCode;

use crate::args::{Args, Command, DeadLetters};
use crate::commands::reading::open;
use crate::failure::Result;
use crate::output::Output;
use clap::CommandFactory as _;

/// Runs the subcommand.
pub(crate) fn run(args: &Args, out: &mut Output) -> Result<ExitCode> {
    let store = &args.store()?;
    match &args.command {
        Command::Ls(ls) => streams::list(&mut open(store)?, ls, out)?,
        Command::Stats(stats) => stats::print(&open(store)?, stats, out)?,
        Command::Show(show) => streams::show(&open(store)?, show, out)?,
        Command::Event { id } => events::one(&open(store)?, id, out)?,
        Command::Log(log) => events::log(&mut open(store)?, log, out)?,
        Command::Search(search) => search::run(&open(store)?, search, out)?,
        Command::Trace(trace) => trace::run(&open(store)?, trace, out)?,
        Command::Projections(_) => followers::projections(&open(store)?, out)?,
        Command::ProcessManagers(_) => followers::process_managers(&open(store)?, out)?,
        Command::Outbox(of) => followers::outbox(&open(store)?, of, out)?,
        Command::Timers(of) => followers::timers(&open(store)?, of, out)?,
        Command::DeadLetters { what } => match what {
            None => letters::list(&open(store)?, None, out)?,
            Some(DeadLetters::List(of)) => {
                letters::list(&open(store)?, of.process_manager.as_deref(), out)?;
            }
            Some(DeadLetters::Show(letter)) => letters::show(&open(store)?, letter, out)?,
            Some(DeadLetters::Discard(letter)) => letters::discard(store, letter, out)?,
        },
        Command::Verify(_) => return maintenance::verify(store, out),
        Command::Repair(_) => return maintenance::repair(store, out),
        Command::Backup(backup) => backups::backup(backup, out)?,
        Command::Restore(restore) => backups::restore(restore, out)?,
        Command::Follow(follow) => backups::follow(follow, out)?,
        Command::Export(export) => moving::export(&open(store)?, export, out)?,
        Command::Import(import) => moving::import(store, import, out)?,
        Command::Compare(compare) => return compare::run(compare, out),
        Command::Ui(ui) => ui::serve(store, ui, out)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "eventfold", &mut script);
            out.line(String::from_utf8_lossy(&script).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
