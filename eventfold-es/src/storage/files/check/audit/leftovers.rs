//! Leftover files, and files that do not belong to the store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::report::Severity;
use crate::storage::error::StorageResult;
use crate::storage::files::check::audit::findings::{Audit, Flaw, Remedy};
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::journal::beginning::{meta, of_ends_file};
use crate::storage::files::journal::paths;
use crate::storage::files::layout::{PARTS, is_dir, is_meta_file, is_stream_file, is_temporary};
use crate::storage::files::records::{is_of_read_model, record_name};
use crate::storage::files::tags::file::Span;
use crate::storage::record_name::RecordName;

/// The depth of a stream's directory in the store's directory: `streams/<type>/<id>`.
const DEPTH: usize = 3;
/// The beginning of the names of the directories in which repairs keep replaced files.
pub(crate) const KEPT: &str = "repaired-";

/// Notes all files in the directory that are not the store's files.
pub(crate) fn check(audit: &mut Audit) -> StorageResult<()> {
    let base = audit.layout.base_dir().to_owned();
    let mut stream_dirs: BTreeSet<PathBuf> = audit
        .journaled
        .keys()
        .map(|id| audit.streams.get(id).dir().to_owned())
        .collect();
    for id in audit.layout.list_all()? {
        stream_dirs.insert(audit.streams.get(&id).dir().to_owned());
    }
    let mut files = Vec::new();
    list(&base, &base, &mut files)?;
    files.sort_unstable();
    for file in files {
        let is_dropped = is_dropped(audit, &file);
        if is_known(&base, &file, &stream_dirs) && !is_second_form(&base, &file) && !is_dropped {
            continue;
        }
        audit.flaws.push(if is_dropped {
            let cause = "the file is left over from an interrupted attempt to drop old files of the journal";
            Flaw::new(&file, Severity::Harmless, cause)
        } else if is_second_form(&base, &file) {
            let cause = "the segment is there without compression too, which counts: compressing it was \
                         interrupted";
            Flaw::new(&file, Severity::Harmless, cause).remedy(Remedy::SetAside)
        } else if is_temporary(&file) {
            let cause = "the file is left over from an interrupted write";
            Flaw::new(&file, Severity::Harmless, cause).remedy(Remedy::SetAside)
        } else {
            Flaw::new(
                &file,
                Severity::Harmless,
                "the file does not belong to the store",
            )
        });
    }
    Ok(())
}

/// All files below `dir`, except the files that repairs keep.
fn list(base: &Path, dir: &Path, files: &mut Vec<PathBuf>) -> StorageResult<()> {
    // The store follows links to its own directories. Links deeper inside are not followed, because
    // a link back to the store would never end.
    let follows = dir.strip_prefix(base).is_ok_and(|way| {
        let first = way.components().next();
        first.is_none_or(|first| PARTS.iter().any(|part| first.as_os_str() == *part))
            && way.components().count() < DEPTH
    });
    for entry in disk::list(dir)? {
        let path = dir.join(&entry.name);
        let is_dir = entry.kind == Kind::Dir || (follows && is_dir(dir, &entry)?);
        if !is_dir {
            files.push(path);
        } else if dir != base || !entry.name.to_string_lossy().starts_with(KEPT) {
            list(base, &path, files)?;
        }
    }
    Ok(())
}

/// Whether the file is a segment before the beginning of the journal, or says where the streams end
/// elsewhere than there.
fn is_dropped(audit: &Audit, file: &Path) -> bool {
    let dropped = audit.beginning.dropped;
    let (Some(dir), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str())) else {
        return false;
    };
    let journal = audit.layout.journal_dir();
    let first = paths::first_of_segment(name).map(|(first, _)| first);
    (dir == journal && first.is_some_and(|first| first <= dropped))
        || (dir == meta(&journal) && of_ends_file(name).is_some_and(|other| other != dropped))
}

/// Whether the file is a compressed segment beside the plain one.
fn is_second_form(base: &Path, file: &Path) -> bool {
    let journal = base.join("journal");
    let name = file.file_name().and_then(|name| name.to_str());
    let first = name.and_then(paths::first_of_segment);
    file.parent() == Some(&journal)
        && first.is_some_and(|(first, is_compressed)| {
            is_compressed && disk::is_there(&paths::segment_path(&journal, first))
        })
}

fn is_known(base: &Path, file: &Path, stream_dirs: &BTreeSet<PathBuf>) -> bool {
    let (Some(dir), Some(name)) = (file.parent(), file.file_name().and_then(|n| n.to_str())) else {
        return false;
    };
    let of_stream = stream_dirs.contains(dir) && is_stream_file(name);
    let of_views = dir.ends_with("views")
        && dir.parent().is_some_and(|dir| stream_dirs.contains(dir))
        && name.ends_with(".snapshot.json");
    let within = |parent: &str| dir.parent() == Some(&base.join(parent));
    of_stream
        || of_views
        || (dir == base && name == "lock")
        || (dir == base.join("meta") && is_meta_file(name))
        || (dir == base.join("journal")
            && (paths::is_known(name)
                // A spare: zeros for the next segment.
                || paths::is_spare(name)))
        || (dir == base.join("tags") && Span::of_name(name).is_some())
        // The tables of a read model, and what SQLite keeps beside them.
        || (within("projections") && is_of_read_model(name))
        || match record_name(name) {
            Some(RecordName::DeadLetters | RecordName::Restored) => within("process_managers"),
            Some(_) => within("projections") || within("process_managers"),
            None => false,
        }
}
