//! The files of a read model, of which one serves: [`Generation`], [`Served`].

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rusqlite::Connection;

use crate::error::closed;
use crate::following::sql::database;
use crate::sync::lock;

/// How many connections wait for readers.
const IDLE: usize = 8;

/// One file, and the connections of those who read it.
#[derive(Debug)]
pub(crate) struct Generation {
    path: PathBuf,
    version: u32,
    idle: Mutex<Vec<Connection>>,
    is_closed: AtomicBool,
    /// The file is removed with the last use.
    is_obsolete: AtomicBool,
}

impl Generation {
    pub(crate) fn new(path: PathBuf, version: u32) -> Arc<Self> {
        Arc::new(Self {
            path,
            version,
            idle: Mutex::default(),
            is_closed: AtomicBool::new(false),
            is_obsolete: AtomicBool::new(false),
        })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn version(&self) -> u32 {
        self.version
    }

    pub(crate) fn set_obsolete(&self, is_obsolete: bool) {
        self.is_obsolete.store(is_obsolete, Ordering::Release);
    }

    /// A connection that nobody else uses until it is given back.
    pub(crate) fn connection(&self) -> io::Result<Connection> {
        if self.is_closed.load(Ordering::Acquire) {
            return Err(closed());
        }
        let idle = lock(&self.idle).pop();
        idle.map_or_else(|| database::open_to_read(&self.path), Ok)
    }

    pub(crate) fn give_back(&self, connection: Connection) {
        let mut idle = lock(&self.idle);
        if idle.len() < IDLE && !self.is_closed.load(Ordering::Acquire) {
            idle.push(connection);
        }
    }

    fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        lock(&self.idle).clear();
    }
}

impl Drop for Generation {
    fn drop(&mut self) {
        lock(&self.idle).clear();
        if self.is_obsolete.load(Ordering::Acquire) {
            database::remove(&self.path);
        }
    }
}

/// The files that serve.
#[derive(Debug)]
pub(crate) struct Served {
    current: Mutex<Arc<Generation>>,
    /// The file of an earlier version, as long as the current one has not caught up.
    earlier: Mutex<Option<Arc<Generation>>>,
}

impl Served {
    pub(crate) fn new(current: Arc<Generation>, earlier: Option<Arc<Generation>>) -> Arc<Self> {
        Arc::new(Self {
            current: Mutex::new(current),
            earlier: Mutex::new(earlier),
        })
    }

    pub(crate) fn current(&self) -> Arc<Generation> {
        lock(&self.current).clone()
    }

    pub(crate) fn earlier(&self) -> Option<Arc<Generation>> {
        lock(&self.earlier).clone()
    }

    /// Lets `next` take the place of the current file, which is removed.
    pub(crate) fn replace(&self, next: Arc<Generation>) {
        next.set_obsolete(false);
        let before = std::mem::replace(&mut *lock(&self.current), next);
        before.set_obsolete(true);
        self.caught_up();
    }

    /// The current file has caught up.
    pub(crate) fn caught_up(&self) {
        *lock(&self.earlier) = None;
    }

    pub(crate) fn close(&self) {
        self.current().close();
        if let Some(earlier) = self.earlier() {
            earlier.close();
        }
        self.caught_up();
    }
}
