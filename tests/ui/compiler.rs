//! Whether what this compiler says can be compared with what is committed.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::Command;

/// The compiler whose words are committed.
const RELEASE: &str = "1.95.0";

/// Whether to compare. If not, says why.
pub(crate) fn is_comparable() -> bool {
    let comparable = comparable();
    if let Err(reason) = &comparable {
        // Not by `eprintln!`, which a passing test does not show.
        let _ = writeln!(
            std::io::stderr(),
            "UI comparisons skipped: {reason} (they need Rust {RELEASE} without `rust-src`)"
        );
    }
    comparable.is_ok()
}

/// Another release has other words, and with `rust-src` the standard library is quoted.
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
