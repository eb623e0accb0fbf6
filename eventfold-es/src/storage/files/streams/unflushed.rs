//! The lines of a stream that are durable in the journal and that its file lacks: [`UnflushedLines`].

use std::sync::Arc;

use crate::storage::files::streams::file::StreamFile;

/// Lines that a stream's file lacks. The stream writer will write them, or has failed to.
#[derive(Debug)]
pub(crate) struct UnflushedLines {
    offset: u64,
    /// The first of them, which the stream writer has begun to write.
    begun: Option<Arc<Vec<u8>>>,
    /// The others.
    lines: Vec<u8>,
    /// The lines could not be written, so the stream takes no commands.
    pub(crate) failed: bool,
    /// The file, if it was open at the commit. It stays open until the lines are written.
    pub(crate) file: Option<Arc<StreamFile>>,
}

/// The same lines for a reader.
#[derive(Debug)]
pub(crate) struct MissingLines {
    /// Where they begin in the stream's file.
    pub(crate) offset: u64,
    pub(crate) lines: Vec<u8>,
}

impl UnflushedLines {
    /// `lines` belong at `offset` in the stream's file.
    pub(crate) fn new(offset: u64, lines: Vec<u8>, file: Option<Arc<StreamFile>>) -> Self {
        Self {
            offset,
            begun: None,
            lines,
            failed: false,
            file,
        }
    }

    /// Where the first of them begins in the stream's file.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.lines.len() + self.begun.as_ref().map_or(0, |begun| begun.len())
    }

    /// Where further lines are added, each with its line end.
    pub(crate) fn further(&mut self) -> &mut Vec<u8> {
        &mut self.lines
    }

    /// The lines to be written now, which count as begun. A failed attempt may have left a part of them,
    /// so the next one begins with the same lines. Invariant D8.
    pub(crate) fn begin(&mut self) -> Arc<Vec<u8>> {
        let mut lines = std::mem::take(&mut self.lines);
        if let Some(begun) = self.begun.take() {
            lines = [&begun[..], &lines].concat();
        }
        self.begun.insert(Arc::new(lines)).clone()
    }

    /// The begun lines are in the file. True if others have come meanwhile.
    pub(crate) fn finish(&mut self) -> bool {
        if let Some(begun) = self.begun.take() {
            self.offset += begun.len() as u64;
        }
        self.failed = false;
        !self.lines.is_empty()
    }

    /// All of them in order.
    pub(crate) fn to_read(&self) -> MissingLines {
        let begun = self.begun.as_ref().map_or(&[][..], |begun| begun);
        MissingLines {
            offset: self.offset,
            lines: [begun, &self.lines].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unflushed() -> UnflushedLines {
        UnflushedLines::new(7, b"a\n".to_vec(), None)
    }

    #[test]
    fn a_reader_finds_the_lines_that_are_being_written_before_the_later_ones() {
        let mut unflushed = unflushed();
        assert_eq!(**unflushed.begin(), *b"a\n");
        unflushed.further().extend_from_slice(b"b\n");
        assert_eq!(unflushed.len(), 4);
        let read = unflushed.to_read();
        assert_eq!((read.offset, &read.lines[..]), (7, &b"a\nb\n"[..]));
        assert!(unflushed.finish());
        let read = unflushed.to_read();
        assert_eq!((read.offset, &read.lines[..]), (9, &b"b\n"[..]));
    }

    #[test]
    fn lines_whose_write_failed_are_written_again_before_the_later_ones() {
        let mut unflushed = unflushed();
        drop(unflushed.begin());
        unflushed.further().extend_from_slice(b"b\n");
        assert_eq!(**unflushed.begin(), *b"a\nb\n");
        assert_eq!(unflushed.len(), 4);
        assert!(!unflushed.finish());
        assert_eq!(unflushed.to_read().lines, b"");
    }
}
