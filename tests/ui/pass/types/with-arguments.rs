use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    commands(Set<u64, 3>, Many),
    events(Opened),
    error = Refused<std::collections::BTreeMap<String, Vec<u8>>>,
)]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Set<T, const N: usize>(T);

// An alias may hide what the list cannot show.
type Many = Vec<(u8, u8)>;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[derive(Debug)]
struct Refused<T>(T);

impl<T> std::fmt::Display for Refused<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("refused")
    }
}

impl<T: std::fmt::Debug> std::error::Error for Refused<T> {}

impl Decide<Set<u64, 3>> for Account {
    fn decide(&self, _: Set<u64, 3>) -> Decision<Self> {
        Err(Refused(Default::default()))
    }
}

impl Decide<Many> for Account {
    fn decide(&self, _: Many) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

pub(super) fn main() {
    assert!(Account.handle(Set(3).into()).is_err());
    assert!(Account.handle(vec![(1, 2)].into()).is_ok());
}
