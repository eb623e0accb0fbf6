//! The expected and the actual lines, compared.

use std::fmt::Write as _;
use std::io::IsTerminal as _;

use similar::{ChangeTag, TextDiff};

/// Both as one text: `-` before expected lines that are missing, `+` before unexpected lines.
pub(super) fn diff(expected: &[String], actual: &[String]) -> String {
    compared("expected", expected, "actual", actual)
}

/// Both as one text: `-` before lines that only `old` has, `+` before lines that only `new` has.
/// The names label the two sides.
pub(super) fn compared(old_name: &str, old: &[String], new_name: &str, new: &[String]) -> String {
    render((old_name, old), (new_name, new), is_coloured())
}

/// Each line of `lines` under the others.
pub(super) fn listed(lines: &[String]) -> String {
    if lines.is_empty() {
        return "  (nothing)".to_owned();
    }
    let indented: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
    indented.join("\n")
}

fn is_coloured() -> bool {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    !refused && std::io::stderr().is_terminal()
}

fn render(
    (old_name, expected): (&str, &[String]),
    (new_name, actual): (&str, &[String]),
    is_coloured: bool,
) -> String {
    let (red, green, plain) = if is_coloured {
        ("\x1b[31m", "\x1b[32m", "\x1b[0m")
    } else {
        ("", "", "")
    };
    let mut text = format!("{red}- {old_name}{plain}\n{green}+ {new_name}{plain}\n");
    let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
    let actual: Vec<&str> = actual.iter().map(String::as_str).collect();
    for change in TextDiff::from_slices(&expected, &actual).iter_all_changes() {
        let (sign, colour) = match change.tag() {
            ChangeTag::Equal => (' ', ""),
            ChangeTag::Delete => ('-', red),
            ChangeTag::Insert => ('+', green),
        };
        let end = if colour.is_empty() { "" } else { plain };
        let _ = write!(text, "\n{colour}{sign} {}{end}", change.value());
    }
    if expected.is_empty() && actual.is_empty() {
        text.push_str("\n  (nothing)");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(lines: &[&str]) -> Vec<String> {
        lines.iter().map(|line| (*line).to_owned()).collect()
    }

    #[test]
    fn a_missing_line_and_the_line_in_its_place_are_shown_together() {
        let (expected, actual) = (lines(&["a", "b", "c"]), lines(&["a", "x", "c"]));
        let (expected, actual) = (("stored", &*expected), ("today", &*actual));
        let text = render(expected, actual, false);
        assert_eq!(text, "- stored\n+ today\n\n  a\n- b\n+ x\n  c");
        let coloured = render(expected, actual, true);
        assert!(coloured.contains("\x1b[31m- b\x1b[0m\n\x1b[32m+ x\x1b[0m\n  c"));
    }
}
