//! Where a stream ends in the journal: [`Mark`]. The hash that names the stream: [`StreamHash`].

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed, xxh3_128};

use crate::storage::files::format::commit_line::{JournaledEvent, Part};
use crate::storage::files::streams::end::line_hash;

/// How many bits of a stream's hash are from its name. The bits above are from its type.
const NAME_BITS: u32 = 96;

/// The hash that names a stream in the high-water marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct StreamHash(pub(super) u128);

/// The hash of an aggregate type. Two types may have the same hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TypeHash(u32);

impl TypeHash {
    pub(crate) fn new(aggregate_type: &str) -> Self {
        // Either half would do.
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
    /// The hash of the stream that the journal names with `journal_key`.
    pub(crate) fn new(aggregate_type: &str, journal_key: &[u8]) -> Self {
        let name = xxh3_128(journal_key) & ((1 << NAME_BITS) - 1);
        let TypeHash(kind) = TypeHash::new(aggregate_type);
        Self(u128::from(kind) << NAME_BITS | name)
    }

    pub(crate) fn is_of(self, TypeHash(kind): TypeHash) -> bool {
        self.0 >> NAME_BITS == u128::from(kind)
    }
}

/// The end of a stream as the journal has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The version of the last event, 0 if there is none.
    pub(crate) version: u64,
    /// The position of that event.
    pub(crate) position: u64,
    /// The hash of that event's line, without the white space around it.
    pub(crate) hash: u64,
    /// The chained hash of all lines of other programs, 0 if there are none.
    pub(crate) foreign: u64,
    /// Where that line ends in the stream's file, if it is known. Around lines of other programs there may be
    /// white space, which the journal does not have.
    pub(crate) length: Option<u64>,
}

impl Mark {
    /// Moves the mark past the events that a commit adds to the stream.
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
        let length = |event: &JournaledEvent<'_>| event.get().len() as u64 + 1;
        let lengths = part.events.iter().map(length).sum::<u64>();
        self.length = (!part.adopted).then_some(part.offset + lengths);
        self.version += part.events.len() as u64;
        self.position = part.last();
    }
}

/// The hash of the lines of other programs after one more, `line`, without white space around it.
pub(crate) fn add_foreign(before: u64, line: &[u8]) -> u64 {
    xxh3_64_with_seed(line, before)
}
