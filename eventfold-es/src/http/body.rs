//! JSON bodies: [`JsonBody`].

use axum::body::{Body, Bytes};
use axum::extract::rejection::{BytesRejection, FailedToBufferBody};
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::http::problem::{ProblemDetails, ProblemType};

/// A JSON body: of a request as an extractor, and of a response.
///
/// As an extractor it answers what it cannot take with [`ProblemDetails`]:
///
/// * 415: the `Content-Type` is neither `application/json` nor one that ends with `+json`, or its `charset` is not
///   `utf-8`;
/// * 413: the body is larger than [`DefaultBodyLimit`](axum::extract::DefaultBodyLimit), which is 2 MB unless the
///   router has another one as a layer;
/// * 400: the body is not JSON, or not that of a `T`. The detail says where and why. Or it did not arrive whole.
///
/// ```
/// # use eventfold_es::{*, __private::example::*};
/// use axum::Router;
/// use axum::extract::DefaultBodyLimit;
/// use axum::routing::post;
/// use eventfold_es::http::JsonBody;
///
/// async fn double(JsonBody(Add(amount)): JsonBody<Add>) -> JsonBody<u64> {
///     JsonBody(amount.saturating_mul(2))
/// }
///
/// let app: Router = Router::new()
///     .route("/double", post(double))
///     .layer(DefaultBodyLimit::max(16 * 1024));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JsonBody<T>(
    /// What the JSON says.
    pub T,
);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ProblemDetails;

    async fn from_request(request: Request, state: &S) -> Result<Self, ProblemDetails> {
        if !is_json(request.headers()) {
            return Err(ProblemDetails::of(ProblemType::WrongType)
                .with_detail("Send JSON, with `Content-Type: application/json`."));
        }
        let body = Bytes::from_request(request, state).await;
        let body = body.map_err(|rejection| not_received(&rejection))?;
        serde_json::from_slice(&body).map(Self).map_err(|error| {
            ProblemDetails::of(ProblemType::Malformed).with_detail(format!("The body: {error}."))
        })
    }
}

fn not_received(rejection: &BytesRejection) -> ProblemDetails {
    let too_large = matches!(
        rejection,
        BytesRejection::FailedToBufferBody(FailedToBufferBody::LengthLimitError(_))
    );
    if too_large {
        ProblemDetails::of(ProblemType::TooLarge)
            .with_detail("The body is larger than this service takes.")
    } else {
        ProblemDetails::of(ProblemType::Malformed).with_detail("The body did not arrive whole.")
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let value = headers.get(header::CONTENT_TYPE);
    let Some(text) = value.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let mut parts = text.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default().to_ascii_lowercase();
    let Some(subtype) = media_type.strip_prefix("application/") else {
        return false;
    };
    let is_utf8 = |part: &str| match part.split_once('=') {
        Some((name, value)) if name.eq_ignore_ascii_case("charset") => {
            value.trim_matches('"').eq_ignore_ascii_case("utf-8")
        }
        _ => true,
    };
    (subtype == "json" || subtype.ends_with("+json")) && parts.all(is_utf8)
}

impl<T: Serialize> IntoResponse for JsonBody<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let mut response = Response::new(Body::from(json));
                let media_type = HeaderValue::from_static("application/json");
                let headers = response.headers_mut();
                headers.insert(header::CONTENT_TYPE, media_type);
                response
            }
            Err(error) => ProblemDetails::logged(ProblemType::Internal, &error).into_response(),
        }
    }
}
