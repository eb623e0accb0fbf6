//! How much space is left on the simulated disk.

use std::collections::HashMap;
use std::io;

use crate::storage::files::disk::faults::change::Change;

/// The system's number of the error that says that there is no space.
const NO_SPACE: i32 = 28;

/// The space that is left, and what each file takes of it. A file takes its length: what is written
/// within that needs none.
#[derive(Debug, Default)]
pub(crate) struct Space {
    left: Option<u64>,
    lengths: HashMap<usize, u64>,
}

impl Space {
    /// Leaves so many bytes.
    pub(crate) fn limit(&mut self, bytes: u64) {
        self.left = Some(bytes);
    }

    /// Takes the space that a change needs; fails if there is not so much.
    pub(crate) fn take(&mut self, change: &Change) -> io::Result<()> {
        let (file, length) = match change {
            Change::Write {
                file,
                offset,
                bytes,
            } => (*file, offset + bytes.len() as u64),
            Change::SetLen { file, length } => {
                self.shorten(*file, *length);
                return Ok(());
            }
            _ => return Ok(()),
        };
        let known = self.lengths.entry(file).or_default();
        let needed = length.saturating_sub(*known);
        if let Some(left) = &mut self.left {
            *left = left
                .checked_sub(needed)
                .ok_or_else(|| io::Error::from_raw_os_error(NO_SPACE))?;
        }
        *known = length.max(*known);
        Ok(())
    }

    /// Gives free what a file that is gone took.
    pub(crate) fn free(&mut self, file: usize) {
        self.shorten(file, 0);
    }

    fn shorten(&mut self, file: usize, length: u64) {
        let known = self.lengths.entry(file).or_default();
        if let Some(left) = &mut self.left {
            *left += known.saturating_sub(length);
        }
        *known = length.min(*known);
    }
}
