//! `backup`, `restore` and `follow`.

use std::path::Path;
use std::time::{Duration, Instant};

use eventfold_es::inspect::visible;
use eventfold_es::{AggregateStore, Continuation, Followed, Position, WithoutCheckpoint};
use serde_json::json;

use crate::args::{Backup, Follow, Managers, Restore};
use crate::commands::reading::wait;
use crate::failure::Result;
use crate::output::Output;
use crate::place::check_directory;
use crate::progress::{Progress, number};
use crate::time;

/// How often `follow` says how far the copy is.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// What does it for a store in PostgreSQL.
const BACKUP: &str =
    "`pg_dump --schema=NAME` or `pg_basebackup` takes a backup, or `export` one as text";
const RESTORE: &str = "`pg_restore` restores it, or `import` the lines of an export";
const FOLLOW: &str = "a standby of the server is a warm copy";

pub(crate) fn backup(backup: &Backup, out: &mut Output) -> Result<()> {
    check_directory(&backup.from, "backup", BACKUP)?;
    check_directory(&backup.to, "backup", BACKUP)?;
    let progress = Progress::bytes();
    let taking = AggregateStore::backup_of(&backup.from, &backup.to);
    let mut taking = taking.on_progress(progress.mover());
    if let Some(bytes) = backup.bytes_per_second {
        taking = taking.bytes_per_second(bytes);
    }
    if backup.hard_links {
        taking = taking.hard_links();
    }
    let report = wait(async { taking.await })??;
    drop(progress);
    if out.is_json() {
        return out.json(&json!({
            "position": number(report.position),
            "time": time::shown(report.time),
            "segments": report.segments,
            "bytes": report.bytes,
            "process_managers": report.process_managers,
        }));
    }
    out.line(format_args!(
        "{} has everything up to position {}, of {}; {} bytes in {} files were copied",
        shown(&backup.to),
        report.position,
        time::shown(report.time),
        report.bytes,
        report.segments
    ))
}

pub(crate) fn restore(restore: &Restore, out: &mut Output) -> Result<()> {
    check_directory(&restore.from, "restore", RESTORE)?;
    check_directory(&restore.to, "restore", RESTORE)?;
    let progress = Progress::bytes();
    let restoring = AggregateStore::restore(&restore.from, &restore.to);
    let mut restoring = restoring.on_progress(progress.mover());
    if let Some(at) = &restore.at {
        restoring = match at.parse::<Position>() {
            Ok(position) => restoring.to(position),
            Err(_) => restoring.to(time::read(at)?),
        };
    }
    restoring = restoring.without_checkpoint(match restore.process_managers {
        Managers::Refuse => WithoutCheckpoint::Refuse,
        Managers::FromNow => WithoutCheckpoint::FromNow,
        Managers::ReactAgain => WithoutCheckpoint::ReactAgain,
    });
    let report = wait(async { restoring.await })??;
    drop(progress);
    if out.is_json() {
        let managers = report.process_managers.iter().map(|(name, continuation)| {
            let (from, position) = from(*continuation);
            json!({ "process_manager": name, "from": from, "position": position.map(number) })
        });
        return out.json(&json!({
            "position": number(report.position),
            "time": time::shown(report.time),
            "process_managers": managers.collect::<Vec<_>>(),
        }));
    }
    out.line(format_args!(
        "{} is a store as it was at position {}, of {}",
        shown(&restore.to),
        report.position,
        time::shown(report.time)
    ))?;
    for (name, continuation) in &report.process_managers {
        let name = visible(name);
        match from(*continuation) {
            (from, None) => out.line(format_args!("{name} continues: {from}"))?,
            (from, Some(position)) => {
                out.line(format_args!(
                    "{name} continues: {from}, position {position}"
                ))?;
            }
        }
    }
    Ok(())
}

/// From where a process manager continues.
fn from(continuation: Continuation) -> (&'static str, Option<Position>) {
    match continuation {
        Continuation::Checkpoint(position) => ("checkpoint", Some(position)),
        Continuation::FromNow => ("now", None),
        Continuation::ReactAgain => ("first event", None),
        _ => ("elsewhere", None),
    }
}

/// Goes on until it is interrupted, which may be at any moment: the copy is whole.
pub(crate) fn follow(follow: &Follow, out: &mut Output) -> Result<()> {
    check_directory(&follow.from, "follow", FOLLOW)?;
    check_directory(&follow.to, "follow", FOLLOW)?;
    let to = &follow.to;
    wait(async {
        let mut follow = AggregateStore::follow(&follow.from, to).await?;
        say(follow.followed(), to, out)?;
        let mut said = Instant::now();
        loop {
            let followed = follow.next().await?;
            if said.elapsed() >= SAY_EVERY || out.is_json() {
                say(followed, to, out)?;
                said = Instant::now();
            }
        }
    })?
}

fn say(followed: Followed, to: &Path, out: &mut Output) -> Result<()> {
    if out.is_json() {
        out.json(&json!({
            "position": number(followed.position),
            "time": time::shown(followed.time),
        }))?;
    } else {
        out.line(format_args!(
            "{} has everything up to position {}, of {}",
            shown(to),
            followed.position,
            time::shown(followed.time)
        ))?;
    }
    out.finish()
}

fn shown(path: &Path) -> String {
    visible(&path.to_string_lossy()).to_string()
}
