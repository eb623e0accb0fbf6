//! Whose the personal data of a derived event is.

use std::sync::Arc;

use serde::ser::Error as _;

use crate::event::{EncodeError, Tag, TagText};
use crate::personal::{Personal, sealing};

/// Whose the personal data of an event is.
#[derive(Debug)]
pub struct Subject(Arc<str>);

impl Subject {
    /// The subject `name:value` of the event `event`.
    pub fn __of(
        event: &'static str,
        name: &'static str,
        value: impl TagText,
    ) -> Result<Self, EncodeError> {
        let subject = Tag::new(name, value).map_err(|error| {
            let text = format!("its subject is not valid: {error}");
            EncodeError::new(event, serde_json::Error::custom(text))
        })?;
        Ok(Self(subject.as_str().into()))
    }

    /// Runs `encode`, which writes an event whose personal data is of this subject.
    pub fn __during<T>(&self, encode: impl FnOnce() -> T) -> T {
        sealing::of_subject(Some(self.0.clone()), encode)
    }

    /// Says that what is new in `field` is of this subject.
    pub fn __owns<F: PersonalField>(&self, field: &F) {
        field.belongs_to(&self.0);
    }
}

/// The type of a field that is marked `#[personal(...)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no personal data",
    label = "not `Personal`, and no list or option of it",
    note = "write `Personal<{Self}>`"
)]
pub trait PersonalField {
    fn belongs_to(&self, subject: &Arc<str>);
}

#[diagnostic::do_not_recommend]
impl<T> PersonalField for Personal<T> {
    fn belongs_to(&self, subject: &Arc<str>) {
        self.belongs_to(subject);
    }
}

#[diagnostic::do_not_recommend]
impl<F: PersonalField> PersonalField for Option<F> {
    fn belongs_to(&self, subject: &Arc<str>) {
        if let Some(field) = self {
            field.belongs_to(subject);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<F: PersonalField> PersonalField for Vec<F> {
    fn belongs_to(&self, subject: &Arc<str>) {
        for field in self {
            field.belongs_to(subject);
        }
    }
}

#[diagnostic::do_not_recommend]
impl<F: PersonalField> PersonalField for Box<F> {
    fn belongs_to(&self, subject: &Arc<str>) {
        (**self).belongs_to(subject);
    }
}
