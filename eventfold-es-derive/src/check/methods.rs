//! The rules of the methods in an impl block.

use crate::ast::{AggregateImpl, Handler};
use crate::errors::Errors;

/// Each command and each event has one method. A second one is removed, so that the compiler does not
/// report it as well.
pub(crate) fn aggregate_impl(input: &mut AggregateImpl, errors: &mut Errors) {
    let mut kept: Vec<Handler> = Vec::new();
    for handler in std::mem::take(&mut input.handlers) {
        // Of two with a `cfg`, only one may be there.
        let same = |first: &&Handler| {
            first.handles_same_as(&handler) && !first.is_conditional && !handler.is_conditional
        };
        let Some(first) = kept.iter().find(same) else {
            kept.push(handler);
            continue;
        };
        if !first.is_sound || !handler.is_sound {
            continue;
        }
        let (one, handled) = if handler.handles.is_command() {
            ("command", "decided")
        } else {
            ("event", "taken")
        };
        errors.repeated(
            &handler.message,
            format!(
                "the {one} of `{}` is {handled} by `{}` already; keep one of the two",
                handler.method, first.method
            ),
            &first.message,
            &format!("first {handled} here"),
        );
    }
    input.handlers = kept;
}
