//! An error that more than one caller gets: [`Failure`].

use std::io;

/// An error that is returned each time until its cause is gone. An [`io::Error`] has no clones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: io::ErrorKind,
    text: String,
}

impl Failure {
    pub(crate) fn new(kind: io::ErrorKind, text: String) -> Self {
        Self { kind, text }
    }

    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

impl From<&io::Error> for Failure {
    fn from(error: &io::Error) -> Self {
        Self::new(error.kind(), error.to_string())
    }
}

impl From<Failure> for io::Error {
    fn from(failure: Failure) -> Self {
        Self::new(failure.kind, failure.text)
    }
}
