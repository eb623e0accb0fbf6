use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account, Other))]
struct Opens(u64);

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "account", commands(), event = OtherEvent)]
struct Other;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum OtherEvent {
    Opened,
}

impl Evolve<OtherEvent> for Other {
    fn evolve(&mut self, _: &OtherEvent) {}
}

impl Project<Account> for Opens {
    fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {
        self.0 += 1;
    }
}

impl Project<Other> for Opens {
    fn project(&mut self, _: &OtherEvent, _: &Recorded<'_>) {}
}

fn main() {
    let _ = AggregateStore::builder("data").projection::<Opens>();
}
