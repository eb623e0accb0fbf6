//! What the server answered in place of a result: [`Failure`], and the error that it becomes.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, Severity};

use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind};
#[cfg(feature = "postgres-tls")]
use crate::storage::postgres::tls;

/// The state that `append` raises if the schema does not know the store.
const FORGOTTEN: &str = "EF001";
/// The state of a standby, to which nothing can be written.
const READ_ONLY: &str = "25006";
/// The state that `append` raises if the server does not sync.
const UNSYNCED: &str = "EF002";
/// The state that changes of records raise if their term has ended.
const REPLACED: &str = "EF003";

/// Why a call to the server has no result.
#[derive(Debug)]
pub(super) enum Failure {
    Error(Error),
    /// There was no answer within this time. The connection is given up.
    NoAnswer(Duration),
    /// The schema has no row of this store any more.
    Forgotten,
    /// The server does not have what this store has seen there.
    OtherHistory(StorageError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    fn of_server(&self) -> Option<&DbError> {
        match self {
            Self::Error(error) => error.as_db_error(),
            Self::NoAnswer(_) | Self::Forgotten | Self::OtherHistory(_) => None,
        }
    }

    /// Whether the server has answered that.
    pub(super) fn is_of_server(&self) -> bool {
        self.of_server().is_some()
    }

    fn state(&self) -> &str {
        if let Self::Forgotten = self {
            return FORGOTTEN;
        }
        self.of_server().map_or("", |error| error.code().code())
    }

    fn io(&self) -> Option<&io::Error> {
        match self {
            Self::Error(error) => error.source()?.downcast_ref(),
            Self::NoAnswer(_) | Self::Forgotten | Self::OtherHistory(_) => None,
        }
    }

    /// Whether the connection is gone, or could not be made for now. What was under way may have
    /// happened.
    pub(super) fn is_lost(&self) -> bool {
        match self {
            Self::NoAnswer(_) => true,
            Self::Forgotten | Self::OtherHistory(_) => false,
            Self::Error(error) if error.is_closed() => true,
            Self::Error(_) => match self.of_server() {
                // The server ends the connection, is not ready, or has no connection left.
                Some(error) => {
                    let is_fatal = matches!(
                        error.parsed_severity(),
                        Some(Severity::Fatal | Severity::Panic)
                    );
                    let state = error.code().code();
                    state.starts_with("08")
                        || matches!(state, "57P01" | "57P02" | "57P03" | "53300")
                        // A standby that may become the primary.
                        || state == READ_ONLY
                        || (is_fatal && state.starts_with("57"))
                }
                None => self.io().is_some(),
            },
        }
    }

    /// Whether the server undid the call because of others, and it may succeed when it is repeated.
    pub(super) fn is_transient(&self) -> bool {
        matches!(self.state(), "40001" | "40P01" | "55P03")
    }

    /// Whether the schema does not know the store any more, or is another one than before. The store
    /// must be opened again.
    pub(super) fn is_final(&self) -> bool {
        matches!(self, Self::OtherHistory(_)) || self.state() == FORGOTTEN
    }

    fn kind(&self) -> StorageErrorKind {
        use io::ErrorKind as Io;
        if let Self::NoAnswer(_) = self {
            return StorageErrorKind::Io(Io::TimedOut);
        }
        let state = self.state();
        match state {
            // A certificate that was refused is no damage of the store.
            #[cfg(feature = "postgres-tls")]
            "" if self.io().and_then(tls::advice).is_some() => {
                StorageErrorKind::Io(Io::PermissionDenied)
            }
            "" => StorageErrorKind::Io(self.io().map_or(Io::NotConnected, io::Error::kind)),
            FORGOTTEN => StorageErrorKind::Missing,
            REPLACED => StorageErrorKind::Busy,
            UNSYNCED => StorageErrorKind::Unsupported,
            "53100" => StorageErrorKind::Io(Io::StorageFull),
            "53200" => StorageErrorKind::Io(Io::OutOfMemory),
            "53300" => StorageErrorKind::Io(Io::ResourceBusy),
            "42501" => StorageErrorKind::Io(Io::PermissionDenied),
            READ_ONLY => StorageErrorKind::Io(Io::ReadOnlyFilesystem),
            "3D000" | "3F000" | "42P01" | "42883" => StorageErrorKind::Missing,
            "57014" | "25P03" | "55P03" => StorageErrorKind::Io(Io::TimedOut),
            _ if state.starts_with("28") => StorageErrorKind::Io(Io::PermissionDenied),
            _ if state.starts_with("57") => StorageErrorKind::Io(Io::ConnectionAborted),
            _ if state.starts_with("08") => StorageErrorKind::Io(Io::ConnectionReset),
            _ if state.starts_with("XX") => StorageErrorKind::Damaged,
            _ => StorageErrorKind::Io(Io::Other),
        }
    }

    /// What to do, where that can be said.
    fn advice(&self) -> Option<&'static str> {
        Some(match self.state() {
            #[cfg(feature = "postgres-tls")]
            "" if self.io().and_then(tls::advice).is_some() => {
                return self.io().and_then(tls::advice);
            }
            "" => match self.io()?.kind() {
                io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                    "check that the server runs, and the host and the port of the URL"
                }
                _ => return None,
            },
            FORGOTTEN => {
                "this store writes nothing more: open it again, and see who removed its row from \
                 `writers`"
            }
            UNSYNCED => {
                "set `synchronous_commit` and `fsync` to `on`, or open the store with \
                 `allow_unsynced(true)` if losing events is fine"
            }
            "53100" => "make room on the server's disk",
            "53300" => "raise `max_connections` of the server, or open fewer stores",
            "42501" => {
                "the role needs the right to use the schema and its tables, and to create the schema \
                 at the first open"
            }
            READ_ONLY => "connect to the primary: a standby cannot be written to",
            "3D000" => "create the database, with `ENCODING 'UTF8'`",
            "3F000" | "42P01" | "42883" => {
                "the schema is not as the store left it: restore it from a backup"
            }
            state if state.starts_with("28") => "check the user and the password of the URL",
            state if state.starts_with("XX") => "see the log of the server",
            _ => return None,
        })
    }

    fn text(&self) -> String {
        let error = match self {
            Self::NoAnswer(time) => return format!("no answer came within {time:?}"),
            Self::Forgotten => {
                return "the schema does not know this store any more".to_owned();
            }
            Self::OtherHistory(error) => return error.to_string(),
            Self::Error(error) => error,
        };
        let Some(db) = error.as_db_error() else {
            let mut text = error.to_string();
            // Some versions of the driver leave the cause out of their text.
            if let Some(cause) = error.source().map(ToString::to_string)
                && !text.contains(&cause)
            {
                text = format!("{text}: {cause}");
            }
            return text;
        };
        let mut text = format!("{} (SQLSTATE {})", db.message(), db.code().code());
        for more in [db.detail(), db.hint()].into_iter().flatten() {
            text = format!("{text}; {more}");
        }
        text
    }

    /// The error of the attempt to `action` the schema at `place`.
    pub(super) fn into_error(self, action: &'static str, place: &str) -> StorageError {
        if let Self::OtherHistory(error) = self {
            return error;
        }
        let place = ErrorPlace::Schema(place.to_owned());
        let error = StorageError::call(self.kind(), action, place, self.text());
        match self.advice() {
            Some(advice) => error.with_advice(advice),
            None => error,
        }
    }
}
