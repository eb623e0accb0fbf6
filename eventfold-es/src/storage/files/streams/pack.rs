//! Compressing the lines of a stream whose aggregate is archived.
//!
//! The lines of `app.jsonl` become a further frame of `archive.jsonl.zst`, as when `eventfold` rotates
//! the log. The file with the frames is written as a new one and renamed when it is durable; then an
//! empty `app.jsonl` takes the place of the other. In between, the lines are in both, which readers
//! tell ([`Rotated`](super::rotated::Rotated)). Then nothing writes these lines in place.

use std::io::{self, Read, Write};
use std::ops::ControlFlow;

use xxhash_rust::xxh3::Xxh3Default;
use zstd::stream::read::Decoder;
use zstd::stream::write::Encoder;

use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::failed_syncs;
use crate::storage::files::layout::ARCHIVE_FILE;
use crate::storage::files::streams::cache::OpenFiles;
use crate::storage::files::streams::content::Content;
use crate::storage::files::streams::end::StreamEnd;
use crate::storage::files::streams::extent::Extent;
use crate::storage::files::streams::load::load;
use crate::storage::files::streams::stream::{Stream, stream_error};
use crate::storage::loaded::Loaded;

/// How hard the lines are compressed. They are compressed once and read seldom.
const LEVEL: i32 = 9;

/// Compresses the lines in the file of `stream`, which is not written meanwhile: the caller has the
/// stream's turn, and all lines are in the file.
pub(crate) fn pack(stream: &Stream, files: &OpenFiles) -> StorageResult<()> {
    if failed_syncs::is_remembered(stream.dir()) {
        let cause = "is not compressed, because a sync failed: open the store again first";
        return Err(stream_error(stream, StorageErrorKind::Busy, cause));
    }
    if stream.tail().unflushed.is_some() {
        let cause = "lacks lines that could not be written";
        return Err(stream_error(stream, StorageErrorKind::Busy, cause));
    }
    let locked = files.take_out(stream)?;
    let Some(content) = Content::open(stream)? else {
        return Ok(());
    };
    if content.length()? == content.base() {
        return Ok(());
    }
    // Damage would be harder to mend once it is compressed.
    let all = |_: Loaded<'_>| StorageResult::Ok(ControlFlow::Continue(()));
    load(stream, StreamEnd::default(), &Extent::of(stream)?, all)?;
    let sync = locked.sync();
    sync.map_err(|e| StorageError::io("sync", &stream.file(), e))?;

    let mut archive = match content.rotated() {
        Some(rotated) => rotated.frames()?,
        None => Vec::new(),
    };
    let before = archive.len();
    let compressed = compress(&content, &mut archive);
    let sum = compressed.map_err(|error| content.failed(error))?;
    let path = stream.dir().join(ARCHIVE_FILE);
    let read = sum_of(Decoder::new(&archive[before..]));
    if read.map_err(|e| StorageError::io("compress", &path, e))? != sum {
        let text = "the compressed lines are not those that were compressed";
        return Err(stream_error(stream, StorageErrorKind::Bug, text));
    }
    disk::replace_durably(&path, &archive)?;
    // Whoever reads the old file goes on with it.
    disk::replace_durably(&stream.file(), b"")?;
    drop(locked);
    Ok(())
}

/// Appends a frame with the lines of the stream's file. Returns their checksum.
fn compress(content: &Content, archive: &mut Vec<u8>) -> io::Result<u128> {
    let mut encoder = Encoder::new(archive, LEVEL)?;
    encoder.include_checksum(true)?;
    let mut sum = Xxh3Default::new();
    let file = content.file_from(content.base())?;
    let mut file = file.ok_or(io::ErrorKind::NotFound)?;
    let mut chunk = vec![0; 64 * 1024];
    loop {
        let length = file.read(&mut chunk)?;
        if length == 0 {
            break;
        }
        sum.update(&chunk[..length]);
        encoder.write_all(&chunk[..length])?;
    }
    encoder.finish()?;
    Ok(sum.digest128())
}

/// The checksum of what `reader` reads.
fn sum_of(reader: io::Result<impl Read>) -> io::Result<u128> {
    let mut reader = reader?;
    let mut sum = Xxh3Default::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match reader.read(&mut chunk)? {
            0 => return Ok(sum.digest128()),
            length => sum.update(&chunk[..length]),
        }
    }
}
