//! Who sends a command, and the trace that a request belongs to.

use std::time::Instant;

use axum::extract::{FromRequestParts, Request};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use eventfold_es::http::{IdempotencyKey, Precondition, ProblemDetails};
use eventfold_es::{AggregateStore, CommandContext, TraceParent};
use tracing::Instrument as _;
use uuid::Uuid;

/// What a request with a command says besides the command: its condition, who sends it, and which trace it
/// belongs to.
///
/// The help desk knows its people by the proxy in front of it, which lets them sign in and sets the header
/// `X-Remote-User`. Without a proxy they all are `agent`.
pub(crate) struct Sent {
    pub(crate) store: AggregateStore,
    pub(crate) condition: Precondition,
    pub(crate) context: CommandContext,
}

impl FromRequestParts<AggregateStore> for Sent {
    type Rejection = ProblemDetails;

    async fn from_request_parts(
        parts: &mut Parts,
        store: &AggregateStore,
    ) -> Result<Self, ProblemDetails> {
        let user = parts.headers.get("x-remote-user");
        let user = user.and_then(|user| user.to_str().ok()).unwrap_or("agent");
        let key = IdempotencyKey::read(&parts.headers)?;
        let traceparent = parts.extensions.get::<TraceParent>().copied();
        let context = CommandContext {
            actor: Some(user.to_owned()),
            idempotency_key: key.map(|key| key.of(user)),
            correlation_id: traceparent.as_ref().map(trace_id),
            traceparent,
            ..CommandContext::default()
        };
        Ok(Self {
            store: store.clone(),
            condition: Precondition::read(&parts.headers)?,
            context,
        })
    }
}

fn trace_id(traceparent: &TraceParent) -> String {
    Uuid::from_bytes(traceparent.trace_id())
        .simple()
        .to_string()
}

/// The trace that the request belongs to, or a new one.
fn trace_of(request: &Request) -> Option<TraceParent> {
    let header = request.headers().get("traceparent");
    let given = header.and_then(|header| header.to_str().ok()?.parse().ok());
    let (trace, span) = (Uuid::new_v4(), Uuid::new_v4().as_u64_pair().0);
    given.or_else(|| TraceParent::new(trace.into_bytes(), span.to_be_bytes(), 1).ok())
}

/// Logs each request. All that is logged meanwhile names its trace, and the events of its commands do too, so
/// that what process managers make of them can be found by it.
pub(crate) async fn traced(mut request: Request, next: Next) -> Response {
    let begin = Instant::now();
    let (method, path) = (request.method(), request.uri().path());
    let traceparent = trace_of(&request);
    let trace_id = traceparent.as_ref().map(trace_id);
    let span = tracing::info_span!("request", %method, path, trace_id);
    if let Some(traceparent) = traceparent {
        request.extensions_mut().insert(traceparent);
    }
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status().as_u16();
    let elapsed_ms = u64::try_from(begin.elapsed().as_millis()).unwrap_or(u64::MAX);
    span.in_scope(|| tracing::info!(status, elapsed_ms, "answered"));
    response
}
