//! A directory that is a backup: the journal up to its end, and the files of process managers.

use crate::report::Severity;
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::backup::manifest::{Manifest, Stage};
use crate::storage::files::backup::{kept, manifest};
use crate::storage::files::check::audit::findings::{Audit, Flaw};

/// Checks the backup that is audited, whose journal was read.
pub(crate) fn check(audit: &mut Audit) -> StorageResult<()> {
    let base = audit.layout.base_dir().to_owned();
    let path = manifest::path(&base);
    let flaw = |cause: String| Flaw::new(&path, Severity::Lost, cause);
    let found = match Manifest::read(&base) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                StorageErrorKind::Damaged | StorageErrorKind::Unsupported
            ) =>
        {
            audit.flaws.push(flaw(error.cause().to_string()));
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if found.stage != Stage::Finished {
        let cause = "the backup, or the restoring, is not finished: do it again";
        audit.flaws.push(flaw(cause.to_owned()));
        return Ok(());
    }
    let end = found.end;
    let has_end = match &audit.survey {
        Some(survey) => end.offset == 0 || survey.has(&audit.layout.journal_dir(), end)?,
        None => end.offset == 0,
    };
    if !has_end {
        let cause = format!(
            "the backup states that it ends at position {}, and its journal does not have that line: \
             they are from different times, or a file is missing",
            end.position
        );
        audit.flaws.push(flaw(cause));
    }
    for name in kept::names(&base)? {
        for moment in kept::moments(&base, &name)? {
            if let Err(error) = kept::read(&base, &name, moment) {
                let file = kept::file(&base, &name, moment);
                let cause = error.cause().to_string();
                audit.flaws.push(Flaw::new(&file, Severity::Lost, cause));
            }
        }
    }
    Ok(())
}
