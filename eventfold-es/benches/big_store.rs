//! What `eventfold` takes for a big store: time and memory of each subcommand.
//!
//! ```sh
//! cargo bench -p eventfold-es --features cli --bench big_store -- [AGGREGATES EVENTS [DIR]]
//! ```
//!
//! Without arguments: 100,000 aggregates and 10,000,000 events, which need about 4 GB. A directory that is
//! named and exists already is measured as it is, and kept.

#[path = "big_store/store.rs"]
mod store;

use std::path::{Path, PathBuf};
use std::time::Instant;

use store::{make, measure};

const CALLS: &[&[&str]] = &[
    &["ls"],
    &["ls", "--sort", "bytes", "--limit", "10"],
    &["stats"],
    &["log", "--last", "10"],
    &["log", "--since", "1s"],
    &["log", "--json"],
    &["search", "nowhere"],
    &["search", "--jsonpath", "$[?@ == 'nowhere']"],
    &["show", "wallet", "w-000017"],
    &["event", "5000"],
    &["trace", "nowhere"],
    &["verify"],
];

fn main() {
    let args: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| arg != "--bench")
        .collect();
    let number = |i: usize, otherwise| {
        args.get(i)
            .and_then(|arg| arg.parse().ok())
            .unwrap_or(otherwise)
    };
    let (aggregates, events) = (number(0, 100_000), number(1, 10_000_000));
    let temporary = tempfile::tempdir().expect("there is a place for temporary files");
    let named = args.get(2).map(PathBuf::from);
    let dir = named.unwrap_or_else(|| temporary.path().join("store"));
    if !dir.join("journal").is_dir() {
        let start = Instant::now();
        make(&dir, aggregates, events);
        println!(
            "made {aggregates} aggregates with {events} events in {:.0?}",
            start.elapsed()
        );
    }
    let command = Path::new(env!("CARGO_BIN_EXE_eventfold"));
    for args in CALLS {
        if args[0] == "trace" || args[0] == "event" && events < 5_000 {
            continue;
        }
        let measured = measure(command, &dir, args);
        let memory = measured
            .peak_kib
            .map_or("?".to_owned(), |kib| (kib / 1024).to_string());
        println!(
            "{:<45} {:>8.2?} {memory:>5} MiB",
            args.join(" "),
            measured.time
        );
    }
}
