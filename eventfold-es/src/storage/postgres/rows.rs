//! Events as the server has them: [`StoredRow`].

use tokio_postgres::Row;

use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::storage::encoding::event_line as line;
use crate::storage::encoding::event_line::Line;
use crate::storage::error::{StorageError, StorageResult};
use crate::storage::postgres::names::{decode, is_encoded};

/// The columns that [`StoredRow`] is made of.
macro_rules! columns {
    () => {
        "position, commit, place, type, id, version, line, sum, chain"
    };
}
pub(super) use columns;

/// About how many bytes one answer of the server should have. The next one is on its way while one is
/// read.
const LARGEST_PAGE: usize = 1024 * 1024;
pub(super) const FIRST_PAGE: i64 = 64;
const MOST_ROWS: i64 = 4096;
/// How much larger the next page may be.
const GROWTH: i64 = 8;

/// The idempotency key of an event's command, and the command's fingerprint.
pub(super) type KeyOf<'a> = (Option<&'a str>, Option<Fingerprint>);

/// An event of the log. Its texts stay in the row that the server sent.
#[derive(Debug)]
pub(super) struct StoredRow {
    row: Row,
    pub(super) position: u64,
    /// The position of the last event of its commit.
    pub(super) commit: u64,
    /// Which of the commit's events it is, from 1 on.
    place: u64,
    /// The parts of its stream's name that are stored encoded.
    decoded: [Option<Box<str>>; 2],
    /// 0 for events that belong to no stream.
    pub(super) version: u64,
    sum: u64,
    /// The chained checksum of the history up to its batch.
    pub(super) chain: u64,
}

const TYPE: usize = 3;
const ID: usize = 4;
const LINE: usize = 6;

/// A number that the server has as a signed one. It is never negative there.
pub(super) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// A number as the server takes it.
pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl StoredRow {
    pub(super) fn of(row: Row) -> StorageResult<Self> {
        let position = unsigned(row.get(0));
        let decoded = |column: usize| match row.get::<_, Option<&str>>(column) {
            Some(name) if is_encoded(name) => {
                let decoded = decode(name).ok_or_else(|| {
                    let text = "its stream has a name that no store gave it";
                    StorageError::event(position, text)
                })?;
                StorageResult::Ok(Some(decoded.into_boxed_str()))
            }
            _ => Ok(None),
        };
        let version: Option<i64> = row.get(5);
        Ok(Self {
            position,
            commit: unsigned(row.get(1)),
            place: u64::try_from(row.get::<_, i32>(2)).unwrap_or(0),
            decoded: [decoded(TYPE)?, decoded(ID)?],
            version: version.map_or(0, unsigned),
            sum: row.get::<_, i64>(7).cast_unsigned(),
            chain: row.get::<_, i64>(8).cast_unsigned(),
            row,
        })
    }

    /// The row, with the columns that were asked for beside those of an event.
    pub(super) fn row(&self) -> &Row {
        &self.row
    }

    pub(super) fn all_of(rows: Vec<Row>) -> StorageResult<Vec<Self>> {
        rows.into_iter().map(Self::of).collect()
    }

    /// Empty for events that belong to no stream, as the id.
    pub(super) fn aggregate_type(&self) -> &str {
        self.name(TYPE, self.decoded[0].as_deref())
    }

    pub(super) fn id(&self) -> &str {
        self.name(ID, self.decoded[1].as_deref())
    }

    fn name<'a>(&'a self, column: usize, decoded: Option<&'a str>) -> &'a str {
        let name = decoded.or_else(|| self.row.get(column));
        name.unwrap_or_default()
    }

    /// The event as JSON.
    pub(super) fn line(&self) -> &str {
        self.row.get(LINE)
    }

    /// Which of the commit's events it is, from 1 on, and how many the commit has.
    pub(super) fn place_in_commit(&self) -> (u64, u64) {
        (self.place, self.commit + self.place - self.position)
    }

    /// Passes the event and its idempotency key to `read`.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(StoredEvent<'_>, KeyOf<'_>) -> T,
    ) -> StorageResult<T> {
        self.read_line(|event, line| read(event, (line.key.as_deref(), line.fingerprint())))
    }

    /// Passes the event and its line to `read`.
    pub(super) fn read_line<T>(
        &self,
        read: impl FnOnce(StoredEvent<'_>, &Line<'_>) -> T,
    ) -> StorageResult<T> {
        let id = (self.aggregate_type(), self.id());
        let seed = line::seed_of(id.0, id.1);
        let line = line::read_apart(self.line(), self.sum, seed, self.position)
            .map_err(|cause| StorageError::event(self.position, cause))?;
        if self.version > 0 && line.stated_version() != Some(self.version) {
            let text = "its version is another one in the event itself";
            return Err(StorageError::event(self.position, text));
        }
        let record = line.record(id, self.version, self.position);
        Ok(read(line.event(&record), &line))
    }
}

/// How many events the server is asked for at once: few at first, then as many as have a reasonable
/// size.
#[derive(Debug, Clone)]
pub(super) struct PageSize(i64);

impl Default for PageSize {
    fn default() -> Self {
        Self(FIRST_PAGE)
    }
}

impl PageSize {
    pub(super) fn rows(&self) -> i64 {
        self.0
    }

    /// Whether a page with this many rows is the last one for now.
    pub(super) fn is_last(&self, rows: usize) -> bool {
        i64::try_from(rows).is_ok_and(|rows| rows < self.0)
    }

    /// Sets the size of the page after `rows`.
    pub(super) fn learn(&mut self, rows: &[StoredRow]) {
        let bytes: usize = rows.iter().map(|row| row.line().len() + 64).sum();
        let fit = LARGEST_PAGE * rows.len().max(1) / bytes.max(1);
        let fit = i64::try_from(fit).unwrap_or(MOST_ROWS);
        self.0 = fit.min(self.0 * GROWTH).clamp(1, MOST_ROWS);
    }
}
