//! The older lines of a stream, which are compressed in a file of their own: [`Rotated`].
//!
//! The file is `archive.jsonl.zst`, as `eventfold` rotates a log: frames of zstd one after the other,
//! each with the lines that `app.jsonl` had when it was emptied. A place in a stream counts all lines
//! from the first one on, so it stays the same when lines are rotated.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use zstd::stream::read::Decoder;

use crate::storage::encoding::event_line;
use crate::storage::error::{StorageError, StorageResult};

/// What to do about a file that cannot be decompressed.
const REPAIR: &str = "`AggregateStore::repair` writes the stream's file again from the journal, if \
     the journal has the stream";

/// The lines that were rotated out of a stream's file.
#[derive(Debug)]
pub(crate) struct Rotated {
    path: PathBuf,
    file: File,
    /// How many bytes the lines have that are not in the stream's file too.
    length: u64,
    /// How many bytes all lines have.
    whole: u64,
    /// Where the frames of these lines end in the file.
    compressed: u64,
}

/// Where a frame begins.
#[derive(Debug, Clone, Copy)]
struct Start {
    /// In the file.
    compressed: u64,
    /// Among the lines.
    lines: u64,
}

impl Rotated {
    /// Looks through `file`, which is at `path`. `newer` is the stream's file, and `seed` that of the
    /// stream's checksums.
    ///
    /// # Errors
    ///
    /// A frame cannot be decompressed. Or the stream's file begins with the lines of the last frame, so
    /// that a rotation may have been interrupted, and no line of them tells.
    pub(crate) fn open(
        path: PathBuf,
        file: File,
        newer: Option<&File>,
        seed: u64,
    ) -> StorageResult<Self> {
        let mut rotated = Self {
            path,
            file,
            length: 0,
            whole: 0,
            compressed: 0,
        };
        let last = rotated.measure().map_err(|error| rotated.failed(error))?;
        if let (Some(last), Some(newer)) = (last, newer)
            && rotated.is_in_both(last, newer, seed)?
        {
            rotated.length = last.lines;
            rotated.compressed = last.compressed;
        }
        Ok(rotated)
    }

    /// Finds out how long the lines are, and where the last frame with lines begins.
    fn measure(&mut self) -> io::Result<Option<Start>> {
        let mut file = &self.file;
        file.rewind()?;
        let mut reader = BufReader::new(file);
        let (mut at, mut last) = (0, None);
        while !reader.fill_buf()?.is_empty() {
            let start = Start {
                compressed: reader.stream_position()?,
                lines: at,
            };
            let mut frame = Decoder::with_buffer(&mut reader)?.single_frame();
            at += io::copy(&mut frame, &mut io::sink())?;
            drop(frame);
            if at > start.lines {
                last = Some(start);
            }
        }
        self.length = at;
        self.whole = at;
        self.compressed = reader.stream_position()?;
        Ok(last)
    }

    /// Whether the stream's file begins with the lines of the frame at `start`. A rotation that was
    /// interrupted leaves them in both: it did not empty the file. `eventfold` appends behind them.
    fn is_in_both(&self, start: Start, newer: &File, seed: u64) -> StorageResult<bool> {
        let same = self.compare(start, newer, seed);
        match same.map_err(|error| self.failed(error))? {
            Same::No => Ok(false),
            Same::Yes => Ok(true),
            Same::Perhaps => {
                let cause = "the last frame has the lines with which `app.jsonl` begins, and none \
                     of them has an id: a rotation was interrupted, or the same events came twice";
                let advice = "if it was interrupted, remove these lines from `app.jsonl`";
                let error = StorageError::damaged(&self.path, start.compressed, cause);
                Err(error.with_advice(advice))
            }
        }
    }

    fn compare(&self, start: Start, mut newer: &File, seed: u64) -> io::Result<Same> {
        newer.rewind()?;
        let mut newer = BufReader::new(newer);
        let mut file = &self.file;
        file.seek(SeekFrom::Start(start.compressed))?;
        let mut frame = BufReader::new(Decoder::new(file)?.single_frame());
        let (mut line, mut other, mut same) = (Vec::new(), Vec::new(), Same::Perhaps);
        loop {
            line.clear();
            other.clear();
            if frame.read_until(b'\n', &mut line)? == 0 {
                return Ok(same);
            }
            (&mut newer)
                .take(line.len() as u64)
                .read_to_end(&mut other)?;
            if line != other {
                return Ok(Same::No);
            }
            let event = event_line::read(line.trim_ascii(), seed);
            if event.is_ok_and(|event| event.id.is_some() || event.position.is_some()) {
                same = Same::Yes;
            }
        }
    }

    /// How many bytes of the stream's lines come before those in its file.
    pub(crate) fn length(&self) -> u64 {
        self.length
    }

    /// As [`length`](Self::length), with the lines that an interrupted rotation left in the stream's
    /// file too.
    pub(crate) fn whole(&self) -> u64 {
        self.whole
    }

    /// The frames of these lines, as they are in the file.
    pub(crate) fn frames(&self) -> StorageResult<Vec<u8>> {
        let mut file = &self.file;
        let mut frames = Vec::new();
        let read = file.rewind();
        let read = read.and_then(|()| file.take(self.compressed).read_to_end(&mut frames));
        read.map_err(|e| StorageError::io("read", &self.path, e))?;
        Ok(frames)
    }

    /// The file with the compressed lines.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The lines from the byte `start` on.
    pub(crate) fn lines_from(&self, start: u64) -> StorageResult<impl BufRead + use<'_>> {
        let open = || -> io::Result<_> {
            let mut file = &self.file;
            file.rewind()?;
            let mut lines = BufReader::with_capacity(128 * 1024, Decoder::new(file)?);
            io::copy(&mut (&mut lines).take(start), &mut io::sink())?;
            Ok(lines.take(self.length.saturating_sub(start)))
        };
        open().map_err(|error| self.failed(error))
    }

    /// The error of reading the lines.
    pub(crate) fn failed(&self, error: io::Error) -> StorageError {
        if error.raw_os_error().is_some() {
            return StorageError::io("read", &self.path, error);
        }
        let cause = format!("the rotated lines cannot be decompressed: {error}");
        StorageError::damaged(&self.path, 0, cause).with_advice(REPAIR)
    }
}

/// Whether two files have the same lines.
enum Same {
    No,
    /// They are equal, but so may be two lines without an id.
    Perhaps,
    Yes,
}
