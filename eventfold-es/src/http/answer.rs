//! The response to a command: [`CommandAnswer`].

use std::fmt::Write as _;

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::domain::aggregate::Aggregate;
use crate::domain::decider::Decider;
use crate::http::body::JsonBody;
use crate::http::etag::etag;
use crate::ids::{Position, Version};
use crate::runtime::committed::Committed;
use crate::runtime::decisions::decide::Decided;
use crate::runtime::together::CommittedTogether;

/// The header of a [`CommandAnswer`] with the position of its newest event. A client sends it back as
/// `?after=`, for [`After`](crate::http::After).
///
/// ```
/// assert_eq!(eventfold_es::http::POSITION, "eventfold-position");
/// ```
pub const POSITION: HeaderName = HeaderName::from_static("eventfold-position");

/// The response to a command that succeeded. It says at which version the aggregate is, as `ETag`, and at which
/// position the newest of the events is, as [`Eventfold-Position`](POSITION).
///
/// Its status is 200, and its body JSON with `version`, `position` and `repeated`, which says that the answer is
/// that of an earlier command under the same idempotency key. [`created`](Self::created), [`no_content`](Self::no_content)
/// and [`with_body`](Self::with_body) change that.
///
/// The answer to a `PUT` that stores its body in another form must have no `ETag` (RFC 9110, section 9.3.4):
/// [`without_etag`](Self::without_etag).
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::response::IntoResponse as _;
/// use eventfold_es::http::CommandAnswer;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = AggregateStore::in_memory().open().await?;
/// let done = store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// let response = CommandAnswer::from(&done).created("/counters/c-1").into_response();
/// assert_eq!(response.status(), 201);
/// assert_eq!(response.headers()["etag"], "\"1\"");
/// assert_eq!(response.headers()["eventfold-position"], "1");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "the client waits for it"]
pub struct CommandAnswer {
    status: StatusCode,
    location: Option<HeaderValue>,
    told: Told,
    has_etag: bool,
    has_body: bool,
}

/// The body, unless there is another one.
#[derive(Debug, Clone, Copy, Serialize)]
struct Told {
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Version>,
    position: Position,
    repeated: bool,
}

impl CommandAnswer {
    fn new(version: Option<Version>, position: Position, repeated: bool) -> Self {
        Self {
            status: StatusCode::OK,
            location: None,
            told: Told {
                version,
                position,
                repeated,
            },
            has_etag: true,
            has_body: true,
        }
    }

    /// Answers 201, with the address of what was created as `Location`. What may not stand in an address is
    /// percent-encoded.
    ///
    /// See the example of [`CommandAnswer`].
    pub fn created(mut self, location: &str) -> Self {
        let mut encoded = String::with_capacity(location.len());
        for byte in location.bytes() {
            if byte.is_ascii_graphic()
                && !matches!(
                    byte,
                    b'"' | b'<' | b'>' | b'\\' | b'^' | b'`' | b'{' | b'|' | b'}'
                )
            {
                encoded.push(char::from(byte));
            } else {
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        self.status = StatusCode::CREATED;
        self.location = HeaderValue::try_from(encoded).ok();
        self
    }

    /// Answers 204, without a body.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use eventfold_es::http::{CommandAnswer, ProblemDetails};
    /// async fn add(counter: AggregateHandle<Counter>) -> Result<CommandAnswer, ProblemDetails> {
    ///     let done = counter.send(Add(5)).await?;
    ///     Ok(CommandAnswer::from(&done).no_content())
    /// }
    /// ```
    pub fn no_content(mut self) -> Self {
        self.status = StatusCode::NO_CONTENT;
        self.has_body = false;
        self
    }

    /// Answers without `ETag`.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use eventfold_es::http::{CommandAnswer, ProblemDetails};
    /// async fn put(counter: AggregateHandle<Counter>) -> Result<CommandAnswer, ProblemDetails> {
    ///     let done = counter.send(Add(5)).await?;
    ///     Ok(CommandAnswer::from(&done).no_content().without_etag())
    /// }
    /// ```
    pub fn without_etag(mut self) -> Self {
        self.has_etag = false;
        self
    }

    /// Answers with another body, to which the headers are added. Its status counts if it is not 200.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// use axum::response::Response;
    /// use eventfold_es::http::{CommandAnswer, JsonBody, ProblemDetails};
    ///
    /// async fn add(counter: AggregateHandle<Counter>) -> Result<Response, ProblemDetails> {
    ///     let done = counter.send(Add(5)).await?;
    ///     let events = JsonBody(&done.events);
    ///     Ok(CommandAnswer::from(&done).with_body(events))
    /// }
    /// ```
    #[must_use]
    pub fn with_body(self, body: impl IntoResponse) -> Response {
        let mut response = body.into_response();
        if response.status() == StatusCode::OK {
            *response.status_mut() = self.status;
        }
        let headers = response.headers_mut();
        let position = HeaderValue::from(self.told.position.get());
        headers.insert(POSITION, position);
        let tag = self.told.version.filter(|_| self.has_etag).and_then(etag);
        if let Some(tag) = tag {
            headers.insert(header::ETAG, tag);
        }
        if let Some(location) = self.location {
            headers.insert(header::LOCATION, location);
        }
        response
    }
}

impl<A: Aggregate> From<&Committed<A>> for CommandAnswer {
    fn from(done: &Committed<A>) -> Self {
        Self::new(Some(done.version), done.position, done.repeated)
    }
}

/// A decision is about no single resource, so there is no version.
impl<D: Decider> From<&Decided<D>> for CommandAnswer {
    fn from(done: &Decided<D>) -> Self {
        Self::new(None, done.position, done.repeated)
    }
}

/// Several resources have changed, so there is no version.
impl From<&CommittedTogether> for CommandAnswer {
    fn from(done: &CommittedTogether) -> Self {
        Self::new(None, done.position, done.repeated)
    }
}

impl IntoResponse for CommandAnswer {
    fn into_response(self) -> Response {
        if self.has_body {
            let told = JsonBody(self.told);
            self.with_body(told)
        } else {
            self.with_body(())
        }
    }
}
