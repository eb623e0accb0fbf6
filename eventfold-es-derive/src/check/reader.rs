//! The rules of projections and process managers.

use quote::ToTokens;
use syn::TypePath;

use crate::ast::{Kind, Reader};
use crate::attr::shown;
use crate::errors::Errors;

pub(crate) fn reader(input: &Reader<'_>, errors: &mut Errors) {
    let example = match input.kind {
        Kind::Projection => "totals",
        Kind::SqlProjection => "orders",
        Kind::ProcessManager => "fulfilment",
    };
    input
        .name
        .check_directory(input.kind.in_words(), example, errors);
    listed_once(&input.aggregates, errors);
    listed_once(&input.events, errors);
    listed_once(&input.dispatches, errors);
    listed_once(&input.decides, errors);
}

/// Refuses the same name twice. Only the compiler knows whether two different names lead to the
/// same aggregate.
pub(super) fn listed_once(types: &[TypePath], errors: &mut Errors) {
    for (position, second) in types.iter().enumerate() {
        let text = |ty: &TypePath| ty.to_token_stream().to_string();
        let mut earlier = types[..position].iter();
        if let Some(first) = earlier.find(|first| text(first) == text(second)) {
            errors.repeated(
                second,
                format!("`{}` is listed twice; remove one", shown(second)),
                first,
                "first listed here",
            );
        }
    }
}
