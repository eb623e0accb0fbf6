//! Accounts in tephra.

use tephra::{
    AppendCondition, AppendError, Event as Stored, EventType, Position, Query, QueryItem, Tag, Tags,
};

use super::Log;
use crate::domain::Event;
use crate::tagged::tephra::Tephra;

fn tags(tag: &str) -> Tags {
    let tag = Tag::new(tag).expect("a tag");
    Tags::new([tag]).expect("tags")
}

impl Log for Tephra {
    type Query = Query;
    type Position = Position;

    const START: Position = Position::ZERO;

    fn with_tag(tag: &str) -> Query {
        Query::item(QueryItem::with_tags(tags(tag)))
    }

    fn all() -> Query {
        Query::all()
    }

    fn each_event(&self, query: &Query, after: Position, mut take: impl FnMut(&Event)) -> Position {
        let mut reads = self.handle().read(query, after, None);
        while let Some(read) = reads.next() {
            let stored = read.expect("an event").event;
            take(&Event::read(stored.event_type(), stored.data()));
        }
        reads.watermark()
    }

    async fn append_unless(
        &self,
        events: &[Event],
        tag: &str,
        query: &Query,
        after: Position,
    ) -> Option<Position> {
        let tags = tags(tag);
        let encode = |event: &Event| {
            let name = EventType::new(event.name()).expect("a name");
            Stored::new(&name, &tags, &event.payload()).expect("an event")
        };
        let events = events.iter().map(encode).collect();
        let condition = AppendCondition::new(query.clone()).after(after);
        match self.handle().append_async(events, Some(condition)).await {
            Ok(range) => Some(range.last),
            Err(AppendError::Conflict { .. }) => None,
            Err(error) => panic!("{error}"),
        }
    }
}
