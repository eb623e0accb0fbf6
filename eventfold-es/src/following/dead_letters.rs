//! The file of a process manager's dead letters: `dead_letters.jsonl`.
//!
//! Our lines have an id and a checksum after the members that 0.2.0 wrote. Lines without them are
//! accepted. A command is added to the file before it leaves the outbox, and enters the outbox
//! before its line is removed. So a command in both places is a dead letter.

use std::collections::{HashMap, HashSet};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64;

use crate::clock::from_unix_millis;
use crate::domain::command::StoredCommand;
use crate::domain::process_manager::{DeadLetter, FailureKind};
use crate::following::chain::Chain;
use crate::following::lines;
use crate::following::outgoing::Saved;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::record::{Lines, Records};
use crate::storage::record_name::RecordName;

/// The dead letters of one process manager.
#[derive(Debug)]
pub(crate) struct DeadLetters {
    records: Records,
    lines: Lines,
    /// How many there are, if the file can be read.
    count: Option<usize>,
    /// The checksum of the file, if it is known.
    sum: Option<u64>,
}

/// A line of the file.
#[derive(Deserialize)]
struct Line {
    envelope: StoredCommand,
    error: String,
    ts: u64,
    id: Option<String>,
    ms: Option<u64>,
    attempts: Option<u32>,
    /// A newer version may know more kinds.
    #[serde(default)]
    kind: Option<serde_json::Value>,
}

/// A line to add.
#[derive(Serialize)]
struct NewLine<'a> {
    envelope: &'a StoredCommand,
    error: &'a str,
    /// Seconds since 1970.
    ts: u64,
    id: &'a str,
    ms: u64,
    attempts: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    kind: Option<FailureKind>,
}

/// A dead letter as the file has it.
#[derive(Debug)]
pub(crate) struct Letter {
    pub(crate) id: String,
    pub(crate) command: StoredCommand,
    pub(crate) error: String,
    pub(crate) kind: Option<FailureKind>,
    pub(crate) time: SystemTime,
    pub(crate) attempts: u32,
}

impl Letter {
    /// The same in the form for users.
    ///
    /// # Errors
    ///
    /// Why the command cannot be shown.
    pub(crate) fn shown(self) -> StorageResult<DeadLetter> {
        let shown = self.command.into_shown();
        let shown =
            shown.map_err(|cause| StorageError::new(StorageErrorKind::Unreadable, cause))?;
        Ok(DeadLetter {
            id: self.id,
            envelope: shown.envelope,
            together: shown.together,
            decision: shown.decision,
            error: self.error,
            kind: self.kind,
            time: self.time,
            attempts: self.attempts,
        })
    }
}

/// A dead letter and where it is.
struct Found {
    letter: Letter,
    /// Whether its id was written by us, and not derived.
    is_ours: bool,
    start: usize,
    end: usize,
}

impl DeadLetters {
    /// The dead letters of a process manager. `settled` as for [`audit`].
    pub(crate) fn open(records: &Records, settled: Option<u64>) -> StorageResult<Self> {
        let (mut lines, mut bytes) = records.lines(RecordName::DeadLetters)?;
        let mut content = Content::of(&bytes);
        if let Some(end) = content.drop_unfinished(&bytes, settled) {
            let path = records.place(RecordName::DeadLetters);
            tracing::warn!(%path, "an unfinished dead letter was cut off");
            bytes.truncate(end);
            lines.replace(&bytes)?;
        }
        let count = content.damaged.is_empty().then_some(content.letters.len());
        Ok(Self {
            records: records.clone(),
            lines,
            count,
            sum: None,
        })
    }

    /// The length of the file.
    pub(crate) fn length(&self) -> u64 {
        self.lines.length()
    }

    /// The checksum of the file.
    pub(crate) fn sum(&mut self) -> StorageResult<u64> {
        let sum = match self.sum {
            Some(sum) => sum,
            None => xxh3_64(&self.lines.read()?),
        };
        self.sum = Some(sum);
        Ok(sum)
    }

    /// Why the file does not match `saved`, `None` if it may match.
    pub(crate) fn misfit(&self, saved: &Saved) -> StorageResult<Option<String>> {
        Ok(Content::misfit(&self.lines.read()?, saved))
    }

    fn read(&self) -> StorageResult<(Vec<u8>, Vec<Found>)> {
        let bytes = self.lines.read()?;
        let content = Content::of(&bytes);
        match content.damaged.first() {
            None => Ok((bytes, content.letters)),
            Some((offset, cause)) => {
                let name = RecordName::DeadLetters;
                Err(self.records.damaged(name, *offset, cause))
            }
        }
    }

    /// How many there are; `None` if the file cannot be read.
    pub(crate) fn count(&self) -> Option<usize> {
        self.count
    }

    /// All of them, the oldest first.
    pub(crate) fn list(&self) -> StorageResult<Vec<Letter>> {
        let (_, found) = self.read()?;
        Ok(found.into_iter().map(|found| found.letter).collect())
    }

    /// The ids of the dead letters that can be read.
    pub(crate) fn ids(&self) -> StorageResult<Vec<String>> {
        let letters = Content::of(&self.lines.read()?).letters;
        Ok(letters.into_iter().map(|found| found.letter.id).collect())
    }

    /// The idempotency keys of the dead letters that can be read.
    pub(crate) fn keys(&self) -> StorageResult<Vec<String>> {
        let letters = Content::of(&self.lines.read()?).letters;
        let contexts = letters.into_iter().map(|f| f.letter.command.context);
        Ok(contexts.filter_map(|c| c.idempotency_key).collect())
    }

    /// Counts the dead letters again, after a removal with an unknown outcome.
    pub(crate) fn recount(&mut self) -> StorageResult<HashSet<String>> {
        let ids: HashSet<String> = self.ids()?.into_iter().collect();
        self.count = self.count.map(|_| ids.len());
        Ok(ids)
    }

    /// Adds a dead letter, durably.
    pub(crate) fn add(
        &mut self,
        id: &str,
        envelope: &StoredCommand,
        (error, kind): (&str, FailureKind),
        attempts: u32,
        ms: u64,
    ) -> StorageResult<()> {
        self.sum = None;
        let line = lines::seal(&NewLine {
            envelope,
            error,
            ts: ms / 1000,
            id,
            ms,
            attempts,
            kind: Some(kind),
        })?;
        self.lines.add(line)?;
        self.count = self.count.map(|count| count + 1);
        Ok(())
    }

    /// Cuts off the remains of a failed addition, and makes a failed removal durable. Call it
    /// before the outbox is saved without the command, since that outbox proves the outcome.
    pub(crate) fn tidy(&mut self) -> StorageResult<()> {
        self.lines.tidy()
    }

    /// Removes the dead letters with these `ids`, all or none, durably. Returns how many there
    /// were.
    pub(crate) fn remove(&mut self, ids: &HashSet<&str>) -> StorageResult<usize> {
        let (bytes, found) = self.read()?;
        let count = found.len();
        let mut left = Vec::with_capacity(bytes.len());
        let mut copied = 0;
        let mut removed = 0;
        for found in found {
            if ids.contains(found.letter.id.as_str()) {
                left.extend_from_slice(&bytes[copied..found.start]);
                copied = found.end;
                removed += 1;
            }
        }
        if removed > 0 {
            self.sum = None;
            left.extend_from_slice(&bytes[copied..]);
            self.lines.replace(&left)?;
            self.count = Some(count - removed);
        }
        Ok(removed)
    }
}

/// Reads one line without its end. If the line has no id, its id is `derived`. Returns whether it
/// has one.
fn read_line(line: &[u8], derived: String) -> Result<(Letter, bool), String> {
    let read: Line = serde_json::from_slice(line).map_err(|error| error.to_string())?;
    let is_old = read.id.is_none() && read.ms.is_none();
    if !lines::is_right(line).unwrap_or(is_old) {
        return Err("the checksum does not match".to_owned());
    }
    let ms = read.ms.unwrap_or_else(|| read.ts.saturating_mul(1000));
    let is_ours = read.id.is_some();
    let letter = Letter {
        id: read.id.unwrap_or(derived),
        command: read.envelope,
        error: read.error,
        kind: read.kind.and_then(|kind| serde_json::from_value(kind).ok()),
        time: from_unix_millis(ms),
        attempts: read.attempts.unwrap_or(1),
    };
    Ok((letter, is_ours))
}

/// Reads `command` back from the line that it would have, and as it is shown.
///
/// # Errors
///
/// Why it could not be read.
pub(crate) fn read_back(command: &StoredCommand) -> Result<(), String> {
    let mut line = lines::seal(&NewLine {
        envelope: command,
        error: "",
        ts: 0,
        id: "",
        ms: 0,
        attempts: 0,
        kind: None,
    })
    .map_err(|error| error.to_string())?;
    line.pop();
    let (letter, _) = read_line(&line, String::new())?;
    let shown = letter.shown().map_err(|error| error.to_string())?;
    drop(shown);
    Ok(())
}

/// What is in the file.
#[derive(Default)]
struct Content {
    letters: Vec<Found>,
    /// Lines that cannot be read: where they begin, and why.
    damaged: Vec<(u64, String)>,
}

impl Content {
    fn of(bytes: &[u8]) -> Self {
        let mut content = Self::default();
        // Lines of 0.2.0 have no id: a hash of the line identifies them. Equal lines are numbered.
        let mut hashes: HashMap<u64, usize> = HashMap::new();
        for (start, text) in lines::split(bytes) {
            let hash = xxh3_64(text);
            let same = hashes.entry(hash).or_default();
            *same += 1;
            let derived = match *same {
                1 => format!("{hash:016x}"),
                n => format!("{hash:016x}-{n}"),
            };
            match read_line(text, derived) {
                Ok((letter, is_ours)) => content.letters.push(Found {
                    letter,
                    is_ours,
                    start,
                    end: (start + text.len() + 1).min(bytes.len()),
                }),
                Err(cause) => content.damaged.push((start as u64, cause)),
            }
        }
        content
    }

    /// Why the content `bytes` of the file does not match `saved`, `None` if it may match. After
    /// the content known to `saved`, the file has only letters of commands in `saved`. Removals
    /// since then make it shorter. A damaged line is reported separately.
    fn misfit(bytes: &[u8], saved: &Saved) -> Option<String> {
        let known = usize::try_from(saved.letters?).ok()?;
        let before = bytes.get(..known)?;
        let Chain(sum) = saved.letters_sum?;
        let content = Self::of(bytes);
        let ids = saved.letter_ids();
        let mut later = content.letters.iter().filter(|found| found.start >= known);
        let is_another = xxh3_64(before) != sum
            || later.any(|found| found.is_ours && !ids.contains(&found.letter.id));
        (is_another && content.damaged.is_empty()).then(|| {
            "are not those that the checkpoint was saved with: the two files are from different times"
                .to_owned()
        })
    }

    /// Takes out an unfinished line, and returns where it begins: after `settled` and after all
    /// lines that can be read. After a power failure its bytes need not look like one line.
    /// Invariant F3.
    fn drop_unfinished(&mut self, bytes: &[u8], settled: Option<u64>) -> Option<usize> {
        let settled = usize::try_from(settled?).ok()?;
        let readable = self.letters.last().map_or(0, |found| found.end);
        let start = readable.max(settled);
        // Other bytes were not written by us. A line must not be cut in two.
        let begins_line = start == 0 || bytes.get(start - 1) == Some(&b'\n');
        if start >= bytes.len() || !begins_line {
            return None;
        }
        self.damaged.retain(|(other, _)| *other < start as u64);
        Some(start)
    }
}

/// The dead letters in `bytes` that can be read, the oldest first, and why others cannot, with their
/// offsets. `settled` as for [`audit`].
pub(crate) fn listed(bytes: &[u8], settled: Option<u64>) -> (Vec<Letter>, Vec<(u64, String)>) {
    let mut content = Content::of(bytes);
    content.drop_unfinished(bytes, settled);
    let letters = content.letters.into_iter().map(|found| found.letter);
    (letters.collect(), content.damaged)
}

/// What is wrong with the dead letters of a process manager.
#[derive(Debug)]
pub(crate) struct Flaws {
    /// Lines that cannot be read: where they begin, and why.
    pub(crate) damaged: Vec<(u64, String)>,
    /// Where an unfinished line begins. Opening cuts it off.
    pub(crate) unfinished: Option<u64>,
    /// Why they do not match the checkpoint, so the process manager is refused.
    pub(crate) misfit: Option<String>,
    /// What shows that there were more dead letters.
    pub(crate) lost: Option<String>,
    /// The idempotency keys of the dead letters that can be read.
    pub(crate) keys: Vec<String>,
}

/// Examines the dead letters of a process manager, whose record has the content `bytes`. Commands
/// whose lines begin after the offset `settled` are in the outbox. When the program ended, one of
/// their lines may have been unfinished: opening cuts it off. `saved` is the checkpoint's part
/// about them.
pub(crate) fn audit(bytes: &[u8], saved: Option<&Saved>) -> Flaws {
    let settled = saved.and_then(Saved::settled_letters);
    let mut content = Content::of(bytes);
    let unfinished = content.drop_unfinished(bytes, settled);
    let length = bytes.len() as u64;
    let known = saved.and_then(|saved| saved.letters).unwrap_or(0);
    let lost = || {
        format!(
            "has {length} bytes, but had {known} when the checkpoint was saved: dead letters \
             were removed since then, or are lost"
        )
    };
    let misfit = saved.and_then(|saved| Content::misfit(bytes, saved));
    let contexts = content
        .letters
        .into_iter()
        .map(|found| found.letter.command.context);
    let keys = contexts.filter_map(|context| context.idempotency_key);
    Flaws {
        damaged: content.damaged,
        unfinished: unfinished.map(|start| start as u64),
        misfit,
        lost: (length < known).then(lost),
        keys: keys.collect(),
    }
}
