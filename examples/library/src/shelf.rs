use std::collections::BTreeMap;

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

use crate::book::{Book, BookEvent};

/// All books, by their ids: a read model.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "shelf", aggregates(Book))]
pub struct Shelf {
    pub books: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub title: String,
    pub reader: Option<String>,
    pub times_lent: u32,
}

impl Project<Book> for Shelf {
    fn project(&mut self, event: &BookEvent, record: &Recorded<'_>) {
        let entry = self.books.entry(record.id().to_owned()).or_default();
        match event {
            BookEvent::Bought(bought) => entry.title.clone_from(&bought.title),
            BookEvent::Lent(lent) => {
                entry.reader = Some(lent.reader.clone());
                entry.times_lent += 1;
            }
            BookEvent::Returned(_) => entry.reader = None,
        }
    }
}
