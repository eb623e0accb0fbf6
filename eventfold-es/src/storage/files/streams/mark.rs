//! With what a stream ends, as the journal has it: [`Mark`]; and what stands for the stream there.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use crate::storage::files::format::commit_line::Part;
use crate::storage::files::streams::end::line_hash;

/// How many bits of a stream's hash are of its name; those above are of its type.
const NAME_BITS: u32 = 96;

/// What stands for a stream in the notes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamHash(pub(super) u128);

/// What stands for an aggregate type; two may have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeHash(u32);

impl TypeHash {
    pub(crate) fn new(aggregate_type: &str) -> Self {
        // The upper half is as good as the lower.
        let [high, _] = halves(xxh3_64(aggregate_type.as_bytes()));
        Self(high)
    }
}

fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_be_bytes();
    let (halves, _) = bytes.as_chunks::<4>();
    [halves[0], halves[1]].map(u32::from_be_bytes)
}

impl StreamHash {
    /// `journal_key` names the stream as the journal does.
    pub(crate) fn new(aggregate_type: &str, journal_key: &[u8]) -> Self {
        let name = xxh3_128(journal_key) & ((1 << NAME_BITS) - 1);
        let TypeHash(kind) = TypeHash::new(aggregate_type);
        Self(u128::from(kind) << NAME_BITS | name)
    }

    pub(crate) fn is_of(self, TypeHash(kind): TypeHash) -> bool {
        self.0 >> NAME_BITS == u128::from(kind)
    }
}

/// With what a stream ends, as the journal has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The version of the last event, 0 if there is none.
    pub(crate) version: u64,
    /// Its position.
    pub(crate) position: u64,
    /// The hash of its line without white space around it.
    pub(crate) hash: u64,
    /// The hash of all lines of other programs, one chained to the other; 0 if there are none.
    pub(crate) foreign: u64,
}

impl Mark {
    /// Moves on over what a commit has of the stream.
    pub(crate) fn add(&mut self, part: &Part<'_, '_>) {
        if part.events.is_empty() {
            return;
        }
        for event in part.events {
            let line = event.get().as_bytes();
            self.hash = line_hash(line);
            if part.adopted {
                self.foreign = add_foreign(self.foreign, line);
            }
        }
        self.version += part.events.len() as u64;
        self.position = part.last();
    }
}

/// The hash of lines of other programs with one more, `line`, which has no white space around it.
pub(crate) fn add_foreign(before: u64, line: &[u8]) -> u64 {
    xxh3_64_with_seed(line, before)
}
