//! The commits of one stream in the journal: where each commit's lines belong, and their hash.

use xxhash_rust::xxh3::Xxh3Default;

use crate::storage::files::format::commit_line::Part;
use crate::storage::files::streams::end::line_hash;
use crate::storage::files::streams::mark::Mark;

/// The commits of a stream, in order.
#[derive(Debug, Default)]
pub(crate) struct Journaled {
    /// The end of the stream where the journal begins.
    pub(crate) before: Mark,
    pub(crate) commits: Vec<Noted>,
    /// A contradiction in the journal about this stream.
    pub(crate) contradiction: Option<String>,
}

/// One commit, without its events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Noted {
    pub(crate) position: u64,
    pub(crate) version: u64,
    pub(crate) count: u64,
    /// Where the commit's first line begins in the stream's file.
    pub(crate) offset: u64,
    /// How many bytes the commit's lines take, without white space that another program wrote.
    length: u64,
    hash: u64,
    /// The hash of the commit's first line.
    first: u64,
    pub(crate) adopted: bool,
}

impl Journaled {
    /// Of a stream that ends with `before` where the journal begins.
    pub(crate) fn after(before: Mark) -> Self {
        Self {
            before,
            ..Self::default()
        }
    }

    /// Whether the journal has nothing of the stream, and had nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.commits.is_empty() && self.before.version == 0
    }

    /// Adds the stream's next part.
    pub(crate) fn add(&mut self, part: &Part<'_, '_>) {
        let (version, end) = (self.version(), self.end());
        if self.contradiction.is_none() {
            if part.version != version + 1 {
                self.contradiction = Some(format!(
                    "the event at position {} has version {} of the stream, but version {} is next",
                    part.position,
                    part.version,
                    version + 1
                ));
            } else if part.offset < end {
                self.contradiction = Some(format!(
                    "the event at position {} begins at byte {} of the stream's file, but the \
                     events before it end at byte {end}",
                    part.position, part.offset
                ));
            }
        }
        let mut hasher = Xxh3Default::new();
        let lines = part.lines();
        hasher.update(&lines);
        self.commits.push(Noted {
            position: part.position,
            version: part.version,
            count: part.events.len() as u64,
            offset: part.offset,
            length: lines.len() as u64,
            hash: hasher.digest(),
            first: line_hash(part.events.iter().next().map_or("", |e| e.get()).as_bytes()),
            adopted: part.adopted,
        });
    }

    /// The version of the newest event.
    pub(crate) fn version(&self) -> u64 {
        let last = self.commits.last();
        last.map_or(self.before.version, Noted::last_version)
    }

    /// The offset of the end of the lines, without white space that another program wrote.
    pub(crate) fn end(&self) -> u64 {
        self.commits
            .last()
            .map_or(0, |last| last.offset + last.length)
    }

    /// Where the last adopted commit ends in `file`, the stream's bytes; 0 if there is none.
    pub(crate) fn adopted_end(&self, file: &[u8]) -> usize {
        let last = self.commits.iter().rfind(|commit| commit.adopted);
        last.and_then(|last| last.end_in(file)).unwrap_or(0)
    }
}

impl Noted {
    pub(crate) fn last_version(&self) -> u64 {
        self.version + self.count - 1
    }

    /// Whether `line` is the commit's first line.
    pub(crate) fn begins_with(&self, line: &[u8]) -> bool {
        line_hash(line.trim_ascii()) == self.first
    }

    /// Where the commit's lines end in `file`, the stream's bytes. `None` if the lines differ.
    pub(crate) fn end_in(&self, file: &[u8]) -> Option<usize> {
        let start = usize::try_from(self.offset).ok()?;
        let there = file.get(start..)?;
        let mut hasher = Xxh3Default::new();
        if !self.adopted {
            let length = usize::try_from(self.length).ok()?;
            hasher.update(there.get(..length)?);
            return (hasher.digest() == self.hash).then_some(start + length);
        }
        // Another program wrote the lines, perhaps with white space that the journal does not have.
        let (mut end, mut found) = (start, 0);
        for line in there.split_inclusive(|byte| *byte == b'\n') {
            if found == self.count || !line.ends_with(b"\n") {
                break;
            }
            end += line.len();
            let line = line.trim_ascii();
            if !line.is_empty() {
                hasher.update(line);
                hasher.update(b"\n");
                found += 1;
            }
        }
        (found == self.count && hasher.digest() == self.hash).then_some(end)
    }
}
