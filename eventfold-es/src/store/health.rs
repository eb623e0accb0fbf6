//! Whether a store can serve, and what needs somebody: [`StoreHealth`].

use std::fmt;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::following::{FollowerStatus, ProcessManagerStatus, Running};
use crate::storage::trouble::Trouble;
use crate::store::AggregateStore;
use crate::text::Shown;

/// How many events a follower that runs in the background may lack before that is a problem.
const LAGGING: u64 = 10_000;
/// For how long after a batch that was not stored the store counts as not ready. Then the next command
/// tries again: without any, nobody would learn that there is room again.
const REFUSING: Duration = Duration::from_secs(10);
/// How many streams are named in a problem.
const LISTED: usize = 5;

/// The health of a store at one moment, from [`AggregateStore::health`].
///
/// As text it says `ready`, or names each problem in a line. As JSON it has `ready` and `problems`.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let store = AggregateStore::open(dir.path()).await?;
/// let health = store.health();
/// assert!(health.is_ready() && health.problems.is_empty());
/// assert_eq!(health.to_string(), "ready");
///
/// store.shutdown().await?;
/// let health = store.health();
/// assert!(!health.is_ready());
/// assert_eq!(health.to_string(), "not ready\nthe store is shut down");
/// # Ok(())
/// # }
/// ```
#[doc(alias("readiness", "liveness", "probe", "health check"))]
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// What is wrong, the worst first. A store that is ready may have problems that need somebody.
    pub problems: Vec<Problem>,
}

/// Something that is wrong with a store.
///
/// See the example of [`StoreHealth`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// What kind of problem it is.
    pub kind: ProblemKind,
    /// Whether the store cannot take commands because of it.
    pub is_blocking: bool,
    /// The projection or process manager that has the problem, if one has.
    pub follower: Option<&'static str>,
    /// What is wrong, and what to do, in a sentence.
    pub text: String,
}

/// The kinds of problems, from the worst on.
///
/// ```
/// use eventfold_es::ProblemKind;
///
/// assert!(ProblemKind::Failed < ProblemKind::DeadLetters);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProblemKind {
    /// The store is shut down, or belongs to another process.
    Closed,
    /// The store has failed, by a failed sync for example. It takes no commands until it is opened
    /// again.
    Failed,
    /// The disk has been busy with one write for 10 seconds or more.
    DiskStalled,
    /// The disk is full, so the newest commands were not stored. Blocking for 10 seconds; then the next
    /// command tries again.
    DiskFull,
    /// The newest commands were not stored for another reason. Blocking as the full disk is.
    NotWritten,
    /// The files of some streams cannot be written, so their aggregates take no commands.
    StreamsRefused,
    /// A projection or process manager has stopped.
    Stopped,
    /// A projection or process manager fails in the background, and is tried again.
    Failing,
    /// A projection or process manager that runs in the background is 10,000 events or more behind.
    Lagging,
    /// A process manager has dead letters, or they cannot be read.
    DeadLetters,
    /// A projection or process manager has skipped events.
    SkippedEvents,
}

impl StoreHealth {
    /// Whether the store can take commands now: no problem is blocking.
    ///
    /// A stopped projection does not block: a restart would meet the same event again, and the other parts
    /// of the program can go on.
    ///
    /// See the example of [`StoreHealth`].
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.problems.iter().any(|problem| problem.is_blocking)
    }
}

impl AggregateStore {
    /// Whether the store can take commands now, and what is wrong with it: what a readiness probe and an
    /// alert ask. It waits for nothing and writes nothing, so it answers also while the disk hangs.
    ///
    /// [Watching a store](crate::guide::watching_a_store) has the handlers of a web server.
    ///
    /// See the example of [`StoreHealth`].
    #[must_use]
    #[doc(alias("readiness", "liveness", "probe", "kubernetes"))]
    pub fn health(&self) -> StoreHealth {
        let mut problems = Vec::new();
        if let Err(error) = self.inner.storage.check_process() {
            problems.push(Problem::of_store(ProblemKind::Closed, error.to_string()));
        }
        if self.inner.is_closed() {
            let text = "the store is shut down".to_owned();
            problems.push(Problem::of_store(ProblemKind::Closed, text));
        }
        let troubles = self.inner.storage.troubles();
        problems.extend(troubles.into_iter().filter_map(of_trouble));
        let read_side = self.read_side();
        for projection in &read_side.projections {
            problems.extend(of_follower("projection", projection));
        }
        for follower in &read_side.followers {
            problems.extend(of_follower("follower", follower));
        }
        for manager in &read_side.process_managers {
            problems.extend(of_follower("process manager", &manager.follower));
            problems.extend(of_dead_letters(manager));
        }
        problems.sort_by_key(|problem| problem.kind);
        StoreHealth { problems }
    }
}

impl Problem {
    /// A problem that blocks the store.
    fn of_store(kind: ProblemKind, text: String) -> Self {
        Self {
            kind,
            is_blocking: true,
            follower: None,
            text,
        }
    }

    /// A problem of a follower.
    fn of_follower(kind: ProblemKind, follower: &'static str, text: String) -> Self {
        Self {
            kind,
            is_blocking: false,
            follower: Some(follower),
            text,
        }
    }
}

fn of_trouble(trouble: Trouble) -> Option<Problem> {
    let of_store = |kind, text| Some(Problem::of_store(kind, text));
    match trouble {
        // Said already.
        Trouble::Closed => None,
        Trouble::Failed(error) => {
            let text = format!("the store has failed and must be opened again: {error}");
            of_store(ProblemKind::Failed, text)
        }
        Trouble::Stalled(time) => {
            let time = time.as_secs();
            let text = format!("the disk has been busy with one write for {time} seconds");
            of_store(ProblemKind::DiskStalled, text)
        }
        Trouble::Refused(error, ago) => {
            let (kind, advice) = if error.is_full() {
                (ProblemKind::DiskFull, "make room; ")
            } else {
                (ProblemKind::NotWritten, "")
            };
            let text = format!(
                "the newest commands were not stored, {} seconds ago: {error}; {advice}the next \
                 command tries again",
                ago.as_secs()
            );
            Some(Problem {
                is_blocking: ago < REFUSING,
                ..Problem::of_store(kind, text)
            })
        }
        Trouble::Unwritable(streams) => {
            let named = streams.iter().take(LISTED).map(ToString::to_string);
            let named = named.collect::<Vec<_>>().join(", ");
            let more = match streams.len().saturating_sub(LISTED) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let text = format!(
                "the files of some streams cannot be written, so these take no commands: {named}{more}; \
                 the log of the program has the causes"
            );
            Some(Problem {
                is_blocking: false,
                ..Problem::of_store(ProblemKind::StreamsRefused, text)
            })
        }
    }
}

fn of_follower(what: &str, status: &FollowerStatus) -> Vec<Problem> {
    let (name, lag) = (status.name, status.lag);
    let mut problems = Vec::new();
    let mut add = |kind, text| problems.push(Problem::of_follower(kind, name, text));
    let error = status.last_error.as_deref().map(Shown);
    match (status.running, error) {
        (Running::Stopped, error) => {
            let cause = error.map_or_else(String::new, |error| format!(": {error}"));
            let text = format!(
                "{what} `{name}` has stopped{cause}; mend the cause and open the store again"
            );
            add(ProblemKind::Stopped, text);
        }
        (Running::Live | Running::StandingBy, Some(error)) if status.is_failing => {
            let text = format!("{what} `{name}` fails, {lag} events behind: {error}");
            add(ProblemKind::Failing, text);
        }
        (Running::Live, _) if lag >= LAGGING => {
            add(
                ProblemKind::Lagging,
                format!("{what} `{name}` is {lag} events behind"),
            );
        }
        // The process that runs it tells how it is doing.
        (Running::Live | Running::StandingBy | Running::OnDemand, _) => {}
    }
    if status.skipped_count > 0 {
        let count = status.skipped_count;
        let text = format!(
            "{what} `{name}` has skipped {count} events, which its state lacks; `skipped` of its status \
             names them"
        );
        add(ProblemKind::SkippedEvents, text);
    }
    problems
}

fn of_dead_letters(manager: &ProcessManagerStatus) -> Option<Problem> {
    let name = manager.follower.name;
    let text = match manager.dead_letters {
        Some(0) => return None,
        Some(count) => {
            format!("process manager `{name}` has {count} dead letters: replay or discard them")
        }
        None => format!("the dead letters of process manager `{name}` cannot be read"),
    };
    Some(Problem::of_follower(ProblemKind::DeadLetters, name, text))
}

impl fmt::Display for StoreHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_ready() {
            "ready"
        } else {
            "not ready"
        })?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n{problem}"))
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for StoreHealth {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;

        let mut form = serializer.serialize_struct("StoreHealth", 2)?;
        form.serialize_field("ready", &self.is_ready())?;
        form.serialize_field("problems", &self.problems)?;
        form.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::error::{StorageError, StorageErrorKind};

    fn refused(error: std::io::ErrorKind, seconds: u64) -> Problem {
        let kind = StorageErrorKind::Io(error);
        let error = StorageError::new(kind, "no space");
        of_trouble(Trouble::Refused(error, Duration::from_secs(seconds))).unwrap()
    }

    #[test]
    fn a_batch_that_was_not_stored_blocks_for_ten_seconds_so_that_a_command_then_tries_again() {
        assert!(refused(std::io::ErrorKind::Other, 9).is_blocking);
        let later = refused(std::io::ErrorKind::Other, 10);
        assert!(!later.is_blocking);
        assert_eq!(later.kind, ProblemKind::NotWritten);
    }

    #[test]
    fn a_disk_that_is_busy_with_one_write_blocks() {
        let stalled = Trouble::stalled(Duration::from_secs(11));
        let problem = stalled.and_then(of_trouble).unwrap();
        assert!(problem.is_blocking && problem.text.ends_with("for 11 seconds"));
    }

    #[test]
    fn a_problem_names_the_first_streams_and_counts_the_others() {
        let stream = |i: u64| crate::ids::StreamId::new("a", &i.to_string()).unwrap();
        let problem = of_trouble(Trouble::Unwritable((0..7).map(stream).collect())).unwrap();
        assert!(problem.text.contains("a/4 and 2 more"), "{problem}");
        assert!(!problem.is_blocking);
    }
}
