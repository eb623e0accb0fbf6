use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Account), decides(Reserving))]
struct Welcome;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Opened))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

impl Evolve<Opened> for Account {
    fn evolve(&mut self, _: &Opened) {}
}

#[derive(Debug)]
struct Reserve {
    room: String,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Reserved {
    #[tag]
    room: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "room", events(Reserved))]
struct Room {
    is_taken: bool,
}

impl Evolve<Reserved> for Room {
    fn evolve(&mut self, _: &Reserved) {
        self.is_taken = true;
    }
}

#[derive(Decision)]
#[decision(command = Reserve, events(Reserved))]
struct Reserving {
    #[model(room)]
    room: Room,
}

impl Decide<Reserve> for Reserving {
    fn decide(&self, command: Reserve) -> Decision<Self> {
        let Reserve { room } = command;
        Ok(if self.room.is_taken {
            events![]
        } else {
            events![Reserved { room }]
        })
    }
}

impl React<Account> for Welcome {
    fn react_to(&mut self, _: &AccountEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

fn main() {
    let _ = AggregateStore::builder("data").process_manager::<Welcome>();
}
