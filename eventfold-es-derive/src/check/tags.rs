//! The rules of tags.

use crate::ast::Tagged;
use crate::errors::Errors;

/// Each name can be that of a tag, and no field has one twice. Several fields may have the same.
pub(super) fn tags(tagged: &[Tagged<'_>], errors: &mut Errors) {
    for field in tagged {
        for (position, name) in field.names.iter().enumerate() {
            name.check_tag(errors);
            let mut earlier = field.names[..position].iter();
            if let Some(first) = earlier.find(|first| first.value == name.value) {
                errors.repeated(
                    name,
                    format!("the field has the tag `{}` twice; remove one", name.value),
                    first,
                    "first given here",
                );
            }
        }
    }
}
