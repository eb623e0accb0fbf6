//! The rules of personal data in an event.

use quote::ToTokens as _;
use syn::{Ident, Member};

use crate::ast::Subjects;
use crate::errors::Errors;

/// Each field with personal data has one subject.
pub(super) fn subjects(event: &Ident, input: &Subjects<'_>, errors: &mut Errors) {
    for subject in &input.subjects {
        subject.name.check_tag(errors);
    }
    let names: Vec<String> = input
        .subjects
        .iter()
        .map(|subject| format!("`#[personal({})]`", shown(&subject.member)))
        .collect();
    for personal in &input.personal {
        let is_known = |of: &Member| input.subjects.iter().any(|known| known.member == *of);
        match &personal.of {
            Some(of) if !is_known(of) => errors.at(
                of,
                format!(
                    "`{}` is not marked `#[subject]`, so it does not say whose the personal data is; mark it, or name a field that is",
                    shown(of)
                ),
            ),
            None if input.subjects.is_empty() => errors.at(
                &personal.field.ty,
                format!(
                    "`{event}` has personal data, and nothing says whose it is; mark the field that does with `#[subject]`"
                ),
            ),
            None if input.subjects.len() > 1 => errors.at(
                &personal.field.ty,
                format!(
                    "`{event}` has several subjects; say whose this is: {}",
                    names.join(" or ")
                ),
            ),
            _ => {}
        }
    }
}

fn shown(member: &Member) -> String {
    member.to_token_stream().to_string()
}
