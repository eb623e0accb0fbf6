//! Learning what other stores append, and telling them: [`listen`]. The server's notifications only wake;
//! where the log ends is asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio_postgres::types::ToSql;

use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::known::HEAD;
use crate::storage::postgres::pauses::Pauses;
use crate::storage::postgres::rows::unsigned;
use crate::storage::postgres::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};

/// How long the end of the log may go unasked.
const POLL: Duration = Duration::from_secs(1);
/// How often others are told of new events, at most.
const TELL_EVERY: Duration = Duration::from_millis(5);
/// In a notification of a store that never comes first in a stream.
const STARVES: &str = "starves-in";
/// Nothing is lost with it, so nobody waits until it is durable.
pub(super) const NOTIFY: &str =
    "SELECT set_config('synchronous_commit', 'off', true), pg_notify(channel(), $1)";
const CHANNEL: &str = "SELECT channel()";

/// What the listener is woken for.
#[derive(Debug, Default)]
pub(super) struct News {
    /// Another store has appended.
    of_others: AtomicBool,
    /// This store has appended, and the others do not know.
    own: AtomicBool,
    wake: Notify,
}

impl News {
    /// Lets the other stores know that this one has appended.
    pub(super) fn tell(&self) {
        self.own.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    fn hear(&self) {
        self.of_others.store(true, Ordering::Release);
        self.wake.notify_one();
    }
}

/// Follows the end of the log, until the task is ended. `writer` is the number of this store, whose own
/// commits are no news to it: it tells the others of them.
pub(super) async fn listen(server: Arc<Server>, writer: i64, pauses: Arc<Pauses>, news: Arc<News>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(failure) = follow(&server, (writer, &pauses, &news), &mut pause).await;
        if failure.is_final() {
            return;
        }
        tracing::debug!(
            place = server.place(),
            ?failure,
            "the listener connects again"
        );
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Asks the other stores to give way in the stream.
pub(super) async fn ask_to_give_way(server: Arc<Server>, writer: i64, stream: Arc<StreamInUse>) {
    let (aggregate_type, id) = &stream.names;
    let text = format!("{writer} {STARVES} {aggregate_type} {id}");
    tracing::debug!(stream = %stream.id(), "other stores are asked to give way");
    // If nobody hears it, commands end with a conflict.
    let _ = server
        .query("notify the stores of", NOTIFY, &[Box::new(text)])
        .await;
}

/// Follows the end of the log as long as a connection lasts.
async fn follow(
    server: &Server,
    (writer, pauses, news): (i64, &Arc<Pauses>, &Arc<News>),
    pause: &mut Duration,
) -> Result<Infallible, Failure> {
    let own = writer.to_string();
    let (heard, name, pauses) = (news.clone(), own.clone(), pauses.clone());
    let hear = move |payload: &str| {
        let mut words = payload.split(' ');
        if words.next() == Some(name.as_str()) {
            return;
        }
        match (words.next(), words.next(), words.next()) {
            (Some(STARVES), Some(aggregate_type), Some(id)) => pauses.ask(aggregate_type, id),
            _ => heard.hear(),
        }
    };
    let mut connection = server.connect_and_hear(hear).await?;
    let no_answer = |_| Failure::NoAnswer(server.timeout());
    let started = tokio::time::timeout(server.timeout(), listen_on(&mut connection)).await;
    started.map_err(no_answer)??;
    let (mut asked, mut told) = (None, None);
    loop {
        if news.own.load(Ordering::Acquire) && rest_of(TELL_EVERY, told).is_zero() {
            told = Some(Instant::now());
            news.own.store(false, Ordering::Release);
            let params: [&(dyn ToSql + Sync); 1] = [&own];
            let telling = connection.query(NOTIFY, &params);
            let telling = tokio::time::timeout(server.timeout(), telling).await;
            // If it fails, it is told on the next connection.
            if !matches!(telling, Ok(Ok(_))) {
                news.own.store(true, Ordering::Release);
                telling.map_err(no_answer)??;
            }
        }
        if news.of_others.swap(false, Ordering::AcqRel) || rest_of(POLL, asked).is_zero() {
            asked = Some(Instant::now());
            let end = tokio::time::timeout(server.timeout(), connection.query(HEAD, &[])).await;
            let rows = end.map_err(no_answer)??;
            let end = rows.first().ok_or(Failure::Forgotten)?;
            server.learn(unsigned(end.get(0)), end.get(1))?;
            *pause = FIRST_PAUSE;
            continue;
        }
        let mut rest = rest_of(POLL, asked);
        if news.own.load(Ordering::Acquire) {
            rest = rest.min(rest_of(TELL_EVERY, told));
        }
        // Nothing heard is as good as something.
        let _ = tokio::time::timeout(rest, news.wake.notified()).await;
    }
}

/// What is left of `pause` since this moment.
fn rest_of(pause: Duration, since: Option<Instant>) -> Duration {
    since.map_or(Duration::ZERO, |since| {
        pause.saturating_sub(since.elapsed())
    })
}

async fn listen_on(connection: &mut Connection) -> Result<(), Failure> {
    let rows = connection.query(CHANNEL, &[]).await?;
    let channel: &str = rows.first().ok_or(Failure::Forgotten)?.get(0);
    let listen = format!("LISTEN {channel}");
    connection.client.batch_execute(&listen).await?;
    Ok(())
}
