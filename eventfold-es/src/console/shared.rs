//! What all requests share: [`Shared`].

use std::io;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, watch};

use crate::console::failure::{Failure, Result};
use crate::console::source::Source;
use crate::console::states::KnownType;
use crate::console::summary::Summary;
use crate::model::Model;
use crate::runtime::background::{blocking, within};
use crate::store::inspect::DiskUse;
use crate::sync::lock;

/// How many events are read for the summary before others may use what was read.
const PORTION: u64 = 20_000;
/// How long a page waits for the summary to be up to date.
const PATIENCE: Duration = Duration::from_millis(400);
/// How many pages read the store at a time.
const READERS: usize = 4;
/// How many browsers may follow the log at a time.
const LISTENERS: usize = 32;
/// How old the known disk use may be.
const DISK_AGE: Duration = Duration::from_secs(60);

pub(crate) struct Shared {
    pub(crate) source: Arc<Source>,
    pub(crate) types: Vec<KnownType>,
    /// What the types say.
    pub(crate) model: Model,
    /// `None`: every host.
    pub(crate) hosts: Option<Vec<String>>,
    pub(crate) may_write: bool,
    /// A form of the console has it, and nobody else knows it.
    pub(crate) token: String,
    pub(crate) listeners: Arc<Semaphore>,
    readers: Semaphore,
    summary: RwLock<Summary>,
    /// Whether somebody is at work on the summary.
    is_reading: AtomicBool,
    /// Changed when the summary has caught up, or cannot.
    caught_up: watch::Sender<()>,
    /// Why the summary cannot go on.
    problem: Mutex<Option<(io::ErrorKind, String)>>,
    disk: Mutex<Disk>,
}

#[derive(Default)]
struct Disk {
    measured: Option<Instant>,
    is_measuring: bool,
    last: Option<std::result::Result<DiskUse, String>>,
}

/// What is known of the disk use.
#[derive(Debug, Clone)]
pub(crate) enum DiskKnown {
    /// The store has no directory.
    None,
    NotYet,
    Known(std::result::Result<DiskUse, String>),
}

/// How far the summary is, if it is behind: its position, and the head.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Behind {
    pub(crate) until: u64,
    pub(crate) head: u64,
}

impl Shared {
    pub(crate) fn new(
        source: Source,
        (types, model): (Vec<KnownType>, Model),
        hosts: Option<Vec<String>>,
        may_write: bool,
        most_aggregates: usize,
    ) -> Self {
        Self {
            source: Arc::new(source),
            types,
            model,
            hosts,
            may_write,
            token: format!(
                "{}{}",
                uuid::Uuid::new_v4().simple(),
                uuid::Uuid::new_v4().simple()
            ),
            listeners: Arc::new(Semaphore::new(LISTENERS)),
            readers: Semaphore::new(READERS),
            summary: RwLock::new(Summary::new(most_aggregates)),
            is_reading: AtomicBool::new(false),
            caught_up: watch::Sender::new(()),
            problem: Mutex::new(None),
            disk: Mutex::default(),
        }
    }

    /// Runs `read` on a thread that may block.
    pub(crate) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        read: impl FnOnce(&Self) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.readers.acquire().await;
        let shared = self.clone();
        let done = blocking(move || Ok(read(&shared))).await;
        drop(permit);
        done.map_err(Failure::Store).flatten()
    }

    pub(crate) fn summary(&self) -> RwLockReadGuard<'_, Summary> {
        self.summary.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Brings the summary up to date, as far as that takes no long time. The rest is read in the
    /// background.
    ///
    /// # Errors
    ///
    /// If the store cannot be read.
    pub(crate) async fn catch_up(self: &Arc<Self>) -> Result<Option<Behind>> {
        let source = self.source.clone();
        let head = blocking(move || source.refresh()).await?;
        let mut caught_up = self.caught_up.subscribe();
        let reached = async {
            // Somebody else may have been at its end, so the second attempt is the own one.
            let mut attempts = 0;
            while self.summary().until < head && attempts < 3 {
                if !self.is_reading.swap(true, Ordering::AcqRel) {
                    attempts += 1;
                    let shared = self.clone();
                    drop(tokio::task::spawn_blocking(move || shared.read_on()));
                }
                if caught_up.changed().await.is_err() {
                    break;
                }
            }
        };
        within(PATIENCE, reached).await?;
        if let Some((kind, text)) = lock(&self.problem).clone() {
            return Err(Failure::Store(io::Error::new(kind, text)));
        }
        let until = self.summary().until;
        Ok((until < head).then_some(Behind { until, head }))
    }

    /// Reads everything that the summary lacks.
    fn read_on(self: &Arc<Self>) {
        let read = self.read_portions();
        let problem = read.err().map(|error| (error.kind(), error.to_string()));
        *lock(&self.problem) = problem;
        self.is_reading.store(false, Ordering::Release);
        self.caught_up.send_replace(());
    }

    fn read_portions(self: &Arc<Self>) -> io::Result<()> {
        loop {
            let before = self.summary().until;
            let head = self.source.refresh()?;
            // Without the router nobody waits for it, and a runtime that ends would.
            if before >= head || Arc::strong_count(self) == 1 {
                return Ok(());
            }
            let mut left = PORTION;
            let mut summary = self.summary.write().unwrap_or_else(PoisonError::into_inner);
            self.source.read(before, &mut |stored| {
                summary.add(stored);
                left -= 1;
                if left == 0 {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })?;
            if summary.until == before {
                // The storage has nothing there, which only positions with gaps allow.
                summary.until = head;
            }
            drop(summary);
            self.caught_up.send_replace(());
        }
    }

    /// The disk use, as it was known last. If that is long ago, it is measured again meanwhile.
    pub(crate) async fn disk_use(self: &Arc<Self>) -> DiskKnown {
        let known = self.known_disk();
        if !matches!(known, DiskKnown::NotYet) {
            return known;
        }
        // A small store is measured at once.
        let measured = async {
            while lock(&self.disk).is_measuring {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        let _ = within(PATIENCE / 2, measured).await;
        self.known_disk()
    }

    fn known_disk(self: &Arc<Self>) -> DiskKnown {
        if !self.source.has_directory() {
            return DiskKnown::None;
        }
        let mut disk = lock(&self.disk);
        let is_old = disk.measured.is_none_or(|at| at.elapsed() > DISK_AGE);
        if is_old && !disk.is_measuring {
            disk.is_measuring = true;
            let shared = self.clone();
            drop(tokio::task::spawn_blocking(move || {
                let measured = shared.source.disk_use();
                let mut disk = lock(&shared.disk);
                disk.is_measuring = false;
                disk.measured = Some(Instant::now());
                disk.last = measured.map(|measured| measured.map_err(|error| error.to_string()));
            }));
        }
        match &disk.last {
            Some(last) => DiskKnown::Known(last.clone()),
            None => DiskKnown::NotYet,
        }
    }
}
