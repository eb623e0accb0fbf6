use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Decide<Open> for Account {
    fn decide(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }
}

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

#[derive(Clone, Default, Serialize, Deserialize)]
struct Counter(u64);

#[derive(Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum CounterEvent {
    Added(u64),
}

impl Aggregate for Counter {
    const AGGREGATE_TYPE: &'static str = "counter";
    type Command = u64;
    type DomainEvent = CounterEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, command: u64) -> Result<Vec<CounterEvent>, Self::Error> {
        Ok(vec![CounterEvent::Added(command)])
    }

    fn apply(self, CounterEvent::Added(amount): &CounterEvent) -> Self {
        Self(self.0 + amount)
    }
}

pub(super) fn main() {
    let events = Account::default().handle(Open.into());
    assert_eq!(events.unwrap().len(), 1);
}
