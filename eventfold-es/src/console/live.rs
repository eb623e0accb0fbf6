//! New events as they come: server-sent events for the page of the log.

use std::convert::Infallible;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::console::asked::{Asked, Base};
use crate::console::event::{Event, FOR_LIST};
use crate::console::failure::{Failure, Result};
use crate::console::html::event_row;
use crate::console::layout::with_type;
use crate::console::reading::{LOOKED_AT, Wanted};
use crate::console::shared::Shared;
use crate::runtime::background::{blocking, within};

/// How many events are read in one go. No more wait for a browser that takes them slowly.
const PORTION: usize = 100;
/// How often something is sent where there is nothing to tell, so that a lost connection is noticed.
const ALIVE: Duration = Duration::from_secs(15);

/// Follows the log after the position `after`.
///
/// `last` is what a browser has that lost its connection.
pub(crate) fn follow(
    shared: &Arc<Shared>,
    asked: &Asked,
    wanted: Wanted,
    last: Option<u64>,
) -> Result<Response<Body>> {
    asked.required("after")?;
    let after = asked.number("after")?.unwrap_or(0).max(last.unwrap_or(0));
    let Ok(permit) = shared.listeners.clone().try_acquire_owned() else {
        return Err(Failure::Busy(
            "Too many pages follow the log. Close one, or load this page again later.".to_owned(),
        ));
    };
    let (send, receive) = mpsc::channel(1);
    let shared = shared.clone();
    let base = asked.base.clone();
    tokio::spawn(async move {
        let told = tell(&shared, &wanted, &base, after, &send).await;
        if let Err(error) = told {
            // The page shows the reason and stops.
            let reason = crate::text::Shown(&error).to_string();
            let _ = send.send(format!("event: end\ndata: {reason}\n\n")).await;
        }
        drop(permit);
    });
    let mut response = with_type(
        StatusCode::OK,
        "text/event-stream",
        Body::from_stream(Told(receive)),
    );
    // A proxy that collects answers would show nothing.
    let buffering = axum::http::HeaderName::from_static("x-accel-buffering");
    let no = axum::http::HeaderValue::from_static("no");
    response.headers_mut().insert(buffering, no);
    Ok(response)
}

/// Sends events until the browser goes away.
async fn tell(
    shared: &Arc<Shared>,
    wanted: &Wanted,
    base: &Base,
    mut after: u64,
    send: &mpsc::Sender<String>,
) -> std::io::Result<()> {
    if send.send(": listening\n\n".to_owned()).await.is_err() {
        return Ok(());
    }
    loop {
        let more = tokio::select! {
            () = send.closed() => return Ok(()),
            more = within(ALIVE, shared.source.reached(after)) => more?,
        };
        let Some(more) = more else {
            if send.send(": alive\n\n".to_owned()).await.is_err() {
                return Ok(());
            }
            continue;
        };
        more?;
        let (read, shared) = (wanted.clone(), shared.clone());
        let base = base.clone();
        let (text, last) = blocking(move || portion(&shared, &read, &base, after)).await?;
        after = last;
        if !text.is_empty() && send.send(text).await.is_err() {
            return Ok(());
        }
    }
}

/// The next events as they are sent, and the position up to which they were read.
fn portion(
    shared: &Shared,
    wanted: &Wanted,
    base: &Base,
    after: u64,
) -> std::io::Result<(String, u64)> {
    let now = shared.source.now();
    let head = shared.source.head();
    let (mut text, mut last) = (String::new(), after);
    let (mut left, mut looked_at) = (PORTION, 0);
    shared.source.read(after, &mut |stored| {
        last = stored.record().position;
        looked_at += 1;
        if wanted.takes(stored) {
            let row = event_row(base, &Event::of(stored, FOR_LIST), now, true).into_string();
            text.push_str("id: ");
            text.push_str(&last.to_string());
            text.push_str("\ndata: ");
            // Rows have no line ends: hidden characters are written as text.
            text.push_str(&row.replace('\n', " "));
            text.push_str("\n\n");
            left -= 1;
        }
        if left == 0 || looked_at == LOOKED_AT {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let has_all = left > 0 && looked_at < LOOKED_AT;
    Ok((text, if has_all { last.max(head) } else { last }))
}

/// What is told, as a body.
struct Told(mpsc::Receiver<String>);

impl Stream for Told {
    type Item = std::result::Result<String, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|text| text.map(Ok))
    }
}
