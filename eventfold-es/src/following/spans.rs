//! The spans of process managers.

use tracing::Span;
use tracing::field::Empty;

use crate::domain::command::StoredCommand;
use crate::event::StoredEvent;
use crate::following::history::source_of;
use crate::runtime::spans::continue_trace;

/// The span in which the process manager `name` reacts to `event`.
pub(crate) fn reaction(name: &'static str, event: StoredEvent<'_>) -> Span {
    let record = event.record();
    let span = tracing::info_span!(
        "react",
        pm_name = name,
        event = event.name(),
        event_id = Empty,
        position = record.position,
        aggregate_type = record.aggregate_type,
        id = record.id,
        correlation_id = Empty,
    );
    if !span.is_disabled() {
        continue_trace(&span, record.traceparent());
        if let Some(id) = record.event_id() {
            span.record("event_id", id);
        }
        if let Some(id) = record.correlation_id() {
            span.record("correlation_id", &*id);
        }
    }
    span
}

/// The span in which the process manager `name` sends `command`. Its causation is the id of the
/// event that the command comes from, and `position` that event's position, unless the process
/// manager has set causation and key itself. Of commands that take effect together, the first one's
/// target is given, and of a decision its name, without a type.
pub(crate) fn sending(name: &'static str, command: &StoredCommand) -> Span {
    let (target_type, target_id) = command.first_target();
    let span = tracing::info_span!(
        "send",
        pm_name = name,
        target_type,
        target_id,
        causation_id = Empty,
        position = Empty,
        correlation_id = Empty,
    );
    if !span.is_disabled() {
        let context = &command.context;
        continue_trace(&span, context.traceparent);
        if let Some(id) = &context.causation_id {
            span.record("causation_id", id.as_str());
        }
        let key = context.idempotency_key.as_deref();
        if let Some(position) = key.and_then(|key| source_of(name, key)) {
            span.record("position", position);
        }
        if let Some(id) = &context.correlation_id {
            span.record("correlation_id", id.as_str());
        }
    }
    span
}
