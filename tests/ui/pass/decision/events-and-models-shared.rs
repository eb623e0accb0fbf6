// One event type in several models, enums and aggregates, and models in several decisions.
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Moved {
    #[tag("account")]
    from: String,
    #[tag("account")]
    to: String,
    amount: u64,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(), events(Moved))]
struct Ledger(u64);

impl Evolve<Moved> for Ledger {
    fn evolve(&mut self, event: &Moved) {
        self.0 += event.amount;
    }
}

#[derive(Default, DecisionModel)]
#[decision_model(tag = "account", events(Moved))]
struct Moves(u64);

impl Evolve<Moved> for Moves {
    fn evolve(&mut self, _: &Moved) {
        self.0 += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Move {
    from: String,
    to: String,
}

#[derive(Decision)]
#[decision(command = Move, events(Moved))]
struct Moving {
    #[model(account = from)]
    from: Moves,
    #[model(account = to)]
    to: Moves,
}

impl Decide<Move> for Moving {
    fn decide(&self, Move { from, to }: Move) -> Decision<Self> {
        let amount = 10 * self.from.0 + self.to.0;
        Ok(events![Moved { from, to, amount }])
    }
}

/// Another decision on the same command.
#[derive(Decision)]
#[decision(command = Move, event = MovingEvent)]
struct MovingBack {
    #[model(account = from)]
    moves: Moves,
}

impl Decide<Move> for MovingBack {
    fn decide(&self, _: Move) -> Decision<Self> {
        assert_eq!(self.moves.0, 0);
        Ok(vec![])
    }
}

pub(super) fn main() {
    let moved = |from: &str, to: &str, amount| Moved {
        from: from.into(),
        to: to.into(),
        amount,
    };
    let command = |from: &str, to: &str| Move {
        from: from.into(),
        to: to.into(),
    };
    eventfold_es::testing::decision::<Moving>()
        .given(moved("a", "b", 0))
        .given_of::<Ledger>("l-1", events![moved("a", "c", 0)])
        .when(command("a", "b"))
        .then(events![moved("a", "b", 21)])
        // Two models with the same events, each with a state of its own.
        .when(command("a", "a"))
        .then(events![moved("a", "a", 33)]);
    eventfold_es::testing::decision::<MovingBack>()
        .when(command("a", "b"))
        .then_nothing();
}
