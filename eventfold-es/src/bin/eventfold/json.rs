//! JSON for people and terminals.

use std::borrow::Cow;
use std::fmt::Write as _;

use eventfold_es::inspect::visible as visible_text;

/// The same JSON without characters that control a terminal: they are written as escapes. Outside of
/// texts JSON has none but spaces.
pub(crate) fn visible(json: &str) -> Cow<'_, str> {
    if json.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if matches!(c, '\t' | '\n' | '\r') {
            out.push(' ');
        } else if is_hidden(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

fn is_hidden(c: char) -> bool {
    let mut text = [0; 4];
    let text: &str = c.encode_utf8(&mut text);
    !c.is_ascii_graphic() && c != ' ' && visible_text(text).to_string() != text
}

/// `json` on several lines. Its values stay as they are written, also numbers of any size.
pub(crate) fn pretty(json: &str, indent: usize) -> String {
    let json = visible(json);
    let mut out = String::with_capacity(json.len() * 2);
    let mut depth = indent;
    let mut is_in_text = false;
    let mut chars = json.chars().peekable();
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n(' ', depth * 2));
    };
    while let Some(c) = chars.next() {
        if is_in_text {
            out.push(c);
            match c {
                '\\' => out.extend(chars.next()),
                '"' => is_in_text = false,
                _ => {}
            }
            continue;
        }
        match c {
            ' ' => {}
            '{' | '[' => {
                out.push(c);
                while chars.next_if_eq(&' ').is_some() {}
                if let Some(end) = chars.next_if(|next| matches!(next, '}' | ']')) {
                    out.push(end);
                } else {
                    depth += 1;
                    line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            '"' => {
                is_in_text = true;
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_controls_a_terminal_is_escaped_and_the_value_stays() {
        let text = "{\"a\":\"x\u{9b}2J\u{202e}é日\u{7f}\",\t\"b\":1}";
        let shown = visible(text);
        assert_eq!(shown, r#"{"a":"x\u009b2J\u202eé日\u007f", "b":1}"#);
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&shown), read(text));
    }

    #[test]
    fn numbers_and_texts_are_laid_out_as_they_are_written() {
        let laid_out = pretty(
            r#"{"n":123456789012345678901234567890.10,"t":"a, \"{b","e":[],"l":[1,{}]}"#,
            0,
        );
        assert_eq!(
            laid_out,
            "{\n  \"n\": 123456789012345678901234567890.10,\n  \"t\": \"a, \\\"{b\",\n  \"e\": [],\n  \"l\": [\n    1,\n    {}\n  ]\n}"
        );
    }
}
