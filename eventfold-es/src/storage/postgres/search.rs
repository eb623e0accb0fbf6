//! Searching the events on a server by a query or by an idempotency key.

use std::ops::ControlFlow;
use std::sync::Arc;

use crate::domain::command::Fingerprint;
use crate::event::StoredEvent;
use crate::ids;
use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind, StorageResult};
use crate::storage::postgres::batch::query_json;
use crate::storage::postgres::names::{decode, escape};
use crate::storage::postgres::rows::{PageSize, StoredRow, columns, signed};
use crate::storage::postgres::server::Server;
use crate::storage::search::Search;

const FORWARD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE position IN (SELECT find($1::text::jsonb, $2, $3, false, $4::int)) \
     ORDER BY position LIMIT $4::int"
);
const BACKWARD: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE position IN (SELECT find($1::text::jsonb, $2, $3, true, $4::int)) \
     ORDER BY position DESC LIMIT $4::int"
);
const OF_KEY: &str = concat!(
    "SELECT ",
    columns!(),
    " FROM events WHERE key = $1 AND type IS NULL ORDER BY position"
);
const ACTION: &str = "search the events of";

/// Passes the events that `search` selects to `each`. Blocks.
pub(super) fn find<E: From<StorageError>>(
    server: &Arc<Server>,
    search: &Search,
    mut each: impl FnMut(StoredEvent<'_>) -> Result<ControlFlow<()>, E>,
) -> Result<(), E> {
    let query = query_json(&search.query);
    let sql = if search.backwards { BACKWARD } else { FORWARD };
    let (mut after, mut until) = (search.after, search.until);
    let mut size = PageSize::default();
    while after < until {
        let rows = server.read(
            ACTION,
            sql,
            vec![
                Box::new(query.clone()),
                Box::new(signed(after)),
                Box::new(signed(until)),
                Box::new(i32::try_from(size.rows()).unwrap_or(i32::MAX)),
            ],
        )?;
        let is_last = size.is_last(rows.len());
        let page = StoredRow::all_of(rows)?;
        size.learn(&page);
        for row in &page {
            if row.read(|event, _| each(event))??.is_break() {
                return Ok(());
            }
        }
        match page.last() {
            Some(last) if search.backwards => until = last.position - 1,
            Some(last) => after = last.position,
            None => return Ok(()),
        }
        if is_last {
            return Ok(());
        }
    }
    Ok(())
}

/// Passes the events that belong to no aggregate and have this idempotency key to `each`.
pub(super) async fn find_key(
    server: &Arc<Server>,
    key: &str,
    mut each: impl FnMut(StoredEvent<'_>, Option<Fingerprint>),
) -> StorageResult<()> {
    let key = escape(key).into_owned();
    let rows = server
        .read_async(ACTION, OF_KEY, vec![Box::new(key)])
        .await?;
    for row in StoredRow::all_of(rows)? {
        row.read(|event, (_, command)| each(event, command))?;
    }
    Ok(())
}

const ALL_STREAMS: &str = "SELECT type, id FROM streams";
const STREAMS_OF_TYPE: &str = "SELECT type, id FROM streams WHERE type = $1";

/// The types and ids of all streams, or of those of one type, sorted. Blocks.
pub(super) fn list(
    server: &Arc<Server>,
    only: Option<&str>,
) -> StorageResult<Vec<(String, String)>> {
    let action = "list the streams of";
    let rows = match only {
        None => server.read(action, ALL_STREAMS, Vec::new())?,
        Some(only) => match ids::encode(only) {
            Ok(only) => server.read(action, STREAMS_OF_TYPE, vec![Box::new(only)])?,
            // No stream has such a type.
            Err(_) => return Ok(Vec::new()),
        },
    };
    let mut names = Vec::with_capacity(rows.len());
    for row in &rows {
        let (aggregate_type, id): (&str, &str) = (row.get(0), row.get(1));
        let (Some(aggregate_type), Some(id)) = (decode(aggregate_type), decode(id)) else {
            let place = ErrorPlace::Schema(server.place().to_owned());
            let text = format!("has a stream `{aggregate_type}/{id}`, which no store made");
            return Err(StorageError::at(StorageErrorKind::Damaged, place, text));
        };
        names.push((aggregate_type, id));
    }
    names.sort_unstable();
    Ok(names)
}
