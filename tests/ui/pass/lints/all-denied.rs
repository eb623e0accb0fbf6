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
#[aggregate(commands(Open), events(Opened, Ended), retired("Suspended", "Reopened" = split))]
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
#[event(version = 3, upcast(1 = v1_to_v2, 2 = v2_to_v3))]
pub struct Opened {
    /// Who owns it.
    pub owner: String,
}

fn v1_to_v2((): ()) -> Result<String, String> {
    Err("nobody owns it".to_owned())
}

fn v2_to_v3(owner: String) -> Result<Opened, String> {
    Ok(Opened { owner })
}

fn split(owner: String) -> Vec<AccountEvent> {
    events![Opened { owner }]
}

/// It ended.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(retired("Lost"))]
pub enum Ended {
    /// By hand.
    #[event(version = 2, upcast(1 = closed))]
    Closed {
        /// Why.
        reason: String,
    },
    /// Into another.
    Merged(String),
}

fn closed((): ()) -> Ended {
    Ended::Closed {
        reason: String::new(),
    }
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

pub(super) fn main() {}
