//! The mistakes found in one input.

use proc_macro2::{Span, TokenStream};
use quote::ToTokens;

/// Collects mistakes, so that one run of the compiler shows all of them.
///
/// Each collector must be [finished](Self::finish). Dropping an unfinished one panics, since an
/// unreported mistake is worse than an undetected one.
#[derive(Debug)]
pub(crate) struct Errors {
    found: Option<Vec<syn::Error>>,
}

impl Errors {
    pub(crate) fn new() -> Self {
        Self {
            found: Some(Vec::new()),
        }
    }

    /// A mistake in all of `tokens`.
    pub(crate) fn at(&mut self, tokens: impl ToTokens, message: impl Into<String>) {
        self.push(syn::Error::new_spanned(tokens, message.into()));
    }

    /// A mistake at one place.
    pub(crate) fn at_span(&mut self, span: Span, message: impl Into<String>) {
        self.push(syn::Error::new(span, message.into()));
    }

    /// A mistake, and the earlier place that makes it one. A stable macro has no notes, so the
    /// second place is a separate error.
    pub(crate) fn repeated(
        &mut self,
        second: impl ToTokens,
        message: impl Into<String>,
        first: impl ToTokens,
        first_message: &str,
    ) {
        let mut error = syn::Error::new_spanned(second, message.into());
        error.combine(syn::Error::new_spanned(first, first_message));
        self.push(error);
    }

    pub(crate) fn push(&mut self, error: syn::Error) {
        self.found
            .as_mut()
            .expect("only `finish` takes the list, and it takes `self`")
            .push(error);
    }

    /// The `compile_error!` items for all mistakes, if there are any, in the order of the source.
    pub(crate) fn finish(mut self) -> Result<(), TokenStream> {
        let mut found = self
            .found
            .take()
            .expect("only `finish` takes the list, and it takes `self`");
        if found.is_empty() {
            return Ok(());
        }
        found.sort_by_key(|error| place(error.span()));
        Err(found.iter().map(syn::Error::to_compile_error).collect())
    }
}

/// Line and column. They are known only inside the compiler.
fn place(span: Span) -> (usize, usize) {
    if proc_macro::is_available() {
        let span = span.unwrap();
        (span.line(), span.column())
    } else {
        (0, 0)
    }
}

impl Drop for Errors {
    fn drop(&mut self) {
        assert!(
            self.found.is_none() || std::thread::panicking(),
            "the mistakes of a derive input were never reported"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_mistakes_are_reported_in_their_order() {
        let mut errors = Errors::new();
        errors.at_span(Span::call_site(), "first");
        errors.at_span(Span::call_site(), "second");
        let tokens = errors.finish().unwrap_err().to_string();
        assert!(tokens.find("first").unwrap() < tokens.find("second").unwrap());
    }

    #[test]
    #[should_panic(expected = "never reported")]
    fn dropping_errors_without_finishing_them_panics() {
        let _forgotten = Errors::new();
    }
}
