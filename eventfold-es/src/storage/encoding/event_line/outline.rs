//! Where the members of an event's line are, so that it need not be read twice: [`EventOutline`].

use std::borrow::Cow;
use std::num::NonZeroU32;

use crate::event::{Digits, Number};
use crate::storage::encoding::event_line::Line;
use crate::storage::encoding::event_line::own::Rest;

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
