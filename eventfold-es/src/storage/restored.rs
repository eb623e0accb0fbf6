//! The note that a process manager continues in a restored store: [`Restored`].

use std::io::Write as _;

use serde::Deserialize;

use crate::storage::encoding::sealed;

/// What a process manager must know that continues in a restored store. Its checkpoint may be older
/// than what the journal has of its commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) struct Restored {
    /// The journal was cut behind this position. It may have the effects of commands that the
    /// checkpoint does not know of, up to here.
    pub(crate) until: u64,
    /// Those effects are after this position. `None` until the process manager is opened.
    #[serde(default)]
    pub(crate) after: Option<u64>,
    /// Without a checkpoint, the process manager begins behind this position.
    #[serde(default)]
    pub(crate) from: Option<u64>,
    /// The checksums of the checkpoint that an import put there, and of the one that it replaced. A
    /// checkpoint with one of them was not used in this store.
    #[serde(default)]
    pub(crate) imported: Option<(u64, u64)>,
}

impl Restored {
    /// Of a store whose journal was cut behind this position.
    pub(crate) fn until(until: u64) -> Self {
        Self {
            until,
            after: None,
            from: None,
            imported: None,
        }
    }

    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        let _ = write!(out, "{{\"until\":{}", self.until);
        for (name, position) in [("after", self.after), ("from", self.from)] {
            if let Some(position) = position {
                let _ = write!(out, ",\"{name}\":{position}");
            }
        }
        if let Some((newest, before)) = self.imported {
            let _ = write!(out, ",\"imported\":[{newest},{before}]");
        }
        sealed::seal(&mut out, 0, 0);
        out
    }

    /// # Errors
    ///
    /// Why `bytes` are not such a note.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, String> {
        if sealed::is_right(bytes, 0) != Some(true) {
            return Err("is damaged: the checksum does not match".to_owned());
        }
        serde_json::from_slice(bytes).map_err(|error| format!("is damaged: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_read_as_it_was_written_and_damage_in_it_is_noticed() {
        for note in [
            Restored::until(7),
            Restored {
                after: Some(3),
                ..Restored::until(7)
            },
            Restored {
                from: Some(7),
                imported: Some((u64::MAX, 1)),
                ..Restored::until(7)
            },
        ] {
            let bytes = note.to_bytes();
            assert_eq!(Restored::read(&bytes), Ok(note));
            let damaged = String::from_utf8(bytes).unwrap().replace('7', "8");
            assert!(Restored::read(damaged.as_bytes()).is_err());
        }
    }
}
