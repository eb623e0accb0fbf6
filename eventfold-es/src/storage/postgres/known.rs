//! How far a store knows the log, and whether a server still has that: [`Known`].

use std::sync::{Arc, Mutex};

use crate::storage::error::{ErrorPlace, StorageError, StorageErrorKind};
use crate::storage::health::Health;
use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::rows::{signed, unsigned};
use crate::sync::lock;

const CHAIN: &str = "SELECT chain FROM events WHERE position = $1";
/// The end of the log.
pub(super) const HEAD: &str = "SELECT position, chain FROM head";

/// The newest event that the store knows to be durable.
#[derive(Debug)]
pub(super) struct Known {
    end: Mutex<End>,
    health: Arc<Health>,
}

/// A position, and the checksum of the history up to it.
#[derive(Debug, Clone, Copy, Default)]
struct End {
    position: u64,
    chain: i64,
}

impl Known {
    pub(super) fn new(health: Arc<Health>) -> Self {
        Self {
            end: Mutex::default(),
            health,
        }
    }

    /// The position of the newest event that is known.
    pub(super) fn position(&self) -> u64 {
        lock(&self.end).position
    }

    /// Notes that the log ends at `position` or after it. What is older than what is known changes
    /// nothing.
    pub(super) fn learn(&self, position: u64, chain: i64, place: &str) -> Result<(), Failure> {
        let mut end = lock(&self.end);
        if position == end.position && chain != end.chain {
            let text = format!("has other events up to position {position} than before");
            drop(end);
            return Err(self.other_history(place, text));
        }
        if position > end.position {
            *end = End { position, chain };
            // Locked, so that the head never goes back.
            self.health.set_head(position);
        }
        Ok(())
    }

    /// Fails if the server of a new connection does not have the event that is known.
    pub(super) async fn check(
        &self,
        connection: &mut Connection,
        place: &str,
    ) -> Result<(), Failure> {
        let end = *lock(&self.end);
        if end.position == 0 {
            return Ok(());
        }
        let rows = connection.query(CHAIN, &[&signed(end.position)]).await?;
        let chain = rows.first().map(|row| row.get::<_, i64>(0));
        if chain == Some(end.chain) {
            return Ok(());
        }
        let rows = connection.query(HEAD, &[]).await?;
        let head = rows.first().map_or(0, |row| unsigned(row.get(0)));
        let text = if head < end.position {
            format!(
                "ends at position {head}, and this store has seen it end at {}: events that were \
                 stored are lost",
                end.position
            )
        } else {
            format!(
                "has other events up to position {} than before",
                end.position
            )
        };
        Err(self.other_history(place, text))
    }

    /// Lets the store fail: it writes nothing more.
    fn other_history(&self, place: &str, text: String) -> Failure {
        let place = ErrorPlace::Schema(place.to_owned());
        let error = StorageError::at(StorageErrorKind::OtherHistory, place, text);
        let error = error.with_advice(
            "connect to the server that has the newest events, or open the store again to go on from \
             what this one has",
        );
        tracing::error!(%error, "the store has failed: it must be opened again");
        Failure::OtherHistory(self.health.fail(error))
    }
}
