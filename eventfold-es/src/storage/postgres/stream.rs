//! A stream on a server: [`PgStream`], and one reading of it, [`PgReading`].

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio::sync::OwnedMutexGuard;
use tokio_postgres::Row;

use crate::ids::StreamId;
use crate::meter::Meters;
use crate::storage::commit::{Commit, CommitError, Done};
use crate::storage::encoding::event_line::EncodedEvents;
use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::loaded::Loaded;
use crate::storage::place::Place;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::parts::Parts;
use crate::storage::postgres::requests::{Request, kib};
use crate::storage::postgres::rows::{PageSize, StoredRow, columns, signed, unsigned};
use crate::storage::postgres::server::{Pending, Server};
use crate::storage::postgres::snapshots;
use crate::storage::postgres::snapshots::Job;
use crate::storage::snapshot::{Draft, Snapshot};

const LOOK_UP: &str = "SELECT version, position FROM streams WHERE type = $1 AND id = $2";
const PAGE: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE type = $1 AND id = $2 AND version > $3 AND version <= $4 \
     ORDER BY version LIMIT $5"
);

/// A stream together with the parts of its storage that it needs.
#[derive(Debug, Clone)]
pub(crate) struct PgStream {
    parts: Arc<Parts>,
    stream: Arc<StreamInUse>,
}

impl PgStream {
    pub(super) fn new(parts: Arc<Parts>, stream: Arc<StreamInUse>) -> Self {
        Self { parts, stream }
    }

    /// The stream, which shares its state with the committer.
    pub(crate) fn into_stream(self) -> Arc<StreamInUse> {
        self.stream
    }

    pub(crate) fn id(&self) -> &StreamId {
        self.stream.id()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.stream.seed()
    }

    pub(crate) fn meters(&self) -> &Meters {
        &self.parts.meters
    }

    pub(crate) fn conflict_rounds(&self) -> u32 {
        self.parts.conflict_rounds
    }

    pub(crate) async fn take_turn(&self) -> OwnedMutexGuard<()> {
        self.stream.turn.clone().lock_owned().await
    }

    pub(crate) fn start_epoch(&self, version: u64) -> u64 {
        self.stream.start_epoch(version)
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.stream.epoch()
    }

    pub(crate) fn failure(&self, epoch: u64) -> Option<CommitError> {
        self.stream.failure(epoch)
    }

    /// The version and the position of the last durable event, as far as they are known.
    pub(crate) fn durable(&self) -> (u64, u64) {
        self.stream.durable().unwrap_or_default()
    }

    /// Whether it is known that the stream has no events.
    pub(crate) fn is_new(&self) -> bool {
        self.stream.durable() == Some((0, 0))
    }

    /// Asks the server where the stream ends.
    pub(crate) async fn look_up(&self) -> StorageResult<()> {
        let (this, server) = (self.stream.clone(), self.parts.server.clone());
        self.parts
            .server
            .run(Box::pin(
                async move { look_up(&this, &server).await.map(drop) },
            ))
            .await
    }

    pub(crate) async fn commit(&self, commit: Commit, events: EncodedEvents) {
        if let Some(pause) = self.parts.pauses.take(&self.stream.names) {
            let pause = Box::pin(async move {
                tokio::time::sleep(pause).await;
                Ok(())
            });
            // Without the server there is nothing to give way to.
            let _: StorageResult<()> = self.parts.server.run(pause).await;
        }
        let room = kib(events.size(), commit.snapshot.as_deref());
        let stream = self.stream.clone();
        let request = Request::Commit {
            stream,
            commit,
            events,
        };
        self.parts.requests.send_with(room, request).await;
    }

    /// Calls `done` after all requests before this one. `is_checked` lets the epoch fail if other stores
    /// have stored events in the stream.
    pub(crate) fn when_done(&self, epoch: u64, is_checked: bool, done: Done) {
        self.parts.requests.send(Request::Fence {
            stream: self.stream.clone(),
            epoch,
            is_checked,
            done,
        });
    }

    /// Runs `read`, which blocks. Only a few streams are read at the same time.
    pub(crate) async fn load<T: Send + 'static, E: From<StorageError> + Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, E> + Send + 'static,
    ) -> Result<T, E> {
        self.parts.loader.run(read).await
    }

    pub(crate) fn read(&self) -> PgReading<'_> {
        PgReading {
            server: &self.parts.server,
            stream: &self.stream,
        }
    }

    pub(crate) fn save_snapshot(&self, version: u64, draft: Box<Draft>) {
        let (durable, position) = self.durable();
        if durable == version {
            self.parts.snapshots.save(Job {
                stream: self.stream.clone(),
                place: Place::behind(version, position),
                draft,
            });
        }
    }

    pub(crate) fn lacks_snapshot(&self, error: &dyn std::fmt::Display) {
        self.stream.warnings.give(self.id(), error);
    }
}

/// Where the stream ends. Runs on the thread of the connections.
async fn look_up(stream: &StreamInUse, server: &Server) -> StorageResult<(u64, u64)> {
    let (aggregate_type, id) = stream.names.clone();
    let rows = server
        .query(
            "read a stream of",
            LOOK_UP,
            &[Box::new(aggregate_type), Box::new(id)],
        )
        .await?;
    let end = rows
        .first()
        .map_or((0, 0), |row| (unsigned(row.get(0)), unsigned(row.get(1))));
    Ok(stream.found(end.0, end.1))
}

/// The durable part of a stream. Reading it blocks.
#[derive(Debug)]
pub(crate) struct PgReading<'a> {
    server: &'a Arc<Server>,
    stream: &'a Arc<StreamInUse>,
}

impl PgReading<'_> {
    /// The version and the position of the last durable event.
    fn end(&self) -> StorageResult<(u64, u64)> {
        if let Some(durable) = self.stream.durable() {
            return Ok(durable);
        }
        let (stream, server) = (self.stream.clone(), self.server.clone());
        self.server
            .wait(async move { look_up(&stream, &server).await })
    }

    pub(crate) fn snapshot(&self) -> StorageResult<Option<Snapshot>> {
        let (version, _) = self.end()?;
        snapshots::read(self.server, self.stream, version)
    }

    /// Passes each event after the version `after` to `each`, until `each` breaks off.
    pub(crate) fn events<E: From<StorageError>>(
        &self,
        after: u64,
        mut each: impl FnMut(Loaded<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<Place, E> {
        let (until, position) = self.end()?;
        if after >= until {
            return Ok(Place::behind(until, position));
        }
        let mut size = PageSize::default();
        let mut read = Place::behind(after, 0);
        let mut next = Some(self.ask(after, until, size.rows())?);
        while let Some(asked) = next.take() {
            let page = StoredRow::all_of(asked.wait()?)?;
            size.learn(&page);
            let Some(last) = page.last() else {
                return Err(self.lacks(read.version() + 1).into());
            };
            if last.version < until {
                // On its way while this page is read.
                next = Some(self.ask(last.version, until, size.rows())?);
            }
            for row in page {
                if row.version != read.version() + 1 {
                    return Err(self.lacks(read.version() + 1).into());
                }
                let flow = row.read(|event, (key, command)| {
                    each(Loaded {
                        version: row.version,
                        event,
                        key,
                        command,
                        position: Some(row.position),
                    })
                })??;
                read = Place::behind(row.version, row.position);
                if flow.is_break() {
                    return Ok(read);
                }
            }
        }
        Ok(read)
    }

    /// Asks for the events after a version, without waiting for them.
    fn ask(&self, after: u64, until: u64, rows: i64) -> StorageResult<Pending<Vec<Row>>> {
        let (aggregate_type, id) = self.stream.names.clone();
        self.server.start_read(
            "read a stream of",
            PAGE,
            vec![
                Box::new(aggregate_type),
                Box::new(id),
                Box::new(signed(after)),
                Box::new(signed(until)),
                Box::new(rows),
            ],
        )
    }

    /// The error for an event that is not there.
    fn lacks(&self, version: u64) -> StorageError {
        let place = ErrorPlace::Stream(self.stream.id().clone());
        let text = format!("lacks the event of version {version}");
        StorageError::at(StorageErrorKind::Damaged, place, text)
            .with_advice("restore the schema from a backup")
    }
}
