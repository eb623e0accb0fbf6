//! Learning what other stores append: [`listen`]. The server's notifications only wake; where the log
//! ends is asked.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::storage::postgres::connection::Connection;
use crate::storage::postgres::failure::Failure;
use crate::storage::postgres::in_use::StreamInUse;
use crate::storage::postgres::known::HEAD;
use crate::storage::postgres::pauses::Pauses;
use crate::storage::postgres::rows::unsigned;
use crate::storage::postgres::server::{FIRST_PAUSE, LONGEST_PAUSE, Server};

/// How long the end of the log may go unasked.
const POLL: Duration = Duration::from_secs(1);
/// In a notification of a store that never comes first in a stream.
const STARVES: &str = "starves-in";
const NOTIFY: &str = "SELECT pg_notify(channel(), $1)";
const CHANNEL: &str = "SELECT channel()";

/// Follows the end of the log, until the task is ended. `writer` is the number of this store, whose own
/// commits are no news.
pub(super) async fn listen(server: Arc<Server>, writer: i64, pauses: Arc<Pauses>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Err(failure) = follow(&server, (writer, &pauses), &mut pause).await;
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
    (writer, pauses): (i64, &Arc<Pauses>),
    pause: &mut Duration,
) -> Result<Infallible, Failure> {
    let heard = Arc::new(Notify::new());
    let (news, own, pauses) = (heard.clone(), writer.to_string(), pauses.clone());
    let hear = move |payload: &str| {
        let mut words = payload.split(' ');
        if words.next() == Some(own.as_str()) {
            return;
        }
        match (words.next(), words.next(), words.next()) {
            (Some(STARVES), Some(aggregate_type), Some(id)) => pauses.ask(aggregate_type, id),
            _ => news.notify_one(),
        }
    };
    let mut connection = server.connect_and_hear(hear).await?;
    let no_answer = |_| Failure::NoAnswer(server.timeout());
    let started = tokio::time::timeout(server.timeout(), listen_on(&mut connection)).await;
    started.map_err(no_answer)??;
    loop {
        let asked = tokio::time::timeout(server.timeout(), connection.query(HEAD, &[])).await;
        let rows = asked.map_err(no_answer)??;
        let end = rows.first().ok_or(Failure::Forgotten)?;
        server.learn(unsigned(end.get(0)), end.get(1))?;
        *pause = FIRST_PAUSE;
        // Nothing heard is as good as something.
        let _ = tokio::time::timeout(POLL, heard.notified()).await;
    }
}

async fn listen_on(connection: &mut Connection) -> Result<(), Failure> {
    let rows = connection.query(CHANNEL, &[]).await?;
    let channel: &str = rows.first().ok_or(Failure::Forgotten)?.get(0);
    let listen = format!("LISTEN {channel}");
    connection.client.batch_execute(&listen).await?;
    Ok(())
}
