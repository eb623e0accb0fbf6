//! Why the storage could not do what it was asked to do: [`StorageError`].

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::error::{CLOSED, JournalDropped, StateError};
use crate::ids::{InvalidStreamId, Position, StreamId};
use crate::text::shown;

/// The result of an operation of the storage.
pub(crate) type StorageResult<T> = Result<T, StorageError>;

/// Why an operation of the storage failed. It becomes an [`io::Error`] once, where the store answers
/// its user. Clones share one value. It takes one pointer, so that results stay small.
#[derive(Clone)]
pub(crate) struct StorageError(Arc<Parts>);

/// The cause of an error: a text, or another error.
pub(crate) type Cause = Box<dyn Error + Send + Sync>;

#[derive(Debug, Clone)]
struct Parts {
    kind: StorageErrorKind,
    /// The operation that failed, as a verb. `None` if something was found in a wrong state.
    action: Option<&'static str>,
    place: ErrorPlace,
    /// The byte of the place from which on it is damaged.
    offset: Option<u64>,
    cause: Arc<dyn Error + Send + Sync>,
    /// What is not possible because of this.
    context: Option<Cow<'static, str>>,
    /// What to do.
    advice: Option<Cow<'static, str>>,
}

/// What callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StorageErrorKind {
    /// The stored bytes are not as they were written, or a part of them is missing.
    Damaged,
    /// Two parts of the store are from different times or different stores, such as a file from an
    /// older backup.
    OtherHistory,
    /// Another program added something that the store does not have.
    OtherProgram,
    /// There is no such thing.
    Missing,
    /// The events were there, and were dropped from the journal.
    Dropped,
    /// Another store or another program has it in use.
    Busy,
    /// The store is shut down, or does not belong to this process.
    Closed,
    /// A newer version wrote it, or in a way that this version cannot read.
    Unsupported,
    /// No stream or directory can have this name.
    InvalidInput,
    /// A value of the user's type cannot be written, or could not be read again.
    Unreadable,
    /// A fault of this program.
    Bug,
    /// A call to the system failed.
    Io(io::ErrorKind),
}

/// Where an operation failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ErrorPlace {
    /// The store as a whole. The cause is a whole sentence.
    Store,
    /// A file or a directory.
    File(PathBuf),
    Stream(StreamId),
    /// The file of a stream.
    StreamFile(StreamId, PathBuf),
    /// The event at a position of the log.
    Event(u64),
    /// A record, by the name that [`Records::place`](crate::storage::record::Records::place) gives it.
    Record(String),
    /// The schema of a database, as it is to be named in a sentence.
    #[cfg(feature = "postgres")]
    Schema(String),
}

impl StorageError {
    /// The error for something that was found in a wrong state. `cause` continues the sentence that
    /// begins with the place.
    pub(crate) fn at(kind: StorageErrorKind, place: ErrorPlace, cause: impl Into<Cause>) -> Self {
        Self(Arc::new(Parts {
            kind,
            action: None,
            place,
            offset: None,
            cause: cause.into().into(),
            context: None,
            advice: None,
        }))
    }

    /// The error with this text.
    pub(crate) fn new(kind: StorageErrorKind, text: impl Into<Cause>) -> Self {
        Self::at(kind, ErrorPlace::Store, text)
    }

    /// The error for a file or directory that the store cannot use. `cause` continues the sentence
    /// that begins with the path.
    pub(crate) fn file(kind: StorageErrorKind, path: &Path, cause: impl Into<Cause>) -> Self {
        Self::at(kind, ErrorPlace::File(path.to_owned()), cause)
    }

    /// The error for a file that is damaged at the byte `offset`.
    pub(crate) fn damaged(path: &Path, offset: u64, cause: impl Into<Cause>) -> Self {
        Self::damaged_at(ErrorPlace::File(path.to_owned()), offset, cause).with_advice(
            "`AggregateStore::verify` lists all damage, and `AggregateStore::repair` mends what the \
             rest of the directory tells; otherwise restore the whole directory from a copy",
        )
    }

    /// As [`damaged`](Self::damaged), for any place.
    pub(crate) fn damaged_at(place: ErrorPlace, offset: u64, cause: impl Into<Cause>) -> Self {
        Self::at(StorageErrorKind::Damaged, place, cause).with(|parts| parts.offset = Some(offset))
    }

    /// The error for an event of the log that cannot be read.
    pub(crate) fn event(position: u64, cause: impl Into<Cause>) -> Self {
        Self::at(
            StorageErrorKind::Damaged,
            ErrorPlace::Event(position),
            cause,
        )
    }

    /// The error for a call to the system that failed: the attempt to `action` the file or directory
    /// at `path`.
    pub(crate) fn io(action: &'static str, path: &Path, cause: io::Error) -> Self {
        let kind = StorageErrorKind::Io(cause.kind());
        Self::file(kind, path, cause).with(|parts| parts.action = Some(action))
    }

    /// The error for a call to a server that failed: the attempt to `action` the place.
    #[cfg(feature = "postgres")]
    pub(crate) fn call(
        kind: StorageErrorKind,
        action: &'static str,
        place: ErrorPlace,
        cause: impl Into<Cause>,
    ) -> Self {
        Self::at(kind, place, cause).with(|parts| parts.action = Some(action))
    }

    /// The error for a thread that could not be started.
    pub(crate) fn thread(cause: io::Error) -> Self {
        let kind = StorageErrorKind::Io(cause.kind());
        Self::new(kind, cause).with(|parts| parts.action = Some("start a thread"))
    }

    /// The error for events after the position `after` of a journal that has none up to the position
    /// `dropped`.
    pub(crate) fn dropped(after: u64, dropped: u64) -> Self {
        let cause = JournalDropped {
            asked_after: Position::new(after),
            begins_after: Position::new(dropped),
        };
        Self::new(StorageErrorKind::Dropped, cause)
    }

    /// The error of calls after the store was shut down.
    pub(crate) fn closed() -> Self {
        Self::new(StorageErrorKind::Closed, CLOSED)
    }

    /// The same error of another kind.
    pub(crate) fn of_kind(self, kind: StorageErrorKind) -> Self {
        self.with(|parts| parts.kind = kind)
    }

    /// Puts before the text what is not possible because of this error.
    pub(crate) fn in_context(self, context: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.context = Some(context.into()))
    }

    /// Puts at the end of the text what to do.
    pub(crate) fn with_advice(self, advice: impl Into<Cow<'static, str>>) -> Self {
        self.with(|parts| parts.advice = Some(advice.into()))
    }

    fn with(self, change: impl FnOnce(&mut Parts)) -> Self {
        let mut parts = Arc::unwrap_or_clone(self.0);
        change(&mut parts);
        Self(Arc::new(parts))
    }

    pub(crate) fn kind(&self) -> StorageErrorKind {
        self.0.kind
    }

    pub(crate) fn place(&self) -> &ErrorPlace {
        &self.0.place
    }

    /// The byte of the place from which on it is damaged, if it is.
    pub(crate) fn offset(&self) -> Option<u64> {
        self.0.offset
    }

    /// The cause, without the operation and the place.
    pub(crate) fn cause(&self) -> &(dyn Error + Send + Sync + 'static) {
        &*self.0.cause
    }

    /// Whether the disk or the user's quota is full.
    pub(crate) fn is_full(&self) -> bool {
        matches!(
            self.0.kind,
            StorageErrorKind::Io(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
        )
    }

    /// Whether the system did not find the file or directory.
    pub(crate) fn is_not_found(&self) -> bool {
        self.0.kind == StorageErrorKind::Io(io::ErrorKind::NotFound)
    }
}

impl StorageErrorKind {
    /// The kind that users see.
    pub(crate) fn to_io(self) -> io::ErrorKind {
        match self {
            Self::Damaged | Self::OtherHistory | Self::OtherProgram | Self::Unreadable => {
                io::ErrorKind::InvalidData
            }
            Self::Missing => io::ErrorKind::NotFound,
            Self::Busy => io::ErrorKind::ResourceBusy,
            Self::Closed => io::ErrorKind::NotConnected,
            Self::Unsupported => io::ErrorKind::Unsupported,
            Self::InvalidInput | Self::Dropped => io::ErrorKind::InvalidInput,
            Self::Bug => io::ErrorKind::Other,
            Self::Io(kind) => kind,
        }
    }
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts {
            kind: _,
            action,
            place,
            offset,
            cause,
            context,
            advice,
        } = &*self.0;
        if let Some(context) = context {
            write!(f, "{context}: ")?;
        }
        match (action, place, offset) {
            (Some(action), ErrorPlace::Store, _) => write!(f, "cannot {action}: {cause}")?,
            (Some(action), _, _) => write!(f, "cannot {action} {place}: {cause}")?,
            (None, _, Some(offset)) => write!(f, "{place} is damaged at byte {offset}: {cause}")?,
            (None, ErrorPlace::Store, None) => write!(f, "{cause}")?,
            (None, ErrorPlace::Event(_), None) => write!(f, "{place} cannot be read: {cause}")?,
            (None, _, None) => write!(f, "{place} {cause}")?,
        }
        match advice {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

/// The text has the cause already, so `source` returns none.
impl Error for StorageError {}

impl fmt::Display for ErrorPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store => f.write_str("the store"),
            Self::File(path) => shown(path).fmt(f),
            Self::Stream(id) => write!(f, "stream {id}"),
            Self::StreamFile(id, path) => write!(f, "stream {id}: {}", shown(path)),
            Self::Event(position) => write!(f, "the event at position {position}"),
            Self::Record(name) => f.write_str(name),
            #[cfg(feature = "postgres")]
            Self::Schema(name) => f.write_str(name),
        }
    }
}

impl JournalDropped {
    /// What `error` says about dropped events, `None` if it is about something else.
    ///
    /// See the example of [`JournalDropped`].
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        let inner = error.get_ref()?;
        if let Some(outer) = inner.downcast_ref::<io::Error>() {
            return Self::of(outer);
        }
        inner.downcast_ref::<StorageError>()?.cause().downcast_ref()
    }
}

impl From<InvalidStreamId> for StorageError {
    fn from(error: InvalidStreamId) -> Self {
        Self::new(StorageErrorKind::InvalidInput, error)
    }
}

impl From<StorageError> for io::Error {
    fn from(error: StorageError) -> Self {
        Self::new(error.kind().to_io(), error)
    }
}

impl From<StorageError> for StateError {
    fn from(error: StorageError) -> Self {
        Self::Io(error.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::__private::example::{Add, Counter};
    use crate::AggregateStore;
    use crate::storage::commit::CommitError;

    fn id() -> StreamId {
        StreamId::new("counter", "c-1").unwrap()
    }

    #[test]
    fn an_error_takes_one_pointer_also_in_a_result() {
        assert_eq!(size_of::<StorageResult<()>>(), size_of::<usize>());
    }

    #[test]
    fn each_kind_becomes_the_kind_that_users_are_promised() {
        use StorageErrorKind as Kind;
        for (kind, promised) in [
            (Kind::Damaged, io::ErrorKind::InvalidData),
            (Kind::OtherHistory, io::ErrorKind::InvalidData),
            (Kind::Dropped, io::ErrorKind::InvalidInput),
            (Kind::OtherProgram, io::ErrorKind::InvalidData),
            (Kind::Unreadable, io::ErrorKind::InvalidData),
            (Kind::Missing, io::ErrorKind::NotFound),
            (Kind::Busy, io::ErrorKind::ResourceBusy),
            (Kind::Closed, io::ErrorKind::NotConnected),
            (Kind::Unsupported, io::ErrorKind::Unsupported),
            (Kind::InvalidInput, io::ErrorKind::InvalidInput),
            (Kind::Bug, io::ErrorKind::Other),
            (
                Kind::Io(io::ErrorKind::StorageFull),
                io::ErrorKind::StorageFull,
            ),
        ] {
            let error = StorageError::new(kind, "a cause");
            assert_eq!(io::Error::from(error.clone()).kind(), promised, "{kind:?}");
            let changed = error.in_context("before").with_advice("after");
            assert_eq!(io::Error::from(changed).kind(), promised, "{kind:?}");
        }
        let call = StorageError::io(
            "open",
            Path::new("a"),
            io::ErrorKind::PermissionDenied.into(),
        );
        assert_eq!(
            io::Error::from(call).kind(),
            io::ErrorKind::PermissionDenied
        );
        let commit = CommitError::Failed(StorageError::damaged(Path::new("a"), 1, "a cause"));
        assert_eq!(commit.to_io().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn a_text_names_the_operation_the_place_the_cause_and_the_advice() {
        let path = Path::new("dir/a\nfile");
        let not_allowed = || io::Error::new(io::ErrorKind::PermissionDenied, "not allowed");
        let at = |place, cause: &str| StorageError::at(StorageErrorKind::Busy, place, cause);
        for (error, text) in [
            (
                StorageError::io("open", path, not_allowed()),
                "cannot open dir/a\\u{a}file: not allowed",
            ),
            (
                StorageError::thread(not_allowed()),
                "cannot start a thread: not allowed",
            ),
            (
                StorageError::damaged(path, 17, "the line is not text"),
                "dir/a\\u{a}file is damaged at byte 17: the line is not text; \
                 `AggregateStore::verify` lists all damage, and `AggregateStore::repair` mends what \
                 the rest of the directory tells; otherwise restore the whole directory from a copy",
            ),
            (
                StorageError::damaged_at(ErrorPlace::Record("a record".to_owned()), 0, "a cause"),
                "a record is damaged at byte 0: a cause",
            ),
            (
                StorageError::event(5, "it is not JSON"),
                "the event at position 5 cannot be read: it is not JSON",
            ),
            (
                at(ErrorPlace::StreamFile(id(), path.to_owned()), "is locked"),
                "stream counter/c-1: dir/a\\u{a}file is locked",
            ),
            (
                at(ErrorPlace::Stream(id()), "cannot be stored: a cause"),
                "stream counter/c-1 cannot be stored: a cause",
            ),
            (
                StorageError::io("sync", path, not_allowed())
                    .in_context("the store has failed")
                    .with_advice("open it again"),
                "the store has failed: cannot sync dir/a\\u{a}file: not allowed; open it again",
            ),
        ] {
            assert_eq!(error.to_string(), text);
            assert_eq!(io::Error::from(error).to_string(), text);
        }
    }

    #[tokio::test]
    async fn the_error_that_a_user_gets_has_the_error_of_the_storage_inside_once() {
        let dir = tempfile::tempdir().unwrap();
        let store = AggregateStore::open(dir.path()).await.unwrap();
        let counter = store.get::<Counter>("c-1").await.unwrap();
        counter.send(Add(5)).await.unwrap();
        let file = store
            .layout()
            .stream_dir("counter", "c-1")
            .join("app.jsonl");
        store.shutdown().await.unwrap();
        std::fs::write(&file, "no event\n").unwrap();

        let store = AggregateStore::open(dir.path()).await.unwrap();
        let counter = store.get::<Counter>("c-1").await.unwrap();
        let Err(StateError::Io(error)) = counter.state().await else {
            panic!("a damaged stream was loaded");
        };
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
        let inside: &StorageError = inside.expect("it was made of a storage error");
        assert_eq!(inside.kind(), StorageErrorKind::Damaged);
        let is_file =
            matches!(inside.place(), ErrorPlace::File(path) if path.ends_with("app.jsonl"));
        assert!(is_file && inside.offset() == Some(0), "{inside:?}");

        let error = AggregateStore::open(dir.path()).await.unwrap_err();
        let inside = error.get_ref().and_then(|inside| inside.downcast_ref());
        let inside: &StorageError = inside.expect("it was made of a storage error");
        assert_eq!(inside.kind(), StorageErrorKind::Busy);
        store.shutdown().await.unwrap();
    }
}
