//! A commit of a decision that was handed over and is not answered yet: [`Flight`].

use std::sync::Arc;

use tokio::sync::watch;

use crate::storage::condition::HandedOver;

/// A commit that was handed over.
#[derive(Debug, Clone)]
pub(crate) struct Flight {
    pub(crate) commit: Arc<HandedOver>,
    landed: watch::Receiver<()>,
}

/// Says by its end that a commit is answered.
#[derive(Debug)]
pub(crate) struct Landing {
    _sender: watch::Sender<()>,
}

impl Flight {
    /// A commit that is about to be handed over. It lands when the [`Landing`] is dropped.
    pub(crate) fn new() -> (Self, Landing) {
        let (sender, landed) = watch::channel(());
        let flight = Self {
            commit: Arc::default(),
            landed,
        };
        (flight, Landing { _sender: sender })
    }

    /// Whether the commit is answered.
    pub(crate) fn has_landed(&self) -> bool {
        self.landed.has_changed().is_err()
    }

    /// Waits until the commit is answered.
    pub(crate) async fn landed(&self) {
        // Nothing is ever sent, so this ends with the sender.
        let _ = self.landed.clone().changed().await;
    }
}
