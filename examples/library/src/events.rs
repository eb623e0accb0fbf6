use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// The library bought a book.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub struct Bought {
    pub title: String,
}

/// A reader took the book home.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub struct Lent {
    pub reader: String,
    pub days: u32,
}

/// The book came back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub struct Returned;
