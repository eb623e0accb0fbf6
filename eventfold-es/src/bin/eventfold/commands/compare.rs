//! `compare`.

use std::process::ExitCode;

use serde_json::json;

use crate::args::Compare;
use crate::commands::reading::open;
use crate::failure::Result;
use crate::output::Output;
use crate::progress::Progress;

/// 1 if the stores are different.
pub(crate) fn run(compare: &Compare, out: &mut Output) -> Result<ExitCode> {
    let (one, other) = (open(&compare.one)?, open(&compare.other)?);
    let progress = Progress::events(one.head());
    let compared = one.compare(&other, progress.mover())?;
    drop(progress);
    if out.is_json() {
        let differences = compared.differences.iter().map(|difference| {
            json!({
                "type": difference.aggregate_type,
                "id": difference.id,
                "message": difference.message,
            })
        });
        out.json(&json!({
            "same": compared.is_same(),
            "events": [compared.events.0, compared.events.1],
            "streams": compared.streams,
            "different": compared.different,
            "differences": differences.collect::<Vec<_>>(),
        }))?;
    } else {
        out.line(&compared)?;
    }
    Ok(ExitCode::from(u8::from(!compared.is_same())))
}
