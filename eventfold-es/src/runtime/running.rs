//! The actors that run: [`Running`].

use std::convert::Infallible;
use std::sync::Mutex;

use tokio::sync::mpsc;

use crate::sync::lock;

/// Whether actors run. Their end can be waited for, whether their slots are still there or not.
pub(crate) struct Running {
    /// `None` once no more actors may start.
    token: Mutex<Option<Token>>,
    /// Ends when all tokens are dropped.
    ended: tokio::sync::Mutex<mpsc::Receiver<Infallible>>,
}

/// An actor holds it until it ends, however it ends.
pub(crate) type Token = mpsc::Sender<Infallible>;

impl Default for Running {
    fn default() -> Self {
        let (token, ended) = mpsc::channel(1);
        Self {
            token: Mutex::new(Some(token)),
            ended: tokio::sync::Mutex::new(ended),
        }
    }
}

impl Running {
    /// The token of a new actor, `None` if no more may start.
    pub(crate) fn start(&self) -> Option<Token> {
        lock(&self.token).clone()
    }

    /// Lets no more actors start.
    pub(crate) fn start_no_more(&self) {
        *lock(&self.token) = None;
    }

    /// Waits until no actor runs. None may start.
    pub(crate) async fn ended(&self) {
        let ended = self.ended.lock().await.recv().await;
        debug_assert!(ended.is_none(), "nothing is ever sent");
    }
}
