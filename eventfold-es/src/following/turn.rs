//! The use of a process manager on demand: [`Turn`].

use std::sync::{Arc, Mutex, Weak};

use crate::following::exclusive::Exclusive;
use crate::following::reacting::AnyReacting;
use crate::runtime::background;
use crate::runtime::background::blocking;
use crate::sync::lock;

/// While somebody has it, a process manager that another process may run stays with this store. It is
/// shared by all who use the process manager at the same time.
pub(crate) struct Turn(Option<Arc<Exclusive<dyn AnyReacting>>>);

/// The turn of a process manager that is going on.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Weak<Turn>>>);

impl Turns {
    /// Begins a turn, or joins the one that is going on.
    pub(crate) fn join(&self, reacting: &Arc<Exclusive<dyn AnyReacting>>) -> Arc<Turn> {
        let mut turn = lock(&self.0);
        turn.upgrade().unwrap_or_else(|| {
            let new = Arc::new(Turn(Some(reacting.clone())));
            *turn = Arc::downgrade(&new);
            new
        })
    }
}

impl Turn {
    /// Ends the turn, if nobody else has it. Other processes may run the process manager then.
    pub(crate) async fn end(self: Arc<Self>) {
        if let Some(reacting) = Arc::into_inner(self).and_then(|mut turn| turn.0.take()) {
            // It blocks, and tells its errors itself.
            let _ = blocking(move || {
                reacting.lock()?.rest();
                Ok(())
            })
            .await;
        }
    }
}

impl Drop for Turn {
    /// The caller has given up.
    fn drop(&mut self) {
        if let (Some(reacting), Ok(runtime)) = (self.0.take(), background::runtime()) {
            runtime.spawn_blocking(move || {
                if let Ok(mut reacting) = reacting.lock() {
                    reacting.rest();
                }
            });
        }
    }
}
