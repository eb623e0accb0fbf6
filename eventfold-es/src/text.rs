//! Foreign texts in messages: a name must not look like something else, or like several lines.

use std::fmt::{self, Write as _};
use std::path::Path;

/// `path` for a message.
pub(crate) fn shown(path: &Path) -> Shown<std::path::Display<'_>> {
    Shown(path.display())
}

/// Where an event is, for a message: its stream and version, or that it belongs to no aggregate.
#[derive(Debug, Clone, Copy)]
pub(crate) struct InStream<'a> {
    pub(crate) aggregate_type: &'a str,
    pub(crate) id: &'a str,
    pub(crate) version: u64,
}

impl fmt::Display for InStream<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            aggregate_type,
            id,
            version,
        } = *self;
        if aggregate_type.is_empty() {
            return f.write_str("of no aggregate");
        }
        let (aggregate_type, id) = (Shown(aggregate_type), Shown(id));
        write!(f, "stream {aggregate_type}/{id}, version {version}")
    }
}

/// A text with its hidden characters visible: characters that control the output, or the direction
/// of the text around them, are written as `\u{…}`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shown<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Shown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaped(f), "{}", self.0)
    }
}

/// A text from a store as it may be printed, in one line: characters that control the output, or the
/// direction of the text around them, are written as `\u{…}`.
///
/// ```
/// use eventfold_es::inspect::visible;
///
/// assert_eq!(visible("alice").to_string(), "alice");
/// assert_eq!(visible("a\nb\u{1b}[2J").to_string(), r"a\u{a}b\u{1b}[2J");
/// ```
pub fn visible(text: &str) -> impl fmt::Display {
    Shown(text)
}

struct Escaped<'a, 'b>(&'a mut fmt::Formatter<'b>);

impl fmt::Write for Escaped<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut plain = 0;
        for (at, c) in text.char_indices().filter(|(_, c)| is_hidden(*c)) {
            self.0.write_str(&text[plain..at])?;
            write!(self.0, "{}", c.escape_unicode())?;
            plain = at + c.len_utf8();
        }
        self.0.write_str(&text[plain..])
    }
}

/// Whether a character is invisible but changes how others are shown: control characters, line and
/// paragraph separators, direction marks, zero-width spaces. Joiners are part of words, and stay.
pub(crate) fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{180e}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invisible_characters_are_escaped_and_all_others_are_kept() {
        for (text, expected) in [
            ("alice", "alice"),
            ("Ålice 日本 עברית", "Ålice 日本 עברית"),
            ("a\u{202e}b", "a\\u{202e}b"),
            ("\u{2066}a\u{2069}", "\\u{2066}a\\u{2069}"),
            ("a\nb\u{1b}[2Jc", "a\\u{a}b\\u{1b}[2Jc"),
            ("a\u{200b}\u{feff}", "a\\u{200b}\\u{feff}"),
        ] {
            assert_eq!(Shown(text).to_string(), expected);
            assert_eq!(shown(Path::new(text)).to_string(), expected);
        }
    }
}
