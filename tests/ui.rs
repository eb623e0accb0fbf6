//! What the compiler tells a user of the derives, and what compiles without a word.
//!
//! `ui/fail/<topic>/<mistake>.rs` has what is said beside it, in a `.stderr`; after a change of
//! the messages, `TRYBUILD=overwrite cargo test -p eventfold-es-tests --test ui` writes it anew.
//! Read each as the user would.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// The compiler whose words are committed.
const RELEASE: &str = "1.95.0";

#[test]
fn ui() {
    let cases = trybuild::TestCases::new();
    cases.pass("ui/pass/*/*.rs");
    match comparable() {
        Ok(()) => cases.compile_fail("ui/fail/*/*.rs"),
        // Not by `eprintln!`, which a passing test does not show.
        Err(reason) => {
            let _ = writeln!(
                std::io::stderr(),
                "UI comparisons skipped: {reason} (they need Rust {RELEASE} without `rust-src`)"
            );
        }
    }
}

/// Whether this compiler says things in the words that are committed: another release has others,
/// and with `rust-src` it quotes the standard library.
fn comparable() -> Result<(), String> {
    let version = rustc(&["--version", "--verbose"])?;
    let release = version
        .lines()
        .find_map(|line| line.strip_prefix("release: "));
    if release != Some(RELEASE) {
        return Err(format!("this is Rust {}", release.unwrap_or("unknown")));
    }
    let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?.trim());
    if sysroot.join("lib/rustlib/src/rust/library").exists() {
        return Err("`rust-src` is installed".to_owned());
    }
    Ok(())
}

fn rustc(arguments: &[&str]) -> Result<String, String> {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc)
        .args(arguments)
        .output()
        .map_err(|error| format!("`rustc` cannot be run: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
