//! The behaviour of stores in memory: the tests of those in directories, as far as they do not look
//! into files.

use std::process::Command;

use crate::support::STORAGE;

/// The modules whose tests are run.
const MODULES: &[&str] = &[
    "commands",
    "concurrency",
    "conditions",
    "dead_letters",
    "limits",
    "live",
    "passing_over",
    "process_managers",
    "projections",
    "projection_versions",
    "reading",
    "reading_back",
    "reentrance",
    "subscriptions",
    "timers",
    "typed_read_side",
    "under_way",
    "versions",
    "stream_ids",
    "bad_input",
    "closing",
    "model",
    "derive",
    "many_aggregates",
    "snapshots",
];
/// Tests among them that look into files, or are about them.
const ABOUT_FILES: &[&str] = &[];

#[test]
fn a_store_in_memory_behaves_as_one_in_a_directory() {
    let modules = MODULES.iter().map(|module| format!("{module}::"));
    let skipped = ABOUT_FILES.iter().flat_map(|test| ["--skip", test]);
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "memory").args(modules).args(skipped);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let failures = text
        .split_once("\nfailures:\n")
        .map_or("", |(_, failures)| failures);
    assert!(output.status.success(), "{failures}");
}
