//! The service does what its description says: `schemathesis` asks it everything that the description
//! allows, and much that it forbids.

use std::process::Stdio;

use tokio::process::Command;

use crate::client::{Bank, in_time};

/// `SCHEMATHESIS` names the program; otherwise it is looked for in the path.
fn program() -> std::ffi::OsString {
    std::env::var_os("SCHEMATHESIS").unwrap_or_else(|| "schemathesis".into())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service_does_what_its_description_says() {
    let bank = Bank::serve().await;
    for (id, balance) in [("a", 1000), ("b", 10)] {
        bank.account(id, balance).await;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("schemathesis.toml");
    std::fs::write(&config, include_str!("schemathesis.toml")).unwrap();
    let ran = Command::new(program())
        .arg("--config-file")
        .arg(&config)
        .args([
            "run",
            "--no-color",
            "--checks=all",
            "--max-examples=30",
            "--seed=1",
            "--request-timeout=10",
        ])
        // It has no end: `curl` follows it in a test of its own.
        .arg("--exclude-path=/events")
        .arg("--header=Authorization: Bearer ann")
        .arg(format!("http://{}/openapi.json", bank.address))
        .current_dir(dir.path())
        .stdin(Stdio::null())
        .output();
    let ran = match tokio::time::timeout(std::time::Duration::from_secs(300), ran).await {
        Ok(Ok(ran)) => ran,
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("skipped: there is no schemathesis");
            return;
        }
        Ok(Err(error)) => panic!("{error}"),
        Err(elapsed) => panic!("schemathesis hangs: {elapsed}"),
    };
    let (out, err) = (
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr),
    );
    assert!(ran.status.success(), "{out}{err}");
    // All but the one that was left out.
    assert!(out.contains("Tested: 9"), "{out}");
    in_time(async { drop(bank) }).await;
}
