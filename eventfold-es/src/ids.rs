//! The names of a stream and of a place in it: [`StreamId`], [`Version`], [`Position`].

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::Shown;

mod file_name;
mod trace_parent;

pub(crate) use file_name::{decode, encode};
pub use trace_parent::{InvalidTraceParent, TraceParent};

/// Names one stream: the type of its aggregate and the aggregate's id.
///
/// Each part is non-empty text of at most 255 bytes once it is encoded as a file name. Whatever is
/// unsafe in a file name (`/ \ : * ? " < > | %`, control characters, a leading `.`, a trailing `.`
/// or space, the device names of Windows) is percent-encoded. All other text stays as it is.
///
/// Ids that differ only in case or in their Unicode form are different streams. If the file system
/// treats their names as one, as on macOS and Windows, the second is refused with
/// [`InvalidInput`](std::io::ErrorKind::InvalidInput) before anything is stored. So normalise ids
/// that people type.
///
/// As text it is `<type>/<id>`, encoded. Characters that control the output or its direction are
/// shown as `\u{…}`.
///
/// ```
/// use eventfold_es::StreamId;
///
/// let id = StreamId::new("bank-account", "alice/2")?;
/// assert_eq!(id.to_string(), "bank-account/alice%2F2");
/// assert!(StreamId::new("bank-account", "").is_err());
/// # Ok::<(), eventfold_es::InvalidStreamId>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct StreamId {
    aggregate_type: Box<str>,
    id: Box<str>,
}

impl StreamId {
    /// A stream's name from the type of its aggregate and the aggregate's id.
    ///
    /// # Errors
    ///
    /// [`InvalidStreamId`] if a part is empty, or longer than 255 bytes once encoded.
    ///
    /// ```
    /// # use eventfold_es::StreamId;
    /// let refused = StreamId::new("bank-account", "").unwrap_err();
    /// assert_eq!(refused.to_string(), "aggregate id \"\" is empty");
    /// ```
    pub fn new(aggregate_type: &str, id: &str) -> Result<Self, InvalidStreamId> {
        encode(aggregate_type)
            .map_err(|reason| InvalidStreamId::new("aggregate type", aggregate_type, reason))?;
        encode(id).map_err(|reason| InvalidStreamId::new("aggregate id", id, reason))?;
        Ok(Self {
            aggregate_type: aggregate_type.into(),
            id: id.into(),
        })
    }

    /// The name in the place of a stream's, for events that belong to no stream.
    pub(crate) fn none() -> Self {
        Self {
            aggregate_type: "".into(),
            id: "".into(),
        }
    }

    /// The type of the aggregate, as it was given.
    ///
    /// ```
    /// # use eventfold_es::StreamId;
    /// assert_eq!(StreamId::new("bank-account", "alice")?.aggregate_type(), "bank-account");
    /// # Ok::<(), eventfold_es::InvalidStreamId>(())
    /// ```
    #[must_use]
    pub fn aggregate_type(&self) -> &str {
        &self.aggregate_type
    }

    /// The aggregate's id within its type, as it was given.
    ///
    /// ```
    /// # use eventfold_es::StreamId;
    /// assert_eq!(StreamId::new("bank-account", "alice/2")?.id(), "alice/2");
    /// # Ok::<(), eventfold_es::InvalidStreamId>(())
    /// ```
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The names of the directory above the stream's, and of the stream's directory.
    pub(crate) fn file_names(&self) -> (String, String) {
        let valid = "the constructor encoded it";
        (
            encode(&self.aggregate_type).expect(valid),
            encode(&self.id).expect(valid),
        )
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (aggregate_type, id) = self.file_names();
        write!(f, "{}/{}", Shown(aggregate_type), Shown(id))
    }
}

/// A text that cannot be part of a stream's name: it is empty, or longer than 255 bytes once
/// encoded as a file name. As an I/O error its kind is
/// [`InvalidInput`](std::io::ErrorKind::InvalidInput).
///
/// ```
/// # use eventfold_es::StreamId;
/// let error: std::io::Error = StreamId::new("bank-account", "").unwrap_err().into();
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{part} {value:?} {reason}")]
pub struct InvalidStreamId {
    part: &'static str,
    value: String,
    reason: &'static str,
}

impl InvalidStreamId {
    fn new(part: &'static str, value: &str, reason: &'static str) -> Self {
        Self {
            part,
            value: value.chars().take(80).collect(),
            reason,
        }
    }
}

impl From<InvalidStreamId> for std::io::Error {
    fn from(error: InvalidStreamId) -> Self {
        Self::new(std::io::ErrorKind::InvalidInput, error)
    }
}

/// The number of events in a stream: the version of its newest event, 0 for a stream that does not
/// exist. Versions of one stream have no gaps.
///
/// It can be compared with a `u64`, converted from and into one, and written and read as text, for
/// an `ETag` and an `If-Match` for example. A command may require it, by
/// [`with_expected_version`](crate::domain::command::CommandContext::with_expected_version):
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// let version = counter.send(Add(5)).await?.version;
/// assert_eq!(version, 1);
/// let tag = version.to_string();
/// let context = CommandContext::default().with_expected_version(tag.parse::<Version>()?);
/// # Ok(())
/// # }
/// ```
#[doc(alias("etag", "revision", "sequence number"))]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    pub(crate) fn new(version: u64) -> Self {
        Self(version)
    }
}

impl From<u64> for Version {
    fn from(version: u64) -> Self {
        Self(version)
    }
}

impl FromStr for Version {
    type Err = InvalidVersion;

    fn from_str(text: &str) -> Result<Self, InvalidVersion> {
        text.parse().map(Self).map_err(|_| InvalidVersion {
            text: text.chars().take(80).collect(),
        })
    }
}

/// A text that is not a [`Version`].
///
/// ```
/// # use eventfold_es::Version;
/// let error = "latest".parse::<Version>().unwrap_err();
/// assert_eq!(error.to_string(), "\"latest\" is not a version");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a version")]
pub struct InvalidVersion {
    text: String,
}

impl From<Version> for u64 {
    fn from(version: Version) -> Self {
        version.0
    }
}

impl PartialEq<u64> for Version {
    fn eq(&self, other: &u64) -> bool {
        self.0 == *other
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the order of all events of a store. The default is the beginning, before the first
/// event. Positions can be compared, and stored as text or by serde. Their numbers have a meaning
/// only for the store.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// # let counter = store.get::<Counter>("c-1").await?;
/// assert_eq!(store.head(), Position::default());
/// let first = counter.send(Add(5)).await?.position;
/// assert!(Position::default() < first && first == store.head());
/// assert_eq!(first.to_string().parse(), Ok(first));
/// # Ok(())
/// # }
/// ```
#[doc(alias("checkpoint", "offset", "cursor", "global sequence"))]
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Position(u64);

impl Position {
    pub(crate) fn new(position: u64) -> Self {
        Self(position)
    }

    pub(crate) fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Position {
    type Err = InvalidPosition;

    fn from_str(text: &str) -> Result<Self, InvalidPosition> {
        text.parse().map(Self).map_err(|_| InvalidPosition {
            text: text.chars().take(80).collect(),
        })
    }
}

/// A text that is not a [`Position`].
///
/// ```
/// # use eventfold_es::Position;
/// let error = "here".parse::<Position>().unwrap_err();
/// assert_eq!(error.to_string(), "\"here\" is not a position");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a position")]
pub struct InvalidPosition {
    text: String,
}
