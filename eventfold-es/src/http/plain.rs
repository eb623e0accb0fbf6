//! The refusals of axum itself as problem details: [`as_problem`].

use axum::body::to_bytes;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use crate::http::problem::ProblemDetails;

/// How long a text becomes a detail at most, in bytes.
const LONGEST: usize = 4096;

/// Makes problem details of a refusal that has none: a status from 400 on with plain text or without a body, as
/// axum answers an unknown address, another method, or a path that cannot be read. It is for
/// [`map_response`](axum::middleware::map_response). Other responses stay as they are, and so do headers such as
/// `Allow`.
///
/// The text becomes the `detail`, but not with a status from 500 on: it may be about the inside of the service.
///
/// ```
/// use axum::Router;
/// use axum::middleware::map_response;
/// use eventfold_es::http;
///
/// let app: Router = Router::new().layer(map_response(http::as_problem));
/// ```
pub async fn as_problem(response: Response) -> Response {
    let status = response.status();
    let is_refusal = status.is_client_error() || status.is_server_error();
    if !is_refusal || !is_plain(response.headers()) {
        return response;
    }
    let (parts, body) = response.into_parts();
    let text = to_bytes(body, LONGEST).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let mut problem = ProblemDetails::new(status);
    if !text.is_empty() && status.is_client_error() {
        problem = problem.with_detail(text.into_owned());
    }
    let mut response = problem.into_response();
    for (name, value) in &parts.headers {
        if *name != header::CONTENT_TYPE && *name != header::CONTENT_LENGTH {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn is_plain(headers: &HeaderMap) -> bool {
    let Some(media_type) = headers.get(header::CONTENT_TYPE) else {
        return true;
    };
    media_type.as_bytes().starts_with(b"text/plain")
}
