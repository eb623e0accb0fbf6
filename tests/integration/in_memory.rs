//! The behaviour of stores in memory: every test of behaviour is run on one too.
//!
//! A test concerns files if it names the path of its directory ([`TempDir::path`]), or holds up the
//! thread that writes ([`stall`]). Every other one runs on all storages, but for the modules in
//! [`FILES_ONLY`]. In memory nothing can be opened or read by the path of a directory.
//!
//! [`TempDir::path`]: crate::support::TempDir::path
//! [`stall`]: crate::support::stall()

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use syn::spanned::Spanned as _;

use crate::support::STORAGE;

/// The modules of which no test runs on memory, and why.
const FILES_ONLY: &[(&str, &str)] = &[
    ("ages", "directories are put together from different times"),
    ("backup", "directories are copied"),
    ("compat", "directories are shared with 0.2.0"),
    ("compressed", "what is done to the files of the journal"),
    ("damage", "files are damaged"),
    ("dead_letters::damage", "files are damaged"),
    ("decision_models", "opens no store"),
    ("described", "opens stores in memory only"),
    ("directory", "what is done to the directory of a store"),
    ("disk", "what is on disk, and when"),
    ("documented", "opens no store"),
    ("format", "the bytes of the files"),
    ("golden", "the bytes of the files"),
    ("in_memory", "runs the others"),
    ("inspecting", "files are read without a store"),
    ("invariants", "opens no store"),
    ("kill", "processes are killed and leave files"),
    ("limits", "files that may not grow"),
    ("lost_streams", "files are lost"),
    (
        "many_aggregates",
        "limits of the process, in one of its own",
    ),
    ("model", "the model counts positions, and compares files"),
    #[cfg(feature = "postgres")]
    ("on_postgres", "runs the others"),
    ("reading", "other programs read and append"),
    (
        "reading_back::stopped",
        "files of process managers are damaged",
    ),
    ("retention", "files of the journal are dropped"),
    ("rotated", "files of streams are rotated"),
    ("search_words", "opens no store"),
    ("structure", "opens no store"),
    ("support", "plays roles in processes of their own"),
    ("tags", "opens no store"),
    ("testing", "opens no store"),
    (
        "versions::snapshots",
        "events that other programs wrote, and files of snapshots",
    ),
];

/// What a test says that concerns files.
const FILES: [&str; 2] = [".path()", " stall("];

/// Whether the module of the test, or one around it, is in [`FILES_ONLY`].
fn is_files_only(test: &str) -> bool {
    let mut modules = FILES_ONLY.iter().map(|(module, _)| module);
    modules.any(|module| is_within(test, module))
}

fn is_within(test: &str, module: &str) -> bool {
    let rest = test.strip_prefix(module);
    rest.is_some_and(|rest| rest.starts_with("::"))
}

/// The names of the tests in this binary, as it lists them.
fn all_tests() -> Vec<String> {
    let mut list = Command::new(std::env::current_exe().unwrap());
    let output = list.args(["--list", "--format", "terse"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

/// The source of each function of `file`, by its path from the root of this binary.
fn functions(file: &Path, module: &[String], found: &mut BTreeMap<String, String>) {
    let text = std::fs::read_to_string(file).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    collect(
        &syn::parse_file(&text).unwrap().items,
        &lines,
        module,
        found,
    );
}

fn collect(
    items: &[syn::Item],
    lines: &[&str],
    module: &[String],
    found: &mut BTreeMap<String, String>,
) {
    let path = |name: &syn::Ident| [module, &[name.to_string()]].concat();
    for item in items {
        match item {
            syn::Item::Fn(function) => {
                let span = function.span();
                let text = lines[span.start().line - 1..span.end().line].join("\n");
                found.insert(path(&function.sig.ident).join("::"), text);
            }
            syn::Item::Mod(inner) => {
                let path = path(&inner.ident);
                if let Some((_, items)) = &inner.content {
                    collect(items, lines, &path, found);
                    continue;
                }
                let file = format!("integration/{}.rs", path.join("/"));
                let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
                // Others, with a `path` of their own, are in modules for files only.
                if file.exists() {
                    functions(&file, &path, found);
                }
            }
            _ => {}
        }
    }
}

/// The tests that run on every storage.
pub(crate) fn behaviour_tests() -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("integration/main.rs");
    let mut sources = BTreeMap::new();
    functions(&root, &[], &mut sources);
    let mut tests = all_tests();
    let concerns_files = |test: &str| {
        // The source of a test that a macro writes is not found.
        let source = sources.get(test).map_or("", String::as_str);
        FILES.iter().any(|word| source.contains(word))
    };
    tests.retain(|test| !is_files_only(test) && !concerns_files(test));
    tests
}

#[test]
fn a_store_in_memory_behaves_as_one_in_a_directory() {
    let expected = behaviour_tests();
    let mut tests = Command::new(std::env::current_exe().unwrap());
    tests.env(STORAGE, "memory").arg("--exact").args(&expected);
    let output = tests.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let passed = text.lines().filter(|line| line.ends_with(" ... ok"));
    assert_eq!(passed.count(), expected.len(), "{text}");
}

#[test]
fn every_module_has_tests_that_run_on_memory_or_says_why_not() {
    let all = all_tests();
    let on_memory = behaviour_tests();
    for (module, _) in FILES_ONLY {
        let mut tests = all.iter();
        assert!(
            tests.any(|test| is_within(test, module)),
            "{module} has no tests"
        );
    }
    let modules: BTreeSet<&str> = all.iter().map(|test| module_of(test)).collect();
    for module in modules {
        let mut tests = on_memory.iter();
        assert!(
            tests.any(|test| is_within(test, module)) || is_files_only(&format!("{module}::")),
            "no test of {module} runs on memory: free one from files, or say why in `FILES_ONLY`"
        );
    }
}

/// The module that a test is in.
fn module_of(test: &str) -> &str {
    let (module, _) = test.rsplit_once("::").unwrap();
    module
}

#[tokio::test]
async fn the_positions_of_a_store_in_memory_have_gaps_and_those_of_a_directory_have_none() {
    use crate::support::{Ledger, LedgerCommand};

    let positions = async |store: eventfold_es::AggregateStore| {
        let ledger = store.get::<Ledger>("a").await.unwrap();
        let mut positions = Vec::new();
        for amount in 1..=4 {
            let done = ledger.send(LedgerCommand::Add(amount)).await.unwrap();
            positions.push(done.position.to_string().parse::<u64>().unwrap());
        }
        positions
    };
    let dir = crate::support::temp_dir();
    let in_directory = eventfold_es::AggregateStore::open(dir.path())
        .await
        .unwrap();
    assert_eq!(positions(in_directory).await, [1, 2, 3, 4]);
    let in_memory = eventfold_es::AggregateStore::in_memory();
    let in_memory = positions(in_memory.open().await.unwrap()).await;
    assert!(in_memory.is_sorted() && in_memory[3] > 4, "{in_memory:?}");
}

#[tokio::test]
async fn a_memory_has_one_open_store_at_a_time_and_keeps_what_it_stored() {
    use crate::support::{Ledger, LedgerCommand};

    let memory = eventfold_es::Memory::default();
    let open = || {
        eventfold_es::AggregateStore::in_memory()
            .keep_in(&memory)
            .open()
    };
    let store = open().await.unwrap();
    let busy = open().await.unwrap_err();
    assert_eq!(busy.kind(), std::io::ErrorKind::ResourceBusy);
    let ledger = store.get::<Ledger>("a").await.unwrap();
    ledger.send(LedgerCommand::Add(1)).await.unwrap();
    // It is waited for.
    drop((ledger, store));
    let store = open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
    store.shutdown().await.unwrap();
    let closed = ledger.send(LedgerCommand::Add(2)).await.unwrap_err();
    assert!(matches!(closed, eventfold_es::ExecuteError::Closed));
    let store = open().await.unwrap();
    let ledger = store.get::<Ledger>("a").await.unwrap();
    assert_eq!(ledger.state().await.unwrap(), Ledger::of([1]));
}
