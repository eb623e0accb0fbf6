//! The turn to import into a schema, which one store has at a time.
//!
//! It is a lock of the session that appends. So whoever gets it knows that nothing of an earlier import
//! is under way any more, also if its process was killed: the server may still be at its last batch.
//!
//! With its session a store loses the turn. It takes it again if nobody else has had it meanwhile, which
//! the number of the turn says; otherwise its import fails.

use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::session::Session;

const TAKE: &str =
    "SELECT pg_try_advisory_lock(hashtextextended('eventfold-es import into ' || $1, 0))";
const COUNT: &str = "\
    INSERT INTO leases AS l VALUES ('import', '', 1, 0, '') \
    ON CONFLICT (kind, follower) DO UPDATE SET revision = l.revision + 1 RETURNING revision";
const NEWEST: &str = "SELECT revision FROM leases WHERE kind = 'import' AND follower = ''";
const GIVE_BACK: &str =
    "SELECT pg_advisory_unlock(hashtextextended('eventfold-es import into ' || $1, 0))";

impl Session {
    /// Takes the turn, and returns its number. `None` if another store has it.
    pub(super) async fn take_turn(&mut self, schema: &str) -> Result<Option<i64>, Failure> {
        if !self.lock_turn(schema).await? {
            return Ok(None);
        }
        let rows = self.query(COUNT, &[]).await?;
        Ok(rows.first().map(|row| row.get(0)))
    }

    /// Takes the turn `number` again, after its session was lost. False if another store has, or has
    /// had, a later one.
    pub(super) async fn take_turn_again(
        &mut self,
        schema: &str,
        number: i64,
    ) -> Result<bool, Failure> {
        if !self.lock_turn(schema).await? {
            return Ok(false);
        }
        let rows = self.query(NEWEST, &[]).await?;
        if rows
            .first()
            .is_some_and(|row| row.get::<_, i64>(0) == number)
        {
            return Ok(true);
        }
        self.give_turn_back(schema).await?;
        Ok(false)
    }

    pub(super) async fn give_turn_back(&mut self, schema: &str) -> Result<(), Failure> {
        self.query(GIVE_BACK, &[&schema]).await.map(drop)
    }

    async fn lock_turn(&mut self, schema: &str) -> Result<bool, Failure> {
        let rows = self.query(TAKE, &[&schema]).await?;
        Ok(rows.first().is_some_and(|row| row.get(0)))
    }
}
