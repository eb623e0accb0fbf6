//! The rules of decisions and of their models.

use super::aggregate;
use crate::ast::{Decision, DecisionModel, Messages};
use crate::errors::Errors;
use crate::name::Name;

pub(crate) fn decision(input: &Decision<'_>, errors: &mut Errors) {
    input
        .name
        .check_directory("decision", "subscribing", errors);
    if let Messages::Listed(events) = &input.events {
        aggregate::variants_differ("event", &events.items, errors);
        aggregate::events_can_be_cloned(events, errors);
        aggregate::name_is_free("the decision", input.ident(), events, errors);
    }
    for model in &input.models {
        let tags = model
            .values
            .iter()
            .map(|value| Name::from(value.tag.clone()));
        tags_differ(&tags.collect::<Vec<_>>(), errors);
    }
}

pub(crate) fn decision_model(input: &DecisionModel<'_>, errors: &mut Errors) {
    for tag in input.tags() {
        tag.check_tag(errors);
    }
    tags_differ(input.tags(), errors);
    super::reader::listed_once(&input.events, errors);
}

fn tags_differ(tags: &[Name], errors: &mut Errors) {
    for (position, second) in tags.iter().enumerate() {
        let mut earlier = tags[..position].iter();
        if let Some(first) = earlier.find(|first| first.value == second.value) {
            errors.repeated(
                second,
                format!("the tag `{}` is given twice; remove one", second.value),
                first,
                "first given here",
            );
        }
    }
}
