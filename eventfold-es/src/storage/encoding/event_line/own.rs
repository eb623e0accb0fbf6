//! Reads a line in exactly the form in which this crate writes it. This saves most of the time of a
//! general JSON reader. Any line in another form is left to the general reader.

use std::borrow::Cow;

use crate::event::{Digits, Number};
use crate::scan::text_length;
use crate::storage::encoding::event_line::outline::EventOutline;
use crate::storage::encoding::event_line::{HEAD, LEN_DIGITS, Line, stated_length};

impl<'a> Line<'a> {
    /// Reads `body`, the part of a line before its `position`, if it is in our own form. The caller
    /// has checked that the stated length is the length of `body`.
    #[inline]
    pub(crate) fn read_own(body: &'a str, position: u64) -> Option<Self> {
        EventOutline::of(body, position)?.read(body)
    }
}

/// A line, and its bytes that are still to be read.
#[derive(Debug)]
pub(crate) struct Rest<'a> {
    line: &'a str,
    bytes: &'a [u8],
}

impl<'a> Rest<'a> {
    pub(crate) fn new(line: &'a str) -> Self {
        Self {
            line,
            bytes: line.as_bytes(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Where the rest begins in the line.
    pub(crate) fn start(&self) -> usize {
        self.line.len() - self.bytes.len()
    }

    /// The part of the line from `start` to the rest.
    pub(crate) fn since(&self, start: usize) -> Option<&'a str> {
        self.line.get(start..self.start())
    }

    /// Passes an event up to its position, by its stated length, which is returned.
    #[inline]
    pub(crate) fn pass_stated_length(&mut self) -> Option<usize> {
        let length = stated_length(self.bytes)?;
        self.bytes = self.bytes.get(length..)?;
        Some(length)
    }

    /// The beginning of a line with its length.
    #[inline]
    pub(crate) fn length(&mut self) -> Option<usize> {
        let length = stated_length(self.bytes)?;
        self.bytes = &self.bytes[HEAD.len() + LEN_DIGITS + 1..];
        Some(length)
    }

    /// Passes the beginning of a line with its length, whatever it is.
    #[inline]
    pub(crate) fn skip_length(&mut self) -> Option<()> {
        self.bytes = self.bytes.get(HEAD.len() + LEN_DIGITS + 1..)?;
        Some(())
    }

    /// The next `length` bytes, at least one.
    #[inline]
    pub(crate) fn take(&mut self, length: u64) -> Option<&'a str> {
        let start = self.start();
        let length = usize::try_from(length).ok().filter(|length| *length > 0)?;
        self.bytes = self.bytes.get(length..)?;
        self.since(start)
    }

    /// Passes bytes in the form of a checksum and the end of the object.
    pub(crate) fn sum(&mut self) -> Option<()> {
        self.pass(b",\"sum\":\"")?;
        let (digits, rest) = self.bytes.split_first_chunk::<16>()?;
        // No early exit, so that the processor compares all bytes at once.
        let is_text = |byte: &u8| !matches!(byte, b'"' | b'\\');
        let are_text = digits.iter().fold(true, |all, byte| all & is_text(byte));
        self.bytes = rest;
        are_text.then_some(())?;
        self.pass(b"\"}")
    }

    /// Passes exactly the `expected` bytes. Their number is part of the type, so the comparison
    /// takes few instructions.
    #[inline]
    pub(crate) fn pass<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (start, rest) = self.bytes.split_first_chunk()?;
        if start != expected {
            return None;
        }
        self.bytes = rest;
        Some(())
    }

    /// The texts of an array, at least one. Its opening bracket was passed, and nothing is behind it.
    pub(crate) fn texts(mut self) -> Option<Vec<Cow<'a, str>>> {
        let mut texts = Vec::new();
        loop {
            self.pass(b"\"")?;
            texts.push(Cow::Borrowed(self.text()?));
            if self.pass(b"]").is_some() {
                return self.is_empty().then_some(texts);
            }
            self.pass(b",")?;
        }
    }

    /// The rest of a string whose quote was passed. The string must have no escapes.
    #[inline]
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let start = self.start();
        let length = text_length(self.bytes)?;
        self.bytes = &self.bytes[length..];
        let text = self.since(start)?;
        self.pass(b"\"")?;
        Some(text)
    }

    /// Passes a number that is read when it is asked for.
    #[inline]
    pub(crate) fn later(&mut self) -> Option<Number<'a>> {
        let digits = Digits::at_start(self.bytes)?;
        self.bytes = &self.bytes[digits.len()..];
        Some(Number::Text(digits))
    }

    #[inline]
    pub(crate) fn number(&mut self) -> Option<u64> {
        let bytes = self.bytes;
        let (mut number, mut length) = (0_u64, 0);
        for byte in bytes {
            let digit = u64::from(*byte).wrapping_sub(u64::from(b'0'));
            if digit > 9 {
                break;
            }
            number = number.wrapping_mul(10).wrapping_add(digit);
            length += 1;
        }
        self.bytes = &bytes[length..];
        // A number with fewer than 20 digits cannot overflow.
        let is_usual = (1..20).contains(&length) && (length == 1 || bytes[0] != b'0');
        is_usual.then_some(number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Recorded;
    use crate::storage::encoding::event_line::{begin_line, state_length};

    const REST: &str =
        r#""sizes":[9,0],"type":"A","data":{"a":"}"},"ts":1,"id":"i","version":3,"ms":1000"#;
    const PAYLOAD: &str = r#"{"a":"}"}"#;

    /// A line that states its right length.
    fn with_length(rest: &str) -> String {
        let mut line = Vec::new();
        begin_line(&mut line);
        line.extend_from_slice(rest.as_bytes());
        state_length(&mut line, 0);
        String::from_utf8(line).expect("it is text")
    }

    fn with_payload(payload: &str) -> String {
        let sizes = format!("[{},0]", payload.len());
        with_length(&REST.replace("[9,0]", &sizes).replace(PAYLOAD, payload))
    }

    /// The same line as a general JSON reader reads it.
    fn read_as_json(line: &str) -> serde_json::Result<Line<'_>> {
        let end = line.len();
        let read = serde_json::from_str::<Line<'_>>(line);
        assert_eq!(end, line.len());
        read
    }

    fn assert_read_alike(body: &str) {
        let own = Line::read_own(body, 7).unwrap_or_else(|| panic!("it is in our form: {body}"));
        let line = format!("{body},\"pos\":7}}");
        let json = read_as_json(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(format!("{own:?}"), format!("{json:?}"));
    }

    #[test]
    fn a_line_in_our_form_is_read_as_a_json_parser_reads_it() {
        assert_read_alike(&with_length(REST));
        for (plain, other) in [
            (":3", ":0"),
            (":3", ":1234567890123456789"),
            (r#","version""#, r#","actor":"é","version""#),
            (r#""ms":1000"#, r#""ms":1000,"key":"k""#),
            (r#""ms":1000"#, r#""ms":1000,"key":"k","command":"c""#),
            (r#""ms":1000"#, r#""ms":1000,"tags":["a:1"]"#),
            (
                r#""ms":1000"#,
                r#""ms":1000,"key":"k","tags":["a:1","b:é","c:"]"#,
            ),
        ] {
            assert_read_alike(&with_length(&REST.replace(plain, other)));
        }
        let meta = REST.replace(",0]", ",9]");
        let meta = meta.replace(r#","version""#, r#","meta":{"k":[1]},"version""#);
        assert_read_alike(&with_length(&meta));
    }

    #[test]
    fn every_payload_is_delimited_as_a_json_parser_delimits_it() {
        for payload in [
            "null",
            "-1.5e+10",
            "\"\"",
            "[]",
            r#""a\"\\,\"ts\":5""#,
            r#""\u0022,é\n""#,
            r#"{"a\"":"\\","}":["]",{"b":[[],{}]}, -0.5 ]}"#,
            r#"{"ts":5,"id":"i","version":1,"pos":1,"sum":"0123456789abcdef"}"#,
        ] {
            assert_read_alike(&with_payload(payload));
        }
    }

    #[test]
    fn a_line_not_exactly_in_our_form_is_left_to_the_json_parser() {
        for (ours, other) in [
            (r#""A""#, r#""\u0041""#),
            (PAYLOAD, ""),
            (PAYLOAD, r#"{"a":"}"} "#),
            ("[9,0]", "[8,0]"),
            ("[9,0]", "[10,0]"),
            ("[9,0]", "[0,0]"),
            ("[9,0]", "[9,1]"),
            ("[9,0]", "[9999999999999999999,0]"),
            (":3", ": 3"),
            (":3", ":03"),
            (":3", ":"),
            (":3", ":99999999999999999999"),
            (r#","version""#, r#","meta":null,"version""#),
            (r#""ms":1000"#, r#""ms":1000,"more":1"#),
            (r#""ms":1000"#, r#""ms":1000,"command":"c""#),
            (r#""ms":1000"#, r#""ms":1000,"tags":[]"#),
            (r#""ms":1000"#, r#""ms":1000,"tags":["a",]"#),
            (r#""ms":1000"#, r#""ms":1000,"tags":["a\"]"#),
            (r#""ms":1000"#, r#""ms":1000,"tags":["a" ,"b"]"#),
        ] {
            let changed = REST.replace(ours, other);
            assert_ne!(changed, REST, "{ours}");
            let line = with_length(&changed);
            assert!(Line::read_own(&line, 7).is_none(), "{line}");
        }
    }

    #[test]
    fn an_invalid_or_too_deeply_nested_payload_is_an_error_when_it_is_decoded() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        for payload in [r#"{"a" "}"}"#, r#"{"a":[}}"#, "nul", "1-2", "\"\t\"", &deep] {
            let line = with_payload(payload);
            let read = Line::read_own(&line, 7).expect("it says how long it is");
            assert_eq!(read.data, payload);
            let event = read.event(&Recorded::NOTHING);
            let payload = event.payload::<serde_json::Value>();
            assert!(payload.unwrap_err().to_string().starts_with("event `A`"));
        }
    }
}
