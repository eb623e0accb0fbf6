//! Reading a line in exactly the form in which this crate writes it, which saves most of the time
//! that a general reader of JSON takes. What differs in the least is left to that one.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::value::RawValue;

use super::{Line, SUM_LEN, split_sum};

impl<'a> Line<'a> {
    /// The line that has `body` before its checksum, if it is in our own form.
    pub(super) fn read_own(body: &'a [u8]) -> Option<Self> {
        let mut rest = Rest(body);
        let line = rest.event()?;
        rest.0.is_empty().then_some(line)
    }
}

/// The line is not in our own form.
struct NotOurs;

/// What of a line is still to be read.
#[derive(Debug)]
pub(crate) struct Rest<'a>(pub(crate) &'a [u8]);

impl<'a> Rest<'a> {
    /// An event up to its checksum.
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
            key: key.map(str::to_owned),
        })
    }

    /// A checksum and the end of the object.
    pub(crate) fn sum(&mut self) -> Option<()> {
        let (sum, rest) = self.0.split_at_checked(SUM_LEN)?;
        split_sum(sum)?;
        self.0 = rest;
        Some(())
    }

    /// Passes exactly what is expected. Its length is part of the type, so that comparing it takes
    /// a few instructions.
    pub(crate) fn pass<const N: usize>(&mut self, expected: &[u8; N]) -> Option<()> {
        let (start, rest) = self.0.split_first_chunk()?;
        if start != expected {
            return None;
        }
        self.0 = rest;
        Some(())
    }

    /// What `read` reads behind `name`, if that is there.
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
        let end = memchr2(b'"', b'\\', self.0)?;
        let (text, rest) = self.0.split_at(end);
        self.0 = rest;
        self.pass(b"\"")?;
        // No early end, so that many bytes are looked at at once.
        let least = text.iter().fold(u8::MAX, |least, byte| least.min(*byte));
        if least < b' ' {
            return None;
        }
        std::str::from_utf8(text).ok()
    }

    pub(crate) fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit());
        let (digits, rest) = self.0.split_at(digits.count());
        // So many cannot overflow.
        let is_usual = (1..20).contains(&digits.len()) && (digits.len() == 1 || digits[0] != b'0');
        self.0 = rest;
        is_usual.then(|| {
            let digits = digits.iter().map(|byte| u64::from(byte - b'0'));
            digits.fold(0, |number, digit| number * 10 + digit)
        })
    }

    fn object(&mut self) -> Option<&'a RawValue> {
        self.json().filter(|json| json.get().starts_with('{'))
    }

    fn json(&mut self) -> Option<&'a RawValue> {
        let mut values = serde_json::Deserializer::from_slice(self.0).into_iter();
        let json = values.next()?.ok()?;
        self.0 = &self.0[values.byte_offset()..];
        Some(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"type":"A","data":{"a":"}"},"ts":1,"id":"i","version":3,"ms":1000,"pos":7,"sum":"0123456789abcdef"}"#;

    fn read_own(line: &str) -> Option<Line<'_>> {
        Line::read_own(split_sum(line.as_bytes())?.0)
    }

    /// What a general reader of JSON makes of the same line.
    fn read_as_json(line: &str) -> serde_json::Result<Line<'_>> {
        serde_json::from_str(line)
    }

    #[test]
    fn a_line_of_ours_is_read_as_any_reader_of_json_reads_it() {
        for line in [
            PLAIN.to_owned(),
            PLAIN.replace(r#"{"a":"}"}"#, "null"),
            PLAIN.replace(r#"{"a":"}"}"#, r#""a\"\\,\"ts\":5""#),
            PLAIN.replace(
                r#","version""#,
                r#","actor":"é","meta":{"k":[1]},"version""#,
            ),
            PLAIN.replace(r#","pos""#, r#","key":"k","pos""#),
        ] {
            let own = read_own(&line).expect("it is in our form");
            let json = read_as_json(&line).expect("it is JSON");
            assert_eq!(format!("{own:?}"), format!("{json:?}"));
        }
    }

    #[test]
    fn what_is_not_quite_in_our_form_is_left_to_the_reader_of_json() {
        for (ours, other) in [
            (r#""A""#, r#""\u0041""#),
            (r#""A""#, "\"\t\""),
            (r#"{"a":"}"}"#, r#"{"a" "}"}"#),
            (r#"{"a":"}"}"#, r#"{"a":"}"}}"#),
            (":7", ": 7"),
            (":7", ":07"),
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
}
