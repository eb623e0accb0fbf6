//! Accounts in UmaDB.

use umadb_dcb::{DcbAppendCondition, DcbError, DcbEvent, DcbQuery, DcbQueryItem};

use super::Log;
use crate::domain::Event;
use crate::tagged::umadb::Uma;

impl Log for Uma {
    type Query = DcbQuery;
    type Position = u64;

    const START: u64 = 0;

    fn with_tag(tag: &str) -> DcbQuery {
        DcbQuery::new().item(DcbQueryItem::new().tags([tag]))
    }

    fn all() -> DcbQuery {
        DcbQuery::new()
    }

    fn each_event(&self, query: &DcbQuery, after: u64, mut take: impl FnMut(&Event)) -> u64 {
        let (events, head) = self.events(query, after + 1);
        for read in &events {
            take(&Event::read(&read.event.event_type, &read.event.data));
        }
        head
    }

    async fn append_unless(
        &self,
        events: &[Event],
        tag: &str,
        query: &DcbQuery,
        after: u64,
    ) -> Option<u64> {
        let encode = |event: &Event| {
            let encoded = DcbEvent::new().event_type(event.name()).tags([tag]);
            encoded.data(event.payload())
        };
        let events = events.iter().map(encode).collect();
        let after = Some(after).filter(|position| *position > 0);
        let condition = DcbAppendCondition::new(query.clone()).after(after);
        match self.send(events, Some(condition)).await {
            Ok(position) => Some(position),
            Err(DcbError::IntegrityError(_)) => None,
            Err(error) => panic!("{error}"),
        }
    }
}
