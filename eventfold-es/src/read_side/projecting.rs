//! A projection at work.

use std::io;
use std::sync::{Arc, Mutex};

use super::checkpoint::{self, Checkpoint, Unusable};
use super::follower::Follower;
use super::{Saved, lock};
use crate::engine::Engine;
use crate::projection::Projection;

/// A registered projection: its state and how far it is.
pub(crate) struct Projecting<P: Projection> {
    follower: Follower<P>,
}

impl<P: Projection> Projecting<P> {
    /// Takes the projection up where it was left. A checkpoint that cannot be used is replaced: a
    /// projection can always be built again.
    pub(crate) fn open(engine: &Arc<Engine>) -> io::Result<Self> {
        let dir = engine.layout().projections_dir().join(P::NAME);
        let checkpoint = match checkpoint::read::<P>(&dir) {
            Ok(Some(checkpoint)) if checkpoint.position <= engine.head() => checkpoint,
            Ok(Some(_)) => {
                tracing::warn!(
                    projection = P::NAME,
                    "the checkpoint is ahead of the journal; built again"
                );
                empty()
            }
            Ok(None) => empty(),
            Err(Unusable::Damaged(error)) => {
                tracing::warn!(projection = P::NAME, %error, "built again");
                empty()
            }
            Err(Unusable::Io(error)) => return Err(error),
        };
        Ok(Self {
            follower: Follower::new(P::NAME, engine.clone(), dir, checkpoint),
        })
    }

    /// Brings the state up to the newest durable event.
    pub(crate) fn catch_up(&mut self) -> io::Result<&P> {
        let _span = tracing::debug_span!("projection_catchup", projection_name = P::NAME).entered();
        self.follow()?;
        self.follower.save_if_due();
        Ok(&self.follower.state)
    }

    fn follow(&mut self) -> io::Result<()> {
        let types = self.follower.state.subscriptions();
        let head = self.follower.head();
        self.follower
            .follow(types, head, |state, event| state.apply_stored(event))
    }

    /// Builds the projection again from the first event. The old state serves until that is done.
    pub(crate) fn rebuild(this: &Mutex<Self>, engine: &Arc<Engine>) -> io::Result<()> {
        let dir = engine.layout().projections_dir().join(P::NAME);
        let mut rebuilt = Self {
            follower: Follower::new(P::NAME, engine.clone(), dir, empty()),
        };
        rebuilt.follow()?;
        let mut current = lock(this);
        rebuilt.follow()?;
        rebuilt.follower.save()?;
        *current = rebuilt;
        Ok(())
    }
}

fn empty<P: Default>() -> Checkpoint<P> {
    Checkpoint {
        state: P::default(),
        position: 0,
        cursors: None,
    }
}

impl<P: Projection> Saved for Projecting<P> {
    fn catch_up(&mut self) -> io::Result<()> {
        self.catch_up().map(|_| ())
    }

    fn save(&mut self) -> io::Result<()> {
        self.follower.save()
    }
}
