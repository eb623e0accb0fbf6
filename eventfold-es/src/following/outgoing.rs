//! The part of a checkpoint that a process manager has besides its state: [`Saved`], the commands
//! to send and the timers.

use std::collections::{BTreeMap, HashSet};

use serde::{Deserialize, Serialize};

use crate::domain::command::StoredCommand;
use crate::domain::process_manager::Timer;
use crate::following::chain::Chain;

/// A command to send.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outgoing {
    /// Unique within the process manager, in the order in which commands are sent.
    pub(crate) number: u64,
    /// How often it was tried.
    #[serde(default)]
    pub(crate) attempts: u32,
    /// If it took effect, its events are after this position.
    pub(crate) since: u64,
    /// The timer that it comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) timer: Option<String>,
    /// The dead letter that it comes from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) letter: Option<String>,
    pub(crate) envelope: StoredCommand,
}

impl Outgoing {
    /// The id of the dead letter that it would become.
    pub(crate) fn letter_id(&self) -> String {
        let letter = self.letter.clone();
        letter.unwrap_or_else(|| self.number.to_string())
    }
}

/// The saved form.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Saved {
    /// The number of the next command.
    pub(crate) next: u64,
    pub(crate) outgoing: Vec<Outgoing>,
    pub(crate) timers: BTreeMap<String, Timer>,
    /// The length of the file of dead letters. Later letters belong to commands in here.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) letters: Option<u64>,
    /// The checksum of that file. An earlier form lacks it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) letters_sum: Option<Chain>,
}

impl Saved {
    /// Up to this offset, no line of the file of dead letters can be unfinished: later lines belong
    /// to commands in here. `None` if there are no such commands, so that all lines are finished.
    pub(crate) fn settled_letters(&self) -> Option<u64> {
        self.letters.filter(|_| !self.outgoing.is_empty())
    }

    /// The ids of the dead letters that the commands may become.
    pub(crate) fn letter_ids(&self) -> HashSet<String> {
        self.outgoing.iter().map(Outgoing::letter_id).collect()
    }
}
