//! A key that could not be used: [`KeyError`].

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// A key could not be had, made or destroyed. It says nothing about whether the key exists.
///
/// ```
/// use eventfold_es::personal::KeyError;
///
/// let error = KeyError::new("the vault is sealed");
/// assert_eq!(error.to_string(), "the vault is sealed");
/// ```
#[derive(Debug, Clone)]
pub struct KeyError {
    within: Option<&'static str>,
    source: Arc<dyn Error + Send + Sync>,
}

impl KeyError {
    /// An error with this cause, or this text.
    ///
    /// See the example of [`KeyError`].
    pub fn new(cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self {
            within: None,
            source: cause.into().into(),
        }
    }

    pub(crate) fn within(self, what: &'static str) -> Self {
        Self {
            within: Some(what),
            ..self
        }
    }
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(within) = self.within {
            write!(f, "{within}: ")?;
        }
        self.source.fmt(f)
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

impl From<std::io::Error> for KeyError {
    fn from(error: std::io::Error) -> Self {
        Self::new(error)
    }
}
