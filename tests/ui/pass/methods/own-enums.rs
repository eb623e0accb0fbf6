//! The methods of an aggregate whose enums are the user's, in a function.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

pub(super) fn main() {
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(command = CounterCommand, event = CounterEvent)]
    struct Counter(u64);

    enum CounterCommand {
        Add(u64),
    }

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    enum CounterEvent {
        Added(u64),
    }

    #[aggregate_impl]
    impl Counter {
        fn decide(&self, CounterCommand::Add(amount): CounterCommand) -> Decision<Self> {
            Ok(vec![CounterEvent::Added(amount)])
        }

        fn evolve(&mut self, CounterEvent::Added(amount): &CounterEvent) {
            self.0 += amount;
        }
    }

    let events = Counter(2).handle(CounterCommand::Add(5)).unwrap();
    assert_eq!(Counter(2).apply(&events[0]).0, 7);
}
