//! Checks before a commit is journaled: can the stream's file take its lines?

use std::io;
use std::sync::Arc;

use crate::storage::error::{StorageErrorKind, StorageResult};
use crate::storage::files::commit::batch::{CommitBatch, StagedStream};
use crate::storage::files::commit::committer::Committer;
use crate::storage::files::disk;
use crate::storage::files::disk::Kind;
use crate::storage::files::names;
use crate::storage::files::streams::file::StreamFile;
use crate::storage::files::streams::stream::{Stream, stream_error};

impl Committer {
    /// Makes sure that the stream can be appended to, and returns its place in the batch.
    pub(crate) fn stage(
        &mut self,
        batch: &mut CommitBatch,
        stream: &Arc<Stream>,
    ) -> StorageResult<usize> {
        if let Some(place) = batch.place_of(stream) {
            return Ok(place);
        }
        self.stream_writer.start()?;
        let end = stream.tail().end;
        let file = self.prepare(stream, end.offset)?;
        Ok(batch.add_stream(StagedStream {
            stream: stream.clone(),
            start: end,
            end,
            file,
            lines: Vec::new(),
            snapshot: None,
        }))
    }

    /// Checks that the stream's file can be appended to and is `length` bytes long, if possible
    /// without opening it. `None` if the stream writer is to open or create the file. Invariant C2.
    fn prepare(&self, stream: &Arc<Stream>, length: u64) -> StorageResult<Option<Arc<StreamFile>>> {
        let behind = stream
            .tail()
            .unflushed
            .as_ref()
            .map(|b| (b.failed, b.file.clone()));
        match behind {
            // The stream writer is about to write the file, and checks it.
            Some((false, file)) => return Ok(file),
            // Invariant C7.
            Some((true, _)) => self.unflushed.retry(&self.files, stream)?,
            None => {}
        }
        if let Some(file) = self.files.find_open(stream, length)? {
            return Ok(Some(file));
        }
        // A failure of one stream's file may also occur with the next.
        let is_careful = self.unflushed.has_failed();
        if is_careful && self.unflushed.holds_too_much() {
            let text =
                "cannot be opened now, because the files of too many streams cannot be written";
            return Err(stream_error(
                stream,
                StorageErrorKind::Io(io::ErrorKind::StorageFull),
                text,
            ));
        }
        // If we have locked the file before, the stream writer may open it some milliseconds later.
        // If two new streams have names that the file system takes for one, the second must be
        // refused. Invariant C12.
        let may_follow = !is_careful
            && if length == 0 {
                !stream.names_may_fold()
            } else {
                stream.was_locked()
            };
        if may_follow && is_as_left(stream, length) {
            return Ok(None);
        }
        self.open(stream, length).map(Some)
    }

    /// Opens and locks the stream's file, which must be `length` bytes long.
    fn open(&self, stream: &Stream, length: u64) -> StorageResult<Arc<StreamFile>> {
        if !self.files.has_room() {
            self.unflushed.write_gathered();
        }
        if length == 0 && stream.names_may_fold() && disk::is_there(stream.dir()) {
            names::check(stream)?;
        }
        self.files.prepare(stream, length)
    }
}

/// Whether the file of `stream` can probably be opened and appended to: it is `length` bytes long,
/// or does not exist yet and can be created.
fn is_as_left(stream: &Stream, length: u64) -> bool {
    if length > 0 {
        return matches!(disk::find(&stream.file()), Ok(Some(file))
            if file.kind == Kind::File && file.length == length && !file.is_readonly);
    }
    let place = stream.dir().parent().map(disk::find);
    let is_open = matches!(place, Some(Ok(Some(place)))
        if place.kind == Kind::Dir && !place.is_readonly);
    is_open && matches!(disk::find_itself(stream.dir()), Ok(None))
}
