//! Stored names, with their place in the source.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt as _;
use syn::{Ident, LitStr};

use crate::errors::Errors;

/// A stored name that never loses its place in the source.
#[derive(Debug, Clone)]
pub(crate) struct Name {
    pub(crate) value: String,
    pub(crate) span: Span,
}

impl Name {
    pub(crate) fn new(value: String, span: Span) -> Self {
        Self { value, span }
    }

    /// The name of an identifier, without `r#`.
    pub(crate) fn of_ident(ident: &Ident) -> Self {
        Self::new(ident.unraw().to_string(), ident.span())
    }

    /// Refuses a name that no directory can have on every system. `what` is the named thing.
    pub(crate) fn check_directory(&self, what: &str, example: &str, errors: &mut Errors) {
        let name = &self.value;
        let problem = if name.is_empty() {
            format!("{what} name is empty")
        } else if let Some(letter) = name.chars().find(|letter| !is_safe(*letter)) {
            format!("{what} name `{name}` contains {}", in_words(letter))
        } else if name.len() > 255 {
            format!(
                "{what} name is {} bytes long, at most 255 are possible",
                name.len()
            )
        } else {
            return;
        };
        errors.at_span(
            self.span,
            format!("{problem}; it names a directory, so write it with `a-z`, `A-Z`, `0-9`, `-` and `_` only: `name = \"{}\"`", safe(name, example)),
        );
    }

    /// Refuses a name that no tag can have: `:` ends it.
    pub(crate) fn check_tag(&self, errors: &mut Errors) {
        let name = &self.value;
        if name.contains(':') {
            errors.at_span(
                self.span,
                format!(
                    "tag name `{name}` contains `:`, which stands between a tag's name and its value; write `\"{}\"`",
                    name.replace(':', "-")
                ),
            );
        } else if name.len() > 255 {
            errors.at_span(
                self.span,
                format!(
                    "tag name is {} bytes long, at most 255 are possible",
                    name.len()
                ),
            );
        } else {
            self.check_stored("tag name", "course", errors);
        }
    }

    /// Refuses a name that could be mistaken for another one, or would be invisible, in a stored
    /// line.
    pub(crate) fn check_stored(&self, what: &str, example: &str, errors: &mut Errors) {
        let name = &self.value;
        if name.is_empty() {
            errors.at_span(
                self.span,
                format!(
                    "{what} is empty; write what it is called when stored, such as `\"{example}\"`"
                ),
            );
        } else if let Some(letter) = name.chars().find(|letter| letter.is_control()) {
            errors.at_span(
                self.span,
                format!(
                    "{what} contains {}; write it with visible letters only",
                    in_words(letter)
                ),
            );
        } else if name.trim() != name {
            errors.at_span(
                self.span,
                format!(
                    "{what} `{name}` starts or ends with a space; write `\"{}\"`",
                    name.trim()
                ),
            );
        }
    }
}

impl From<LitStr> for Name {
    fn from(literal: LitStr) -> Self {
        Self::new(literal.value(), literal.span())
    }
}

/// The string literal that generated code writes, at the name's place in the source.
impl ToTokens for Name {
    fn to_tokens(&self, tokens: &mut proc_macro2::TokenStream) {
        LitStr::new(&self.value, self.span).to_tokens(tokens);
    }
}

fn is_safe(letter: char) -> bool {
    letter.is_ascii_alphanumeric() || letter == '-' || letter == '_'
}

/// A letter for a message, where a blank would be invisible.
fn in_words(letter: char) -> String {
    match letter {
        ' ' => "a space".to_owned(),
        letter if letter.is_control() || letter.is_whitespace() => {
            format!("the character `{}`", letter.escape_default())
        }
        letter => format!("`{letter}`"),
    }
}

/// A name similar to `name` that a directory can have. If `name` has hardly any ASCII, it is
/// `example`.
fn safe(name: &str, example: &str) -> String {
    let words: Vec<&str> = name
        .split(|letter| !is_safe(letter))
        .filter(|word| !word.is_empty())
        .collect();
    let mut safe = words.join("-");
    if safe.is_empty() || !name.is_ascii() {
        return example.to_owned();
    }
    safe.truncate(255);
    safe
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(check: impl FnOnce(&Name, &mut Errors), name: &str) -> Option<String> {
        let mut errors = Errors::new();
        check(&Name::new(name.to_owned(), Span::call_site()), &mut errors);
        errors.finish().err().map(|error| error.to_string())
    }

    #[test]
    fn a_directory_name_contains_only_safe_characters() {
        let check = |name: &Name, errors: &mut Errors| {
            name.check_directory("aggregate", "bank-account", errors);
        };
        for name in ["bank-account", "Bank_2", "x"] {
            assert_eq!(complaint(check, name), None, "{name}");
        }
        for name in [
            "",
            "bank/account",
            "..",
            "a b",
            "größe",
            "tab\t",
            &"x".repeat(256),
        ] {
            assert!(complaint(check, name).is_some(), "{name}");
        }
        let message = complaint(check, "bank/account").unwrap();
        assert!(message.contains("bank-account"), "{message}");
    }

    #[test]
    fn an_event_name_must_not_be_empty_padded_or_contain_control_characters() {
        let check = |name: &Name, errors: &mut Errors| {
            name.check_stored("event name", "MoneyDeposited", errors);
        };
        for name in [
            "MoneyDeposited",
            "money deposited",
            "bank.deposited/v2",
            "Überwiesen",
        ] {
            assert_eq!(complaint(check, name), None, "{name}");
        }
        for name in ["", " Deposited", "Deposited\n", "De\0posited"] {
            assert!(complaint(check, name).is_some(), "{name:?}");
        }
    }
}
