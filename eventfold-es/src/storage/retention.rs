//! What becomes of the oldest files of a journal: [`DroppedJournal`], and what keeps one, [`WhyKept`].

use std::fmt;
use std::time::SystemTime;

use crate::ids::Position;
use crate::storage::error::StorageResult;
use crate::text::Shown;

/// Somebody needs the events after a position, now or when it is opened again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Need {
    /// What it is, as it is to be named in a sentence.
    pub(crate) name: String,
    pub(crate) position: u64,
}

/// Asks for everybody who follows the journal, and what is durable of that.
pub(crate) type Needs = Box<dyn Fn() -> StorageResult<Vec<Need>> + Send>;

/// What [`AggregateStore::drop_old_journal`](crate::AggregateStore::drop_old_journal) did, and why it did no
/// more.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # use std::time::Duration;
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let report = store.drop_old_journal(Duration::from_secs(90 * 24 * 3600)).await?;
/// for file in &report.kept {
///     println!("the file from position {} on stays: {}", file.first, file.why);
/// }
/// assert_eq!((report.files, report.begins_after), (0, Position::default()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DroppedJournal {
    /// How many files were removed.
    pub files: u64,
    /// How many events they had.
    pub events: u64,
    /// How many bytes of the disk they took.
    pub bytes: u64,
    /// The journal has the events after this position; [`Position::default()`] if it has all.
    pub begins_after: Position,
    /// The files that stay, the oldest first.
    pub kept: Vec<KeptFile>,
}

/// A file of the journal that stays. See the example of [`DroppedJournal`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeptFile {
    /// The position of its first event.
    pub first: Position,
    /// Why it stays. There may be further reasons.
    pub why: WhyKept,
}

/// Why a file of the journal stays. See the example of [`DroppedJournal`].
///
/// ```
/// use eventfold_es::WhyKept;
///
/// let name = "projection `orders`".to_owned();
/// let why = WhyKept::Follower { name, position: "17".parse()? };
/// assert_eq!(why.to_string(), "projection `orders` is at position 17");
/// # Ok::<(), eventfold_es::InvalidPosition>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhyKept {
    /// It is the newest file with events.
    StillOpen,
    /// Opening the store after a crash needs it.
    NeededToOpen,
    /// Its newest event is not as old as it must be.
    TooYoung {
        /// When that event was stored.
        newest: SystemTime,
    },
    /// It has an event with tags, which decisions search for.
    Tagged {
        /// Where that event is.
        position: Position,
    },
    /// It has an event that belongs to no aggregate, so no other file has it.
    OfNoAggregate {
        /// Where that event is.
        position: Position,
    },
    /// What follows the store has not saved anything after this position.
    Follower {
        /// What it is, with its name.
        name: String,
        /// How far it is.
        position: Position,
    },
    /// Somebody in this process reads it: a subscription, a rebuild, a backup, an export or whatever else.
    Reader {
        /// How far it is.
        position: Position,
    },
    /// An older file stays, and so all newer ones.
    OlderStays,
}

impl fmt::Display for WhyKept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StillOpen => f.write_str("it is the newest file with events"),
            Self::NeededToOpen => f.write_str("opening the store after a crash needs it"),
            Self::TooYoung { .. } => f.write_str("its newest event is too young"),
            Self::Tagged { position } => {
                write!(f, "the event at position {position} has tags")
            }
            Self::OfNoAggregate { position } => {
                write!(
                    f,
                    "the event at position {position} belongs to no aggregate"
                )
            }
            Self::Follower { name, position } => {
                write!(f, "{} is at position {position}", Shown(name))
            }
            Self::Reader { position } => {
                write!(f, "somebody reads the journal from position {position} on")
            }
            Self::OlderStays => f.write_str("an older file stays"),
        }
    }
}
