//! The log on a server, as followers wait for it and read it.

use std::ops::ControlFlow;
use std::sync::Arc;

use tokio_postgres::Row;

use crate::event::StoredEvent;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::health::Health;
use crate::storage::postgres::rows::{FIRST_PAGE, PageSize, StoredRow, columns, signed};
use crate::storage::postgres::server::{Param, Pending, Server};

const FORWARD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3"
);
const BACKWARD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE position > $1 AND position <= $2 ORDER BY position DESC LIMIT $3"
);
const CHAIN: &str = "SELECT chain FROM events WHERE position = $1";
const READ: &str = "read the events of";

/// The log of a store on a server. It does not keep the store open.
#[derive(Debug, Clone)]
pub(crate) struct PgLog {
    pub(super) server: Arc<Server>,
    pub(super) health: Arc<Health>,
}

impl PgLog {
    pub(crate) async fn reached(&self, position: u64) -> StorageResult<u64> {
        self.health.reached(position).await
    }

    pub(crate) fn head(&self) -> u64 {
        self.health.head()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.health.is_closed()
    }

    /// Positions are dense.
    pub(crate) fn count_between(after: u64, until: u64) -> u64 {
        until.saturating_sub(after)
    }

    pub(crate) fn reader(&self, after: u64) -> PgReader {
        PgReader {
            server: self.server.clone(),
            health: self.health.clone(),
            after,
            chain: (after == 0).then_some(0),
            size: PageSize::default(),
            page: Vec::new(),
            read: 0,
            next: None,
        }
    }

    pub(crate) fn backward_reader(&self, before: Option<u64>) -> PgBackwardReader {
        PgBackwardReader {
            server: self.server.clone(),
            before: before.unwrap_or_else(|| self.head() + 1),
            size: PageSize::default(),
        }
    }
}

/// The chained checksum of the history up to the event at `position`; 0 for the beginning.
pub(super) fn history_at(server: &Arc<Server>, position: u64) -> StorageResult<u64> {
    if position == 0 {
        return Ok(0);
    }
    let rows = server.read(READ, CHAIN, vec![Box::new(signed(position))])?;
    let chain = rows.first().map(|row| row.get::<_, i64>(0).cast_unsigned());
    chain.ok_or_else(|| StorageError::event(position, "is not in the log"))
}

/// The rows in a range of positions.
fn rows(
    server: &Arc<Server>,
    sql: &'static str,
    (after, until): (u64, u64),
    limit: i64,
) -> StorageResult<Vec<StoredRow>> {
    let params = range((after, until), limit);
    StoredRow::all_of(server.read(READ, sql, params)?)
}

fn range((after, until): (u64, u64), limit: i64) -> Vec<Param> {
    vec![
        Box::new(signed(after)),
        Box::new(signed(until)),
        Box::new(limit),
    ]
}

/// A place in the log.
#[derive(Debug)]
pub(crate) struct PgReader {
    server: Arc<Server>,
    health: Arc<Health>,
    after: u64,
    /// The chained checksum of what was read last, if it is known.
    chain: Option<u64>,
    size: PageSize,
    /// Whole commits, of which the first `read` events are behind this place.
    page: Vec<StoredRow>,
    read: usize,
    /// What comes after the page.
    next: Option<Pending<Vec<Row>>>,
}

impl PgReader {
    pub(crate) fn history(&self) -> Option<u64> {
        self.chain
    }

    pub(crate) fn history_at(&self, position: u64) -> StorageResult<u64> {
        history_at(&self.server, position)
    }

    pub(crate) fn read_to<E: From<StorageError>>(
        &mut self,
        head: u64,
        mut each: impl FnMut(PgCommitted<'_>) -> Result<ControlFlow<()>, E>,
    ) -> Result<(), E> {
        while self.after < head {
            let rest = &self.page[self.read..];
            let Some(commit) = rest.chunk_by(|a, b| a.commit == b.commit).next() else {
                self.turn_page(head)?;
                continue;
            };
            // A commit is read to its end, even if `each` breaks off at one of its parts.
            let mut flow = ControlFlow::Continue(());
            for events in parts(commit) {
                if each(PgCommitted { events })?.is_break() {
                    flow = ControlFlow::Break(());
                }
            }
            if let Some(last) = commit.last() {
                self.after = last.position;
                self.chain = Some(last.chain);
            }
            self.read += commit.len();
            if flow.is_break() {
                break;
            }
        }
        if self.read == self.page.len() {
            self.page = Vec::new();
            self.read = 0;
        }
        Ok(())
    }

    /// Reads the next page of the events up to the durable position `head` or a later one.
    fn turn_page(&mut self, head: u64) -> StorageResult<()> {
        self.page = Vec::new();
        self.read = 0;
        let (asked, next) = (self.size.rows(), self.next.take());
        let is_on = next.is_some();
        let mut answer = match next {
            Some(next) => next.wait()?,
            None => Vec::new(),
        };
        if answer.is_empty() {
            // Nobody asked, or the log had no more events when somebody did.
            let params = range((self.after, head), asked);
            answer = self.server.read(READ, FORWARD, params)?;
        }
        let is_full = !self.size.is_last(answer.len());
        let mut page = StoredRow::all_of(answer)?;
        self.size.learn(&page);
        let mut next = self.after + 1;
        for row in &page {
            if row.position != next {
                break;
            }
            next += 1;
        }
        let Some(last) = page.last().filter(|last| last.position + 1 == next) else {
            return Err(StorageError::event(next, "is missing in the log")
                .with_advice("restore the schema from a backup"));
        };
        let (position, commit) = (last.position, last.commit);
        if position < commit {
            // The last commit goes on. It is read with the next page, unless it is the only one.
            let first = page.partition_point(|row| row.commit < commit);
            if first > 0 {
                page.truncate(first);
            } else {
                let limit = signed(commit - position);
                page.extend(rows(&self.server, FORWARD, (position, commit), limit)?);
            }
        }
        // Whoever has read two full pages is likely to read on.
        if is_full
            && (is_on || asked > FIRST_PAGE)
            && let Some(last) = page.last()
        {
            let params = range((last.position, self.health.head()), self.size.rows());
            self.next = Some(self.server.start_read(READ, FORWARD, params)?);
        }
        self.page = page;
        Ok(())
    }
}

/// The events of each stream in the events of a commit.
fn parts(commit: &[StoredRow]) -> impl DoubleEndedIterator<Item = &[StoredRow]> {
    commit.chunk_by(|a, b| a.aggregate_type() == b.aggregate_type() && a.id() == b.id())
}

/// A place in the log that moves towards the beginning.
#[derive(Debug)]
pub(crate) struct PgBackwardReader {
    server: Arc<Server>,
    before: u64,
    size: PageSize,
}

impl PgBackwardReader {
    pub(crate) fn read(
        &mut self,
        mut each: impl FnMut(PgCommitted<'_>) -> StorageResult<ControlFlow<()>>,
    ) -> StorageResult<bool> {
        loop {
            if self.before <= 1 {
                return Ok(true);
            }
            let page = self.page()?;
            // The first commit may have begun earlier. It is read with the next page, unless it is
            // the only one.
            let commits: Vec<_> = page.chunk_by(|a, b| a.commit == b.commit).collect();
            let starts_the_log = page.first().is_none_or(|first| first.position == 1);
            let skipped = usize::from(!starts_the_log && commits.len() > 1);
            for commit in commits[skipped..].iter().rev() {
                let mut flow = ControlFlow::Continue(());
                for events in parts(commit).rev() {
                    if each(PgCommitted { events })?.is_break() {
                        flow = ControlFlow::Break(());
                    }
                }
                self.before = commit.first().map_or(0, |first| first.position);
                if flow.is_break() {
                    return Ok(self.before <= 1);
                }
            }
            if commits.is_empty() {
                let error = StorageError::event(self.before - 1, "is missing in the log");
                return Err(error.with_advice("restore the schema from a backup"));
            }
        }
    }

    /// The events before this place, in the order of the log. The first commit may not be whole, if
    /// it is not the only one.
    fn page(&mut self) -> StorageResult<Vec<StoredRow>> {
        let until = self.before - 1;
        let mut limit = self.size.rows();
        loop {
            let mut page = rows(&self.server, BACKWARD, (0, until), limit)?;
            page.reverse();
            let is_all = i64::try_from(page.len()).is_ok_and(|rows| rows < limit);
            let is_one = page.first().map(|row| row.commit) == page.last().map(|row| row.commit);
            if !is_all && is_one {
                // The commit may be longer than the page.
                limit *= 4;
                continue;
            }
            self.size.learn(&page);
            return Ok(page);
        }
    }
}

/// The wanted events of a commit in one stream.
#[derive(Debug)]
pub(crate) struct PgCommitted<'a> {
    /// At least one.
    events: &'a [StoredRow],
}

impl PgCommitted<'_> {
    pub(crate) fn aggregate_type(&self) -> &str {
        self.events.first().map_or("", StoredRow::aggregate_type)
    }

    pub(crate) fn id(&self) -> &str {
        self.events.first().map_or("", StoredRow::id)
    }

    pub(crate) fn len(&self) -> usize {
        self.events.len()
    }

    pub(crate) fn position(&self, i: usize) -> u64 {
        self.events[i].position
    }

    pub(crate) fn version(&self, i: usize) -> u64 {
        self.events[i].version
    }

    pub(crate) fn event<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>) -> T,
    ) -> StorageResult<T> {
        self.events[i].read(|event, _| read(event))
    }

    pub(crate) fn place_in_commit(&self, i: usize) -> (u64, u64) {
        self.events[i].place_in_commit()
    }

    pub(crate) fn event_and_command<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, Option<&str>) -> T,
    ) -> StorageResult<T> {
        self.events[i].read_line(|event, line| read(event, line.command.as_deref()))
    }

    pub(crate) fn event_and_line<T>(
        &self,
        i: usize,
        read: impl FnOnce(StoredEvent<'_>, &str, Option<u64>) -> T,
    ) -> StorageResult<T> {
        let event = &self.events[i];
        event.read(|read_event, _| read(read_event, event.line(), None))
    }

    pub(crate) fn keys(&self, mut each: impl FnMut(&str)) {
        for event in self.events {
            // An event that cannot be read has no idempotency key of ours.
            let _ = event.read(|_, (key, _)| key.map(&mut each));
        }
    }
}
