//! Where a store keeps its files: [`StreamLayout`].

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::clock::unix_millis;
use crate::ids::{StreamId, decode, encode};
use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::files::disk;
use crate::storage::files::disk::{Entry, Kind};
use crate::storage::files::journal::beginning::{BEGINNING_FILE, of_ends_file};
use crate::text::{is_hidden, shown};

/// The directories of a store.
///
/// ```text
/// <base>/
///     streams/<aggregate type>/<id>/   one stream: an eventfold log
///         app.jsonl
///         views/state.snapshot.json
///     journal/                         every commit, in order
///     projections/<name>/
///     process_managers/<name>/
///     meta/
///     lock
/// ```
///
/// Directories and files are accessible to their owner only (modes `0700` and `0600`). The umask
/// and the mode of the base directory do not change that, and replaced files get the same mode. To
/// give other users access, copy the files, or run the programs as the same user.
///
/// An open store stays in the directory that it locked when it was opened. If the directory is
/// moved, the store continues in it, and the paths here remain the old ones. A new directory at the
/// old path is not touched. If the directory is deleted, the store refuses commands from the next
/// one on ([`OutcomeUnknown`](crate::error::ExecuteError::OutcomeUnknown)) and creates nothing.
/// `streams`, the directories of types and streams, and the other directories may be links to
/// directories elsewhere. Files must be regular files, and `lock` must not be a link. (On Windows a
/// directory in use can be neither moved nor deleted.)
///
/// An aggregate's type and id are encoded as file names (see [`StreamId`]). Streams that
/// eventfold-es 0.2.0 stored under a raw name are an exception. The layout of an open store
/// ([`AggregateStore::layout`](crate::store::AggregateStore::layout)) knows these names.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// counter.send(Add(5)).await?;
/// let file = store.layout().stream_dir("counter", "c-1").join("app.jsonl");
/// let line: serde_json::Value = serde_json::from_slice(&std::fs::read(file)?)?;
/// assert_eq!((&line["type"], &line["version"]), (&"Added".into(), &1.into()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct StreamLayout {
    base_dir: PathBuf,
    raw_names: Arc<RawNames>,
}

/// The file in a stream's directory that holds its events.
pub(crate) const EVENTS_FILE: &str = "app.jsonl";

/// The file that holds a stream's older events, if `eventfold` rotated the stream.
pub(crate) const ARCHIVE_FILE: &str = "archive.jsonl.zst";

/// The file that states up to which offset lines of other programs are in the journal.
const ADOPTED_FILE: &str = "adopted.json";

/// The beginning of the name of a file with an unfinished line of another program.
const UNFINISHED: &str = "app.jsonl.unfinished-";

/// The file in a stream's directory that keeps the unfinished line that began at `offset`.
pub(crate) fn unfinished_file(offset: u64) -> String {
    format!("{UNFINISHED}{offset}")
}

/// The file in the directory `meta` that has the store's name for its keys.
pub(crate) const KEYS_FILE: &str = "keys.json";

/// The file in the directory `meta` that names the subjects which are being forgotten.
pub(crate) const FORGETTING_FILE: &str = "forgetting.json";

/// Whether the store keeps a file called `name` in a stream's directory.
pub(crate) fn is_stream_file(name: &str) -> bool {
    let is_unfinished = name
        .strip_prefix(UNFINISHED)
        .is_some_and(|offset| !is_temporary(Path::new(offset)));
    matches!(name, EVENTS_FILE | ARCHIVE_FILE | ADOPTED_FILE) || is_unfinished
}

/// Whether `path` is a temporary file, which is renamed when it is whole.
pub(crate) fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// The file in the directory `meta` that lists the streams created with `ensure_stream`.
pub(crate) const REGISTRY_FILE: &str = "streams.jsonl";

/// The file in the directory `meta` that lists the streams with raw names.
pub(crate) const RAW_NAMES_FILE: &str = "raw_names.json";

/// The file in the directory `meta` that notes that all streams older than the journal are in it.
pub(crate) const TAKEN_OVER_FILE: &str = "taken_over";

/// Whether the store keeps a file called `name` in the directory `meta`.
pub(crate) fn is_meta_file(name: &str) -> bool {
    matches!(
        name,
        REGISTRY_FILE
            | RAW_NAMES_FILE
            | TAKEN_OVER_FILE
            | KEYS_FILE
            | FORGETTING_FILE
            | BEGINNING_FILE
    ) || of_ends_file(name).is_some()
}

/// The subdirectories of a store's directory.
pub(crate) const PARTS: [&str; 5] = [
    "journal",
    "streams",
    "projections",
    "process_managers",
    "meta",
];

/// The streams whose directories are not named after their encoded ids.
pub(crate) type RawNames = BTreeMap<StreamId, PathBuf>;

impl StreamLayout {
    /// The layout of the store in `base_dir`, which need not exist.
    ///
    /// ```
    /// use eventfold_es::StreamLayout;
    ///
    /// let layout = StreamLayout::new("data");
    /// let dir = layout.stream_dir("order", "2024/17");
    /// assert!(dir.ends_with("streams/order/2024%2F17"));
    /// ```
    pub fn new(base_dir: impl Into<PathBuf>) -> Self {
        Self::with_raw_names(base_dir.into(), RawNames::new())
    }

    pub(crate) fn with_raw_names(base_dir: PathBuf, raw_names: RawNames) -> Self {
        Self {
            base_dir,
            raw_names: Arc::new(raw_names),
        }
    }

    /// The streams whose directories are not named after their encoded ids.
    pub(crate) fn raw_names(&self) -> &RawNames {
        &self.raw_names
    }

    /// The store's root directory. For an open store the path is absolute.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// assert_eq!(StreamLayout::new("data").base_dir(), std::path::Path::new("data"));
    /// ```
    #[must_use]
    pub fn base_dir(&self) -> &Path {
        &self.base_dir
    }

    /// The directory of a stream, always inside the base directory. It need not exist. If the type
    /// or the id is not valid (see [`StreamId::new`]), the returned path cannot exist.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// let layout = StreamLayout::new("data");
    /// assert!(layout.stream_dir("order", "..").ends_with("streams/order/%2E%2E"));
    /// ```
    #[must_use]
    pub fn stream_dir(&self, aggregate_type: &str, instance_id: &str) -> PathBuf {
        if let Ok(id) = StreamId::new(aggregate_type, instance_id) {
            if let Some(dir) = self.raw_names.get(&id) {
                return dir.clone();
            }
            if self.holder(&id).is_some() {
                return self.streams_dir().join(NO_FILE_NAME.repeat(256));
            }
        }
        self.type_dir(aggregate_type).join(file_name(instance_id))
    }

    /// Fails if `id` cannot have a directory in this store.
    pub(crate) fn check(&self, id: &StreamId) -> StorageResult<()> {
        let Some(holder) = self.holder(id) else {
            return Ok(());
        };
        let cause = format!(
            "cannot be stored: its directory belongs to a stream of eventfold-es 0.2.0, {:?} of type {:?}",
            holder.id(),
            holder.aggregate_type()
        );
        let place = ErrorPlace::Stream(id.clone());
        Err(StorageError::at(
            StorageErrorKind::InvalidInput,
            place,
            cause,
        ))
    }

    /// The stream that 0.2.0 stored in the place of `id`: its raw name looks like the encoded form
    /// of `id`.
    fn holder(&self, id: &StreamId) -> Option<&StreamId> {
        // Most stores have none, and each command of a process manager is checked.
        if self.raw_names.is_empty() || self.raw_names.contains_key(id) {
            return None;
        }
        let (aggregate_type, name) = id.file_names();
        let dir = self.streams_dir().join(&aggregate_type).join(&name);
        let raw = StreamId::new(&aggregate_type, &name).ok()?;
        let (holder, held) = self.raw_names.get_key_value(&raw)?;
        (*held == dir).then_some(holder)
    }

    /// The directory of a stream's snapshots.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// let layout = StreamLayout::new("data");
    /// assert!(layout.views_dir("order", "17").ends_with("streams/order/17/views"));
    /// ```
    #[must_use]
    pub fn views_dir(&self, aggregate_type: &str, instance_id: &str) -> PathBuf {
        self.stream_dir(aggregate_type, instance_id).join("views")
    }

    /// The directory of the projections' checkpoints.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// assert!(StreamLayout::new("data").projections_dir().ends_with("projections"));
    /// ```
    #[must_use]
    pub fn projections_dir(&self) -> PathBuf {
        self.base_dir.join("projections")
    }

    /// The directory of the process managers' checkpoints and dead letters.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// assert!(StreamLayout::new("data").process_managers_dir().ends_with("process_managers"));
    /// ```
    #[must_use]
    pub fn process_managers_dir(&self) -> PathBuf {
        self.base_dir.join("process_managers")
    }

    /// The directory of files about the whole store, such as the list of streams with raw names.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// assert!(StreamLayout::new("data").meta_dir().ends_with("meta"));
    /// ```
    #[must_use]
    pub fn meta_dir(&self) -> PathBuf {
        self.base_dir.join("meta")
    }

    pub(crate) fn journal_dir(&self) -> PathBuf {
        self.base_dir.join("journal")
    }

    /// The files of the index from tags to events.
    pub(crate) fn tags_dir(&self) -> PathBuf {
        self.base_dir().join("tags")
    }

    pub(crate) fn streams_dir(&self) -> PathBuf {
        self.base_dir.join("streams")
    }

    /// Fails if there is no store of this version or of 0.2.0. An empty store of 0.2.0 has only the
    /// directory `meta`. The file `lock` alone is not a store, because `verify` leaves it behind.
    pub(crate) fn require_store(&self) -> StorageResult<()> {
        for dir in [self.journal_dir(), self.streams_dir(), self.meta_dir()] {
            match disk::find(&dir) {
                Ok(Some(found)) if found.kind == Kind::Dir => return Ok(()),
                Err(error) => return Err(StorageError::io("open", &dir, error)),
                _ => {}
            }
        }
        let base = std::path::absolute(&self.base_dir).unwrap_or_else(|_| self.base_dir.clone());
        let cause = "has no store: correct the path, or let `open` create one \
                     (`create_if_missing(true)`)";
        Err(StorageError::file(StorageErrorKind::Missing, &base, cause))
    }

    fn type_dir(&self, aggregate_type: &str) -> PathBuf {
        self.streams_dir().join(file_name(aggregate_type))
    }

    /// Creates the directory of a stream, if it is missing, and returns it. A store does not need
    /// this call. As in 0.2.0, the stream is entered in `meta/streams.jsonl` once: a JSON line with
    /// its `type`, its `id`, and the time of the entry, `ts`, in seconds since 1970.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::InvalidInput`] if the type or the id is not valid (see [`StreamId::new`]),
    /// or the error of creating the directory.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// # let dir = tempfile::tempdir()?;
    /// let stream = StreamLayout::new(dir.path()).ensure_stream("order", "17")?;
    /// assert!(stream.is_dir());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ensure_stream(&self, aggregate_type: &str, instance_id: &str) -> io::Result<PathBuf> {
        self.check(&StreamId::new(aggregate_type, instance_id)?)?;
        let dir = self.stream_dir(aggregate_type, instance_id);
        disk::create_dir(&dir)?;
        self.register(aggregate_type, instance_id, &dir)?;
        Ok(dir)
    }

    /// Enters a stream in the registry, if it is missing.
    fn register(&self, aggregate_type: &str, id: &str, dir: &Path) -> StorageResult<()> {
        static REGISTERING: Mutex<()> = Mutex::new(());
        let _registering = REGISTERING.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.meta_dir().join(REGISTRY_FILE);
        let registry = disk::read_if_there(&path)?.unwrap_or_default();
        let is_there = |entry: Registered| entry.aggregate_type == aggregate_type && entry.id == id;
        if registered(&registry).any(is_there) {
            return Ok(());
        }
        let is_raw = dir == self.streams_dir().join(aggregate_type).join(id);
        let entry = Registered {
            aggregate_type: aggregate_type.to_owned(),
            id: id.to_owned(),
            ts: Some(unix_millis(SystemTime::now()) / 1000),
            encoded: !is_raw,
        };
        // The last line may be unfinished, after a crash for example. It is unreadable and stays.
        let mut line = match registry.last() {
            None | Some(b'\n') => Vec::new(),
            Some(_) => vec![b'\n'],
        };
        serde_json::to_writer(&mut line, &entry)
            .map_err(|cause| StorageError::io("write", &path, cause.into()))?;
        line.push(b'\n');
        disk::create_dir(&self.meta_dir())?;
        let written = disk::File::open(&path, disk::Open::Create)
            .and_then(|file| file.write_at(registry.len() as u64, &line));
        written.map_err(|e| StorageError::io("write", &path, e))
    }

    /// The ids of the streams of an aggregate type, sorted; none if there is no such type. Each
    /// directory counts, even without events.
    ///
    /// # Errors
    ///
    /// The error of reading the directory.
    ///
    /// ```
    /// # use eventfold_es::StreamLayout;
    /// # let dir = tempfile::tempdir()?;
    /// let layout = StreamLayout::new(dir.path());
    /// layout.ensure_stream("order", "2024/17")?;
    /// assert_eq!(layout.list_streams("order")?, ["2024/17"]);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn list_streams(&self, aggregate_type: &str) -> io::Result<Vec<String>> {
        Ok(self.streams_of(aggregate_type)?)
    }

    /// As [`list_streams`](Self::list_streams).
    pub(crate) fn streams_of(&self, aggregate_type: &str) -> StorageResult<Vec<String>> {
        let type_dir = self.type_dir(aggregate_type);
        let raw = || {
            let streams = self.raw_names.iter();
            streams.filter(|(id, _)| id.aggregate_type() == aggregate_type)
        };
        let raw_dirs: HashSet<&Path> = raw().map(|(_, dir)| dir.as_path()).collect();
        // The directories above the directory of a raw stream with a `/` in its id.
        let above_raw: HashSet<&Path> = raw()
            .flat_map(|(_, dir)| dir.ancestors().skip(1))
            .filter(|above| above.parent() == Some(type_dir.as_path()))
            .collect();
        let mut ids: Vec<String> = raw().map(|(id, _)| id.id().to_owned()).collect();
        for name in list_dirs(&type_dir)? {
            let dir = type_dir.join(&name);
            let is_stream =
                !above_raw.contains(dir.as_path()) || disk::is_file(&dir.join(EVENTS_FILE));
            if is_stream && !raw_dirs.contains(dir.as_path()) {
                ids.extend(decode(&name));
            }
        }
        ids.sort_unstable();
        ids.dedup();
        Ok(ids)
    }

    /// The aggregate types that have a directory, sorted.
    pub(crate) fn list_aggregate_types(&self) -> StorageResult<Vec<String>> {
        let mut types: Vec<String> = list_dirs(&self.streams_dir())?
            .iter()
            .filter_map(|name| decode(name))
            .chain(
                self.raw_names
                    .keys()
                    .map(|id| id.aggregate_type().to_owned()),
            )
            .collect();
        types.sort_unstable();
        types.dedup();
        Ok(types)
    }

    /// All streams that have a directory, by type and id.
    pub(crate) fn list_all(&self) -> StorageResult<Vec<StreamId>> {
        let mut all = Vec::new();
        for aggregate_type in self.list_aggregate_types()? {
            for id in self.streams_of(&aggregate_type)? {
                all.extend(StreamId::new(&aggregate_type, &id));
            }
        }
        Ok(all)
    }
}

/// Fails if `name`, the name of a projection or a process manager, is not a valid directory name on
/// every system.
pub(crate) fn check_name(of: &str, name: &str) -> StorageResult<()> {
    let cause = match encode(name) {
        Ok(encoded) if encoded == name && !name.chars().any(is_hidden) => return Ok(()),
        Ok(_) => {
            "is used as the name of a directory, which must not contain any of / \\ : * ? \" < > \
             | % or invisible characters, begin or end with a dot, or be a device of Windows: \
             choose another name, and rename the directory if it exists"
        }
        Err(cause) => cause,
    };
    let name: String = name.chars().take(80).collect();
    let text = format!("the name of {of} {name:?} {cause}");
    Err(StorageError::new(StorageErrorKind::InvalidInput, text))
}

/// Repeated often enough, this is a name that no text is encoded to and that no file can have.
const NO_FILE_NAME: &str = "%";

/// The file name of `text`, or a name that no file can have if `text` cannot be encoded.
fn file_name(text: &str) -> String {
    encode(text).unwrap_or_else(|_| NO_FILE_NAME.repeat(256))
}

/// Whether `entry` of `dir` is a directory or a link to one. Fails if it is a link that leads
/// nowhere: its target, on another disk perhaps, may have streams.
pub(crate) fn is_dir(dir: &Path, entry: &Entry) -> StorageResult<bool> {
    if entry.kind != Kind::Link {
        return Ok(entry.kind == Kind::Dir);
    }
    let link = dir.join(&entry.name);
    match disk::find(&link).map_err(|e| StorageError::io("follow the link", &link, e))? {
        Some(found) => Ok(found.kind == Kind::Dir),
        None => Err(leads_nowhere(&link)),
    }
}

/// The error for a link that leads nowhere. Its target may have files that the store needs.
pub(crate) fn leads_nowhere(link: &Path) -> StorageError {
    let cause = "is a link that leads nowhere: restore its target, or remove the link";
    StorageError::file(StorageErrorKind::Damaged, link, cause)
}

/// The names of the directories, and of links to directories, in `dir`; none if `dir` is missing.
pub(crate) fn list_dirs(dir: &Path) -> StorageResult<Vec<String>> {
    let entries = match disk::list(dir) {
        Err(error) if error.is_not_found() => {
            return match disk::find_itself(dir) {
                Ok(Some(_)) => Err(leads_nowhere(dir)),
                _ => Ok(Vec::new()),
            };
        }
        entries => entries?,
    };
    let mut names = Vec::new();
    for entry in entries {
        if !is_dir(dir, &entry)? {
            continue;
        }
        match entry.name.into_string() {
            Ok(name) => names.push(name),
            Err(name) => {
                tracing::warn!(dir = %shown(dir), ?name, "a directory whose name is not text is ignored");
            }
        }
    }
    Ok(names)
}

/// An entry of the stream registry, as eventfold-es 0.2.0 writes it.
#[derive(Debug, Serialize, Deserialize)]
struct Registered {
    #[serde(rename = "type")]
    aggregate_type: String,
    id: String,
    /// The time of the entry in seconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ts: Option<u64>,
    /// This version entered the stream, and the directory is not named after the plain id. A
    /// directory with that name belongs to another stream.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    encoded: bool,
}

/// The entries of the registry. Unreadable lines are skipped.
fn registered(registry: &[u8]) -> impl Iterator<Item = Registered> {
    let lines = registry.split(|byte| *byte == b'\n');
    lines.filter_map(|line| serde_json::from_slice(line).ok())
}

/// Finds the streams below `base` that eventfold-es 0.2.0 stored under a raw name.
///
/// Its registry has their ids. When a directory is opened for the first time, a name that is not an
/// encoded id also counts as raw. The found names are noted, because a raw name can look like the
/// encoded form of another id. Later, an unnoted directory with such a name belongs to that other
/// id.
pub(crate) fn find_raw_names(base: &Path, first_time: bool) -> StorageResult<RawNames> {
    let meta = base.join("meta");
    let mut search = RawNameSearch {
        streams: base.join("streams"),
        first_time,
        found: RawNames::new(),
    };
    let registry = disk::read_if_there(&meta.join(REGISTRY_FILE))?.unwrap_or_default();
    for entry in registered(&registry).filter(|entry| !entry.encoded) {
        search.consider(&entry.aggregate_type, &entry.id);
    }
    if first_time {
        for aggregate_type in list_dirs(&search.streams)? {
            for id in list_dirs(&search.streams.join(&aggregate_type))? {
                if decode(&aggregate_type).is_none() || decode(&id).is_none() {
                    search.consider(&aggregate_type, &id);
                }
            }
        }
        if !search.found.is_empty() {
            disk::create_dir(&meta)?;
            write_raw_names(&meta, &search.found.keys().collect::<Vec<_>>())?;
        }
    } else {
        search.found.extend(read_raw_names(base)?);
    }
    Ok(search.found)
}

/// The streams below `base` that are noted as those with raw names.
pub(crate) fn read_raw_names(base: &Path) -> StorageResult<RawNames> {
    let noted = base.join("meta").join(RAW_NAMES_FILE);
    let mut found = RawNames::new();
    if let Some(names) = disk::read_if_there(&noted)? {
        let names: Vec<Registered> = serde_json::from_slice(&names)
            .map_err(|cause| StorageError::damaged(&noted, 0, cause))?;
        for name in names {
            if let Ok(stream) = StreamId::new(&name.aggregate_type, &name.id) {
                let dir = base
                    .join("streams")
                    .join(&name.aggregate_type)
                    .join(&name.id);
                found.insert(stream, dir);
            }
        }
    }
    Ok(found)
}

/// Notes the streams `names` in the directory `meta` as those with raw names.
pub(crate) fn write_raw_names(meta: &Path, names: &[&StreamId]) -> StorageResult<()> {
    let noted = meta.join(RAW_NAMES_FILE);
    let names: Vec<Registered> = names.iter().copied().map(Registered::from).collect();
    let names = serde_json::to_vec(&names)
        .map_err(|cause| StorageError::io("write", &noted, cause.into()))?;
    disk::replace_durably(&noted, &names)
}

struct RawNameSearch {
    streams: PathBuf,
    first_time: bool,
    found: RawNames,
}

impl RawNameSearch {
    /// Adds the stream that 0.2.0 stored as `aggregate_type/id`, if that name is raw.
    fn consider(&mut self, aggregate_type: &str, id: &str) {
        let Ok(stream) = StreamId::new(aggregate_type, id) else {
            return;
        };
        if stream.file_names() == (aggregate_type.to_owned(), id.to_owned()) {
            return;
        }
        let is_inside = [aggregate_type, id]
            .iter()
            .flat_map(|name| Path::new(name).components())
            .all(|part| matches!(part, Component::Normal(_)));
        if !is_inside {
            tracing::warn!(%stream, "a stream outside the store is ignored");
            return;
        }
        let looks_encoded = decode(aggregate_type).is_some() && decode(id).is_some();
        let dir = self.streams.join(aggregate_type).join(id);
        if (self.first_time || !looks_encoded) && disk::is_file(&dir.join(EVENTS_FILE)) {
            self.found.insert(stream, dir);
        }
    }
}

impl From<&StreamId> for Registered {
    fn from(stream: &StreamId) -> Self {
        Self {
            aggregate_type: stream.aggregate_type().to_owned(),
            id: stream.id().to_owned(),
            ts: None,
            encoded: false,
        }
    }
}
