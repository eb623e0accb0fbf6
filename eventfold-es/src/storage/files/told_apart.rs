//! Whether a file system tells names apart that differ only in case or Unicode form: [`are_told_apart`].

use std::path::Path;

use crate::storage::files::disk;
use crate::storage::files::disk::Open;

/// A name, the same name in capitals, and the same name in another Unicode form.
const PROBE: [&str; 3] = ["names-\u{e9}.tmp", "NAMES-\u{e9}.tmp", "names-e\u{301}.tmp"];

/// Whether the file system of `dir` distinguishes names that differ only in case or Unicode form.
/// False if this cannot be found out.
pub(crate) fn are_told_apart(dir: &Path) -> bool {
    let [probe, others @ ..] = PROBE.map(|name| dir.join(name));
    let are_told_apart = disk::File::open(&probe, Open::New).is_ok_and(|_| {
        let mut others = others.iter();
        others.all(|other| matches!(disk::find_itself(other), Ok(None)))
    });
    if let Err(error) = disk::remove(&probe) {
        tracing::warn!(%error, "a temporary file could not be removed");
    }
    are_told_apart
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checking_whether_names_are_told_apart_leaves_no_files() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a"), "").unwrap();
        let tells_case_apart = !dir.path().join("A").exists();
        std::fs::remove_file(dir.path().join("a")).unwrap();
        if !tells_case_apart {
            assert!(!are_told_apart(dir.path()));
        } else if cfg!(target_os = "linux") {
            assert!(are_told_apart(dir.path()));
        }
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
        // Without an answer the names count as one.
        assert!(!are_told_apart(&dir.path().join("missing")));
    }
}
