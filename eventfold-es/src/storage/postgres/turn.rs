//! The turn to import into a schema, which one store has at a time.
//!
//! It is a lock of the session that appends. So whoever gets it knows that nothing of an earlier import
//! is under way any more, also if its process was killed: the server may still be at its last batch.

use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::session::Session;

const TAKE: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('eventfold-es import into ' || $1, 0))";
const GIVE_BACK: &str =
    "SELECT pg_advisory_unlock(hashtextextended('eventfold-es import into ' || $1, 0))";

impl Session {
    /// Takes the turn, or gives it back. Returns whether the store has it then.
    pub(super) async fn change_turn(
        &mut self,
        schema: &str,
        is_wanted: bool,
    ) -> Result<bool, Failure> {
        let change = if is_wanted { TAKE } else { GIVE_BACK };
        let rows = self.query(change, &[&schema]).await?;
        Ok(is_wanted && rows.first().is_some_and(|row| row.get(0)))
    }
}
