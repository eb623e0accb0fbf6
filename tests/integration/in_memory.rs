//! The behaviour of stores in memory: the tests of those in directories, up to where they look into
//! files.

use std::process::Command;

use crate::support::{ABOUT_FILES, STORAGE};

/// The modules whose tests are about what a store does, not about its files.
const MODULES: &[&str] = &[
    "closing",
    "commands",
    "concurrency",
    "conditions",
    "dead_letters",
    "derive",
    "live",
    "model",
    "passing_over",
    "process_managers",
    "projection_versions",
    "projections",
    "reentrance",
    "stream_ids",
    "subscriptions",
    "timers",
    "typed_read_side",
    "under_way",
    "versions",
];

/// The names of the tests that passed, and of those that failed with what they printed.
fn results(output: &str) -> (Vec<&str>, Vec<(&str, &str)>) {
    let passed = output.lines().filter_map(|line| {
        let test = line.strip_prefix("test ")?;
        test.strip_suffix(" ... ok")
    });
    let sections = output.split("\n---- ").skip(1);
    let failed = sections.filter_map(|section| section.split_once(" stdout ----\n"));
    (passed.collect(), failed.collect())
}

#[test]
fn a_store_in_memory_behaves_as_one_in_a_directory() {
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "memory").env("RUST_BACKTRACE", "0");
    tests.args(MODULES.iter().map(|module| format!("{module}::")));
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let (passed, failed) = results(&text);
    let (about_files, failed): (Vec<_>, Vec<_>) = failed
        .into_iter()
        .partition(|(_, printed)| printed.contains(ABOUT_FILES));
    println!(
        "{} tests passed, {} are about files",
        passed.len(),
        about_files.len()
    );
    let failed: Vec<String> = failed
        .iter()
        .map(|(test, printed)| format!("{test}\n{printed}"))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(
        passed.len() > 100,
        "only {} tests ran:\n{text}",
        passed.len()
    );
}
