//! What read models in SQLite have saved, read without their types.

use std::io;
use std::path::{Path, PathBuf};

use crate::following::read_model_files::all_files;
use crate::following::saved::SavedFollower;
#[cfg(feature = "sqlite")]
use crate::following::sql::database;
use crate::ids::Position;
#[cfg(feature = "sqlite")]
use crate::text::shown;

/// The versions of the read model `name` that have a file in `dir`. `head` is the position of the newest
/// event.
pub(crate) fn read_model(name: &str, dir: &Path, head: u64) -> io::Result<Vec<SavedFollower>> {
    let mut versions: Vec<SavedFollower> = Vec::new();
    let mut is_complete = false;
    for (version, _, path) in all_files(dir)? {
        let mut saved = SavedFollower {
            name: name.to_owned(),
            version,
            position: Position::default(),
            lag: head,
            bytes: bytes(&path),
            unknown: Vec::new(),
            skipped: Vec::new(),
            problem: None,
            read_model: Some(path),
        };
        let completed = look_into(&mut saved, head);
        match versions.last_mut() {
            // It was built anew. The newest complete file counts.
            Some(earlier) if earlier.version == version => {
                if completed || !is_complete {
                    *earlier = saved;
                    is_complete = completed;
                }
            }
            _ => {
                versions.push(saved);
                is_complete = completed;
            }
        }
    }
    Ok(versions)
}

/// How long the file is, with what is written beside it and not yet moved into it.
fn bytes(path: &Path) -> u64 {
    let mut beside = path.as_os_str().to_owned();
    beside.push("-wal");
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    length(path) + length(&PathBuf::from(beside))
}

/// Reads what the file says. Whether its tables once had all events.
#[cfg(feature = "sqlite")]
fn look_into(saved: &mut SavedFollower, head: u64) -> bool {
    let Some(path) = &saved.read_model else {
        return false;
    };
    let read = || -> io::Result<_> {
        let connection = database::open_to_read(path)?;
        let failed = |error| database::failure(path, &error);
        let Some(about) = database::about(&connection, path)? else {
            let text = format!("{}: it is damaged, or it is no read model", shown(path));
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        };
        let skipped = database::skipped(&connection).map_err(failed)?;
        let unknown = database::left_out(&connection).map_err(failed)?;
        Ok((about, skipped, unknown))
    };
    match read() {
        Ok((about, skipped, unknown)) => {
            saved.position = Position::new(about.position);
            saved.lag = head.saturating_sub(about.position);
            saved.skipped = skipped;
            let unknown = unknown.into_iter();
            saved.unknown = unknown.map(|of| (of.aggregate_type, of.event)).collect();
            about.is_complete
        }
        Err(error) => {
            saved.problem = Some(error.to_string());
            false
        }
    }
}

#[cfg(not(feature = "sqlite"))]
fn look_into(saved: &mut SavedFollower, _: u64) -> bool {
    saved.problem = Some(
        "it is a read model in SQLite, and this program was built without the feature `sqlite`: its \
         position is in the table `eventfold_position` of its file"
            .to_owned(),
    );
    false
}
