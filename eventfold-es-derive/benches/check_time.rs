//! How long `cargo check` takes for an aggregate of many events, against the same types with serde
//! alone. `cargo bench -p eventfold-es-derive` prints it for 30, 100 and 300 events, or for the numbers
//! given behind `--`; it fails if 100 events take twice as long as with serde alone.
//!
//! The events have long names with a common prefix, and aliases, since names are compared while
//! compiling.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{env, fs};

/// How often each is measured; the fastest counts.
const RUNS: usize = 3;

fn main() {
    // `cargo bench` passes `--bench`, and a filter means nothing here.
    let counts: Vec<usize> = env::args().filter_map(|count| count.parse().ok()).collect();
    let counts = if counts.is_empty() {
        vec![30, 100, 300]
    } else {
        counts
    };
    println!("events  serde alone  eventfold-es  ratio");
    for count in counts {
        let programs = [false, true].map(|is_derived| Program::write(count, is_derived));
        programs.iter().for_each(Program::check);
        // In turn, so that whatever else runs on the machine slows both.
        let runs: Vec<[Duration; 2]> = (0..RUNS)
            .map(|_| programs.each_ref().map(Program::time))
            .collect();
        let [serde, derived] = [0, 1].map(|of| runs.iter().map(|run| run[of]).min().unwrap());
        let ratio = derived.as_secs_f64() / serde.as_secs_f64();
        println!("{count:6}  {serde:11.2?}  {derived:12.2?}  {ratio:5.2}");
        assert!(
            count != 100 || ratio < 2.0,
            "checking {count} events takes {ratio:.2} times as long as with serde alone; it must stay under 2"
        );
    }
}

/// A package of its own, in the directory for temporary files of benchmarks.
struct Program(PathBuf);

impl Program {
    fn write(count: usize, is_derived: bool) -> Self {
        let name = if is_derived { "derived" } else { "serde-alone" };
        let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("check-time-{name}"));
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        fs::create_dir_all(directory.join("src")).unwrap();
        let manifest = format!(
            r#"[workspace]

[package]
name = "{name}"
version = "0.0.0"
edition = "2024"

[dependencies]
eventfold-es.path = '{}'
serde = {{ version = "1", features = ["derive"] }}
"#,
            workspace.join("eventfold-es").display()
        );
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        fs::copy(workspace.join("Cargo.lock"), directory.join("Cargo.lock")).unwrap();
        fs::write(directory.join("src/lib.rs"), source(count, is_derived)).unwrap();
        Self(directory)
    }

    /// How long it takes when all but the program itself was checked before.
    fn time(&self) -> Duration {
        let name = self.0.file_name().unwrap().to_str().unwrap();
        self.cargo(&["clean", "-p", name.trim_start_matches("check-time-")]);
        let start = Instant::now();
        self.check();
        start.elapsed()
    }

    fn check(&self) {
        self.cargo(&["check", "--offline"]);
    }

    fn cargo(&self, arguments: &[&str]) {
        let output = Command::new(env!("CARGO"))
            .args(arguments)
            .arg("--quiet")
            .current_dir(&self.0)
            .env(
                "CARGO_TARGET_DIR",
                self.0.with_file_name("check-time-target"),
            )
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "cargo {arguments:?}: {text}");
    }
}

fn source(count: usize, is_derived: bool) -> String {
    let mut source = String::from("#![allow(dead_code)]\nuse serde::{Deserialize, Serialize};\n");
    let (mut events, mut derive) = (String::new(), "");
    if is_derived {
        source.push_str("use eventfold_es::prelude::*;\n");
        derive = ", DomainEvent";
    }
    for number in 0..count {
        let event = format!("TheCustomerOfTheWarehouseHasChangedTheirOrderLine{number}");
        if is_derived {
            writeln!(
                source,
                "impl Evolve<{event}> for State {{ fn evolve(&mut self, event: &{event}) {{ self.amount += event.amount; }} }}"
            )
            .unwrap();
        }
        writeln!(
            source,
            "#[derive(Debug, Clone, Serialize, Deserialize{derive})]"
        )
        .unwrap();
        if is_derived {
            writeln!(
                source,
                r#"#[event(name = "the-customer-of-the-warehouse-has-changed-their-order-line-{number}", alias = "the-customer-of-the-warehouse-changed-their-order-line-{number}", alias = "TheCustomerOfTheWarehouseChangedOrderLine{number}")]"#
            )
            .unwrap();
        }
        writeln!(
            source,
            "pub struct {event} {{ pub line: String, pub amount: u64, pub note: Option<String> }}"
        )
        .unwrap();
        write!(events, "{event}, ").unwrap();
    }
    source.push_str("#[derive(Debug, Clone, Default, Serialize, Deserialize");
    if is_derived {
        source.push_str(", Aggregate)]\n");
        write!(source, "#[aggregate(commands(), events({events})").unwrap();
    }
    source.push_str(")]\npub struct State { pub amount: u64 }\n");
    source
}
