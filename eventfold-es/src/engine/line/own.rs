//! Reading a line in exactly the form in which this crate writes it, which saves most of the time
//! that a general reader of JSON takes. What differs in the least is left to that one.

use std::borrow::Cow;

use memchr::memchr2;
use serde_json::value::RawValue;

use super::{Line, split_sum};

impl<'a> Line<'a> {
    /// `line` if it is in our own form; its checksum is not looked at.
    pub(super) fn read_own(line: &'a str) -> Option<Self> {
        let mut rest = Rest(line);
        rest.pass("{\"type\":")?;
        let name = Cow::Borrowed(rest.text()?);
        rest.pass(",\"data\":")?;
        let data = rest.json()?;
        rest.pass(",\"ts\":")?;
        let time = rest.number()?;
        let id = rest.member(",\"id\":", Rest::text)?;
        let actor = rest.member(",\"actor\":", Rest::text)?;
        let meta = rest.member(",\"meta\":", Rest::object)?;
        rest.pass(",\"version\":")?;
        let version = rest.number()?;
        rest.pass(",\"ms\":")?;
        let ms = rest.number()?;
        let key = rest.member(",\"key\":", Rest::text)?;
        rest.pass(",\"pos\":")?;
        let position = rest.number()?;
        split_sum(rest.0.as_bytes()).filter(|(before, _)| before.is_empty())?;
        Some(Self {
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
}

/// What of a line is still to be read.
struct Rest<'a>(&'a str);

impl<'a> Rest<'a> {
    fn pass(&mut self, expected: &str) -> Option<()> {
        self.0 = self.0.strip_prefix(expected)?;
        Some(())
    }

    /// What `read` reads behind `name`; the inner `None` if that is not there.
    fn member<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.pass(name) {
            Some(()) => read(self).map(Some),
            None => Some(None),
        }
    }

    /// A string that stands for itself.
    fn text(&mut self) -> Option<&'a str> {
        let text = self.0.strip_prefix('"')?;
        let end = memchr2(b'"', b'\\', text.as_bytes())?;
        let (text, rest) = text.split_at(end);
        self.0 = rest.strip_prefix('"')?;
        // No early end, so that many bytes are looked at at once.
        let is_control = text.bytes().fold(false, |any, byte| any | (byte < b' '));
        (!is_control).then_some(text)
    }

    fn number(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        let mut digits = 0;
        for byte in self.0.bytes() {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                break;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
            digits += 1;
        }
        let has_zero_before = digits > 1 && self.0.starts_with('0');
        self.0 = &self.0[digits..];
        (digits > 0 && !has_zero_before).then_some(number)
    }

    fn object(&mut self) -> Option<&'a RawValue> {
        self.json().filter(|json| json.get().starts_with('{'))
    }

    fn json(&mut self) -> Option<&'a RawValue> {
        let mut values = serde_json::Deserializer::from_str(self.0).into_iter();
        let json = values.next()?.ok()?;
        self.0 = &self.0[values.byte_offset()..];
        Some(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: &str = r#"{"type":"A","data":{"a":"}"},"ts":1,"id":"i","version":3,"ms":1000,"pos":7,"sum":"0123456789abcdef"}"#;

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
            let own = Line::read_own(&line).expect("it is in our form");
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
            assert!(Line::read_own(&line).is_none(), "{line}");
        }
    }
}
