//! The subcommands.

mod backups;
mod events;
mod followers;
mod letters;
mod maintenance;
mod moving;
mod reading;
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
    let dir = &args.dir;
    match &args.command {
        Command::Ls(ls) => streams::list(&mut open(dir)?, ls, out)?,
        Command::Stats(stats) => stats::print(&open(dir)?, stats, out)?,
        Command::Show(show) => streams::show(&open(dir)?, show, out)?,
        Command::Event { id } => events::one(&open(dir)?, id, out)?,
        Command::Log(log) => events::log(&mut open(dir)?, log, out)?,
        Command::Search(search) => search::run(&open(dir)?, search, out)?,
        Command::Trace(trace) => trace::run(&open(dir)?, trace, out)?,
        Command::Projections => followers::projections(&open(dir)?, out)?,
        Command::ProcessManagers => followers::process_managers(&open(dir)?, out)?,
        Command::Outbox(of) => followers::outbox(&open(dir)?, of, out)?,
        Command::Timers(of) => followers::timers(&open(dir)?, of, out)?,
        Command::DeadLetters { what } => match what {
            None => letters::list(&open(dir)?, None, out)?,
            Some(DeadLetters::List(of)) => {
                letters::list(&open(dir)?, of.process_manager.as_deref(), out)?;
            }
            Some(DeadLetters::Show(letter)) => letters::show(&open(dir)?, letter, out)?,
            Some(DeadLetters::Discard(letter)) => letters::discard(dir, letter, out)?,
        },
        Command::Verify => return maintenance::verify(dir, out),
        Command::Repair => return maintenance::repair(dir, out),
        Command::Backup(backup) => backups::backup(backup, out)?,
        Command::Restore(restore) => backups::restore(restore, out)?,
        Command::Follow(follow) => backups::follow(follow, out)?,
        Command::Export(export) => moving::export(&open(dir)?, export, out)?,
        Command::Import(import) => moving::import(dir, import, out)?,
        Command::Ui(ui) => ui::serve(dir, ui, out)?,
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Args::command(), "eventfold", &mut script);
            out.line(String::from_utf8_lossy(&script).trim_end())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
