//! A process manager at work.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use super::checkpoint::{self, Checkpoint, Unusable};
use super::follower::Follower;
use super::outbox::{Outgoing, append_dead_letter};
use crate::engine::Engine;
use crate::event::DecodeError;
use crate::process_manager::{Outbox, ProcessManager};

/// How many events are reacted to before their commands are dispatched and the place is saved: few
/// enough that the targets still remember the keys of all of them, should they be sent again.
const SLICE: u64 = 256;

/// A registered process manager: its state, how far it is, and the commands it wants sent.
pub(crate) struct Reacting<M: ProcessManager> {
    follower: Follower<M>,
    outgoing: VecDeque<Outgoing>,
}

/// A process manager of any type.
pub(crate) trait AnyReacting: Send {
    /// Reacts to what is new up to the durable position `head`, a slice at a time. True if nothing is
    /// left.
    fn catch_up(&mut self, head: u64) -> io::Result<bool>;
    /// The next command to send. It stays the next until [`sent`](Self::sent).
    fn next(&self) -> Option<Outgoing>;
    /// The next command was dispatched, or written to the dead letters.
    fn sent(&mut self);
    /// Writes the next command to the dead letters.
    fn bury(&mut self, error: &str) -> io::Result<()>;
    /// Saves state and position, once nothing is left to send.
    fn save(&mut self) -> io::Result<()>;
}

impl<M: ProcessManager> Reacting<M> {
    /// Takes the process manager up where it was left.
    ///
    /// # Errors
    ///
    /// If the checkpoint cannot be used: starting anew would send every command again.
    pub(crate) fn open(engine: &Arc<Engine>) -> io::Result<Self> {
        let dir = engine.layout().process_managers_dir().join(M::NAME);
        let checkpoint = checkpoint::read::<M>(&dir).map_err(|error| match error {
            Unusable::Io(error) | Unusable::Damaged(error) => error,
        })?;
        let checkpoint = checkpoint.unwrap_or_else(|| Checkpoint {
            state: M::default(),
            position: 0,
            cursors: None,
        });
        if checkpoint.position > engine.head() {
            let text = format!(
                "the checkpoint of process manager `{}` in {} is ahead of the journal",
                M::NAME,
                dir.display()
            );
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(Self {
            follower: Follower::new(M::NAME, engine.clone(), dir, checkpoint),
            outgoing: VecDeque::new(),
        })
    }
}

impl<M: ProcessManager> AnyReacting for Reacting<M> {
    fn catch_up(&mut self, head: u64) -> io::Result<bool> {
        let _span = tracing::debug_span!("pm_catchup", pm_name = M::NAME).entered();
        let Self { follower, outgoing } = self;
        let types = follower.state.subscriptions();
        let slice = head.min(follower.position() + SLICE);
        follower.follow(types, slice, |state, event| {
            let mut out = Outbox::new(M::NAME, event.record());
            state.react_stored(event, &mut out)?;
            let sent = out
                .finish()
                .map_err(|source| DecodeError::malformed(event.name(), source))?;
            outgoing.extend(sent.into_iter().map(|envelope| Outgoing { envelope }));
            Ok(())
        })?;
        Ok(follower.position() >= head)
    }

    fn next(&self) -> Option<Outgoing> {
        self.outgoing.front().cloned()
    }

    fn sent(&mut self) {
        self.outgoing.pop_front();
    }

    fn bury(&mut self, error: &str) -> io::Result<()> {
        let path = self.follower.dir().join("dead_letters.jsonl");
        match self.outgoing.front() {
            Some(outgoing) => append_dead_letter(&path, &outgoing.envelope, error),
            None => Ok(()),
        }
    }

    fn save(&mut self) -> io::Result<()> {
        if self.outgoing.is_empty() {
            self.follower.save()?;
        }
        Ok(())
    }
}
