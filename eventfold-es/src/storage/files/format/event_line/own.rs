//! Reading a line in exactly the form in which this crate writes it, which saves most of the time
//! that a general reader of JSON takes. What differs in the least is left to that one.
//!
//! Payload and `meta` are only delimited: a checksum proves that they are what was written, and
//! whoever decodes them finds out whether they are JSON.

use std::borrow::Cow;

use memchr::memchr2;

use crate::storage::files::format::event_line::{Line, SUM_LEN};

impl<'a> Line<'a> {
    /// What `line` says, which ends in a checksum, if it is in our own form.
    #[inline]
    pub(crate) fn read_own(line: &'a str) -> Option<Self> {
        let mut rest = Rest::new(line);
        let read = rest.event()?;
        (rest.bytes.len() == SUM_LEN).then_some(read)
    }
}

/// The line is not in our own form.
struct NotOurs;

/// A line with what of it is still to be read.
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

    /// What was read since the rest began at `start`.
    pub(crate) fn since(&self, start: usize) -> Option<&'a str> {
        self.line.get(start..self.start())
    }

    /// An event up to its checksum.
    #[inline]
    pub(crate) fn event(&mut self) -> Option<Line<'a>> {
        self.pass(b"{\"type\":\"")?;
        let name = Cow::Borrowed(self.text()?);
        self.pass(b",\"data\":")?;
        let data = self.json()?;
        self.pass(b",\"ts\":")?;
        let time = self.number()?;
        let id = self.member(b",\"id\":\"", Self::text).ok()?;
        let actor = self.member(b",\"actor\":\"", Self::text).ok()?;
        let meta = self.member(b",\"meta\":", Self::object).ok()?;
        self.pass(b",\"version\":")?;
        let version = self.number()?;
        self.pass(b",\"ms\":")?;
        let ms = self.number()?;
        let key = self.member(b",\"key\":\"", Self::text).ok()?;
        self.pass(b",\"pos\":")?;
        let position = self.number()?;
        Some(Line {
            name,
            data,
            time,
            id: id.map(Cow::Borrowed),
            actor: actor.map(Cow::Borrowed),
            meta,
            version: Some(version),
            ms: Some(ms),
            position: Some(position),
            key: key.map(Cow::Borrowed),
        })
    }

    /// Something of the form of a checksum, and the end of the object.
    pub(crate) fn sum(&mut self) -> Option<()> {
        self.pass(b",\"sum\":\"")?;
        let (digits, rest) = self.bytes.split_first_chunk::<16>()?;
        // No early end, so that all are looked at at once.
        let is_text = |byte: &u8| !matches!(byte, b'"' | b'\\');
        let are_text = digits.iter().fold(true, |all, byte| all & is_text(byte));
        self.bytes = rest;
        are_text.then_some(())?;
        self.pass(b"\"}")
    }

    /// Passes exactly what is expected. Its length is part of the type, so that comparing it takes
    /// a few instructions.
    #[inline]
    pub(crate) fn pass<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (start, rest) = self.bytes.split_first_chunk()?;
        if start != expected {
            return None;
        }
        self.bytes = rest;
        Some(())
    }

    /// What `read` reads behind `name`, if that is there.
    #[inline]
    fn member<const N: usize, T>(
        &mut self,
        name: &[u8; N],
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Result<Option<T>, NotOurs> {
        match self.pass(name) {
            Some(()) => read(self).map(Some).ok_or(NotOurs),
            None => Ok(None),
        }
    }

    /// What stands for itself in a string that has begun.
    pub(crate) fn text(&mut self) -> Option<&'a str> {
        let start = self.start();
        let length = memchr2(b'"', b'\\', self.bytes)?;
        self.bytes = &self.bytes[length..];
        let text = self.since(start)?;
        self.pass(b"\"")?;
        Some(text)
    }

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
        // So many digits cannot overflow.
        let is_usual = (1..20).contains(&length) && (length == 1 || bytes[0] != b'0');
        is_usual.then_some(number)
    }

    fn object(&mut self) -> Option<&'a str> {
        self.json().filter(|json| json.starts_with('{'))
    }

    /// What is a value of JSON by its brackets and quotes.
    fn json(&mut self) -> Option<&'a str> {
        let start = self.start();
        let bytes = self.bytes;
        let length = match bytes.first()? {
            b'{' | b'[' => brackets(bytes)?,
            b'"' => 1 + string(&bytes[1..])?,
            // A number, or a name like `null`.
            _ => {
                let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
                bytes.iter().take_while(is_part).count()
            }
        };
        self.bytes = &bytes[length..];
        self.since(start).filter(|json| !json.is_empty())
    }
}

/// How long the array or object is that `bytes` begin with, however deeply it is nested: its reader
/// sets the limit.
fn brackets(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        let byte = bytes.get(at)?;
        at += 1;
        match byte {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at);
                }
            }
            b'"' => at += string(&bytes[at..])?,
            _ => {}
        }
    }
}

/// How long the rest of a string is, with its closing quote.
fn string(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr2(b'"', b'\\', bytes.get(at..)?)? + 1;
        if bytes[at - 1] == b'"' {
            return Some(at);
        }
        // What is escaped.
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Recorded;
    use crate::storage::files::format::event_line::split_sum;

    const PLAIN: &str = r#"{"type":"A","data":{"a":"}"},"ts":1,"id":"i","version":3,"ms":1000,"pos":7,"sum":"0123456789abcdef"}"#;
    const PAYLOAD: &str = r#"{"a":"}"}"#;

    fn read_own(line: &str) -> Option<Line<'_>> {
        split_sum(line.as_bytes())?;
        Line::read_own(line)
    }

    /// What a general reader of JSON makes of the same line.
    fn read_as_json(line: &str) -> serde_json::Result<Line<'_>> {
        serde_json::from_str(line)
    }

    fn assert_read_alike(line: &str) {
        let own = read_own(line).unwrap_or_else(|| panic!("it is in our form: {line}"));
        let json = read_as_json(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(format!("{own:?}"), format!("{json:?}"));
    }

    #[test]
    fn a_line_of_ours_is_read_as_any_reader_of_json_reads_it() {
        assert_read_alike(PLAIN);
        for (plain, other) in [
            (":7", ":0"),
            (":7", ":1234567890123456789"),
            (
                r#","version""#,
                r#","actor":"é","meta":{"k":[1]},"version""#,
            ),
            (r#","pos""#, r#","key":"k","pos""#),
        ] {
            assert_read_alike(&PLAIN.replace(plain, other));
        }
    }

    #[test]
    fn every_payload_is_delimited_as_any_reader_of_json_delimits_it() {
        for payload in [
            "null",
            "true",
            "-1.5e+10",
            "0",
            "\"\"",
            "[]",
            "{}",
            r#""a\"\\,\"ts\":5""#,
            r#""\\""#,
            r#""\\\"""#,
            r#""\u0022,é\n""#,
            r#"{"a\"":"\\","}":["]",{"b":[[],{}]}, -0.5 ]}"#,
            r#"{"ts":5,"id":"i","version":1,"pos":1,"sum":"0123456789abcdef"}"#,
            "{\t\"a\" : 1 }",
        ] {
            assert_read_alike(&PLAIN.replace(PAYLOAD, payload));
            let meta = format!(r#","meta":{{"a":{payload}}},"version""#);
            assert_read_alike(&PLAIN.replace(r#","version""#, &meta));
        }
    }

    #[test]
    fn what_is_not_quite_in_our_form_is_left_to_the_reader_of_json() {
        for (ours, other) in [
            (r#""A""#, r#""\u0041""#),
            (PAYLOAD, ""),
            (PAYLOAD, "5 "),
            (PAYLOAD, " 5"),
            (PAYLOAD, r#"{"a":"}"} "#),
            (PAYLOAD, r#"{"a":"}"}}"#),
            (PAYLOAD, r#"{"a":["}"}"#),
            (PAYLOAD, r#"{"a":"}"#),
            (PAYLOAD, r#"{"a":"}\"}"#),
            (PAYLOAD, r#"1,"more":1"#),
            (":7", ": 7"),
            (":7", ":07"),
            (":7", r#":7,"more":1"#),
            (":7", ":"),
            (":7", ":99999999999999999999"),
            (r#","version""#, r#","meta":null,"version""#),
            (r#""ms":1000"#, r#""ms":1000,"more":1"#),
            (r#","sum":"0123456789abcdef""#, ""),
            ("\"}", "\"} "),
        ] {
            let line = PLAIN.replace(ours, other);
            assert_ne!(line, PLAIN, "{ours}");
            assert!(read_own(&line).is_none(), "{line}");
        }
    }

    #[test]
    fn a_payload_that_is_no_json_or_nested_too_deeply_is_an_error_for_whoever_reads_it() {
        let deep = ["[".repeat(100_000), "]".repeat(100_000)].concat();
        for payload in [r#"{"a" "}"}"#, r#"{"a":[}}"#, "nul", "1-2", "\"\t\"", &deep] {
            let line = PLAIN.replace(PAYLOAD, payload);
            let read = read_own(&line).expect("it can be delimited");
            assert_eq!(read.data, payload);
            let event = read.event(&Recorded::NOTHING);
            let payload = event.payload::<serde_json::Value>();
            assert!(payload.unwrap_err().to_string().starts_with("event `A`"));
        }
    }
}
