//! Conditional requests (RFC 9110, section 13): [`Precondition`].

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::error::{ExecuteError, StateError};
use crate::http::etag::{EntityTag, Tags, etag, read};
use crate::http::problem::{ProblemDetails, ProblemType};
use crate::ids::Version;
use crate::runtime::committed::Committed;
use crate::runtime::handle::AggregateHandle;

/// No stream is at this version. A command that expects it is refused, unless its idempotency key is known:
/// then it is answered as before.
const NEVER: u64 = u64::MAX;

/// The condition of a request on the version of an aggregate, from its headers `If-Match` and
/// `If-None-Match`. The tag of version 7 is `"7"`, as [`etag`] writes it.
///
/// As an extractor it is never missing: a request without the headers has no condition. Headers that cannot be
/// read are answered 400.
///
/// | header | the condition holds | RFC 9110 |
/// |---|---|---|
/// | `If-Match: "7"` | at version 7; also in a list | 13.1.1 |
/// | `If-Match: W/"7"` | never: a weak tag does not match | 13.1.1, 8.8.3.2 |
/// | `If-Match: *` | if the aggregate exists | 13.1.1 |
/// | `If-None-Match: *` | if the aggregate does not exist | 13.1.2 |
/// | `If-None-Match: "7"`, `W/"7"` | at any other version, or if it does not exist | 13.1.2 |
///
/// With both headers, `If-Match` comes first and both must hold (13.2.2). `If-Modified-Since` and
/// `If-Unmodified-Since` are ignored, as 13.1.3 and 13.1.4 ask for where nothing has a date of modification.
/// `"07"` is not the tag of version 7: tags are compared byte by byte.
///
/// An aggregate exists from its first event on, which is version 1. What a condition does not hold for is
/// answered 412, with the current version; a read is answered 304 if `If-None-Match` has its tag.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::extract::{Path, State};
/// use axum::response::Response;
/// use eventfold_es::http::{CommandAnswer, JsonBody, Precondition, ProblemDetails};
///
/// async fn add(
///     State(store): State<AggregateStore>,
///     Path(id): Path<String>,
///     condition: Precondition,
///     JsonBody(add): JsonBody<Add>,
/// ) -> Result<CommandAnswer, ProblemDetails> {
///     let counter = store.get::<Counter>(&id).await?;
///     let condition = condition.required()?; // otherwise 428
///     let done = condition.send(&counter, add, CommandContext::default()).await?;
///     Ok(CommandAnswer::from(&done))
/// }
///
/// async fn show(
///     State(store): State<AggregateStore>,
///     Path(id): Path<String>,
///     condition: Precondition,
/// ) -> Result<Response, ProblemDetails> {
///     let counter = store.find::<Counter>(&id).await?.ok_or_else(ProblemDetails::not_found)?;
///     let loaded = counter.load().await?;
///     Ok(condition.respond(loaded.version, JsonBody(loaded.state)))
/// }
/// ```
#[doc(alias("if-match", "if-none-match", "etag", "rfc 9110", "304", "412"))]
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a condition that nobody looks at holds for nothing"]
pub struct Precondition {
    if_match: Option<Tags>,
    if_none_match: Option<Tags>,
}

impl Precondition {
    /// The condition in these headers.
    ///
    /// # Errors
    ///
    /// 400: a header cannot be read. The detail says which, and why.
    ///
    /// ```
    /// use axum::http::{HeaderMap, header};
    /// use eventfold_es::http::Precondition;
    ///
    /// let mut headers = HeaderMap::new();
    /// headers.insert(header::IF_MATCH, "\"7\", \"9\"".parse()?);
    /// let condition = Precondition::read(&headers)?;
    /// assert!(condition.holds(7.into()) && condition.holds(9.into()) && !condition.holds(8.into()));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn read(headers: &HeaderMap) -> Result<Self, ProblemDetails> {
        Ok(Self {
            if_match: read(headers, &header::IF_MATCH)?,
            if_none_match: read(headers, &header::IF_NONE_MATCH)?,
        })
    }

    /// The condition itself, if it guards against lost updates: with `If-Match`, or with `If-None-Match: *`.
    ///
    /// # Errors
    ///
    /// 428 (RFC 6585, section 3): the request has neither.
    ///
    /// See the example of [`Precondition`].
    pub fn required(&self) -> Result<&Self, ProblemDetails> {
        if self.if_match.is_some() || self.if_none_match == Some(Tags::Any) {
            return Ok(self);
        }
        Err(
            ProblemDetails::of(ProblemType::ConditionRequired).with_detail(
                "Send the `ETag` that you have read as `If-Match`, or `If-None-Match: *` to create it.",
            ),
        )
    }

    /// Whether the condition holds for an aggregate at this version.
    ///
    /// See the example of [`read`](Self::read).
    #[must_use]
    pub fn holds(&self, version: Version) -> bool {
        self.matches(version) && self.none_matches(version)
    }

    fn matches(&self, version: Version) -> bool {
        match &self.if_match {
            None => true,
            Some(Tags::Any) => version != 0,
            Some(Tags::Listed(tags)) => tags.iter().any(|tag| tag.strong() == Some(version)),
        }
    }

    fn none_matches(&self, version: Version) -> bool {
        match &self.if_none_match {
            None => true,
            Some(Tags::Any) => version == 0,
            Some(Tags::Listed(tags)) => tags.iter().all(|tag| tag.weak() != Some(version)),
        }
    }

    /// Whether the condition holds at `version` and at every later one: versions never go back.
    fn holds_from(&self, version: Version) -> bool {
        let has_begun = !matches!(self.if_match, Some(Tags::Listed(_)));
        let has_passed = match &self.if_none_match {
            None => true,
            Some(Tags::Any) => false,
            Some(Tags::Listed(tags)) => {
                let mut versions = tags.iter().filter_map(EntityTag::weak);
                versions.all(|tag| tag < version)
            }
        };
        has_begun && has_passed && self.holds(version)
    }

    /// The only version at which the condition can hold, if there is no more than one.
    fn only_version(&self) -> Option<Version> {
        let only = match (&self.if_match, &self.if_none_match) {
            (None, Some(Tags::Any)) => Some(Version::default()),
            (Some(Tags::Listed(tags)), _) => match tags.as_slice() {
                [tag] => tag.strong(),
                _ => None,
            },
            _ => None,
        };
        only.filter(|version| self.holds(*version))
    }

    /// Which version a command must [expect](CommandContext::with_expected_version), so that it takes effect
    /// only if the condition holds. `None` if it holds whatever comes in between.
    ///
    /// A list of tags, or `If-Match: *`, needs a look at the aggregate. If another command comes between that
    /// look and this one, the version may differ and the condition hold again: [`send`](Self::send) looks once
    /// more then.
    ///
    /// # Errors
    ///
    /// Those of [`AggregateHandle::version`].
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// # use eventfold_es::http::{Precondition, ProblemDetails};
    /// # async fn example(store: AggregateStore, condition: Precondition) -> Result<(), ProblemDetails> {
    /// let (one, two) = (store.get::<Counter>("c-1").await?, store.get::<Counter>("c-2").await?);
    /// let mut group = store.together().send(&one, Add(5)).send(&two, Add(5));
    /// if let Some(version) = condition.expected_version(&one).await? {
    ///     group = group.expecting(&one, version);
    /// }
    /// group.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn expected_version<A: Aggregate>(
        &self,
        handle: &AggregateHandle<A>,
    ) -> Result<Option<Version>, StateError> {
        if self.is_empty() {
            return Ok(None);
        }
        if let Some(only) = self.only_version() {
            return Ok(Some(only));
        }
        let current = handle.version().await?;
        Ok(if self.holds_from(current) {
            None
        } else if self.holds(current) {
            Some(current)
        } else {
            Some(NEVER.into())
        })
    }

    fn is_empty(&self) -> bool {
        self.if_match.is_none() && self.if_none_match.is_none()
    }

    /// Sends a command that takes effect only if the condition holds when it is decided. Without a condition it
    /// sends the command as it is, with the expected version of `context` if it has one.
    ///
    /// If the client goes away and the future is dropped, the command is executed whole or not at all, as by
    /// [`AggregateHandle::send`].
    ///
    /// # Errors
    ///
    /// Those of [`AggregateHandle::send_with`]. [`ExecuteError::ExpectedVersion`] says that the condition does not
    /// hold, and becomes a 412; its `actual` is the version of the aggregate. A command under a known idempotency
    /// key is answered as before, whatever the version is now.
    ///
    /// See the example of [`Precondition`].
    pub async fn send<A: Aggregate>(
        &self,
        handle: &AggregateHandle<A>,
        command: impl Into<A::Command>,
        mut context: CommandContext,
    ) -> Result<Committed<A>, ExecuteError<A::Error>> {
        let mut command = command.into();
        if self.is_empty() {
            return handle.send_with(command, context).await;
        }
        loop {
            context.expected_version = self.expected_version(handle).await?;
            let again = A::repeat(&command);
            match handle.send_with(command, context.clone()).await {
                // Another command came in between, and the condition holds again. Versions only grow, so
                // a list of tags ends this.
                Err(ExecuteError::ExpectedVersion { actual, .. }) if self.holds(actual) => {
                    command = again.ok_or(ExecuteError::Conflict)?;
                }
                answer => return answer,
            }
        }
    }

    /// Answers a read (`GET`, `HEAD`) of an aggregate at this version: with `answer` and the version as `ETag`;
    /// with 304 and without a body if `If-None-Match` has the version; with 412 if `If-Match` does not have it.
    ///
    /// An answer other than 2xx stays as it is (RFC 9110, section 13.2.1).
    ///
    /// The tag is a strong one: it promises the same bytes (8.8.1). So an answer that depends on more than the
    /// aggregate, on who asks or on `Accept` for example, belongs to another address, or has a tag of the host's.
    ///
    /// See the example of [`Precondition`].
    pub fn respond(&self, version: Version, answer: impl IntoResponse) -> Response {
        let mut response = answer.into_response();
        if !response.status().is_success() {
            return response;
        }
        if !self.matches(version) {
            return ProblemDetails::version_not_met(version).into_response();
        }
        if !self.none_matches(version) {
            response = not_modified(&response);
        }
        if let Some(tag) = etag(version) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// 304 with the headers that the 200 would have had (RFC 9110, section 15.4.5).
fn not_modified(instead_of: &Response) -> Response {
    let mut response = StatusCode::NOT_MODIFIED.into_response();
    let kept = [
        header::CACHE_CONTROL,
        header::CONTENT_LOCATION,
        header::EXPIRES,
        header::VARY,
    ];
    for name in kept {
        let values: Vec<HeaderValue> = instead_of
            .headers()
            .get_all(&name)
            .iter()
            .cloned()
            .collect();
        for value in values {
            response.headers_mut().append(&name, value);
        }
    }
    response
}

impl<S: Sync> FromRequestParts<S> for Precondition {
    type Rejection = ProblemDetails;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ProblemDetails> {
        Self::read(&parts.headers)
    }
}
