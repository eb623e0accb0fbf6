//! A read model in SQLite, as it is fed: [`Sql`].
//!
//! Of one version the newest file that is complete counts. Invariant F13.

pub(crate) mod database;
mod generation;

pub(crate) use generation::{Generation, Served};

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, TransactionBehavior};
use xxhash_rust::xxh3::xxh3_64;

use crate::domain::follower::Reads;
use crate::domain::process_manager::{OnFailure, Retry};
use crate::domain::sql_projection::{SqlProjection, SqlRefusal};
use crate::error::closed;
use crate::event::EventSet;
use crate::following::checkpoint::UnknownEvent;
use crate::following::exclusive::Exclusive;
use crate::following::feeding::{Failed, Fed, Feed, Feeding, Target};
use crate::following::follower::Refusal;
use crate::following::projecting::Registered;
#[cfg(feature = "personal")]
use crate::following::read_model_files::all_below;
use crate::following::read_model_files::{all_files, file_name};
use crate::following::skipped::{Poisoned, SkippedEvent};
use crate::following::status::Progress;
use crate::storage::Storage;
use crate::storage::error::StorageError;
use crate::text::shown;
use database::About;

/// How many events one transaction takes at most, but for the rest of a commit.
const BATCH: usize = 8 * 1024;

/// A read model whose tables are written.
pub(crate) struct Sql<P: SqlProjection> {
    projection: Arc<P>,
    storage: Storage,
    reads: Reads,
    dir: PathBuf,
    /// `None` once it is closed. Closed before the file may be removed.
    writer: Option<Connection>,
    file: Arc<Generation>,
    served: Arc<Served>,
    unknown: Vec<UnknownEvent>,
    is_complete: bool,
    /// It is built beside the file that serves, and takes its place at the end.
    is_rebuild: bool,
    /// Held where the storage does not see to it that one store has the directory.
    lock: Option<Arc<fs::File>>,
}

/// A registered read model.
pub(crate) struct SqlModel<P: SqlProjection> {
    pub(crate) feeding: Arc<Exclusive<Feeding<Sql<P>>>>,
    pub(crate) served: Arc<Served>,
    pub(crate) progress: Arc<Progress>,
}

/// A file of a read model.
struct Found {
    path: PathBuf,
    number: u64,
    about: About,
    connection: Connection,
}

impl<P: SqlProjection> Sql<P> {
    /// Registers `projection`, whose files are in `dir`.
    pub(crate) fn open(
        projection: P,
        storage: &Storage,
        dir: PathBuf,
        on_failure: OnFailure,
    ) -> io::Result<Registered> {
        fs::create_dir_all(&dir).map_err(|error| {
            io::Error::new(error.kind(), format!("create {}: {error}", shown(&dir)))
        })?;
        let lock = if matches!(storage, Storage::Files(_)) {
            None
        } else {
            Some(Arc::new(lock_dir(&dir)?))
        };
        let (mut current, earlier) = find::<P>(storage, &dir)?;
        if current.is_none() {
            current = Some(make::<P>(&dir, 0)?);
        }
        let Some(Found {
            path,
            about,
            connection,
            ..
        }) = current
        else {
            return Err(closed());
        };
        let skipped = database::skipped(&connection);
        let skipped = skipped.map_err(|error| database::failure(&path, &error))?;
        let file = Generation::new(path, P::VERSION);
        let served = Served::new(file.clone(), earlier.filter(|_| !about.is_complete));
        let sql = Self {
            projection: Arc::new(projection),
            storage: storage.clone(),
            reads: Reads::of_types(P::subscriptions()),
            dir,
            writer: Some(connection),
            file,
            served: served.clone(),
            unknown: Vec::new(),
            is_complete: about.is_complete,
            is_rebuild: false,
            lock,
        };
        let mut feeding = Feeding::new(P::NAME, storage, sql, Retry::none(), on_failure, skipped);
        feeding.begin()?;
        let progress = feeding.progress().clone();
        let name = format!("read model `{}`", P::NAME);
        let feeding = Arc::new(Exclusive::new(name, feeding));
        Ok(Registered {
            typed: Arc::new(SqlModel {
                feeding: feeding.clone(),
                served,
                progress: progress.clone(),
            }),
            any: feeding,
            progress,
        })
    }

    /// The same read model before the first event, in a file beside the one that serves.
    fn anew(&self) -> io::Result<Self> {
        if self.writer.is_none() {
            return Err(closed());
        }
        let newest = files(&self.dir, P::VERSION)?
            .last()
            .map_or(0, |(number, _)| number + 1);
        let Found {
            path, connection, ..
        } = make::<P>(&self.dir, newest)?;
        let file = Generation::new(path, P::VERSION);
        // Unless it takes the place of the other one.
        file.set_obsolete(true);
        Ok(Self {
            projection: self.projection.clone(),
            storage: self.storage.clone(),
            reads: self.reads.clone(),
            dir: self.dir.clone(),
            writer: Some(connection),
            file,
            served: self.served.clone(),
            unknown: Vec::new(),
            is_complete: false,
            is_rebuild: true,
            lock: self.lock.clone(),
        })
    }

    fn failed(&self, error: &rusqlite::Error) -> io::Error {
        named::<P>(&database::failure(self.file.path(), error))
    }
}

impl<P: SqlProjection> Feeding<Sql<P>> {
    /// The same read model before the first event.
    pub(crate) fn anew(&self) -> io::Result<Self> {
        let mut anew = self.beside(self.target().anew()?);
        anew.begin()?;
        Ok(anew)
    }

    /// Brings `rebuilt` up to date, and replaces this one with it. The old file is removed once nobody
    /// reads it any more.
    pub(crate) fn replace_with(&mut self, mut rebuilt: Self) -> io::Result<()> {
        if self.target().writer.is_none() {
            return Err(closed());
        }
        while !rebuilt.step(rebuilt.head())? {}
        let sql = rebuilt.target_mut();
        if let Some(writer) = &sql.writer {
            database::complete(writer).map_err(|error| sql.failed(&error))?;
        }
        (sql.is_complete, sql.is_rebuild) = (true, false);
        sql.served.replace(sql.file.clone());
        tracing::info!(
            projection_name = P::NAME,
            position = rebuilt.position(),
            "read model built again"
        );
        self.give_way_to(rebuilt);
        Ok(())
    }
}

impl<P: SqlProjection> Target for Sql<P> {
    fn reads(&self) -> &Reads {
        &self.reads
    }

    fn event_sets(&self) -> &'static [EventSet] {
        P::event_sets()
    }

    fn batch_size(&self) -> usize {
        BATCH
    }

    fn place(&mut self) -> io::Result<u64> {
        let writer = self.writer.as_ref().ok_or_else(closed)?;
        database::position(writer).map_err(|error| self.failed(&error))
    }

    fn take(&mut self, next: Feed<'_>) -> Result<Fed, Failed> {
        let (path, storage) = (self.file.path(), next.storage.clone());
        let failed = |error| Failed::Io(named::<P>(&database::failure(path, &error)));
        let writer = self.writer.as_mut().ok_or_else(closed)?;
        let tx = writer.transaction_with_behavior(TransactionBehavior::Immediate);
        let tx = tx.map_err(failed)?;
        let mut trouble = None;
        let unknown = &mut self.unknown;
        let projection = &*self.projection;
        let fed = next.read(unknown, |event| {
            let refused = match projection.project_stored(&tx, event) {
                Ok(()) => return Ok(()),
                Err(SqlRefusal::Decode(error)) => return Err(error.into()),
                Err(SqlRefusal::Sql(error)) => error,
            };
            let text = refused.to_string();
            if database::is_of_database(&refused) {
                trouble = Some(refused);
            }
            Err(Refusal::Database(text))
        });
        if let Some(trouble) = trouble {
            return Err(failed(trouble));
        }
        let fed = fed?;
        if tx.is_autocommit() {
            let text = "its code ended the transaction that it was given, so its rows may be there \
                        without their position; rebuild it";
            return Err(named::<P>(&io::Error::other(text)).into());
        }
        let history = match fed.history {
            Some(history) => history,
            None => storage.history_at(fed.position)?,
        };
        let has_all = !self.is_rebuild && fed.position >= storage.head();
        let is_complete = self.is_complete || has_all;
        (|| {
            database::leave_out(&tx, unknown)?;
            database::set_position(&tx, fed.position, history, is_complete)?;
            tx.commit()
        })()
        .map_err(failed)?;
        if is_complete && !self.is_complete {
            self.is_complete = true;
            self.served.caught_up();
            tracing::info!(
                projection_name = P::NAME,
                version = P::VERSION,
                position = fed.position,
                "the read model has caught up and serves from now on"
            );
        }
        Ok(fed)
    }

    fn skip(&mut self, poisoned: &Poisoned) -> io::Result<SkippedEvent> {
        let now = self.storage.clock().now_ms();
        let writer = self.writer.as_ref().ok_or_else(closed)?;
        database::skip(writer, poisoned, now).map_err(|error| self.failed(&error))
    }

    #[cfg(feature = "personal")]
    fn build_anew(feeding: &mut Feeding<Self>) -> io::Result<bool> {
        let rebuilt = feeding.anew()?;
        feeding.replace_with(rebuilt)?;
        // Those of other versions, and the one that was replaced, even if somebody still reads it.
        let sql = feeding.target();
        for (_, _, path) in all_files(&sql.dir)? {
            if path != sql.file.path() {
                database::try_remove(&path)?;
            }
        }
        Ok(true)
    }

    fn close(&mut self) {
        // Whoever closes the file last leaves nothing beside it, if it may write.
        self.served.close();
        self.writer = None;
        self.lock = None;
    }
}

/// Removes the files of all read models below `dir`, which no store has open.
#[cfg(feature = "personal")]
pub(crate) fn remove_read_models(dir: &Path) -> io::Result<()> {
    let mut files = all_below(dir)?.into_iter();
    files.try_for_each(|(_, file)| database::try_remove(&file))
}

fn named<P: SqlProjection>(error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("read model `{}`: {error}", P::NAME))
}

/// Locks the directory for one store.
fn lock_dir(dir: &Path) -> io::Result<fs::File> {
    let path = dir.join("lock");
    let failed =
        |error: io::Error| io::Error::new(error.kind(), format!("open {}: {error}", shown(&path)));
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).write(true).truncate(false);
    let file = options.open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => {
            let text = format!(
                "{} is in use by another store: give each store a directory of its own by `sql_dir`",
                shown(dir)
            );
            Err(io::Error::new(io::ErrorKind::ResourceBusy, text))
        }
        Err(fs::TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// The files of a version with their numbers, in order.
fn files(dir: &Path, version: u32) -> io::Result<Vec<(u64, PathBuf)>> {
    let all = all_files(dir)?.into_iter();
    let of_version = all.filter(|(of, _, _)| *of == version);
    Ok(of_version.map(|(_, number, path)| (number, path)).collect())
}

/// The file with the number `number`, without an event.
fn make<P: SqlProjection>(dir: &Path, number: u64) -> io::Result<Found> {
    let path = dir.join(file_name(P::VERSION, number));
    let about = About {
        name: P::NAME.to_owned(),
        version: P::VERSION,
        events: EventSet::fingerprint(P::event_sets()),
        schema: xxh3_64(P::SCHEMA.as_bytes()),
        position: 0,
        history: 0,
        is_complete: false,
    };
    // What an earlier attempt may have left.
    database::remove(&path);
    let made = database::open(&path).and_then(|mut connection| {
        database::make(&mut connection, &path, &about, P::SCHEMA)?;
        Ok(connection)
    });
    match made {
        Ok(connection) => Ok(Found {
            path,
            number,
            about,
            connection,
        }),
        Err(error) => {
            database::remove(&path);
            Err(error)
        }
    }
}

/// The file of this version to continue, and the one of an earlier version that may serve meanwhile.
/// Other files of this version are removed.
fn find<P: SqlProjection>(
    storage: &Storage,
    dir: &Path,
) -> io::Result<(Option<Found>, Option<Arc<Generation>>)> {
    let (mut usable, mut earlier): (Vec<Found>, _) = (Vec::new(), None);
    for (version, number, path) in all_files(dir)? {
        if version > P::VERSION {
            // An earlier release runs again. It leaves the file alone.
            continue;
        }
        let found = read(&path, number)?;
        let misfit = match &found {
            Some(found) => misfit::<P>(found, storage)?,
            None => Some("it is damaged".to_owned()),
        };
        if version < P::VERSION {
            if misfit.is_none() && found.is_some_and(|found| found.about.is_complete) {
                earlier = Some(Generation::new(path, version));
            }
            continue;
        }
        if let (Some(found), None) = (found, &misfit) {
            usable.push(found);
            continue;
        }
        let (file, why) = (shown(&path).to_string(), misfit.unwrap_or_default());
        let dropped = storage.dropped();
        if dropped > 0 {
            let context = format!(
                "the read model `{}` in {file} would have to be built again, because {why}",
                P::NAME
            );
            return Err(StorageError::dropped(0, dropped).in_context(context).into());
        }
        tracing::warn!(
            projection = P::NAME,
            version,
            file,
            why,
            "the read model is built again"
        );
        database::remove(&path);
    }
    usable.sort_by_key(|found| (found.about.is_complete, found.number));
    let current = usable.pop();
    for other in usable {
        let Found {
            path, connection, ..
        } = other;
        drop(connection);
        database::remove(&path);
    }
    Ok((current, earlier))
}

/// Up to where the tables in a file are on the disk, `None` if that is not known. The latest transactions
/// may be in the system's memory only, until they are moved from the log to the tables.
pub(crate) fn durable_position(path: &Path) -> Option<u64> {
    let connection = database::open(path).ok()?;
    let position = database::position(&connection).ok()?;
    let pragma = "PRAGMA wal_checkpoint(PASSIVE)";
    let moved = connection.query_row(pragma, [], |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
        ))
    });
    let (is_busy, written, moved) = moved.ok()?;
    (is_busy == 0 && written == moved).then_some(position)
}

/// Opens a file and reads what it says about itself; `None` if it is no read model or is damaged.
fn read(path: &Path, number: u64) -> io::Result<Option<Found>> {
    let connection = match database::open(path) {
        Ok(connection) => connection,
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Ok(None),
        Err(error) => return Err(error),
    };
    let about = database::about(&connection, path)?;
    Ok(about.map(|about| Found {
        path: path.to_owned(),
        number,
        about,
        connection,
    }))
}

/// Why a file cannot be used, `None` if it can. Of an earlier version only its history counts.
fn misfit<P: SqlProjection>(found: &Found, storage: &Storage) -> io::Result<Option<String>> {
    let about = &found.about;
    if about.name != P::NAME {
        return Ok(Some(format!("it is of the read model `{}`", about.name)));
    }
    let mut head = storage.head();
    if about.position > head {
        head = storage.ask_head()?;
    }
    if about.position > head {
        let (position, name) = (about.position, P::NAME);
        return Ok(Some(format!(
            "`{name}` is at position {position}, and the newest event at {head}"
        )));
    }
    if storage.history_at(about.position)? != about.history {
        return Ok(Some(format!(
            "it is from another history: up to position {}, the log has other events",
            about.position
        )));
    }
    if about.version != P::VERSION {
        return Ok(None);
    }
    if about.schema != xxh3_64(P::SCHEMA.as_bytes()) {
        return Ok(Some("its schema has changed".to_owned()));
    }
    if about.events != EventSet::fingerprint(P::event_sets()) {
        return Ok(Some("the versions of its events have changed".to_owned()));
    }
    let left_out = database::left_out(&found.connection);
    let left_out = left_out.map_err(|error| database::failure(&found.path, &error))?;
    let is_known = |event: &UnknownEvent| {
        let mut sets = P::event_sets().iter();
        sets.any(|set| set.aggregate_type == event.aggregate_type && (set.knows)(&event.event))
    };
    Ok(left_out
        .iter()
        .any(is_known)
        .then(|| "an event that was left out because its name was unknown is known now".to_owned()))
}
