use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::events::{Bought, Lent, Returned};

/// What a book needs to know of its past to decide what may happen next.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Buy, Lend, Return),
    events(Bought, Lent, Returned),
    error = BookError,
)]
pub struct Book {
    title: Option<String>,
    reader: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Buy {
    pub title: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lend {
    pub reader: String,
    pub days: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Return;

/// Why a command is refused.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum BookError {
    #[error("the library has this book already")]
    AlreadyBought,
    #[error("the library has no such book")]
    NotBought,
    #[error("{0} has the book")]
    LentTo(String),
    #[error("nobody has borrowed the book")]
    NotLent,
}

#[aggregate_impl]
impl Book {
    // `&self` and a command: may it happen? The answer is events, or an error.
    fn buy(&self, command: Buy) -> Decision<Self> {
        if self.title.is_some() {
            return Err(BookError::AlreadyBought);
        }
        Ok(events![Bought {
            title: command.title
        }])
    }

    fn lend(&self, command: Lend) -> Decision<Self> {
        if self.title.is_none() {
            return Err(BookError::NotBought);
        }
        if let Some(reader) = &self.reader {
            return Err(BookError::LentTo(reader.clone()));
        }
        let Lend { reader, days } = command;
        Ok(events![Lent { reader, days }])
    }

    fn give_back(&self, _: Return) -> Decision<Self> {
        if self.reader.is_none() {
            return Err(BookError::NotLent);
        }
        Ok(events![Returned])
    }

    // `&mut self` and an event: it has happened. What does it change? It cannot be refused.
    fn bought(&mut self, event: &Bought) {
        self.title = Some(event.title.clone());
    }

    fn lent(&mut self, event: &Lent) {
        self.reader = Some(event.reader.clone());
    }

    fn returned(&mut self, _: &Returned) {
        self.reader = None;
    }
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::given;

    use super::*;

    fn dune() -> Bought {
        Bought {
            title: "Dune".to_owned(),
        }
    }

    fn to(reader: &str) -> Lent {
        Lent {
            reader: reader.to_owned(),
            days: 14,
        }
    }

    fn lend_to(reader: &str) -> Lend {
        Lend {
            reader: reader.to_owned(),
            days: 14,
        }
    }

    #[test]
    fn a_book_is_lent_to_one_reader_at_a_time() {
        given::<Book>(events![dune(), to("ann")])
            .when(lend_to("ben"))
            .then_error(|error| *error == BookError::LentTo("ann".to_owned()))
            .when(Return)
            .then(events![Returned])
            .when(lend_to("ben"))
            .then(events![to("ben")]);
    }

    #[test]
    fn only_a_book_of_the_library_is_lent() {
        given::<Book>(events![])
            .when(lend_to("ann"))
            .then_error(|error| *error == BookError::NotBought);
    }
}
