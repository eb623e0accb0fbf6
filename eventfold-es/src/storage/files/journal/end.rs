//! Where the journal ends: [`End`].

use std::io::Write as _;

/// Where the journal ends, with the data that the next write needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct End {
    /// The segment's first position.
    pub(crate) segment: u64,
    /// The offset in the segment after its last line.
    pub(crate) offset: u64,
    /// The last line's checksum. It seeds the next line's checksum.
    pub(crate) chain: u64,
    /// The position of the last event.
    pub(crate) position: u64,
    /// The time of the last commit.
    pub(crate) ms: u64,
}

impl End {
    /// The end of an empty segment, which has no header yet.
    pub(crate) fn of_empty(segment: u64, previous: u64) -> Self {
        Self {
            segment,
            offset: 0,
            chain: previous,
            position: segment.saturating_sub(1),
            ms: 0,
        }
    }

    /// Writes it as members of a JSON object, without a comma before or behind them.
    pub(crate) fn write_members(self, out: &mut Vec<u8>) {
        let Self {
            segment,
            offset,
            chain,
            position,
            ms,
        } = self;
        // Writing to memory cannot fail.
        let _ = write!(
            out,
            "\"segment\":{segment},\"offset\":{offset},\"chain\":\"{chain:016x}\",\
             \"position\":{position},\"ms\":{ms}"
        );
    }

    /// The end of the next segment, which is empty and has no header yet.
    pub(crate) fn of_next(self) -> Self {
        Self {
            ms: self.ms,
            ..Self::of_empty(self.position + 1, self.chain)
        }
    }
}
