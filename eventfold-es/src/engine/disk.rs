//! The file operations that need more than one call, and errors that say what failed where.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::Path;

/// `error`, which happened when trying to `action` the file `path`, with both in its text.
pub(crate) fn at(action: &str, path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(
        error.kind(),
        format!("cannot {action} {}: {error}", path.display()),
    )
}

/// An error that says that `path` is damaged at `offset`.
pub(crate) fn damaged(path: &Path, offset: u64, cause: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("{} is damaged at byte {offset}: {cause}", path.display()),
    )
}

/// Writes all of `bytes` at `offset`.
#[cfg(unix)]
pub(crate) fn write_at(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    std::os::unix::fs::FileExt::write_all_at(file, bytes, offset)
}

/// Writes all of `bytes` at `offset`. There is one writer, so the file's own position is its.
#[cfg(not(unix))]
pub(crate) fn write_at(mut file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    io::Seek::seek(&mut file, io::SeekFrom::Start(offset))?;
    file.write_all(bytes)
}

/// Makes the entries of a directory durable.
pub(crate) fn sync_dir(dir: &Path) -> io::Result<()> {
    if cfg!(windows) {
        // A directory cannot be opened as a file there, and its entries need no sync.
        return Ok(());
    }
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(|e| at("sync", dir, &e))
}

/// Replaces the file at `path` by `content`, all or nothing, also when the power fails.
pub(crate) fn replace_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(path, content, true)?;
    path.parent().map_or(Ok(()), sync_dir)
}

/// Replaces the file at `path` by `content`. What a power failure leaves is unspecified, so the
/// content must say itself whether it is whole.
pub(crate) fn replace(path: &Path, content: &[u8], sync: bool) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".tmp");
    let temporary = Path::new(&temporary);
    let write = || -> io::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(temporary)?;
        file.write_all(content)?;
        if sync {
            file.sync_all()?;
        }
        Ok(())
    };
    write().map_err(|e| at("write", temporary, &e))?;
    std::fs::rename(temporary, path).map_err(|e| at("rename", temporary, &e))
}

/// The content of a file, `None` if there is no such file.
pub(crate) fn read_if_there(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at("read", path, &error)),
    }
}

/// Creates a directory and those above it, readable by its owner alone, durably.
pub(crate) fn create_private_dir(dir: &Path) -> io::Result<()> {
    let missing: Vec<&Path> = dir.ancestors().take_while(|dir| !dir.exists()).collect();
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir).map_err(|e| at("create", dir, &e))?;
    missing
        .iter()
        .filter_map(|created| created.parent())
        .try_for_each(sync_dir)
}

/// Makes everything durable that was written to the file system of `dir`, if there is a call for
/// that here.
#[cfg(target_os = "linux")]
#[expect(clippy::unnecessary_wraps, reason = "other systems have no such call")]
pub(crate) fn sync_file_system(dir: &Path) -> Option<io::Result<()>> {
    let sync = || rustix::fs::syncfs(File::open(dir)?).map_err(io::Error::from);
    Some(sync().map_err(|e| at("sync the file system of", dir, &e)))
}

/// Makes everything durable that was written to the file system of `dir`, if there is a call for
/// that here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn sync_file_system(_dir: &Path) -> Option<io::Result<()>> {
    None
}
