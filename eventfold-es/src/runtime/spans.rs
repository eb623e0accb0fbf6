//! The span of a command.

use tracing::Span;
use tracing::field::Empty;
use tracing::level_filters::LevelFilter;

#[cfg(feature = "opentelemetry")]
mod otel;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::ids::{StreamId, TraceParent};

/// The span of a command, from its sending to its answer, in the caller's span. It costs nothing
/// if nobody listens.
pub(crate) fn execute<A: Aggregate>(stream: &StreamId, command: &A::Command) -> Span {
    tracing::info_span!(
        "execute",
        aggregate_type = stream.aggregate_type(),
        id = stream.id(),
        command = A::command_name(command),
        correlation_id = Empty,
        causation_id = Empty,
        outcome = Empty,
    )
}

/// The span of a command that a decision of this name decides.
pub(crate) fn decide(decision: &'static str, command: &'static str) -> Span {
    tracing::info_span!(
        "decide",
        decision,
        command,
        correlation_id = Empty,
        causation_id = Empty,
        outcome = Empty,
    )
}

/// The span of several commands that take effect together. Their own spans are in it.
pub(crate) fn together(commands: usize) -> Span {
    tracing::info_span!("together", commands, outcome = Empty)
}

/// Notes in `span` what the command belongs to.
pub(crate) fn note_context(span: &Span, context: &CommandContext) {
    if span.is_disabled() {
        return;
    }
    if let Some(id) = &context.correlation_id {
        span.record("correlation_id", id.as_str());
    }
    if let Some(id) = &context.causation_id {
        span.record("causation_id", id.as_str());
    }
}

/// The span in which a command is decided: `execute`, or the caller's if that one is disabled.
pub(crate) fn deciding(execute: &Span) -> Span {
    if execute.is_disabled() && LevelFilter::current() != LevelFilter::OFF {
        return Span::current();
    }
    execute.clone()
}

/// Lets the `span` of a command belong to the trace that `context` names, and then the context name the
/// span, so that the command's events do. If the caller is in a span of that trace, the command's span is
/// a child of that one already.
#[inline]
pub(crate) fn trace(span: &Span, context: &mut CommandContext) {
    #[cfg(feature = "opentelemetry")]
    otel::trace(span, context);
    #[cfg(not(feature = "opentelemetry"))]
    let _ = (span, context);
}

/// Makes `span`, in which nothing happened yet, a child of `parent`.
pub(crate) fn continue_trace(span: &Span, parent: Option<TraceParent>) {
    #[cfg(feature = "opentelemetry")]
    otel::set_parent(span, parent);
    #[cfg(not(feature = "opentelemetry"))]
    let _ = (span, parent);
}

/// The place of `span` in its trace, if it has one.
pub(crate) fn traceparent(span: &Span) -> Option<TraceParent> {
    #[cfg(feature = "opentelemetry")]
    return otel::traceparent(span);
    #[cfg(not(feature = "opentelemetry"))]
    {
        let _ = span;
        None
    }
}
