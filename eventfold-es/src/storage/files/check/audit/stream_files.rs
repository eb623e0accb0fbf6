//! Each stream's files: the events, and the snapshot.

use std::collections::{BTreeSet, HashSet};

use crate::ids::StreamId;
use crate::report::Severity;
use crate::storage::encoding::event_line;
use crate::storage::encoding::event_line::LineError;
use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::check::audit::findings::{Audit, Flaw, Remedy};
use crate::storage::files::check::audit::journaled::{Journaled, Noted};
use crate::storage::files::check::progress::Progress;
use crate::storage::files::disk;
use crate::storage::files::layout::ARCHIVE_FILE;
use crate::storage::files::names;
use crate::storage::files::snapshots::snapshot;
use crate::storage::files::streams::content;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::ends::end_of_dropped;
use crate::storage::files::streams::load::line_before;
use crate::storage::files::streams::stream::{Stream, stream_hash};

/// Checks the files of all streams in the journal or in the directory.
pub(crate) fn check(audit: &mut Audit, progress: &mut Progress) -> StorageResult<()> {
    let mut ids: BTreeSet<StreamId> = audit.layout.list_all()?.into_iter().collect();
    ids.extend(audit.journaled.keys().cloned());
    check_nameless(audit, &ids);
    for id in ids {
        let before = || Journaled::after(audit.ends.of(stream_hash(&id)));
        let journaled = audit.journaled.remove(&id).unwrap_or_else(before);
        let stream = audit.streams.get(&id);
        let before = audit.flaws.len();
        check_stream(audit, &stream, &journaled)?;
        progress.read(&stream.file());
        if stream.is_rotated() {
            progress.read(&stream.dir().join(ARCHIVE_FILE));
        }
        if journaled.contradiction.is_some() {
            // The journal cannot say what is right.
            for flaw in &mut audit.flaws[before..] {
                flaw.remedy = None;
            }
        }
        if !journaled.is_empty() {
            audit.journaled.insert(id, journaled);
        }
    }
    Ok(())
}

/// Checks the files of all streams in a backup, which have what its journal does not have any more.
pub(super) fn check_dropped(audit: &mut Audit) -> StorageResult<()> {
    let ids: BTreeSet<StreamId> = audit.layout.list_all()?.into_iter().collect();
    check_nameless(audit, &ids);
    for id in ids {
        let stream = audit.streams.get(&id);
        let bytes = content::read_all(&stream)?.unwrap_or_default();
        let before = audit.ends.of(stream_hash(&id));
        if let Err((offset, cause)) = end_of_dropped(&stream, &before, &bytes) {
            let flaw = Flaw::new(&stream.file(), Severity::Lost, cause);
            audit.flaws.push(flaw.at(offset));
        }
    }
    Ok(())
}

/// Notes that files are missing of streams whose names nothing tells any more: the journal begins after all
/// their events.
fn check_nameless(audit: &mut Audit, ids: &BTreeSet<StreamId>) {
    let named: HashSet<_> = ids.iter().map(stream_hash).collect();
    let nameless = audit.ends.streams().filter(|ends| !named.contains(ends));
    let count = nameless.count();
    if count > 0 {
        let cause = format!(
            "the directories of {count} streams are missing, whose events are all before position {}, at \
             which the journal begins: restore them from a copy",
            audit.beginning.first()
        );
        let dir = audit.layout.streams_dir();
        audit.flaws.push(Flaw::new(&dir, Severity::Lost, cause));
    }
}

fn check_stream(audit: &mut Audit, stream: &Stream, journaled: &Journaled) -> StorageResult<()> {
    let path = stream.file();
    let before = audit.flaws.len();
    let bytes = match content::read_all(stream) {
        Err(error) if error.kind() == StorageErrorKind::Damaged => {
            let archive = stream.dir().join(ARCHIVE_FILE);
            let offset = error.offset().unwrap_or_default();
            let cause = error.cause().to_string();
            let flaw = if journaled.commits.is_empty() || journaled.before.version > 0 {
                Flaw::new(&archive, Severity::Lost, cause)
            } else {
                let remedy = Remedy::Rebuild(stream.id().clone());
                Flaw::new(&archive, Severity::Repairable, cause).remedy(remedy)
            };
            audit.flaws.push(flaw.at(offset));
            return Ok(());
        }
        bytes => bytes?,
    };
    match &bytes {
        Some(bytes) => check_events(audit, stream, journaled, bytes),
        None if journaled.before.version > 0 => {
            let cause = format!("the file is missing; {}", not_in_journal(audit));
            audit.flaws.push(Flaw::new(&path, Severity::Lost, cause));
        }
        None => {
            if let Some(first) = journaled.commits.first() {
                let severity = audit.grade(first.position);
                let count = journaled.version();
                let cause = format!("the file is missing; the journal has its {count} events");
                let flaw = Flaw::new(&path, severity, cause);
                let remedy = Remedy::Rebuild(stream.id().clone());
                audit.flaws.push(flaw.remedy(remedy));
            }
        }
    }
    if audit.flaws.len() > before
        && let Some(other) = names::other_holder(stream)
    {
        // Rebuilding the file would overwrite the other stream's file.
        audit.flaws.truncate(before);
        let cause = names::cause(stream, &other);
        audit.flaws.push(Flaw::new(&path, Severity::Lost, cause));
        return Ok(());
    }
    let is_whole = audit.flaws[before..].iter().all(|flaw| {
        flaw.finding.severity == Severity::Harmless
            && !matches!(flaw.remedy, Some(Remedy::Rebuild(_)))
    });
    check_snapshot(audit, stream, bytes.is_some(), is_whole)
}

/// Compares a stream's file with the journal.
fn check_events(audit: &mut Audit, stream: &Stream, journaled: &Journaled, bytes: &[u8]) {
    let path = stream.file();
    let rebuild = || Remedy::Rebuild(stream.id().clone());
    let mut at = match end_of_dropped(stream, &journaled.before, bytes) {
        Ok(end) => end,
        Err((offset, cause)) => {
            let cause = format!("{cause}; {}", not_in_journal(audit));
            let flaw = Flaw::new(&path, Severity::Lost, cause);
            audit.flaws.push(flaw.at(offset));
            return;
        }
    };
    for commit in &journaled.commits {
        let start = usize::try_from(commit.offset).unwrap_or(usize::MAX);
        let gap = bytes.get(at..start).unwrap_or_default();
        let end = commit.end_in(bytes);
        let Some(end) = end.filter(|_| gap.trim_ascii().is_empty()) else {
            // Opening does not overwrite whole lines of another program or from an older copy.
            let in_the_way = |commit: &Noted| {
                commit.end_in(bytes).is_none() && is_others_at(stream, bytes, commit)
            };
            // Nor does it cut off the lines after them.
            let end = usize::try_from(journaled.end()).unwrap_or(usize::MAX);
            let rest = bytes.get(end..).unwrap_or_default();
            let severity =
                if !rest.trim_ascii().is_empty() || journaled.commits.iter().any(in_the_way) {
                    Severity::Repairable
                } else {
                    audit.grade(commit.position)
                };
            let (offset, cause) = if (bytes.len() as u64) < journaled.end() {
                let cause = "the file is shorter than the journal says";
                (commit.offset.min(bytes.len() as u64), cause.to_owned())
            } else {
                let first = commit.version;
                let cause = format!("the events from version {first} on differ from the journal");
                (commit.offset, cause)
            };
            let flaw = Flaw::new(&path, severity, cause).at(offset);
            audit.flaws.push(flaw.remedy(rebuild()));
            return;
        };
        at = end;
    }
    check_rest(audit, stream, journaled, bytes, at);
}

/// Why the file of a stream is not written again.
fn not_in_journal(audit: &Audit) -> String {
    format!(
        "it cannot be written again, because the journal begins at position {}: restore it from a copy",
        audit.beginning.first()
    )
}

/// Checks the bytes of a stream's file after the journal's lines. They begin at `start`.
fn check_rest(
    audit: &mut Audit,
    stream: &Stream,
    journaled: &Journaled,
    bytes: &[u8],
    start: usize,
) {
    let path = stream.file();
    let (mut offset, mut foreign) = (start, 0_u64);
    let mut unfinished = None;
    let mut bad: Option<(u64, LineError)> = None;
    let mut is_others = true;
    let mut good_behind_bad = false;
    for line in bytes[start..].split_inclusive(|byte| *byte == b'\n') {
        let at = offset as u64;
        offset += line.len();
        let Some(line) = line.strip_suffix(b"\n") else {
            unfinished = Some(at);
            continue;
        };
        if line.is_empty() {
            continue;
        }
        match event_line::read(line, stream.seed()) {
            Ok(event) => {
                if let Some(position) = event.position {
                    let flaw = if position > audit.head() {
                        audit.note_beyond(position, stream.id());
                        let cause = format!("the journal has no position {position}");
                        Flaw::new(&path, Severity::Lost, cause)
                    } else {
                        let cause = format!(
                            "the event at position {position} comes after the last event that \
                             the journal has of the stream: it is a copy, or from another time"
                        );
                        let remedy = Remedy::Rebuild(stream.id().clone());
                        Flaw::new(&path, Severity::Repairable, cause).remedy(remedy)
                    };
                    audit.flaws.push(flaw.at(at));
                    return;
                }
                if let Err(error) = event_line::check_foreign(line) {
                    bad.get_or_insert((at, error));
                    continue;
                }
                foreign += 1;
                good_behind_bad |= bad.is_some();
                is_others = false;
            }
            Err(error) => {
                is_others &= matches!(error, LineError::Checksum);
                bad.get_or_insert((at, error));
            }
        }
    }
    if let Some((at, error)) = bad {
        let flaw = if good_behind_bad {
            let cause = format!("{error}, and events follow that are not in the journal");
            Flaw::new(&path, Severity::Lost, cause)
        } else if !journaled.is_empty() {
            let cause = format!(
                "{error}; the line comes after the last event that the journal \
                 has of the stream"
            );
            let remedy = Remedy::Rebuild(stream.id().clone());
            Flaw::new(&path, Severity::Repairable, cause).remedy(remedy)
        } else if is_others {
            let cause = format!("{error}; the lines are those of another stream");
            Flaw::new(&path, Severity::Repairable, cause).remedy(Remedy::SetAside)
        } else {
            let cause = format!("{error}, and the journal does not have the stream");
            Flaw::new(&path, Severity::Lost, cause)
        };
        audit.flaws.push(flaw.at(at));
    } else if foreign > 0 {
        let cause = format!("{foreign} events of another program are not in the journal yet");
        let flaw = audit.flaw_of_others(stream, &cause);
        audit.flaws.push(flaw.at(start as u64));
    } else if let Some(at) = unfinished {
        let flaw = audit.flaw_of_others(stream, "the last line is unfinished");
        audit.flaws.push(flaw.at(at));
    }
}

/// Whether a whole line of another program, or from an older copy, is in the place of `commit`.
fn is_others_at(stream: &Stream, bytes: &[u8], commit: &Noted) -> bool {
    let start = usize::try_from(commit.offset).unwrap_or(usize::MAX);
    let rest = bytes.get(start..).unwrap_or_default();
    let mut lines = rest.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| line.strip_suffix(b"\n"));
    first.is_some_and(|line| {
        !commit.begins_with(line) && event_line::read(line, stream.seed()).is_ok()
    })
}

/// The whole lines of other programs at the beginning of `rest`.
pub(crate) fn leading_foreign<'a>(rest: &'a [u8], stream: &Stream) -> &'a [u8] {
    let mut end = 0;
    for line in rest.split_inclusive(|byte| *byte == b'\n') {
        let is_foreign = line.strip_suffix(b"\n").is_some_and(|line| {
            line.is_empty()
                || (event_line::read(line, stream.seed())
                    .is_ok_and(|event| event.position.is_none())
                    && event_line::check_foreign(line).is_ok())
        });
        if !is_foreign {
            break;
        }
        end += line.len();
    }
    &rest[..end]
}

/// Whether the line that ends at `end` is the one that the snapshot states.
fn is_at(stream: &Stream, end: &StreamEnd) -> StorageResult<bool> {
    let line = line_before(stream, end.offset, None)?;
    Ok(line.is_some_and(|line| line_hash(&line) == end.hash))
}

/// Checks whether a load can use the snapshot. A load ignores a bad one.
fn check_snapshot(
    audit: &mut Audit,
    stream: &Stream,
    has_file: bool,
    is_whole: bool,
) -> StorageResult<()> {
    let path = stream.snapshot_file();
    if !disk::is_there(&path) {
        return Ok(());
    }
    let end = snapshot::whole(stream).map(|(_, end)| end);
    let (severity, cause) = match end {
        None => (
            Severity::Harmless,
            "the snapshot is damaged or of another stream; it is ignored",
        ),
        // The stream's file must be repaired first.
        Some(_) if !is_whole => return Ok(()),
        Some(_) if !has_file => (
            Severity::Repairable,
            "the events of the snapshot are missing",
        ),
        Some(end) if !is_at(stream, &end)? => (
            Severity::Harmless,
            "the snapshot does not match the stream's file; it is ignored",
        ),
        Some(_) => return Ok(()),
    };
    let flaw = Flaw::new(&path, severity, cause);
    audit.flaws.push(flaw.remedy(Remedy::SetAside));
    Ok(())
}
