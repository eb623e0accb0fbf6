//! Checks a schema, also beside the stores that have it open: [`verify`].
//!
//! Everything is read in one read-only transaction, so it is of one moment.

use std::path::PathBuf;
use std::sync::Arc;

use tokio_postgres::types::ToSql;

use crate::event::Tag;
use crate::report::{Finding, Severity};
use crate::storage::condition::aggregate_tag;
use crate::storage::error::StorageResult;
use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::names::escape;
use crate::storage::postgres::observe::ObservedSchema;
use crate::storage::postgres::rows::{PageSize, StoredRow, columns, signed, unsigned};
use crate::storage::postgres::server::Server;

/// How many findings are listed.
const MOST: usize = 1000;
/// The longest chain of events with one checksum that is looked at. No batch is longer.
const LONGEST_BATCH: usize = 10_000_000;

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
const HEAD: &str = "SELECT position, chain FROM head";
const EVENTS: &str = concat!(
    "SELECT ",
    columns!(),
    ", name, key, tags FROM events WHERE position > $1 ORDER BY position LIMIT $2"
);
/// Which of these batches have another checksum than their events make.
const CHAINS: &str = "\
    SELECT b.n FROM unnest($1::bigint[], $2::bigint[], $3::text[]) \
        WITH ORDINALITY AS b(before, after, sums, n) \
    WHERE next_chain(b.before, b.sums::bigint[]) <> b.after ORDER BY b.n";
const VERSIONS: &str = "\
    SELECT type, id, version, n FROM ( \
        SELECT type, id, version, row_number() OVER stream AS n, position, \
            lag(position) OVER stream AS before \
        FROM events WHERE type IS NOT NULL WINDOW stream AS (PARTITION BY type, id ORDER BY version) \
    ) AS e WHERE version <> n OR before >= position LIMIT 100";
const STREAMS: &str = "\
    SELECT coalesce(s.type, e.type), coalesce(s.id, e.id), s.version, e.version, s.position, e.position \
    FROM streams s FULL JOIN ( \
        SELECT type, id, max(version) AS version, max(position) AS position FROM events \
        WHERE type IS NOT NULL GROUP BY type, id \
    ) AS e ON e.type = s.type AND e.id = s.id \
    WHERE s.version IS DISTINCT FROM e.version OR s.position IS DISTINCT FROM e.position LIMIT 100";
const COUNT_STREAMS: &str = "SELECT count(*) FROM streams";
const LACKING_TAGS: &str = "\
    SELECT e.position, t.tag FROM events e, unnest(e.tags) AS t(tag) WHERE e.tags IS NOT NULL \
        AND NOT EXISTS (SELECT FROM tags WHERE tags.tag = t.tag AND tags.position = e.position) \
    ORDER BY 1 LIMIT 100";
const FOREIGN_TAGS: &str = "\
    SELECT t.position, t.tag FROM tags t LEFT JOIN events e ON e.position = t.position \
    WHERE NOT coalesce(e.tags @> ARRAY[t.tag COLLATE \"C\"], false) ORDER BY 1 LIMIT 100";
const FOREIGN_SNAPSHOTS: &str = "\
    SELECT s.type, s.id, s.version FROM snapshots s \
    LEFT JOIN events e ON e.type = s.type AND e.id = s.id AND e.version = s.version \
    WHERE e.sum IS DISTINCT FROM s.event_sum LIMIT 100";
const ACTION: &str = "check";

/// What a check has found.
#[derive(Debug, Default)]
pub(crate) struct Verified {
    pub(crate) events: u64,
    pub(crate) streams: u64,
    pub(crate) findings: Vec<Finding>,
}

/// Checks each event's checksum and its columns, that positions and versions have no gaps, the chained
/// checksums, and the tables that are made of the events. `told` takes how many events were checked, and
/// how many there are. Blocks.
pub(crate) fn verify(
    schema: &ObservedSchema,
    told: impl FnMut(u64, u64) + Send + 'static,
) -> StorageResult<Verified> {
    let server = schema.server().clone();
    let checking = server.clone();
    server.wait(async move {
        let mut check = Check {
            verified: Verified::default(),
            missed: 0,
            server: checking,
            told: Box::new(told),
        };
        let done = check.run().await;
        done.map_err(|failure| failure.into_error(ACTION, check.server.place()))?;
        Ok(check.finish())
    })
}

struct Check {
    verified: Verified,
    /// How many findings are not listed.
    missed: u64,
    server: Arc<Server>,
    told: Box<dyn FnMut(u64, u64) + Send>,
}

/// The events that were stored with one chained checksum, as far as they were read.
struct Batch {
    /// The checksum before and after them.
    before: i64,
    after: i64,
    first: u64,
    sums: Vec<i64>,
}

impl Check {
    async fn run(&mut self) -> Result<(), Failure> {
        let mut connection = self.server.connect().await?;
        connection.client.batch_execute(BEGIN).await?;
        let rows = connection.query(HEAD, &[]).await?;
        let [head] = rows.as_slice() else {
            let rows = rows.len();
            self.lost("head", None, format!("has {rows} rows, and must have one"));
            return Ok(());
        };
        let (head, chain) = (unsigned(head.get(0)), head.get(1));
        let last = self.events(&mut connection, head).await?;
        if last != (head, chain) {
            let (position, _) = last;
            self.lost(
                "head",
                None,
                format!("is at position {head}, and the newest event at {position}, or its checksum is another"),
            );
        }
        self.streams(&mut connection).await?;
        self.tags(&mut connection).await?;
        for row in connection.query(FOREIGN_SNAPSHOTS, &[]).await? {
            let (aggregate_type, id, version): (&str, &str, i64) =
                (row.get(0), row.get(1), row.get(2));
            let text = format!(
                "the snapshot of {aggregate_type}/{id} at version {version} is of another event"
            );
            self.add("snapshots", None, Severity::Harmless, text);
        }
        Ok(())
    }

    /// Checks the events. Returns the position of the last one, and the checksum with it.
    async fn events(
        &mut self,
        connection: &mut Connection,
        head: u64,
    ) -> Result<(u64, i64), Failure> {
        let mut size = PageSize::default();
        let mut last: Option<StoredRow> = None;
        let mut batch = Batch {
            before: 0,
            after: 0,
            first: 1,
            sums: Vec::new(),
        };
        loop {
            let after = last.as_ref().map_or(0, |last| last.position);
            let params: [&(dyn ToSql + Sync); 2] = [&signed(after), &size.rows()];
            let rows = connection.query(EVENTS, &params).await?;
            let is_last = size.is_last(rows.len());
            let mut page = Vec::with_capacity(rows.len());
            let mut ended = Vec::new();
            for row in rows {
                let position = unsigned(row.get(0));
                let stored = match StoredRow::of(row) {
                    Ok(stored) => stored,
                    Err(error) => {
                        self.lost("events", Some(position), error.to_string());
                        continue;
                    }
                };
                self.event(&stored);
                self.place(page.last().or(last.as_ref()), &stored);
                let (sum, chain): (i64, i64) = (stored.row().get(7), stored.row().get(8));
                if chain != batch.after || batch.sums.is_empty() {
                    let next = Batch {
                        before: batch.after,
                        after: chain,
                        first: stored.position,
                        sums: Vec::new(),
                    };
                    let whole = std::mem::replace(&mut batch, next);
                    ended.extend((!whole.sums.is_empty()).then_some(whole));
                }
                if batch.sums.len() < LONGEST_BATCH {
                    batch.sums.push(sum);
                }
                page.push(stored);
            }
            size.learn(&page);
            self.verified.events += page.len() as u64;
            (self.told)(self.verified.events, head.max(self.verified.events));
            self.chains(connection, &ended).await?;
            last = page.pop().or(last);
            if is_last {
                break;
            }
        }
        if !batch.sums.is_empty() {
            self.chains(connection, &[batch]).await?;
        }
        if let Some(last) = &last
            && last.position != last.commit
        {
            let text = format!(
                "its commit ends at position {}, which is missing",
                last.commit
            );
            self.lost("events", Some(last.position), text);
        }
        Ok(last.map_or((0, 0), |last| (last.position, last.chain.cast_signed())))
    }

    /// Checks an event's checksum, and its columns.
    fn event(&mut self, stored: &StoredRow) {
        let row = stored.row();
        let (name, key): (&str, Option<&str>) = (row.get(9), row.get(10));
        let tags: Option<Vec<&str>> = row.get(11);
        let checked = stored.read_line(|event, line| {
            let mut expected: Vec<&str> = line.tags.iter().map(|tag| &**tag).collect();
            let own = aggregate_tag(stored.aggregate_type(), stored.id());
            if !expected.is_empty() {
                expected.extend(own.as_ref().map(Tag::as_str));
            }
            expected.sort_unstable();
            let mut tags = tags.unwrap_or_default();
            tags.sort_unstable();
            let is_key = line.key.as_deref().map(escape).as_deref() == key;
            [
                ("name", escape(event.name()) == name),
                ("key", is_key),
                ("tags", tags == expected),
            ]
        });
        match checked {
            Err(error) => self.lost("events", Some(stored.position), error.cause().to_string()),
            Ok(columns) => {
                for (column, _) in columns.into_iter().filter(|(_, is_right)| !is_right) {
                    let text = format!("the column `{column}` is not what the event itself says");
                    self.lost("events", Some(stored.position), text);
                }
            }
        }
    }

    /// Checks that an event follows on the one before.
    fn place(&mut self, before: Option<&StoredRow>, stored: &StoredRow) {
        let position = stored.position;
        let expected = before.map_or(0, |before| before.position) + 1;
        if position != expected {
            let text = match position - 1 {
                last if last == expected => format!("the event at position {expected} is missing"),
                last => format!("the events at positions {expected} to {last} are missing"),
            };
            self.lost("events", Some(expected), text);
            return;
        }
        let (place, of) = stored.place_in_commit();
        let follows = match before {
            Some(before) if before.position < before.commit => {
                before.commit == stored.commit && before.place_in_commit().0 + 1 == place
            }
            _ => place == 1,
        };
        if !follows || stored.commit < position {
            let text =
                format!("it is event {place} of {of} of a commit whose other events are not there");
            self.lost("events", Some(position), text);
        }
    }

    async fn chains(
        &mut self,
        connection: &mut Connection,
        batches: &[Batch],
    ) -> Result<(), Failure> {
        if batches.is_empty() {
            return Ok(());
        }
        let before: Vec<i64> = batches.iter().map(|batch| batch.before).collect();
        let after: Vec<i64> = batches.iter().map(|batch| batch.after).collect();
        let sums: Vec<String> = batches.iter().map(|batch| array(&batch.sums)).collect();
        let params: [&(dyn ToSql + Sync); 3] = [&before, &after, &sums];
        for row in connection.query(CHAINS, &params).await? {
            let n = usize::try_from(row.get::<_, i64>(0)).unwrap_or(0);
            if let Some(wrong) = n.checked_sub(1).and_then(|index| batches.get(index)) {
                let text = "the chained checksum is not that of the events up to here: events were removed, \
                            exchanged or added";
                self.lost("events", Some(wrong.first), text.to_owned());
            }
        }
        Ok(())
    }

    async fn streams(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        for row in connection.query(VERSIONS, &[]).await? {
            let (aggregate_type, id): (&str, &str) = (row.get(0), row.get(1));
            let (version, n): (i64, i64) = (row.get(2), row.get(3));
            let text = if version == n {
                format!(
                    "{aggregate_type}/{id}: version {version} is at a position before the version in front of it"
                )
            } else {
                format!("{aggregate_type}/{id}: version {n} is missing")
            };
            self.lost("events", None, text);
        }
        for row in connection.query(STREAMS, &[]).await? {
            let (aggregate_type, id): (&str, &str) = (row.get(0), row.get(1));
            let [stated, actual, at, newest] =
                [2, 3, 4, 5].map(|i| row.get::<_, Option<i64>>(i).unwrap_or(0));
            let text = format!(
                "{aggregate_type}/{id}: it says version {stated} at position {at}, and the newest event is \
                 version {actual} at {newest}"
            );
            self.lost("streams", None, text);
        }
        let rows = connection.query(COUNT_STREAMS, &[]).await?;
        self.verified.streams = rows.first().map_or(0, |row| unsigned(row.get(0)));
        Ok(())
    }

    async fn tags(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        for (sql, what) in [
            (
                LACKING_TAGS,
                "is missing, so a search does not find the event",
            ),
            (FOREIGN_TAGS, "is not one of the event"),
        ] {
            for row in connection.query(sql, &[]).await? {
                let (position, tag): (i64, &str) = (row.get(0), row.get(1));
                let text = format!("the tag `{tag}` {what}");
                self.lost("tags", Some(unsigned(position)), text);
            }
        }
        Ok(())
    }

    fn lost(&mut self, table: &str, position: Option<u64>, text: String) {
        self.add(table, position, Severity::Lost, text);
    }

    fn add(&mut self, table: &str, position: Option<u64>, severity: Severity, text: String) {
        if self.verified.findings.len() == MOST {
            self.missed += 1;
            return;
        }
        let message = match position {
            Some(position) => format!("at position {position}: {text}"),
            None => text,
        };
        self.verified.findings.push(Finding {
            file: PathBuf::from(format!("{}.{table}", self.server.schema())),
            offset: None,
            severity,
            message,
        });
    }

    fn finish(self) -> Verified {
        let Self {
            mut verified,
            missed,
            ..
        } = self;
        if missed > 0
            && let Some(last) = verified.findings.last_mut()
        {
            last.message = format!("{} (and {missed} more findings)", last.message);
        }
        verified
    }
}

/// A value of the type `bigint[]`, as the server reads it.
fn array(numbers: &[i64]) -> String {
    let numbers: Vec<String> = numbers.iter().map(i64::to_string).collect();
    format!("{{{}}}", numbers.join(","))
}
