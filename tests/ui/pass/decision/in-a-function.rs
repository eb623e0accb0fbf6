// Types that only a function knows, and those that come out of a macro.
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

macro_rules! decision {
    ($decision:ident($command:ty, $field:ident) { $event:path, $model:ty, $tag:literal }) => {
        #[derive(Decision)]
        #[decision(command = $command, events($event), name = $tag)]
        struct $decision {
            #[model($tag = $field)]
            model: $model,
        }
    };
}

macro_rules! model {
    ($model:ident: $event:path, $tag:literal) => {
        #[derive(Default, DecisionModel)]
        #[decision_model(tag = $tag, events($event))]
        struct $model(u32);
    };
}

pub(super) fn main() {
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    struct Reserved {
        #[tag]
        seat: u32,
    }

    model!(Seat: Reserved, "seat");

    impl Evolve<Reserved> for Seat {
        fn evolve(&mut self, _: &Reserved) {
            self.0 += 1;
        }
    }

    #[derive(Clone)]
    struct Reserve {
        number: u32,
    }

    decision!(Reserving(Reserve, number) { Reserved, Seat, "seat" });

    impl Decide<Reserve> for Reserving {
        fn decide(&self, command: Reserve) -> Decision<Self> {
            let seat = command.number;
            Ok(if self.model.0 > 0 {
                events![]
            } else {
                events![Reserved { seat }]
            })
        }
    }

    eventfold_es::testing::decision::<Reserving>()
        .when(Reserve { number: 7 })
        .then(events![Reserved { seat: 7 }])
        .when(Reserve { number: 7 })
        .then_nothing();
}
