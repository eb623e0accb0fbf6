//! Server-sent events: [`EventStream`] and [`LastEventId`].

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderName, HeaderValue};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_core::Stream;
use serde::Serialize;

use crate::event::RecordedEvent;
use crate::following::subscription::Subscription;
use crate::http::head::check_stored;
use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::Position;
use crate::store::AggregateStore;

/// How often a comment is sent where there is nothing to tell, so that a lost connection is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// A proxy that collects responses would show nothing.
const BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The header `Last-Event-ID`: where a browser was when it lost the connection of its `EventSource`.
///
/// As an extractor it is never missing. One that is not a position is answered 400.
///
/// See the example of [`EventStream`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a browser that comes back would get everything again"]
pub struct LastEventId(Option<Position>);

impl LastEventId {
    /// The position, `None` if the request has no such header.
    ///
    /// ```
    /// # use eventfold_es::http::LastEventId;
    /// fn is_new(last: LastEventId) -> bool {
    ///     last.position().is_none()
    /// }
    /// ```
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.0
    }

    /// Subscribes to the events after this position; without one, to those after `from`.
    ///
    /// # Errors
    ///
    /// 400: the position is ahead of the newest event, so it comes from another store, or this one was restored
    /// from a backup. 410: the events after it were
    /// [dropped](crate::AggregateStoreBuilder::keep_journal_for). 503: the database is not reached, or the store is shut down.
    ///
    /// See the example of [`EventStream`].
    pub async fn subscribe(
        self,
        store: &AggregateStore,
        from: Position,
    ) -> Result<Subscription, ProblemDetails> {
        let position = self.0.unwrap_or(from);
        check_stored(store, position, "`Last-Event-ID`").await?;
        check_kept(position, store.inner.storage.dropped())?;
        Ok(store.subscribe(position))
    }
}

/// Fails if events after `position` were dropped from the journal, which has none up to `dropped`. A stream that
/// ended by that would be asked for again and again.
fn check_kept(position: Position, dropped: u64) -> Result<(), ProblemDetails> {
    if position.get() < dropped {
        return Err(ProblemDetails::dropped(Position::new(dropped)));
    }
    Ok(())
}

impl<S: Sync> FromRequestParts<S> for LastEventId {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemDetails> {
        let mut values = parts.headers.get_all("last-event-id").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let position = match values.next() {
            None => value.to_str().ok().and_then(|text| text.parse().ok()),
            Some(_) => None,
        };
        match position {
            Some(position) => Ok(Self(Some(position))),
            None => Err(ProblemDetails::of(ProblemType::Malformed)
                .with_detail("`Last-Event-ID`: it is not a position of this service.")),
        }
    }
}

/// Events as they come, as server-sent events (`text/event-stream`). The `id` of each is its position. A browser
/// that loses the connection sends it back as `Last-Event-ID`, and goes on exactly after it: nothing is left out and
/// nothing comes twice.
///
/// While there is nothing to tell, a comment is sent every 15 seconds. The stream ends when the store is shut
/// down, and earlier when [`serve`](crate::http::serve()) is told to end. If the log cannot be read it ends too, and
/// the log of the program has the error.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::extract::State;
/// use eventfold_es::http::{After, EventStream, LastEventId, ProblemDetails};
/// use serde_json::json;
///
/// async fn live(
///     State(store): State<AggregateStore>,
///     after: After, // where a page begins that has just read up to there
///     last: LastEventId,
/// ) -> Result<EventStream, ProblemDetails> {
///     let from = after.position().unwrap_or_else(|| store.head());
///     let events = last.subscribe(&store, from).await?.aggregate::<Counter>();
///     Ok(EventStream::new(events, |event| {
///         Some(json!({ "counter": event.id(), "event": event.name() }))
///     }))
/// }
/// ```
#[doc(alias("sse", "eventsource", "live", "push"))]
#[must_use = "the client waits for it"]
pub struct EventStream {
    told: ToldEvents,
    keep_alive: Duration,
}

/// What is sent for an event: JSON, or nothing.
type Tell = Box<dyn FnMut(&RecordedEvent) -> serde_json::Result<Option<String>> + Send>;

impl EventStream {
    /// The events of `subscription`. `tell` says what is sent as the `data` of each, in JSON. An event that it
    /// returns `None` for is left out.
    ///
    /// See the example of [`EventStream`].
    pub fn new<T: Serialize>(
        subscription: Subscription,
        mut tell: impl FnMut(&RecordedEvent) -> Option<T> + Send + 'static,
    ) -> Self {
        let tell: Tell = Box::new(move |event| {
            let told = tell(event).map(|told| serde_json::to_string(&told));
            told.transpose()
        });
        Self {
            told: ToldEvents {
                subscription: Some(subscription),
                tell,
            },
            keep_alive: KEEP_ALIVE,
        }
    }

    /// How often a comment is sent while there is nothing to tell.
    ///
    /// ```
    /// # use eventfold_es::http::EventStream;
    /// # use std::time::Duration;
    /// fn behind_an_impatient_proxy(events: EventStream) -> EventStream {
    ///     events.keep_alive(Duration::from_secs(5))
    /// }
    /// ```
    pub fn keep_alive(mut self, every: Duration) -> Self {
        self.keep_alive = every;
        self
    }
}

impl IntoResponse for EventStream {
    fn into_response(self) -> Response {
        let keep_alive = KeepAlive::new().interval(self.keep_alive);
        let mut response = Sse::new(self.told).keep_alive(keep_alive).into_response();
        let headers = response.headers_mut();
        headers.insert(BUFFERING, HeaderValue::from_static("no"));
        response
    }
}

impl fmt::Debug for EventStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventStream")
            .field("subscription", &self.told.subscription)
            .field("keep_alive", &self.keep_alive)
            .finish()
    }
}

struct ToldEvents {
    /// `None` after the end.
    subscription: Option<Subscription>,
    tell: Tell,
}

impl Stream for ToldEvents {
    type Item = io::Result<Event>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        while let Some(subscription) = &mut this.subscription {
            let event = match ready!(Pin::new(subscription).poll_next(context)) {
                Some(Ok(event)) => event,
                ended => {
                    if let Some(Err(error)) = ended {
                        note_end(&error);
                    }
                    this.subscription = None;
                    break;
                }
            };
            match (this.tell)(&event) {
                Ok(Some(json)) => {
                    let id = event.position().to_string();
                    return Poll::Ready(Some(Ok(Event::default().id(id).data(json))));
                }
                Ok(None) => {}
                Err(error) => {
                    let position = event.position();
                    tracing::error!(%error, %position, "an event could not be written as JSON for a stream of events");
                    this.subscription = None;
                }
            }
        }
        Poll::Ready(None)
    }
}

fn note_end(error: &io::Error) {
    if error.kind() != io::ErrorKind::NotConnected {
        tracing::error!(%error, "a stream of events ended");
    }
}

#[cfg(test)]
mod tests {
    use super::{Position, check_kept};

    #[test]
    fn a_stream_begins_where_the_journal_does_or_later() {
        assert!(check_kept(Position::new(0), 0).is_ok());
        assert!(check_kept(Position::new(17), 17).is_ok());
        assert!(check_kept(Position::new(18), 17).is_ok());
        assert_eq!(check_kept(Position::new(16), 17).unwrap_err().status(), 410);
    }
}
