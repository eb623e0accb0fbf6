//! Where the members of an event's line are, so that it need not be read twice: [`EventOutline`].

use std::borrow::Cow;
use std::num::NonZeroU32;

use crate::event::{Digits, Number};
use crate::storage::encoding::event_line::Line;
use crate::storage::encoding::event_line::rest::Rest;

/// Where the members of an event's line in our own form are.
///
/// The line states the lengths of payload and `meta`. A checksum proves that they are as written. The code that
/// decodes them finds out whether they are valid JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventOutline {
    position: u64,
    version: u64,
    name: Span,
    data: Span,
    time: Span,
    id: Option<Span>,
    actor: Option<Span>,
    meta: Option<Span>,
    ms: Span,
    key: Option<Span>,
    command: Option<Span>,
    /// The rest of the array behind its bracket.
    tags: Option<Span>,
}

impl EventOutline {
    /// The outline of `body`, the part of a line before its `position`. `None` if it is not in our own form. The
    /// caller has checked that the stated length is the length of `body`.
    #[inline]
    pub(crate) fn of(body: &str, position: u64) -> Option<Self> {
        let mut rest = Rest::new(body);
        // The stated length is already checked.
        rest.skip_length()?;
        rest.pass(b"\"sizes\":[")?;
        let data = rest.number()?;
        rest.pass(b",")?;
        let meta = rest.number()?;
        rest.pass(b"],\"type\":\"")?;
        let name = Span::of_text(&mut rest)?;
        rest.pass(b",\"data\":")?;
        let data = Span::of_length(&mut rest, data)?;
        rest.pass(b",\"ts\":")?;
        let time = Span::of_digits(&mut rest)?;
        let id = Span::of_member(&mut rest, b",\"id\":\"").ok()?;
        let actor = Span::of_member(&mut rest, b",\"actor\":\"").ok()?;
        let meta = if meta == 0 {
            None
        } else {
            rest.pass(b",\"meta\":")?;
            Some(Span::of_length(&mut rest, meta)?)
        };
        rest.pass(b",\"version\":")?;
        let version = rest.number()?;
        rest.pass(b",\"ms\":")?;
        let ms = Span::of_digits(&mut rest)?;
        let key = Span::of_member(&mut rest, b",\"key\":\"").ok()?;
        let command = match key {
            Some(_) => Span::of_member(&mut rest, b",\"command\":\"").ok()?,
            None => None,
        };
        let tags = match rest.pass(b",\"tags\":[") {
            Some(()) => {
                let length = (body.len() - rest.start()) as u64;
                Some(Span::of_length(&mut rest, length)?)
            }
            None => None,
        };
        rest.is_empty().then_some(Self {
            position,
            version,
            name,
            data,
            time,
            id,
            actor,
            meta,
            ms,
            key,
            command,
            tags,
        })
    }

    /// The event of `line`, which has this outline. `None` if its tags are not in our own form.
    #[inline]
    pub(crate) fn read<'a>(&self, line: &'a str) -> Option<Line<'a>> {
        let text = |span: Span| span.part(line).map(Cow::Borrowed);
        let optional = |span: Option<Span>| span.map_or(Some(None), |span| text(span).map(Some));
        let tags = match self.tags {
            Some(tags) => Rest::new(tags.part(line)?).texts()?,
            None => Vec::new(),
        };
        Some(Line {
            name: text(self.name)?,
            data: self.data.part(line)?,
            time: self.time.number(line)?,
            id: optional(self.id)?,
            actor: optional(self.actor)?,
            meta: match self.meta {
                Some(meta) => Some(meta.part(line)?),
                None => None,
            },
            version: Some(Number::Read(self.version)),
            ms: Some(self.ms.number(line)?),
            position: Some(self.position),
            key: optional(self.key)?,
            command: optional(self.command)?,
            tags,
        })
    }
}

impl<'a> Line<'a> {
    /// Reads `body`, the part of a line before its `position`, if it is in our own form. The caller
    /// has checked that the stated length is the length of `body`.
    #[inline]
    pub(crate) fn read_own(body: &'a str, position: u64) -> Option<Self> {
        EventOutline::of(body, position)?.read(body)
    }
}

/// A member is not in our own form.
struct NotOurs;

/// A part of a line, not at its beginning.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Span {
    start: NonZeroU32,
    length: u32,
}

impl Span {
    #[inline]
    pub(crate) fn new(start: usize, length: usize) -> Option<Self> {
        Some(Self {
            start: NonZeroU32::new(u32::try_from(start).ok()?)?,
            length: u32::try_from(length).ok()?,
        })
    }

    /// Passes a number.
    #[inline]
    pub(crate) fn of_digits(rest: &mut Rest<'_>) -> Option<Self> {
        let start = rest.start();
        rest.later()?;
        Self::new(start, rest.start() - start)
    }

    /// Passes the rest of a string whose quote was passed.
    #[inline]
    pub(crate) fn of_text(rest: &mut Rest<'_>) -> Option<Self> {
        let start = rest.start();
        let text = rest.text()?;
        Self::new(start, text.len())
    }

    /// Passes the next `length` bytes, at least one.
    #[inline]
    fn of_length(rest: &mut Rest<'_>, length: u64) -> Option<Self> {
        let start = rest.start();
        let part = rest.take(length)?;
        Self::new(start, part.len())
    }

    /// Passes the string after `name`, if `name` comes next.
    #[inline]
    fn of_member<const N: usize>(
        rest: &mut Rest<'_>,
        name: &[u8; N],
    ) -> Result<Option<Self>, NotOurs> {
        match rest.pass(name) {
            Some(()) => Self::of_text(rest).map(Some).ok_or(NotOurs),
            None => Ok(None),
        }
    }

    #[inline]
    pub(crate) fn part(self, line: &str) -> Option<&str> {
        let start = self.start.get() as usize;
        line.get(start..start + self.length as usize)
    }

    #[inline]
    pub(crate) fn number(self, line: &str) -> Option<Number<'_>> {
        let digits = Digits::found(self.part(line)?.as_bytes());
        Some(Number::Text(digits))
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
