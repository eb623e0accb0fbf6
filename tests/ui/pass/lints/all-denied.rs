//! A crate that is strict with itself.
#![deny(
    missing_docs,
    warnings,
    unused_qualifications,
    unused_results,
    single_use_lifetimes,
    trivial_casts,
    unreachable_pub,
    missing_debug_implementations,
    missing_copy_implementations,
    non_ascii_idents,
    let_underscore_drop,
    unused_lifetimes,
    unused_import_braces,
    variant_size_differences,
    elided_lifetimes_in_paths,
    explicit_outlives_requirements
)]
#![forbid(unsafe_code)]

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// An account.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened, Ended))]
pub struct Account {
    /// Who owns it.
    pub owners: Vec<String>,
}

/// Opens it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    /// Who owns it.
    pub owner: String,
}

/// It was opened.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Opened {
    /// Who owns it.
    pub owner: String,
}

/// It ended.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub enum Ended {
    /// By hand.
    Closed {
        /// Why.
        reason: String,
    },
    /// Into another.
    Merged(String),
}

impl Decide<Open> for Account {
    fn decide(&self, Open { owner }: Open) -> Decision<Self> {
        Ok(events![Opened { owner }])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, event: &Opened) {
        self.owners.push(event.owner.clone());
    }
}

impl Evolve<Ended> for Account {
    fn evolve(&mut self, _: &Ended) {
        self.owners.clear();
    }
}

fn main() {}
