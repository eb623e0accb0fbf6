use std::time::Duration;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::book::{Book, BookEvent};
use crate::reader::{Reader, Remind};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Reminds a reader who keeps a book for too long.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "reminders", aggregates(Book), dispatches(Reader))]
pub struct Reminders;

impl React<Book> for Reminders {
    fn react_to(&mut self, event: &BookEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let book = record.id();
        match event {
            BookEvent::Bought(_) => {}
            // A timer under the book's id: there is one for each book that is out.
            BookEvent::Lent(lent) => {
                let remind = Remind {
                    book: book.to_owned(),
                };
                out.schedule_as::<Reader>(book, DAY * lent.days, &lent.reader, remind);
            }
            BookEvent::Returned(_) => out.cancel(book),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use eventfold_es::ManualClock;

    use super::*;
    use crate::book::{Buy, Lend, Return};

    type TestResult = Result<(), Box<dyn std::error::Error>>;

    const PATIENCE: Duration = Duration::from_secs(10);

    async fn lent(store: &AggregateStore, book: &str) -> TestResult {
        let (title, reader) = (book.to_owned(), "ann".to_owned());
        let book = store.get::<Book>(book).await?;
        book.send(Buy { title }).await?;
        book.send(Lend { reader, days: 14 }).await?;
        Ok(())
    }

    #[tokio::test]
    async fn a_reader_is_reminded_of_the_book_that_did_not_come_back() -> TestResult {
        let clock = ManualClock::new(SystemTime::now());
        let store = AggregateStore::in_memory()
            .clock(clock.clone())
            .process_manager::<Reminders>()
            .live()
            .open()
            .await?;
        lent(&store, "dune").await?;
        lent(&store, "emma").await?;
        clock.advance(DAY * 13);
        let emma = store.get::<Book>("emma").await?.send(Return).await?;
        store.wait_until_settled(emma.position, PATIENCE).await?;

        clock.advance(DAY);
        store.wait_until_settled(store.head(), PATIENCE).await?;
        let ann = store.get::<Reader>("ann").await?.state().await?;
        assert_eq!(ann.reminders, 1);
        Ok(())
    }
}
