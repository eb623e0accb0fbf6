//! A command of a process manager that is being sent: [`UnderWay`].

use crate::following::{Manager, Outcome};

/// A command that is under way. If the store is closed, or sending ends early, the process manager
/// sends the command when it next runs.
pub(super) struct UnderWay {
    manager: Manager,
    number: Option<u64>,
}

impl UnderWay {
    pub(super) fn new(manager: &Manager, number: u64) -> Self {
        Self {
            manager: manager.clone(),
            number: Some(number),
        }
    }

    /// The outcome of the command is known.
    pub(super) fn ended(mut self) {
        self.number = None;
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            // This writes nothing, so it cannot fail.
            if let Ok(mut reacting) = self.manager.reacting.lock() {
                let _ = reacting.note(number, Outcome::Undecided, false);
            }
            self.manager.wake.notify_one();
        }
    }
}
