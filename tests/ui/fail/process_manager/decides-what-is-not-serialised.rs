use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Account), decides(Naming))]
struct Welcome;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Named {
    #[tag]
    name: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "name", events(Named))]
struct Names;

impl Evolve<Named> for Names {
    fn evolve(&mut self, _: &Named) {}
}

#[derive(Debug)]
struct Name {
    name: String,
}

#[derive(Decision)]
#[decision(command = Name, events(Named))]
struct Naming {
    #[model(name)]
    _names: Names,
}

impl Decide<Name> for Naming {
    fn decide(&self, Name { name }: Name) -> Decision<Self> {
        Ok(events![Named { name }])
    }
}

impl React<Account> for Welcome {
    fn react_to(&mut self, _: &AccountEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

fn main() {
    let _ = AggregateStore::builder("data").process_manager::<Welcome>();
}
