//! Why a page cannot be shown: [`Failure`].

use std::io;

use axum::http::StatusCode;

/// Why a page cannot be shown.
#[derive(Debug)]
pub(crate) enum Failure {
    /// What was asked for is not there.
    NotThere(String),
    /// The request is not valid.
    Invalid(String),
    /// The request is refused.
    Refused(String),
    /// This page takes no such request.
    Method,
    /// The host of the request is not one of the console.
    Host(String),
    /// Too many readers at once.
    Busy(String),
    /// The store cannot be read.
    Store(io::Error),
}

pub(crate) type Result<T> = std::result::Result<T, Failure>;

impl Failure {
    pub(crate) fn status(&self) -> StatusCode {
        match self {
            Self::NotThere(_) => StatusCode::NOT_FOUND,
            Self::Invalid(_) => StatusCode::BAD_REQUEST,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Busy(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(error) if error.kind() == io::ErrorKind::NotConnected => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Store(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    pub(crate) fn title(&self) -> &'static str {
        match self {
            Self::NotThere(_) => "Not there",
            Self::Invalid(_) => "Not a valid request",
            Self::Refused(_) => "Refused",
            Self::Method => "Not a valid method",
            Self::Host(_) => "Unknown host",
            Self::Busy(_) => "Busy",
            Self::Store(_) => "The store cannot be read",
        }
    }

    /// What failed.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::NotThere(text)
            | Self::Invalid(text)
            | Self::Refused(text)
            | Self::Host(text)
            | Self::Busy(text) => text.clone(),
            Self::Method => "Pages are read with GET; only forms use POST.".to_owned(),
            Self::Store(error) => error.to_string(),
        }
    }

    /// What to do about it.
    pub(crate) fn advice(&self) -> Option<&'static str> {
        let Self::Store(error) = self else {
            return None;
        };
        match error.kind() {
            io::ErrorKind::InvalidData => Some(
                "Nothing was left out or guessed. `eventfold verify`, or `AggregateStore::verify`, lists all \
                 damage while no program has the store open; `eventfold repair` restores what the \
                 journal proves. The guide page \u{201c}backups\u{201d} tells how to restore a copy.",
            ),
            io::ErrorKind::NotConnected => {
                Some("The store was shut down. Open it again, and make a new router.")
            }
            io::ErrorKind::PermissionDenied => {
                Some("Let the user of this program read the directory.")
            }
            _ => None,
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Store(error)
    }
}
