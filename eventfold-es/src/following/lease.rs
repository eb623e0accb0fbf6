//! The lease of a follower, as one of several stores sees it: [`Lease`].
//!
//! The holder gives a sign of life four times in the time limit. Another store reads the lease now and
//! then. It takes the lease if nobody has it, or if its own monotonic clock says that there was no sign
//! of life for as long as the time limit. Nobody compares times of different machines. A holder that
//! slept, or whose signs did not arrive, finds its term ended: the storage refuses what carries it.
//! Invariant F11.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use crate::clock::{Clock, from_unix_millis};
use crate::following::status::{Progress, Runner, ToDo};
use crate::runtime::background;
use crate::storage::lease::Leases;
use crate::storage::record_name::Follower;
use crate::storage::term::{LeaseSeen, Term};
use crate::text::Shown;

/// The shortest time limit. Signs of life take a moment to arrive.
const SHORTEST: Duration = Duration::from_millis(100);
/// How many signs of life the holder gives within the time limit.
const SIGNS: u32 = 4;
/// How long a store that stands by waits before it looks again, at most.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// A store that may run followers.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    /// The process, its machine and the store, for people.
    process: String,
    /// How long a holder may give no sign of life.
    ttl: Duration,
}

impl Candidate {
    pub(crate) fn new(ttl: Duration) -> Self {
        let store = uuid::Uuid::new_v4().as_fields().0;
        Self {
            process: format!(
                "process {} on {}, store {store:08x}",
                std::process::id(),
                machine()
            ),
            ttl: ttl.max(SHORTEST),
        }
    }
}

/// The name of this machine.
fn machine() -> String {
    #[cfg(unix)]
    let name = {
        let system = rustix::system::uname();
        system.nodename().to_string_lossy().into_owned()
    };
    #[cfg(not(unix))]
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    if name.is_empty() {
        return "an unnamed machine".to_owned();
    }
    Shown(&name).to_string()
}

/// What the holder of a lease says of itself and of its follower.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
struct Sign {
    process: String,
    /// When its term began, in milliseconds since 1970 by its clock.
    since: u64,
    /// Its time limit in milliseconds.
    ttl: u64,
    position: u64,
    outgoing: usize,
    timers: usize,
    dead_letters: Option<usize>,
}

impl Sign {
    fn new(candidate: &Candidate, since: u64, progress: &Progress) -> Self {
        let to_do = progress.to_do();
        Self {
            process: candidate.process.clone(),
            since,
            ttl: u64::try_from(candidate.ttl.as_millis()).unwrap_or(u64::MAX),
            position: progress.position(),
            outgoing: to_do.outgoing,
            timers: to_do.timers,
            dead_letters: to_do.dead_letters,
        }
    }

    /// As a text; empty if it cannot be written, which does not happen.
    fn to_text(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// A sign of another release may have other members.
    fn read(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }

    fn tell(&self, progress: &Progress) {
        progress.set_position(self.position);
        progress.set_to_do(ToDo {
            outgoing: self.outgoing,
            timers: self.timers,
            dead_letters: self.dead_letters,
            // What was sent, this store has sent itself.
            ..progress.to_do()
        });
        progress.set_runner(Some(Runner {
            process: self.process.clone(),
            since: from_unix_millis(self.since),
            is_here: false,
        }));
    }
}

/// The lease of one follower.
pub(crate) struct Lease {
    leases: Leases,
    follower: Follower,
    name: &'static str,
    candidate: Candidate,
    clock: Clock,
    progress: Arc<Progress>,
    /// Notified when the term has ended.
    wake: Arc<Notify>,
    watched: Option<Watched>,
    held: Option<Held>,
    looked: Option<Instant>,
}

/// A revision of another store's lease, and since when this store has seen it.
#[derive(Debug, Clone, Copy)]
struct Watched {
    revision: u64,
    since: Instant,
}

/// A term of this store.
struct Held {
    term: Arc<Term>,
    keeper: AbortHandle,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl Lease {
    pub(crate) fn new(
        leases: Leases,
        (follower, name): (Follower, &'static str),
        candidate: Candidate,
        clock: Clock,
        progress: Arc<Progress>,
        wake: Arc<Notify>,
    ) -> Self {
        Self {
            leases,
            follower,
            name,
            candidate,
            clock,
            progress,
            wake,
            watched: None,
            held: None,
            looked: None,
        }
    }

    /// The term of this store, unless it is known to have ended.
    pub(crate) fn term(&self) -> Option<&Arc<Term>> {
        let held = self.held.as_ref().map(|held| &held.term);
        held.filter(|term| !term.is_lost())
    }

    /// Whether this store had a term that has ended by itself.
    pub(crate) fn has_lost(&self) -> bool {
        self.held.as_ref().is_some_and(|held| held.term.is_lost())
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    /// Gives the term of this store up if it has ended by itself. Returns whether it has.
    pub(crate) fn note_loss(&mut self) -> bool {
        let is_lost = self.has_lost();
        if is_lost {
            self.release();
            tracing::warn!(
                name = self.name,
                "another process runs it now, because no sign of life of this one arrived in time"
            );
        }
        is_lost
    }

    /// How long until the next look is due.
    pub(crate) fn look_in(&self) -> Duration {
        let pause = (self.candidate.ttl / 10).min(LONGEST_LOOK);
        let passed = self.looked.map(|looked| looked.elapsed());
        passed.map_or(Duration::ZERO, |passed| pause.saturating_sub(passed))
    }

    /// Takes the lease if this store may have it, and returns the new term. It has none so far.
    pub(crate) fn take(&mut self) -> io::Result<Option<Arc<Term>>> {
        self.held = None;
        let asked = Instant::now();
        self.looked = Some(asked);
        let seen = self.leases.read(self.follower, self.name)?;
        if let Some(seen) = seen.as_ref().filter(|seen| seen.is_held) {
            let sign = Sign::read(&seen.sign);
            let ttl = Duration::from_millis(sign.ttl).max(self.candidate.ttl);
            let is_over = watch(&mut self.watched, seen, ttl, (asked, Instant::now()));
            if !is_over {
                sign.tell(&self.progress);
                return Ok(None);
            }
            tracing::warn!(
                name = self.name,
                runner = sign.process,
                "no sign of life came from the process that ran it: this one takes its place"
            );
        }
        let runtime = background::runtime()?;
        let term = Arc::new(Term::new(self.follower, self.name));
        let since = self.clock.now_ms();
        let sign = Sign::new(&self.candidate, since, &self.progress);
        let revision = seen.map_or(0, |seen| seen.revision);
        if !self.leases.take(&term, revision, &sign.to_text())? {
            // Another store was first. The next look says which.
            return Ok(None);
        }
        self.watched = None;
        self.progress.set_runner(Some(Runner {
            process: self.candidate.process.clone(),
            since: from_unix_millis(since),
            is_here: true,
        }));
        tracing::info!(name = self.name, "this process runs it now");
        let keeper = Keeper {
            leases: self.leases.clone(),
            term: term.clone(),
            candidate: self.candidate.clone(),
            since,
            progress: self.progress.clone(),
            wake: self.wake.clone(),
        };
        self.held = Some(Held {
            term: term.clone(),
            keeper: runtime.spawn(keeper.run()).abort_handle(),
        });
        Ok(Some(term))
    }

    /// Ends the term of this store, so that another one begins at once. What it did is saved.
    pub(crate) fn release(&mut self) {
        let Some(held) = self.held.take() else { return };
        self.progress.set_runner(None);
        let was_lost = held.term.is_lost();
        held.term.lose();
        if was_lost {
            return;
        }
        if let Err(error) = self.leases.release(&held.term) {
            tracing::warn!(name = self.name, %error, "others must wait until they see that this process runs it no more");
        }
    }
}

/// Watches a lease that another store holds. It was asked for at the first of these times, and the
/// answer was there at the second one. Returns whether there was no sign of life for as long as `ttl`.
fn watch(
    watched: &mut Option<Watched>,
    seen: &LeaseSeen,
    ttl: Duration,
    (asked, answered): (Instant, Instant),
) -> bool {
    let known = watched.filter(|watched| watched.revision == seen.revision);
    if let Some(known) = known {
        return asked.saturating_duration_since(known.since) >= ttl;
    }
    *watched = Some(Watched {
        revision: seen.revision,
        since: answered,
    });
    false
}

/// Gives signs of life.
struct Keeper {
    leases: Leases,
    term: Arc<Term>,
    candidate: Candidate,
    since: u64,
    progress: Arc<Progress>,
    wake: Arc<Notify>,
}

impl Keeper {
    async fn run(self) {
        let pause = self.candidate.ttl / SIGNS;
        loop {
            tokio::time::sleep(pause).await;
            let sign = Sign::new(&self.candidate, self.since, &self.progress).to_text();
            let (leases, term) = (self.leases.clone(), self.term.clone());
            let renew = move || Ok(leases.renew(&term, &sign)?);
            match background::blocking(renew).await {
                Ok(true) => {}
                Ok(false) => break,
                // If it goes on, the term ends by itself.
                Err(error) => {
                    tracing::debug!(name = self.term.name(), %error, "a sign of life did not arrive");
                }
            }
        }
        self.term.lose();
        self.wake.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_over_once_its_revision_stays_the_same_for_as_long_as_its_limit() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let (ttl, mut watched) = (Duration::from_secs(10), None);
        let mut look = |revision, asked, answered| {
            let seen = LeaseSeen {
                revision,
                is_held: true,
                sign: String::new(),
            };
            watch(&mut watched, &seen, ttl, (at(asked), at(answered)))
        };
        assert!(!look(7, 0, 3));
        // The holder may have given the sign just before the answer, so that moment counts.
        assert!(!look(7, 12, 12));
        assert!(look(7, 13, 13));
        // Any other revision is a sign of life.
        assert!(!look(8, 20, 20));
        assert!(!look(8, 29, 29));
        assert!(!look(3, 31, 31));
        assert!(look(3, 41, 41));
    }

    #[test]
    fn a_sign_of_another_release_is_read_as_far_as_it_is_known() {
        let sign = Sign::read(r#"{"process":"p","position":3,"new":true}"#);
        assert_eq!((&*sign.process, sign.position, sign.ttl), ("p", 3, 0));
        assert_eq!(Sign::read("").process, "");
    }
}
