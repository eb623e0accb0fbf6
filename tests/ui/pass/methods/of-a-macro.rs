//! Blocks that a macro writes, with types that it is given.

use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

macro_rules! switch {
    ($state:ident, $block:ty, $command:ident, $given:ty, $event:ident, $taken:ty, $reference:ty) => {
        #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
        #[aggregate(commands($command), events($event))]
        struct $state {
            is_on: bool,
        }

        #[derive(Debug, Clone, Serialize, Deserialize)]
        struct $command;

        #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
        struct $event;

        #[aggregate_impl]
        impl $block {
            fn turn(&self, _: $given) -> Decision<Self> {
                Ok(events![$event])
            }

            fn turned(&mut self, _: $reference) {
                self.is_on = !self.is_on;
                let _: Option<$taken> = None;
            }
        }
    };
}

switch!(Lamp, Lamp, Turn, Turn, Turned, Turned, &Turned);

pub(super) fn main() {
    let events = Lamp::default().handle(Turn.into()).unwrap();
    assert!(Lamp::default().apply(&events[0]).is_on);
}
