//! Where the members of a commit's line are, so that it need not be read twice: [`Outline`].
//!
//! The thread that checks lines ahead reads them while they are in its processor's cache. Whoever takes them from
//! it finds the members by the outline.

use std::borrow::Cow;

use crate::event::one_or_many::OneOrMany;
use crate::storage::encoding::event_line::{EventOutline, Rest, Span};
use crate::storage::files::format::commit_line::{
    CommitLine, JournaledEvent, OwnEvent, StreamOfCommit,
};

/// Where the members of a line in our own form are, whose commit has one event, which is of a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outline {
    position: u64,
    ms: Span,
    durable: Span,
    aggregate_type: Span,
    id: Span,
    version: u64,
    offset: u64,
    event: Span,
    /// Where the event's members are in it.
    members: EventOutline,
}

impl Outline {
    /// The outline of a line that is known to be valid. `None` if it is not of the kind that has one.
    pub(crate) fn of(line: &str) -> Option<Self> {
        let mut rest = Rest::new(line);
        let length = rest.length()?;
        rest.pass(b"\"pos\":")?;
        let position = rest.number()?;
        rest.pass(b",\"count\":1,\"ms\":")?;
        let ms = Span::of_digits(&mut rest)?;
        rest.pass(b",\"durable\":")?;
        let durable = Span::of_digits(&mut rest)?;
        rest.pass(b",\"streams\":[{\"type\":\"")?;
        let aggregate_type = Span::of_text(&mut rest)?;
        rest.pass(b",\"id\":\"")?;
        let id = Span::of_text(&mut rest)?;
        rest.pass(b",\"version\":")?;
        let version = rest.number()?;
        rest.pass(b",\"offset\":")?;
        let offset = rest.number()?;
        rest.pass(b",\"count\":1}],\"events\":[")?;
        let start = rest.start();
        rest.pass_stated_length()?;
        let members = EventOutline::of(rest.since(start)?, position)?;
        rest.pass(b",\"pos\":")?;
        rest.later()?;
        rest.sum()?;
        let event = Span::new(start, rest.start() - start)?;
        rest.pass(b"]")?;
        (rest.start() == length).then_some(())?;
        rest.sum()?;
        let outline = Self {
            position,
            ms,
            durable,
            aggregate_type,
            id,
            version,
            offset,
            event,
            members,
        };
        // `CommitLine::check` says why another line is not read.
        let is_possible = |first: u64| first > 0 && first < u64::MAX;
        let is_whole = rest.is_empty() && is_possible(position) && is_possible(version);
        is_whole.then_some(outline)
    }

    /// The commit in `line`, which has this outline.
    #[inline]
    pub(super) fn read<'a>(&'a self, line: &'a str) -> Option<CommitLine<'a>> {
        let stream = StreamOfCommit {
            aggregate_type: Cow::Borrowed(self.aggregate_type.part(line)?),
            id: Cow::Borrowed(self.id.part(line)?),
            version: self.version,
            offset: self.offset,
            count: 1,
            adopted: false,
        };
        let event = JournaledEvent {
            json: self.event.part(line)?,
            own: Some(OwnEvent::Outline(&self.members)),
        };
        Some(CommitLine {
            position: self.position,
            ms: self.ms.number(line)?,
            durable: self.durable.number(line)?,
            streams: OneOrMany::One(stream),
            events: OneOrMany::One(event),
        })
    }
}
