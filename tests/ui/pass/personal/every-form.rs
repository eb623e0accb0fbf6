//! Subjects and personal data in every place where they may be.

#![deny(warnings, missing_docs, clippy::pedantic)]
#![forbid(unsafe_code)]

use eventfold_es::DomainEvent;
use eventfold_es::personal::Personal;
use serde::{Deserialize, Serialize};

/// Of one subject.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Registered {
    /// A subject and a tag.
    #[subject]
    #[tag]
    pub customer: String,
    /// Alone, in an option, in a list, in a box.
    pub name: Personal<String>,
    /// See above.
    pub emails: Option<Vec<Personal<String>>>,
    /// See above.
    #[personal(customer)]
    pub address: Box<Option<Personal<String>>>,
}

/// A tuple.
#[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)]
#[event(version = 2, upcast(1 = moved_1))]
pub struct Moved(
    #[subject("customer")] pub u64,
    #[subject("customer")] pub u64,
    #[personal(1)] pub Personal<String>,
    #[personal(0)] pub Personal<u8>,
);

fn moved_1(customer: u64) -> Moved {
    Moved(customer, customer, Personal::default(), Personal::new(0))
}

/// A set.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub enum Order {
    /// With two subjects.
    Sent {
        /// The first one.
        #[subject("person")]
        from: u64,
        /// The second one.
        #[subject("person")]
        r#to: u64,
        /// Whose it is is a raw identifier.
        #[personal(r#to)]
        address: Personal<String>,
    },
    /// With one.
    Paid(#[subject("person")] u64, Personal<String>),
    /// Without.
    Lost,
}

pub(super) fn main() {}
