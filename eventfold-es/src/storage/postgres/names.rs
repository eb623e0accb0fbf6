//! Texts as the server stores them. It takes any text but the character NUL.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::ids;

/// An event's name or an idempotency key. Different texts stay different.
pub(super) fn escape(text: &str) -> Cow<'_, str> {
    if text.contains(['%', '\0']) {
        Cow::Owned(text.replace('%', "%25").replace('\0', "%00"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Whether `name`, a part of a stream's name, is stored as another text.
pub(super) fn is_encoded(name: &str) -> bool {
    name.contains('%')
}

/// The text that is stored as `name`, a part of a stream's name. `None` if there is none.
pub(super) fn decode(name: &str) -> Option<String> {
    if is_encoded(name) {
        ids::decode(name)
    } else {
        Some(name.to_owned())
    }
}

/// A value of the type `text[]`, as the server reads it.
pub(super) fn array<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let mut array = String::from("{");
    for text in texts {
        if array.len() > 1 {
            array.push(',');
        }
        array.push('"');
        for c in text.chars() {
            if matches!(c, '"' | '\\') {
                array.push('\\');
            }
            array.push(c);
        }
        array.push('"');
    }
    array.push('}');
    array
}

/// `name` as an identifier in SQL.
pub(super) fn quoted(name: &str) -> String {
    let mut quoted = String::new();
    // Writing to a string cannot fail.
    let _ = write!(quoted, "\"{}\"", name.replace('"', "\"\""));
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_texts_are_stored_as_different_texts_without_nul() {
        let texts = ["a", "a\0b", "a%00b", "a%b", "a%25b", ""];
        for (i, one) in texts.iter().enumerate() {
            assert!(!escape(one).contains('\0'));
            for other in &texts[i + 1..] {
                assert_ne!(escape(one), escape(other));
            }
        }
    }

    #[test]
    fn names_and_arrays_are_quoted() {
        assert_eq!(quoted(r#"a"b"#), r#""a""b""#);
        assert_eq!(array(["a", r#"b"\,"#]), r#"{"a","b\"\\,"}"#);
        assert_eq!(array([]), "{}");
    }
}
