//! Snapshots on the server: reading one, and the task that writes them, [`SnapshotWriter`].

use std::sync::Arc;

use tokio::sync::mpsc;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::meter::Meters;
use crate::storage::error::{StorageError, StorageErrorKind, StorageResult};
use crate::storage::place::Place;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::rows::{signed, unsigned};
use crate::storage::postgres::server::Server;
use crate::storage::snapshot::{Draft, Snapshot};

/// A snapshot counts only if the stream has the event at which it was taken. Invariant S1.
const READ: &str = "\
    SELECT s.version, s.position, s.content, s.sum \
    FROM snapshots s JOIN events e ON e.type = s.type AND e.id = s.id AND e.version = s.version \
    WHERE s.type = $1 AND s.id = $2 AND s.version <= $3 \
        AND e.position = s.position AND e.sum = s.event_sum";
const SAVE: &str = "SELECT save_snapshot($1, $2, $3, $4, $5, $6)";

/// How many snapshots may wait. If more are taken, some are left out, which only makes loads slower.
const MOST_WAITING: usize = 256;

/// The newest snapshot of the stream, up to `version`.
pub(super) fn read(
    server: &Arc<Server>,
    stream: &StreamInUse,
    version: u64,
) -> StorageResult<Option<Snapshot>> {
    let (aggregate_type, id) = stream.names.clone();
    let rows = server.read(
        "read a snapshot of",
        READ,
        vec![
            Box::new(aggregate_type),
            Box::new(id),
            Box::new(signed(version)),
        ],
    )?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };
    let content: String = row.get(2);
    let sum = row.get::<_, i64>(3).cast_unsigned();
    if xxh3_64_with_seed(content.as_bytes(), stream.seed()) != sum {
        let text = "the snapshot is damaged: the checksum does not match";
        stream.warnings.give(stream.id(), &text);
        return Ok(None);
    }
    Ok(Some(Snapshot {
        content,
        place: Place::behind(unsigned(row.get(0)), unsigned(row.get(1))),
    }))
}

/// A snapshot to be written.
pub(super) struct Job {
    pub(super) stream: Arc<StreamInUse>,
    pub(super) place: Place,
    pub(super) draft: Box<Draft>,
}

/// Takes the snapshots of a store, and writes them in the background.
#[derive(Debug, Clone)]
pub(super) struct SnapshotWriter(mpsc::Sender<Option<Job>>);

impl SnapshotWriter {
    /// Returns the writer, and its task, which runs on the thread of the connections until
    /// [`finish`](Self::finish) is called.
    pub(super) fn new(
        server: Arc<Server>,
        meters: Arc<Meters>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (sender, mut jobs) = mpsc::channel::<Option<Job>>(MOST_WAITING);
        let task = async move {
            while let Some(Some(job)) = jobs.recv().await {
                let (stream, place) = (job.stream.clone(), job.place);
                // The state is read back, which may take long.
                let made = tokio::task::spawn_blocking(move || job.draft.into_text()).await;
                let saved = match made {
                    Ok(Ok(content)) => save(&server, &stream, place, content).await,
                    Ok(Err(error)) => Err(error),
                    Err(panic) => Err(StorageError::new(StorageErrorKind::Unreadable, panic)),
                };
                match saved {
                    Ok(()) => {
                        stream.warnings.end();
                        meters.live.snapshots.add(1);
                    }
                    Err(error) => stream.warnings.give(stream.id(), &error),
                }
            }
        };
        (Self(sender), task)
    }

    /// Saves a snapshot. A newer one stays. A failure is only reported, because the events are
    /// stored anyway.
    pub(super) fn save(&self, job: Job) {
        if let Err(mpsc::error::TrySendError::Full(Some(job))) = self.0.try_send(Some(job)) {
            let stream = job.stream.id();
            tracing::debug!(%stream, "a snapshot is left out: too many wait to be written");
        }
    }

    /// Lets the task end once the snapshots that wait are written.
    pub(super) async fn finish(&self) {
        let _ = self.0.send(None).await;
    }
}

async fn save(
    server: &Server,
    stream: &StreamInUse,
    place: Place,
    content: String,
) -> StorageResult<()> {
    let (aggregate_type, id) = stream.names.clone();
    let sum = xxh3_64_with_seed(content.as_bytes(), stream.seed());
    let params: Vec<crate::storage::postgres::server::Param> = vec![
        Box::new(aggregate_type),
        Box::new(id),
        Box::new(signed(place.version())),
        Box::new(signed(place.position())),
        Box::new(content),
        Box::new(sum.cast_signed()),
    ];
    let saved = server.query("save a snapshot in", SAVE, &params).await;
    saved.map(drop)
}
