//! Where the console reads: an open store, or one that others have open. [`Source`].

use std::io;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use crate::clock::Clock;
use crate::error::JournalDropped;
use crate::event::StoredEvent;
use crate::ids::Position;
use crate::runtime::background::blocking;
use crate::storage::Storage;
use crate::store::AggregateStore;
use crate::store::inspect::{self, DiskUse, StoreReader};
use crate::sync::lock;
use crate::text::shown;

/// How often a directory is looked at anew at most.
const LOOK: Duration = Duration::from_millis(200);

/// What the console shows. All functions but the asynchronous one block.
pub(crate) enum Source {
    /// Its log says exactly what is durable, on every storage.
    Store(AggregateStore),
    /// A directory or a schema.
    Directory(Box<Directory>),
}

pub(crate) struct Directory {
    reader: RwLock<StoreReader>,
    looked: Mutex<Instant>,
}

/// What is known of the store as a whole.
pub(crate) struct Condition {
    pub(crate) text: &'static str,
    /// What somebody must do about it, if anything.
    pub(crate) problem: Option<String>,
}

type Each<'a> = &'a mut dyn FnMut(StoredEvent<'_>) -> ControlFlow<()>;

impl Source {
    pub(crate) fn directory(reader: StoreReader) -> Self {
        Self::Directory(Box::new(Directory {
            reader: RwLock::new(reader),
            looked: Mutex::new(Instant::now()),
        }))
    }

    pub(crate) fn store(&self) -> Option<&AggregateStore> {
        match self {
            Self::Store(store) => Some(store),
            Self::Directory(_) => None,
        }
    }

    /// The name of the directory, or what is in its place.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Store(store) if is_in_files(store) => {
                shown(store.layout().base_dir()).to_string()
            }
            Self::Store(_) => "a store without a directory".to_owned(),
            Self::Directory(directory) => directory.reader().place(),
        }
    }

    /// The time by the store's clock, in milliseconds since 1970.
    pub(crate) fn now(&self) -> u64 {
        match self {
            Self::Store(store) => store.inner.storage.clock().now_ms(),
            Self::Directory(_) => Clock::System.now_ms(),
        }
    }

    /// The position of the newest durable event that is known.
    pub(crate) fn head(&self) -> u64 {
        match self {
            Self::Store(store) => store.inner.storage.head(),
            Self::Directory(directory) => directory.reader().head().get(),
        }
    }

    /// Looks for new events, and returns the position of the newest.
    ///
    /// # Errors
    ///
    /// If the store was shut down, or its directory cannot be read.
    pub(crate) fn refresh(&self) -> io::Result<u64> {
        match self {
            Self::Store(store) => {
                store.inner.check_open()?;
                Ok(store.inner.storage.head())
            }
            Self::Directory(directory) => directory.refresh(),
        }
    }

    /// The position up to which events were dropped from the journal; 0 if none was.
    pub(crate) fn begins_after(&self) -> u64 {
        match self {
            Self::Store(store) => store.inner.storage.dropped(),
            Self::Directory(directory) => directory.reader().begins_after().get(),
        }
    }

    /// Passes the events after the position `after` to `each`, until it breaks off. Those that were dropped
    /// are passed over.
    pub(crate) fn read(&self, after: u64, each: Each<'_>) -> io::Result<()> {
        let after = after.max(self.begins_after());
        match self {
            Self::Store(store) => {
                let storage = &store.inner.storage;
                let mut reader = storage.reader(after);
                let mut flow = ControlFlow::Continue(());
                reader.read_to(storage.head(), |committed| {
                    for i in 0..committed.len() {
                        // A commit is passed to its end.
                        if flow.is_continue() {
                            flow = committed.event(i, &mut *each)?;
                        }
                    }
                    Ok(flow)
                })
            }
            Self::Directory(directory) => {
                let after = Position::new(after);
                directory.reader().read(after, |entry| each(entry.event()))
            }
        }
    }

    /// Passes the events before the position `before` to `each`, the newest first, until it breaks off or
    /// comes to those that were dropped.
    pub(crate) fn read_backwards(&self, before: Option<u64>, each: Each<'_>) -> io::Result<()> {
        match self.read_back(before, each) {
            Err(error) if JournalDropped::of(&error).is_some() => Ok(()),
            read => read,
        }
    }

    fn read_back(&self, before: Option<u64>, each: Each<'_>) -> io::Result<()> {
        match self {
            Self::Store(store) => {
                let log = store.inner.storage.log();
                let before = before.filter(|before| *before <= log.head());
                let mut reader = log.backward_reader(before);
                let mut flow = ControlFlow::Continue(());
                while flow.is_continue() {
                    let is_at_start = reader.read(|committed| {
                        for i in (0..committed.len()).rev() {
                            if flow.is_continue() {
                                flow = committed.event(i, &mut *each)?;
                            }
                        }
                        Ok(flow)
                    })?;
                    if is_at_start {
                        break;
                    }
                }
                Ok(())
            }
            Self::Directory(directory) => {
                let before = before.map(Position::new);
                let reader = directory.reader();
                reader.read_backwards(before, |entry| each(entry.event()))
            }
        }
    }

    pub(crate) fn has_directory(&self) -> bool {
        self.store().is_none_or(is_in_files)
    }

    /// How much space the directory takes; `None` without one. Every file is looked at.
    pub(crate) fn disk_use(&self) -> Option<io::Result<DiskUse>> {
        match self {
            Self::Store(store) => is_in_files(store).then(|| inspect::disk_use_of(store.layout())),
            Self::Directory(directory) => {
                let reader = directory.reader();
                if !reader.is_of_directory() {
                    return Some(reader.disk_use());
                }
                let layout = reader.layout().clone();
                // Others may look for new events meanwhile.
                drop(reader);
                Some(inspect::disk_use_of(&layout))
            }
        }
    }

    /// Whether the store is open, and works.
    pub(crate) fn condition(&self) -> io::Result<Condition> {
        match self {
            Self::Store(store) => {
                let failed = store.inner.check_usable().err();
                Ok(Condition {
                    text: "open in this program",
                    problem: failed.map(|error| io::Error::from(error).to_string()),
                })
            }
            Self::Directory(directory) => {
                let reader = directory.reader();
                let failed = reader.sync_failed()?.then(|| {
                    "A sync of this store failed: its newest events may not be durable, and are not \
                     shown until the store was opened again."
                        .to_owned()
                });
                let text = if !reader.is_of_directory() {
                    "in PostgreSQL"
                } else if reader.was_closed() {
                    "was closed in order when the console was started"
                } else {
                    "open in a program, or was not closed in order"
                };
                Ok(Condition {
                    text,
                    problem: failed,
                })
            }
        }
    }

    /// Waits until there is an event after the position `after`.
    ///
    /// # Errors
    ///
    /// If the store was shut down or has failed, or its directory cannot be read.
    pub(crate) async fn reached(self: &Arc<Self>, after: u64) -> io::Result<()> {
        match &**self {
            Self::Store(store) => {
                store.inner.storage.log().reached(after + 1).await?;
            }
            Self::Directory(_) => loop {
                let source = self.clone();
                let head = blocking(move || source.refresh()).await?;
                if head > after {
                    break;
                }
                tokio::time::sleep(LOOK * 2).await;
            },
        }
        Ok(())
    }
}

impl Directory {
    pub(crate) fn reader(&self) -> RwLockReadGuard<'_, StoreReader> {
        self.reader.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn refresh(&self) -> io::Result<u64> {
        let mut looked = lock(&self.looked);
        if looked.elapsed() < LOOK {
            return Ok(self.reader().head().get());
        }
        let mut reader = self.reader.write().unwrap_or_else(PoisonError::into_inner);
        let head = reader.refresh()?;
        *looked = Instant::now();
        Ok(head.get())
    }
}

fn is_in_files(store: &AggregateStore) -> bool {
    matches!(store.inner.storage, Storage::Files(_))
}
