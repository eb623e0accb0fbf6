//! The files of a read model in SQLite. Each version has files of its own in the directory of the read
//! model: `v2.sqlite`, and after the first rebuild `v2.r1.sqlite`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::text::shown;

/// The files in the directory with their versions and numbers, in order.
pub(crate) fn all_files(dir: &Path) -> io::Result<Vec<(u32, u64, PathBuf)>> {
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("list {}: {error}", shown(dir)));
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some((version, number)) = name.and_then(number_of) {
            files.push((version, number, path));
        }
    }
    files.sort();
    Ok(files)
}

/// The files of all read models below `dir`, with the names of the read models.
#[cfg(feature = "sqlite")]
pub(crate) fn all_below(dir: &Path) -> io::Result<Vec<(String, PathBuf)>> {
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("list {}: {error}", shown(dir)));
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut files = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        if entry.path().is_dir() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let of_model = all_files(&entry.path())?.into_iter();
            files.extend(of_model.map(|(.., path)| (name.clone(), path)));
        }
    }
    Ok(files)
}

#[cfg(feature = "sqlite")]
pub(crate) fn file_name(version: u32, number: u64) -> String {
    match number {
        0 => format!("v{version}.sqlite"),
        _ => format!("v{version}.r{number}.sqlite"),
    }
}

/// The version and the number of the file called `name`.
fn number_of(name: &str) -> Option<(u32, u64)> {
    let name = name.strip_prefix('v')?.strip_suffix(".sqlite")?;
    match name.split_once(".r") {
        Some((version, number)) => Some((version.parse().ok()?, number.parse().ok()?)),
        None => Some((name.parse().ok()?, 0)),
    }
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_a_file_tells_its_version_and_number() {
        for (version, number) in [(1, 0), (2, 1), (10, 12)] {
            let name = file_name(version, number);
            assert_eq!(number_of(&name), Some((version, number)), "{name}");
        }
        for other in [
            "v1.sqlite-wal",
            "x1.sqlite",
            "v.sqlite",
            "v1.rx.sqlite",
            "lock",
        ] {
            assert_eq!(number_of(other), None, "{other}");
        }
    }
}
