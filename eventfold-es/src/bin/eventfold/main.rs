//! `eventfold` looks into the directory of a store, checks it and repairs it. It needs no types of the
//! application, and only looks beside a running store.

mod args;
mod commands;
mod event;
mod failure;
mod filter;
mod json;
mod names;
mod output;
mod progress;
mod table;
mod time;

use std::process::ExitCode;

use clap::Parser as _;

use args::Args;
use failure::Failure;
use output::Output;

fn main() -> ExitCode {
    let args = Args::parse();
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
