//! This crate against the published 0.2.0, an expert's SQLite store, UmaDB, tephra and the raw disk, in
//! one run.
//!
//! ```sh
//! cd eventfold-es/benches/versus
//! cargo bench --bench versus                  # everything
//! cargo bench --bench versus -- --quick       # only what has goals
//! cargo bench --bench versus -- --help        # the options
//! # The same work of accounts, compared with evento, mnesis, UmaDB and tephra:
//! cargo bench --bench versus --features peers --ignore-rust-version -- --peers
//! ```
//!
//! What came out, what it means and how cost grows is in `eventfold-es/docs/speed.md`.
//!
//! # How
//!
//! Each round measures, for each row, the raw disk, the same work without any store, the others and this
//! crate, one right after the other, and turns their order around every time, so that a disk that gets
//! slower for a while slows all of them. Printed are the medians of all rounds with the least and the most beside
//! them. The ratios are the medians of the ratios within the rounds, which a disk that others use
//! as well disturbs less than the rates; they need not be the ratios of the medians. From eight rounds on
//! the lower quartile of the ratios stands beside the median. If least and
//! most are far apart for the raw disk, the machine was not calm, and the numbers say little.
//!
//! Each measurement has a fresh directory (below the build's target directory: the temporary
//! directory of the system may be no disk at all), a fresh multi-threaded runtime with its default
//! number of threads, and a store with its default settings. Clients are tasks of that runtime, and
//! send their next command when the last one is answered. Before the clock runs, each aggregate has
//! had one command (not where first commands are measured, of course). After it, the store is closed
//! and opened again, and every state read back must hold exactly the answered commands. Closing,
//! reading back and syncing the file system, so that nobody pays for what the one before left to be
//! written, are not timed.
//!
//! The stores from which few of many events are read are filled once, and opened anew for each reading.
//! What they have is in the page cache of the system as far as it fits.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tempfile::TempDir;

mod bare;
mod contender;
mod disk;
mod domain;
mod machine;
mod options;
mod report;
mod rows;
mod stats;
mod store;
mod tagged;
mod work;

use contender::Contender;
use machine::Machine;
use options::Options;
use report::Report;
use rows::Row;
use store::by_tag::ByTag;
use store::sqlite::Sqlite;
use tagged::tephra::Tephra;
use tagged::umadb::Uma;
use work::decisions::Filled;
use work::{growth, killed};

fn main() -> ExitCode {
    disk::allow_open_files();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [argument, base, sizes @ ..] = args.as_slice()
        && argument == growth::ARGUMENT
    {
        let sizes: Vec<usize> = sizes.iter().flat_map(|size| size.parse()).collect();
        growth::grow::<eventfold_es::AggregateStore>(Path::new(base), &sizes);
        return ExitCode::SUCCESS;
    }
    if let [argument, who, base, aggregates] = args.as_slice()
        && argument == killed::ARGUMENT
        && let Ok(aggregates) = aggregates.parse()
    {
        let base = Path::new(base);
        if who == Contender::Sqlite.name() {
            killed::work::<Sqlite>(base, aggregates);
        } else {
            killed::work::<eventfold_es::AggregateStore>(base, aggregates);
        }
        return ExitCode::SUCCESS;
    }
    match Options::from_args(args) {
        // `cargo test --benches` only wants to know that it starts.
        Ok(None) => ExitCode::SUCCESS,
        Ok(Some(options)) => run(&options),
        Err(error) => {
            eprintln!("{error}\n\n{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> ExitCode {
    let rows = rows_of(options);
    if options.list {
        for row in &rows {
            println!("{}", row.name);
        }
        return ExitCode::SUCCESS;
    }
    let started = Instant::now();
    // Removing thousands of directories takes a while, so that comes last.
    let (report, _kept) = measure(options, rows);
    println!("\n{}", report.tables());
    eprintln!("measured in {:.0} s", started.elapsed().as_secs_f64());
    let mut written = Ok(());
    if let Some(file) = &options.json {
        written = std::fs::write(file, format!("{:#}\n", report.json()));
    }
    if let Some(dir) = &options.docs {
        written = written.and_then(|()| report.write_docs(dir));
    }
    match written {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn rows_of(options: &Options) -> Vec<Row> {
    let mut rows = if options.peers {
        rows::of_peers()
    } else {
        rows::with_goals(options.quick)
    };
    if !options.quick && !options.peers {
        rows.extend(rows::sweeps());
    }
    rows.retain(|row| options.wants(&row.name));
    rows
}

/// Measures the rows, those without goals in a third of the rounds, and a growing store. Returns
/// what was used for it as well.
fn measure(options: &Options, mut rows: Vec<Row>) -> (Report, Vec<TempDir>) {
    // Thousands of directories are removed at the end only: some file systems are slow to make new
    // ones for a while after many were removed.
    let mut kept = vec![fresh_dir()];
    let machine = Machine::look_at(kept[0].path());
    let mut filled = Filled::default();
    for round in 0..options.rounds {
        for row in &mut rows {
            let is_due = if row.is_main() {
                row.is_due(round)
            } else {
                round.is_multiple_of(3)
            };
            if is_due {
                eprintln!("round {} of {}: {}", round + 1, options.rounds, row.name);
                kept.push(measure_row(row, options, &mut filled));
            }
        }
    }
    let mut sizes = vec![10, 100, 1_000, 10_000];
    if !options.quick {
        sizes.push(100_000);
    }
    let mut growth = Vec::new();
    if options.wants("live aggregates") && !options.peers {
        eprintln!("a growing store");
        let base = fresh_dir();
        growth = growth::measure(base.path(), &sizes);
        kept.push(base);
    }
    let report = Report {
        machine,
        rounds: options.rounds,
        seconds: options.seconds,
        rows,
        growth,
    };
    (report, kept)
}

fn fresh_dir() -> TempDir {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"));
    std::fs::create_dir_all(target).expect("the target directory");
    tempfile::Builder::new()
        .prefix("versus-")
        .tempdir_in(target)
        .expect("a fresh directory")
}

/// Measures everyone once, in an order that turns around every time. Returns what was used for it.
fn measure_row(row: &mut Row, options: &Options, filled: &mut Filled) -> TempDir {
    let fresh = fresh_dir();
    let time = Duration::from_secs_f64(options.seconds);
    let mut contenders = Contender::ALL;
    if row.rounds.len() % 2 == 1 {
        contenders.reverse();
    }
    let mut measured = [None; Contender::ALL.len()];
    let mut attempts = measured;
    for contender in contenders {
        let only = &options.only;
        let is_wanted = only.is_empty() || only.iter().any(|who| who == contender.name());
        if row.why_left_out(contender).is_some() || !is_wanted {
            continue;
        }
        let base = fresh.path().join((contender as usize).to_string());
        std::fs::create_dir(&base).expect("a directory");
        disk::sync(&base);
        let (value, attempted) = measure_one(row, contender, (&base, time), filled);
        measured[contender as usize] = Some(value);
        attempts[contender as usize] = attempted;
    }
    row.attempts.push(attempts);
    row.rounds.push(measured);
    fresh
}

/// Measures one of them in the empty directory `base`: the value, and how often a rule was applied for
/// each decision.
fn measure_one(
    row: &Row,
    who: Contender,
    (base, time): (&Path, Duration),
    filled: &mut Filled,
) -> (f64, Option<f64>) {
    use eventfold_es::AggregateStore;

    let work = row.work;
    let place = (base, time, row.rounds.len());
    let value = match who {
        Contender::RawDisk => disk::durable_appends(base, row.raw_bytes.unwrap_or(180), time / 2),
        Contender::NoStore => {
            let rest = row.bare.expect("it is left out otherwise");
            rest.measure(base, time / 2)
        }
        Contender::Published => work.measure::<old::AggregateStore>(who, base, time),
        Contender::UmaDb if row.is_of_peers => work.measure::<ByTag<Uma>>(who, base, time),
        Contender::Tephra if row.is_of_peers => work.measure::<ByTag<Tephra>>(who, base, time),
        #[cfg(feature = "peers")]
        Contender::Evento => work.measure::<store::evento::Evento>(who, base, time),
        #[cfg(feature = "peers")]
        Contender::Mnesis => work.measure::<store::mnesis::Mnesis>(who, base, time),
        #[cfg(not(feature = "peers"))]
        Contender::Evento | Contender::Mnesis => unreachable!("they are left out"),
        Contender::UmaDb => return work.measure_tagged::<Uma>(who, place, filled),
        Contender::Tephra => return work.measure_tagged::<Tephra>(who, place, filled),
        Contender::Sqlite if work.is_tagged() => {
            return work.measure_tagged::<tagged::sqlite::Sqlite>(who, place, filled);
        }
        Contender::Current if work.is_tagged() => {
            return work.measure_tagged::<AggregateStore>(who, place, filled);
        }
        Contender::Sqlite => work.measure::<Sqlite>(who, base, time),
        Contender::Aggregates => {
            let work = work.on_aggregates().expect("it is left out otherwise");
            work.measure::<AggregateStore>(who, base, time)
        }
        Contender::Current => work.measure::<AggregateStore>(who, base, time),
    };
    (value, None)
}
