//! The committer: the one task that appends to the log, on the thread of the connections.
//!
//! It takes all waiting requests, lets the server store their commits by one call, and answers.
//! Meanwhile the next requests gather, so batches form by themselves. It waits a little for callers that
//! usually send again at once, as [the files' committer](crate::storage::files::commit::delay) does.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Semaphore;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::clock::monotonic_nanos;
use crate::meter::Meters;
use crate::storage::commit::CommitError;
use crate::storage::files::commit::delay::GroupDelay;
use crate::storage::health::Health;
use crate::storage::postgres::batch::{APPEND, Arrays, Batch, Fate, Finished};
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::listener;
use crate::storage::postgres::listener::News;
use crate::storage::postgres::pauses::Pauses;
use crate::storage::postgres::requests::Request;
use crate::storage::postgres::rows::unsigned;
use crate::storage::postgres::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};
use crate::storage::postgres::session;
use crate::storage::postgres::session::{Appended, Session};
use crate::storage::postgres::snapshots::{Job, SnapshotWriter};

/// How many requests one batch takes at most.
const MOST_REQUESTS: usize = 1024;
/// How many bytes of events one batch takes at most, unless a single commit is larger.
const LARGEST_BATCH: usize = 4 * 1024 * 1024;
/// A wait that may be this much longer is left to the timer.
const COARSE: Duration = Duration::from_millis(1);
/// The versions of streams, in order.
const VERSIONS: &str = "\
    SELECT coalesce(s.version, 0) FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS p(type, id, n) \
    LEFT JOIN streams s ON s.type = p.type AND s.id = p.id ORDER BY p.n";

/// The state of the committer's task.
pub(super) struct Committer {
    server: Arc<Server>,
    health: Arc<Health>,
    meters: Arc<Meters>,
    requests: UnboundedReceiver<Request>,
    /// The room for pending commits.
    room: Arc<Semaphore>,
    /// `None` after the connection was lost.
    session: Option<Session>,
    /// The number of the store.
    writer: i64,
    /// The number of the newest batch.
    batch: i64,
    /// The server must make commits durable before it answers.
    synced: bool,
    /// The number of the turn to import, if the store has it.
    turn: Option<i64>,
    pauses: Arc<Pauses>,
    news: Arc<News>,
    snapshots: SnapshotWriter,
    delay: GroupDelay,
}

/// What became of a batch.
enum Outcome {
    /// Its events come after this position.
    Stored(u64, Vec<Fate>),
    Failed(CommitError),
}

/// Whether the committer goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    Goes,
    Ends,
}

impl Committer {
    pub(super) fn new(
        (server, health, meters): (Arc<Server>, Arc<Health>, Arc<Meters>),
        (requests, room): (UnboundedReceiver<Request>, Arc<Semaphore>),
        session: Session,
        synced: bool,
        (pauses, news): (Arc<Pauses>, Arc<News>),
        snapshots: SnapshotWriter,
    ) -> Self {
        Self {
            server,
            health,
            meters,
            requests,
            room,
            writer: session.writer(),
            batch: 0,
            session: Some(session),
            synced,
            turn: None,
            pauses,
            news,
            snapshots,
            delay: GroupDelay::default(),
        }
    }

    /// Serves requests until one says to close, or nobody can send any. Returns the session, if there
    /// is one.
    pub(super) async fn run(mut self) -> Option<Session> {
        while let Some(first) = self.requests.recv().await {
            if self.serve(first).await == Next::Ends {
                break;
            }
        }
        self.health.refuse_new_requests();
        self.room.close();
        self.requests.close();
        while let Ok(request) = self.requests.try_recv() {
            refuse(request, &CommitError::Closed);
        }
        self.session
    }

    /// Serves all requests that wait.
    async fn serve(&mut self, first: Request) -> Next {
        let mut next = Next::Goes;
        let mut batch = Batch::new();
        let mut request = Some(first);
        let mut turn = None;
        while let Some(one) = request {
            if matches!(one, Request::Close) {
                next = Next::Ends;
                break;
            }
            if matches!(one, Request::TakeTurn(_) | Request::GiveBackTurn) {
                turn = Some(one);
                break;
            }
            let kib = one.kib();
            let taken = match self.health.check_failed() {
                Err(error) if !matches!(one, Request::Fence { .. }) => Err((one, error)),
                _ => batch.add(one),
            };
            if let Err((refused, error)) = taken {
                self.give_back(kib, u64::from(kib > 0));
                refuse(refused, &error);
            }
            if batch.len() >= MOST_REQUESTS || batch.bytes >= LARGEST_BATCH {
                break;
            }
            request = self.next_for(batch.len()).await;
        }
        let (answered, begun) = (batch.len(), Instant::now());
        if self.store(batch).await == Next::Ends {
            next = Next::Ends;
        }
        let likely = self.requests.len() + answered;
        // A wait of up to an eighth of the call: the server does more than sync, and the last callers are
        // not worth keeping the first ones.
        self.delay.expect(likely, begun.elapsed() / 4);
        let since = self.meters.appended.writing_since.get();
        self.meters.appended.writing_since.set(0);
        if since > 0 {
            self.pauses
                .note_batch(monotonic_nanos().saturating_sub(since));
        }
        match turn {
            Some(Request::TakeTurn(done)) => {
                let taken = self.take_turn().await;
                let place = self.server.place();
                let failed = |failure: Failure| failure.into_error("import into", place);
                if done.send(taken.map_err(failed)).is_err() {
                    self.give_turn_back().await;
                }
            }
            Some(_) => self.give_turn_back().await,
            None => {}
        }
        next
    }

    /// The next request for a batch that has so many, `None` if it should be sent now.
    async fn next_for(&mut self, present: usize) -> Option<Request> {
        let waiting = self.requests.try_recv().ok();
        if waiting.is_some() {
            return waiting;
        }
        let until = self.delay.until_next(present)?;
        // The timer of tokio is coarse, and a typical wait is short: then the task asks again and again.
        let coarse = until.saturating_duration_since(Instant::now() + COARSE);
        if !coarse.is_zero()
            && let Ok(next) = tokio::time::timeout(coarse, self.requests.recv()).await
        {
            self.delay.learn(next.is_some());
            return next;
        }
        let mut next = None;
        while next.is_none() && Instant::now() < until {
            tokio::task::yield_now().await;
            std::thread::yield_now();
            next = self.requests.try_recv().ok();
        }
        self.delay.learn(next.is_some());
        next
    }

    /// Takes the turn to import. False if another store has it.
    async fn take_turn(&mut self) -> Result<bool, Failure> {
        self.turn = None;
        let mut session = self.take_session().await?;
        let (schema, timeout) = (self.server.schema(), self.server.timeout());
        let taken = tokio::time::timeout(timeout, session.take_turn(schema)).await;
        // After a failure the session ends, and with it the turn, if it has that.
        self.turn = taken.unwrap_or(Err(Failure::NoAnswer(timeout)))?;
        self.session = Some(session);
        Ok(self.turn.is_some())
    }

    /// Gives the turn to import back, if the store has it.
    async fn give_turn_back(&mut self) {
        if self.turn.take().is_none() {
            return;
        }
        // Without a session there is no turn.
        let Some(mut session) = self.session.take() else {
            return;
        };
        let given = session.give_turn_back(self.server.schema());
        if let Ok(Ok(())) = tokio::time::timeout(self.server.timeout(), given).await {
            self.session = Some(session);
        }
    }

    /// Lets the server store the batch, and answers its requests.
    async fn store(&mut self, batch: Batch) -> Next {
        if !batch.has_commits() {
            let head = self.health.head();
            self.answer(batch.finish(head, &[]));
            return Next::Goes;
        }
        self.batch += 1;
        let number = self.batch;
        let (started, begun) = (Instant::now(), monotonic_nanos());
        self.meters.appended.writing_since.set(begun.max(1));
        let mut batch = Some(batch);
        // Whether the server may have stored it although nothing was heard.
        let mut is_sent = false;
        let mut pause = FIRST_PAUSE;
        let mut next = Next::Goes;
        // The streams of the batch, once its commits were answered that nobody knows what became of
        // them.
        let mut doubted = Vec::new();
        loop {
            let outcome = match self.attempt(&mut batch, number, &mut is_sent).await {
                Err(failure) if failure.is_final() => {
                    Ok(Outcome::Failed(self.lost(failure, is_sent)))
                }
                outcome => outcome,
            };
            let failure = match outcome {
                Ok(outcome) => {
                    match batch.take() {
                        Some(batch) => {
                            self.count(&batch, &outcome, begun);
                            self.settle(batch, outcome);
                        }
                        None => doubted
                            .iter()
                            .for_each(|stream: &Arc<StreamInUse>| stream.forget()),
                    }
                    return next;
                }
                Err(failure) => failure,
            };
            if started.elapsed() >= self.server.timeout() {
                if let Some(batch) = batch.take() {
                    let error = failure.into_error("append to", self.server.place());
                    let error = if is_sent {
                        CommitError::Unknown(error)
                    } else {
                        CommitError::NotStored(error)
                    };
                    doubted = batch.streams();
                    self.answer(batch.fail(&error));
                }
                // Nothing is decided before it is known what became of the batch.
                next = self.refuse_while_away();
                if next == Next::Ends || !is_sent {
                    return next;
                }
            } else {
                tracing::warn!(
                    place = self.server.place(),
                    error = ?failure,
                    "the server is not reached; commits wait"
                );
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// Sends the batch, or finds out what became of it if it was sent. Fails if the server is not
    /// reached. Without a batch its fate does not matter any more, but the streams' ends do.
    async fn attempt(
        &mut self,
        batch: &mut Option<Batch>,
        number: i64,
        is_sent: &mut bool,
    ) -> Result<Outcome, Failure> {
        let mut session = self.take_session().await?;
        let answer = self.attempt_in(&mut session, batch, number, is_sent).await;
        match answer {
            // It may answer at any time, when nobody listens.
            Err(failure) if failure.is_lost() => Err(failure),
            answer => {
                self.session = Some(session);
                answer
            }
        }
    }

    async fn attempt_in(
        &self,
        session: &mut Session,
        batch: &mut Option<Batch>,
        number: i64,
        is_sent: &mut bool,
    ) -> Result<Outcome, Failure> {
        let timeout = self.server.timeout();
        let no_answer = |_| Failure::NoAnswer(timeout);
        if *is_sent {
            let asked = tokio::time::timeout(timeout, session.outcome(number)).await;
            if let Some(appended) = asked.map_err(no_answer)?? {
                tracing::info!(
                    place = self.server.place(),
                    "a batch whose answer was lost is stored"
                );
                return self.stored(batch.as_ref(), &appended);
            }
            *is_sent = false;
        }
        let Some(batch) = batch else {
            return Ok(Outcome::Failed(CommitError::Closed));
        };
        if self.turn.is_none() {
            batch.refuse_imported();
        }
        let arrays = batch.arrays();
        if !batch.is_writing() {
            let asked = tokio::time::timeout(timeout, session.versions(arrays)).await;
            let versions = asked.map_err(no_answer)??;
            return Ok(Outcome::Stored(0, batch.fates_at(&versions)));
        }
        *is_sent = true;
        let terms = (number, self.synced, batch.is_plain);
        let sent = tokio::time::timeout(timeout, session.append(arrays, terms)).await;
        match sent.map_err(no_answer).flatten() {
            Ok(appended) => self.stored(Some(batch), &appended),
            Err(failure) if failure.is_lost() || failure.is_final() => Err(failure),
            Err(failure) => {
                // The server has undone it.
                *is_sent = false;
                if failure.is_transient() {
                    let ended = tokio::time::timeout(timeout, session.end_silent()).await;
                    ended.map_err(no_answer)??;
                    return Err(failure);
                }
                let error = failure.into_error("append to", self.server.place());
                Ok(Outcome::Failed(CommitError::NotStored(error)))
            }
        }
    }

    /// The session, or a new one if its connection was lost.
    async fn take_session(&mut self) -> Result<Session, Failure> {
        let known = self.session.take();
        match known.filter(|session| !session.connection.client.is_closed()) {
            Some(session) => Ok(session),
            None => self.reconnect().await,
        }
    }

    async fn reconnect(&mut self) -> Result<Session, Failure> {
        let mut session = session::resume(&self.server, self.writer).await?;
        // The turn was lost with the session.
        if let Some(number) = self.turn {
            let (schema, timeout) = (self.server.schema(), self.server.timeout());
            let again = session.take_turn_again(schema, number);
            let again = tokio::time::timeout(timeout, again).await;
            if !again.map_err(|_| Failure::NoAnswer(timeout))?? {
                self.turn = None;
            }
        }
        tracing::info!(place = self.server.place(), "the server is reached again");
        Ok(session)
    }

    /// The outcome of a batch that the server has answered. Without a batch nobody waits for it.
    fn stored(&self, batch: Option<&Batch>, appended: &Appended) -> Result<Outcome, Failure> {
        self.server.learn(appended.head, appended.chain)?;
        let fates = batch.map(|batch| batch.fates(&appended.refused, &appended.actual));
        Ok(Outcome::Stored(appended.before, fates.unwrap_or_default()))
    }

    /// The store writes nothing more.
    fn lost(&self, failure: Failure, is_sent: bool) -> CommitError {
        let error = failure.into_error("append to", self.server.place());
        tracing::error!(%error, "the store has failed: it must be opened again");
        let error = self.health.fail(error);
        if is_sent {
            CommitError::Unknown(error)
        } else {
            CommitError::Failed(error)
        }
    }

    fn settle(&mut self, batch: Batch, outcome: Outcome) {
        let finished = match outcome {
            Outcome::Stored(before, fates) => batch.finish(before, &fates),
            Outcome::Failed(error) => batch.fail(&error),
        };
        self.answer(finished);
    }

    fn answer(&self, finished: Finished) {
        self.meters.answer_at(monotonic_nanos());
        self.give_back(finished.kib, finished.commits);
        for answer in finished.answers {
            respond(answer);
        }
        for stream in finished.starving {
            let ask = listener::ask_to_give_way(self.server.clone(), self.writer, stream);
            drop(tokio::spawn(ask));
        }
        for (stream, place, draft) in finished.snapshots {
            self.snapshots.save(Job {
                stream,
                place,
                draft,
            });
        }
    }

    /// Gives back the room of so many commits.
    fn give_back(&self, kib: u32, commits: u64) {
        self.room.add_permits(kib as usize);
        self.meters.appended.in_hand.subtract(commits);
    }

    /// Counts a batch that was begun at `started`.
    fn count(&self, batch: &Batch, outcome: &Outcome, started: u64) {
        let appended = &self.meters.appended;
        match outcome {
            Outcome::Stored(before, fates) => {
                let commits = fates.iter().filter(|fate| **fate == Fate::Stored).count() as u64;
                let events = batch.end(*before, fates) - before;
                // A commit without events asks where its streams are.
                if events > 0 {
                    self.news.tell();
                    appended.events.add(events);
                    appended.bytes.add(batch.bytes as u64);
                    appended.commits.add(commits);
                    appended.batch.add(commits);
                    appended.sync.add(monotonic_nanos().saturating_sub(started));
                }
                self.health.note_batch(Ok(()));
            }
            Outcome::Failed(error) => {
                appended.failed.add(1);
                if let CommitError::NotStored(error) = error {
                    self.health.note_batch(Err(error));
                }
            }
        }
    }

    /// Refuses what waits, because the server was away for longer than callers wait.
    fn refuse_while_away(&mut self) -> Next {
        while let Ok(request) = self.requests.try_recv() {
            if matches!(request, Request::Close) {
                return Next::Ends;
            }
            let kib = request.kib();
            self.give_back(kib, u64::from(kib > 0));
            let place = self.server.place();
            let failure = Failure::NoAnswer(self.server.timeout());
            let error = failure.into_error("append to", place);
            refuse(request, &CommitError::NotStored(error));
        }
        Next::Goes
    }
}

impl Session {
    /// Calls `append` with a batch: its number, whether the server must sync it, and whether it is plain.
    async fn append(
        &mut self,
        arrays: &Arrays,
        (number, synced, is_plain): (i64, bool, bool),
    ) -> Result<Appended, Failure> {
        let terms = (self.writer(), number, synced, is_plain);
        let params = arrays.params(&terms);
        let rows = self.connection.query(APPEND, &params).await?;
        // A function without a result set returns one row.
        let row = rows.first().ok_or(Failure::Forgotten)?;
        Ok(Appended {
            before: unsigned(row.get(0)),
            refused: row.get(1),
            actual: row.get(2),
            head: unsigned(row.get(3)),
            chain: row.get(4),
        })
    }

    /// The versions of the streams that the batch expects at versions.
    async fn versions(&mut self, arrays: &Arrays) -> Result<Vec<i64>, Failure> {
        let (types, ids) = arrays.streams();
        let rows = self.connection.query(VERSIONS, &[&types, &ids]).await?;
        Ok(rows.iter().map(|row| row.get(0)).collect())
    }
}

fn refuse(request: Request, error: &CommitError) {
    respond(|| request.refuse(error));
}

/// Answers a request.
fn respond(answer: impl FnOnce()) {
    // Values of the caller's types are dropped here. Their panics must not reach this task.
    if catch_unwind(AssertUnwindSafe(answer)).is_err() {
        tracing::error!("a panic in the answer to a command was ignored");
    }
}
