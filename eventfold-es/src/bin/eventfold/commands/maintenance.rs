//! `verify` and `repair`.

use std::path::Path;
use std::process::ExitCode;

#[cfg(feature = "postgres")]
use eventfold_es::Position;
use eventfold_es::inspect::visible;
use eventfold_es::{AggregateStore, Finding};
use serde::Serialize;
use serde_json::json;

#[cfg(not(feature = "postgres"))]
use crate::commands::reading::without_postgres;
use crate::commands::reading::{wait, with_hint};
use crate::failure::{Failure, Result};
use crate::output::Output;
use crate::place::Place;
use crate::progress::Progress;

#[derive(Serialize)]
struct FindingJson {
    severity: String,
    file: String,
    offset: Option<u64>,
    message: String,
}

impl FindingJson {
    fn new(finding: &Finding) -> Self {
        Self {
            severity: finding.severity.to_string(),
            file: finding.file.to_string_lossy().into_owned(),
            offset: finding.offset,
            message: finding.message.clone(),
        }
    }
}

fn found(findings: &[Finding]) -> Vec<FindingJson> {
    findings.iter().map(FindingJson::new).collect()
}

/// 1 if something is wrong.
fn code(is_right: bool) -> ExitCode {
    if is_right {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    }
}

/// Fails if there is no store, in which nothing would be wrong.
fn require_store(dir: &Path) -> Result<()> {
    let parts = ["journal", "streams", "meta"];
    if parts.iter().any(|part| dir.join(part).is_dir()) {
        return Ok(());
    }
    let text = format!("{} has no store", visible(&dir.to_string_lossy()));
    let error = std::io::Error::new(std::io::ErrorKind::NotFound, text);
    Err(Failure::Store(with_hint(error)))
}

pub(crate) fn verify(store: &Place, out: &mut Output) -> Result<ExitCode> {
    let (progress, verify) = match store {
        Place::Directory(dir) => {
            require_store(dir)?;
            (Progress::bytes(), AggregateStore::verify(dir))
        }
        #[cfg(feature = "postgres")]
        Place::Schema(url) => {
            let verify = AggregateStore::verify_postgres(url.to_url());
            (Progress::events(Position::default()), verify)
        }
        #[cfg(not(feature = "postgres"))]
        Place::Schema(_) => return Err(without_postgres()),
    };
    let verify = verify.on_progress(progress.mover());
    let report = wait(async { verify.await })??;
    drop(progress);
    if out.is_json() {
        out.json(&json!({
            "clean": report.is_clean(),
            "events": report.events,
            "streams": report.streams,
            "findings": found(&report.findings),
        }))?;
    } else {
        out.line(&report)?;
    }
    Ok(code(report.is_clean()))
}

pub(crate) fn repair(store: &Place, out: &mut Output) -> Result<ExitCode> {
    let instead = "`verify` says what is wrong: restore the schema (`pg_restore`), or move what can be read \
                   into a new one (`export`, `import`)";
    let dir = store.directory("repair", instead)?;
    require_store(dir)?;
    let progress = Progress::bytes();
    let repair = AggregateStore::repair(dir).on_progress(progress.mover());
    let report = wait(async { repair.await })??;
    drop(progress);
    if out.is_json() {
        let repaired = report.repaired.iter().map(|repaired| {
            json!({
                "file": repaired.file.to_string_lossy(),
                "kept": repaired.kept.as_ref().map(|kept| kept.to_string_lossy()),
                "action": repaired.action,
            })
        });
        out.json(&json!({
            "success": report.is_success(),
            "repaired": repaired.collect::<Vec<_>>(),
            "remaining": found(&report.remaining),
        }))?;
    } else {
        out.line(&report)?;
    }
    Ok(code(report.is_success()))
}
