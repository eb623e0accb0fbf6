//! The places of spans in distributed traces, as the layer of `tracing-opentelemetry` knows them. Without
//! that layer nothing here has an effect.

use opentelemetry::Context;
use opentelemetry::trace::{
    SpanContext, SpanId, TraceContextExt as _, TraceFlags, TraceId, TraceState,
};
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

use crate::domain::command::CommandContext;
use crate::ids::TraceParent;

/// See [`trace`](super::trace).
pub(super) fn trace(span: &Span, context: &mut CommandContext) {
    let parent = context.traceparent;
    // Most spans are created where the caller is.
    let is_within = || traceparent(&Span::current()).map(|caller| caller.trace_id());
    if parent.is_some_and(|parent| is_within() != Some(parent.trace_id())) {
        set_parent(span, parent);
    }
    let own = traceparent(span);
    context.traceparent = own.or(parent).or_else(|| traceparent(&Span::current()));
}

/// See [`continue_trace`](super::continue_trace).
pub(super) fn set_parent(span: &Span, parent: Option<TraceParent>) {
    let Some(parent) = parent else { return };
    let remote = SpanContext::new(
        TraceId::from_bytes(parent.trace_id()),
        SpanId::from_bytes(parent.parent_id()),
        TraceFlags::new(parent.flags()),
        true,
        TraceState::default(),
    );
    // It fails if the span is disabled, or if there is no such layer.
    let _ = span.set_parent(Context::new().with_remote_span_context(remote));
}

/// See [`traceparent`](super::traceparent).
pub(super) fn traceparent(span: &Span) -> Option<TraceParent> {
    let context = span.context();
    let span = context.span();
    let span = span.span_context();
    TraceParent::new(
        span.trace_id().to_bytes(),
        span.span_id().to_bytes(),
        span.trace_flags().to_u8(),
    )
    .ok()
}
