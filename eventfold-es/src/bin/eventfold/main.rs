//! `eventfold` looks into a store, checks it, repairs it and moves it. It needs no types of the
//! application, and only looks beside a running store.

mod args;
mod commands;
mod event;
mod failure;
mod filter;
mod json;
mod names;
mod output;
mod place;
mod progress;
mod table;
mod time;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{CommandFactory as _, FromArgMatches as _};

use args::Args;
use failure::Failure;
use output::Output;

/// The arguments. A wrong command line ends the program.
fn args() -> Args {
    let matches = Args::command().try_get_matches();
    let matches = matches.unwrap_or_else(|error| refuse(&error));
    let args = Args::from_arg_matches(&matches).unwrap_or_else(|error| refuse(&error));
    let is_dir_given = matches.value_source("dir") == Some(ValueSource::CommandLine);
    if is_dir_given && args.command.names_directories() {
        let text = "`--dir` is not used here: both stores stand behind the subcommand\n";
        Args::command()
            .error(ErrorKind::ArgumentConflict, text)
            .exit();
    }
    args
}

/// Says what is wrong with the command line, or its help, and ends the program.
fn refuse(error: &clap::Error) -> ! {
    use std::io::Write as _;
    let text = place::without_passwords(error.render().ansi().to_string());
    // Without a place for the message the exit code has to do.
    let _ = if error.use_stderr() {
        write!(anstream::stderr(), "{text}")
    } else {
        write!(anstream::stdout(), "{text}")
    };
    std::process::exit(error.exit_code())
}

fn main() -> ExitCode {
    let args = args();
    let mut out = Output::new(args.json);
    let done = commands::run(&args, &mut out);
    let done = done.and_then(|code| out.finish().map(|()| code));
    match done {
        Ok(code) => code,
        // Whoever read the output has seen enough.
        Err(Failure::Output(error)) if error.kind() == std::io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(failure) => {
            // What was printed before belongs before the error.
            let _ = out.finish();
            failure.report();
            failure.code()
        }
    }
}
