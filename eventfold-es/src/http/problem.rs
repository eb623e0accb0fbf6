//! Problem details by RFC 9457: [`ProblemDetails`] and [`ProblemType`].

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value};
use uuid::Uuid;

/// Where the types of problems are described.
const TYPES: &str = "https://docs.rs/eventfold-es/latest/eventfold_es/http/index.html#";

/// The media type of problem details.
pub(crate) const MEDIA_TYPE: &str = "application/problem+json";

/// The members of RFC 9457.
const OWN_MEMBERS: [&str; 5] = ["type", "title", "status", "detail", "instance"];

/// The types of problems that this module answers. Each has a status and a URI that clients tell it by; the
/// [table](crate::http#problems) says when it comes.
///
/// ```
/// use eventfold_es::http::ProblemType;
///
/// assert_eq!(ProblemType::VersionNotMet.status(), 412);
/// assert!(ProblemType::VersionNotMet.uri().ends_with("#version-not-met"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProblemType {
    /// 422: the aggregate or the decision refused the command.
    Refused,
    /// 403: a [layer](crate::Layer) of the store refused the command.
    Forbidden,
    /// 412: a condition of the request does not hold (RFC 9110, section 13).
    VersionNotMet,
    /// 428: the request has no condition, and the route requires one (RFC 6585, section 3).
    ConditionRequired,
    /// 422: the idempotency key belongs to another command.
    KeyReused,
    /// 400: the request has no idempotency key, and the route requires one.
    KeyRequired,
    /// 409: other writers were first, again and again.
    Conflict,
    /// 410: the aggregate has [ended](crate::AggregateStore::end).
    Ended,
    /// 410: the events were dropped from the journal
    /// ([`keep_journal_for`](crate::AggregateStoreBuilder::keep_journal_for)).
    Dropped,
    /// 409: the aggregate is [archived](crate::AggregateStore::archive).
    Archived,
    /// 400: a header, the query or the body of the request cannot be read.
    Malformed,
    /// 400: no aggregate can have the id.
    InvalidId,
    /// 413: the body or the group of commands is too large.
    TooLarge,
    /// 415: the body is not JSON.
    WrongType,
    /// 404: there is nothing under this address.
    NotFound,
    /// 507: the disk is full. Nothing is stored.
    DiskFull,
    /// 503: the store failed while it made the command durable. It is unknown whether it is stored.
    OutcomeUnknown,
    /// 503: the service is about to end, or what it needs is in use or not reached. Nothing is stored.
    Unavailable,
    /// 503: what is read did not reach the position of `?after=` in time.
    NotReached,
    /// 500: a fault of the service. Nothing is stored.
    Internal,
}

impl ProblemType {
    /// All types.
    ///
    /// ```
    /// use eventfold_es::http::ProblemType;
    ///
    /// let of_the_server = ProblemType::ALL.iter().filter(|it| it.status().is_server_error());
    /// assert_eq!(of_the_server.count(), 5);
    /// ```
    pub const ALL: &[Self] = &[
        Self::Refused,
        Self::Forbidden,
        Self::VersionNotMet,
        Self::ConditionRequired,
        Self::KeyReused,
        Self::KeyRequired,
        Self::Conflict,
        Self::Ended,
        Self::Dropped,
        Self::Archived,
        Self::Malformed,
        Self::InvalidId,
        Self::TooLarge,
        Self::WrongType,
        Self::NotFound,
        Self::DiskFull,
        Self::OutcomeUnknown,
        Self::Unavailable,
        Self::NotReached,
        Self::Internal,
    ];

    /// The status, the end of the URI, and the title.
    fn parts(self) -> (StatusCode, &'static str, &'static str) {
        use StatusCode as S;
        match self {
            Self::Refused => (S::UNPROCESSABLE_ENTITY, "refused", "The command is refused"),
            Self::Forbidden => (S::FORBIDDEN, "forbidden", "The command is not allowed"),
            Self::VersionNotMet => (
                S::PRECONDITION_FAILED,
                "version-not-met",
                "The condition of the request does not hold",
            ),
            Self::ConditionRequired => (
                S::PRECONDITION_REQUIRED,
                "condition-required",
                "The request needs a condition",
            ),
            Self::KeyReused => (
                S::UNPROCESSABLE_ENTITY,
                "key-reused",
                "The idempotency key belongs to another command",
            ),
            Self::KeyRequired => (
                S::BAD_REQUEST,
                "key-required",
                "The request needs an idempotency key",
            ),
            Self::Conflict => (S::CONFLICT, "conflict", "Others were first"),
            Self::Ended => (S::GONE, "ended", "It has ended"),
            Self::Dropped => (S::GONE, "dropped", "The events are not kept any more"),
            Self::Archived => (S::CONFLICT, "archived", "It is archived"),
            Self::Malformed => (S::BAD_REQUEST, "malformed", "The request cannot be read"),
            Self::InvalidId => (S::BAD_REQUEST, "invalid-id", "The id is not valid"),
            Self::TooLarge => (
                S::PAYLOAD_TOO_LARGE,
                "too-large",
                "The request is too large",
            ),
            Self::WrongType => (
                S::UNSUPPORTED_MEDIA_TYPE,
                "wrong-type",
                "The body is not JSON",
            ),
            Self::NotFound => (S::NOT_FOUND, "not-found", "There is nothing here"),
            Self::DiskFull => (S::INSUFFICIENT_STORAGE, "disk-full", "The disk is full"),
            Self::OutcomeUnknown => (
                S::SERVICE_UNAVAILABLE,
                "outcome-unknown",
                "It is unknown whether the command took effect",
            ),
            Self::Unavailable => (
                S::SERVICE_UNAVAILABLE,
                "unavailable",
                "The service is not available",
            ),
            Self::NotReached => (
                S::SERVICE_UNAVAILABLE,
                "not-reached",
                "The position is not reached yet",
            ),
            Self::Internal => (S::INTERNAL_SERVER_ERROR, "internal", "The service failed"),
        }
    }

    /// The status that problems of this type are answered with.
    ///
    /// See the example of [`ProblemType`].
    #[must_use]
    pub fn status(self) -> StatusCode {
        self.parts().0
    }

    /// The member `type` of problems of this type: an address of this documentation.
    ///
    /// See the example of [`ProblemType`].
    #[must_use]
    pub fn uri(self) -> String {
        format!("{TYPES}{}", self.parts().1)
    }

    /// The member `title` of problems of this type.
    ///
    /// ```
    /// assert_eq!(eventfold_es::http::ProblemType::DiskFull.title(), "The disk is full");
    /// ```
    #[must_use]
    pub fn title(self) -> &'static str {
        self.parts().2
    }
}

/// The answer to a request that failed: a status and `application/problem+json` (RFC 9457).
///
/// The errors of the store become one by `?`, see the [module](crate::http#problems). A service makes its own
/// with [`new`](Self::new).
///
/// ```
/// use axum::http::StatusCode;
/// use eventfold_es::http::ProblemDetails;
///
/// let problem = ProblemDetails::new(StatusCode::PAYMENT_REQUIRED)
///     .with_type("https://example.org/problems/no-credit")
///     .with_title("Not enough credit")
///     .with_detail("The account has 30, and the order costs 50.")
///     .with_member("balance", 30);
/// assert_eq!(problem.status(), 402);
/// assert_eq!(problem.to_json()["balance"], 30);
/// ```
#[doc(alias("rfc 9457", "rfc 7807", "problem+json", "error response"))]
#[derive(Clone)]
pub struct ProblemDetails(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    status: StatusCode,
    /// `about:blank` if there is none.
    problem_type: Option<Cow<'static, str>>,
    title: Option<Cow<'static, str>>,
    detail: Option<Cow<'static, str>>,
    instance: Option<String>,
    members: Map<String, Value>,
    headers: HeaderMap,
}

impl ProblemDetails {
    /// A problem that its status says all about: its type is `about:blank`, and its title is that of the
    /// status.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn new(status: StatusCode) -> Self {
        Self(Box::new(Parts {
            status,
            problem_type: None,
            title: status.canonical_reason().map(Cow::Borrowed),
            detail: None,
            instance: None,
            members: Map::new(),
            headers: HeaderMap::new(),
        }))
    }

    /// A problem of a type of this module.
    ///
    /// ```
    /// use eventfold_es::http::{ProblemDetails, ProblemType};
    ///
    /// let problem = ProblemDetails::of(ProblemType::NotFound).with_detail("There is no account `alice`.");
    /// assert_eq!(problem.status(), 404);
    /// ```
    #[must_use]
    pub fn of(problem_type: ProblemType) -> Self {
        let (status, _, title) = problem_type.parts();
        let mut problem = Self::new(status);
        problem.0.problem_type = Some(Cow::Owned(problem_type.uri()));
        problem.0.title = Some(Cow::Borrowed(title));
        problem
    }

    /// Says that a resource does not exist: 404.
    ///
    /// ```
    /// # use eventfold_es::{*, __private::example::*};
    /// use eventfold_es::http::ProblemDetails;
    ///
    /// async fn value(store: &AggregateStore, id: &str) -> Result<u64, ProblemDetails> {
    ///     let counter = store.find::<Counter>(id).await?;
    ///     let counter = counter.ok_or_else(ProblemDetails::not_found)?;
    ///     Ok(counter.state().await?.value)
    /// }
    /// ```
    #[must_use]
    pub fn not_found() -> Self {
        Self::of(ProblemType::NotFound)
    }

    /// A problem of the server. What went wrong goes to the log, with the `instance` that the client gets:
    /// it names files and places that are nobody else's business.
    pub(crate) fn logged(problem_type: ProblemType, error: &dyn fmt::Display) -> Self {
        let instance = format!("urn:uuid:{}", Uuid::new_v4());
        let (status, kind, _) = problem_type.parts();
        let status = status.as_u16();
        if status == 500 {
            tracing::error!(%error, instance, status, problem = kind, "a request failed");
        } else {
            tracing::warn!(%error, instance, status, problem = kind, "a request failed");
        }
        Self::of(problem_type).with_instance(instance)
    }

    /// Sets the `type`: a URI that tells clients which problem it is.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn with_type(mut self, uri: impl Into<Cow<'static, str>>) -> Self {
        self.0.problem_type = Some(uri.into());
        self
    }

    /// Sets the `title`: a sentence for people that is the same for all problems of the type.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Cow<'static, str>>) -> Self {
        self.0.title = Some(title.into());
        self
    }

    /// Sets the `detail`: what people need to know about this occurrence.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Sets the `instance`: a URI of this occurrence.
    ///
    /// ```
    /// # use eventfold_es::http::ProblemDetails;
    /// let problem = ProblemDetails::not_found().with_instance("/requests/17");
    /// assert_eq!(problem.to_json()["instance"], "/requests/17");
    /// ```
    #[must_use]
    pub fn with_instance(mut self, uri: impl Into<String>) -> Self {
        self.0.instance = Some(uri.into());
        self
    }

    /// Adds a member of the problem's type. The members of RFC 9457 have functions of their own and are not
    /// replaced by it.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn with_member(mut self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        let name = name.into();
        if !OWN_MEMBERS.contains(&name.as_str()) {
            self.0.members.insert(name, value.into());
        }
        self
    }

    /// Adds a header to the response.
    ///
    /// ```
    /// use axum::http::{HeaderValue, StatusCode, header};
    /// use eventfold_es::http::ProblemDetails;
    ///
    /// let problem = ProblemDetails::new(StatusCode::UNAUTHORIZED)
    ///     .with_header(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    /// ```
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers.insert(name, value);
        self
    }

    /// Says after what time to send the request again, in whole seconds: the header `Retry-After`.
    ///
    /// ```
    /// # use eventfold_es::http::{ProblemDetails, ProblemType};
    /// # use std::time::Duration;
    /// let problem = ProblemDetails::of(ProblemType::Unavailable).retry_after(Duration::from_secs(5));
    /// ```
    #[must_use]
    pub fn retry_after(self, time: Duration) -> Self {
        let up = u64::from(time.subsec_nanos() > 0);
        let seconds = time.as_secs().saturating_add(up);
        self.with_header(header::RETRY_AFTER, HeaderValue::from(seconds))
    }

    /// The status of the response.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The `type`, `about:blank` if there is none.
    ///
    /// ```
    /// # use eventfold_es::http::ProblemDetails;
    /// # use axum::http::StatusCode;
    /// assert_eq!(ProblemDetails::new(StatusCode::CONFLICT).problem_type(), "about:blank");
    /// ```
    #[must_use]
    pub fn problem_type(&self) -> &str {
        self.0.problem_type.as_deref().unwrap_or("about:blank")
    }

    /// The body of the response.
    ///
    /// See the example of [`ProblemDetails`].
    #[must_use]
    pub fn to_json(&self) -> Value {
        let parts = &*self.0;
        let mut json = Map::new();
        json.insert("type".to_owned(), self.problem_type().into());
        let texts = [
            ("title", parts.title.as_deref()),
            ("detail", parts.detail.as_deref()),
            ("instance", parts.instance.as_deref()),
        ];
        for (name, text) in texts {
            if let Some(text) = text {
                json.insert(name.to_owned(), text.into());
            }
        }
        json.insert("status".to_owned(), parts.status.as_u16().into());
        json.extend(parts.members.clone());
        Value::Object(json)
    }
}

impl fmt::Debug for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for ProblemDetails {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.status.fmt(f)?;
        let texts = [self.0.title.as_deref(), self.0.detail.as_deref()];
        texts
            .into_iter()
            .flatten()
            .try_for_each(|text| write!(f, ": {text}"))
    }
}

impl std::error::Error for ProblemDetails {}

impl IntoResponse for ProblemDetails {
    fn into_response(self) -> Response {
        let body = self.to_json().to_string();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.0.status;
        *response.headers_mut() = self.0.headers;
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response
    }
}
