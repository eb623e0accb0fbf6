//! Two styles, one behaviour: a counter whose boilerplate is derived, over enums of one's own, and
//! the same counter with [`Aggregate`] implemented by hand.
//!
//! ```text
//! cargo run --example counter
//! ```
//!
//! The other style, a struct for each command and event, is in `bank.rs`.

use anyhow::Context;
use eventfold_es::ExecuteError;
use eventfold_es::prelude::*;

/// What both counters are told.
#[derive(Debug, Clone)]
enum CounterCommand {
    Increase { by: u64 },
    Decrease { by: u64 },
    Reset,
}

#[derive(Debug, PartialEq, thiserror::Error)]
#[error("a counter cannot go below zero")]
struct CannotGoBelowZero;

/// With the derives: the enums are yours, their wiring is not.
mod derived {
    use eventfold_es::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::{CannotGoBelowZero, CounterCommand};

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(
        name = "derived-counter",
        command = CounterCommand,
        event = CounterEvent,
        error = CannotGoBelowZero,
    )]
    pub(super) struct Counter {
        pub(super) value: u64,
    }

    /// An event is stored under its variant's name unless `#[event(...)]` says otherwise.
    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    pub(super) enum CounterEvent {
        Increased {
            by: u64,
        },
        Decreased {
            by: u64,
        },
        #[event(name = "Reset")]
        WasReset,
    }

    impl Decide<CounterCommand> for Counter {
        fn decide(&self, command: CounterCommand) -> Decision<Self> {
            match command {
                CounterCommand::Increase { by } => Ok(vec![CounterEvent::Increased { by }]),
                CounterCommand::Decrease { by } if by > self.value => Err(CannotGoBelowZero),
                CounterCommand::Decrease { by } => Ok(vec![CounterEvent::Decreased { by }]),
                CounterCommand::Reset if self.value == 0 => Ok(vec![]),
                CounterCommand::Reset => Ok(vec![CounterEvent::WasReset]),
            }
        }
    }

    impl Evolve<CounterEvent> for Counter {
        fn evolve(&mut self, event: &CounterEvent) {
            match event {
                CounterEvent::Increased { by } => self.value += by,
                CounterEvent::Decreased { by } => self.value -= by,
                CounterEvent::WasReset => self.value = 0,
            }
        }
    }
}

/// By hand, without any derive of this crate: serde writes the stored names, so the enum must be
/// tagged by `type` and `data`, and a renamed variant needs serde's `rename` and `alias`.
mod by_hand {
    use eventfold_es::Aggregate;
    use serde::{Deserialize, Serialize};

    use super::{CannotGoBelowZero, CounterCommand};

    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    pub(super) struct Counter {
        pub(super) value: u64,
    }

    #[derive(Debug, Clone, Serialize, Deserialize)]
    #[serde(tag = "type", content = "data")]
    pub(super) enum CounterEvent {
        Increased {
            by: u64,
        },
        Decreased {
            by: u64,
        },
        #[serde(rename = "Reset")]
        WasReset,
    }

    impl Aggregate for Counter {
        const AGGREGATE_TYPE: &'static str = "counter-by-hand";

        type Command = CounterCommand;
        type DomainEvent = CounterEvent;
        type Error = CannotGoBelowZero;

        fn handle(&self, command: CounterCommand) -> Result<Vec<CounterEvent>, CannotGoBelowZero> {
            match command {
                CounterCommand::Increase { by } => Ok(vec![CounterEvent::Increased { by }]),
                CounterCommand::Decrease { by } if by > self.value => Err(CannotGoBelowZero),
                CounterCommand::Decrease { by } => Ok(vec![CounterEvent::Decreased { by }]),
                CounterCommand::Reset if self.value == 0 => Ok(vec![]),
                CounterCommand::Reset => Ok(vec![CounterEvent::WasReset]),
            }
        }

        fn apply(mut self, event: &CounterEvent) -> Self {
            match event {
                CounterEvent::Increased { by } => self.value += by,
                CounterEvent::Decreased { by } => self.value -= by,
                CounterEvent::WasReset => self.value = 0,
            }
            self
        }
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = AggregateStore::open(dir.path()).await?;
    println!("derived:");
    demonstrate(&store, |counter: &derived::Counter| counter.value).await?;
    println!("\nby hand:");
    demonstrate(&store, |counter: &by_hand::Counter| counter.value).await?;
    store.shutdown().await?;
    Ok(())
}

/// Sends the same commands to a counter of either kind, and prints what comes of them and what is
/// stored.
async fn demonstrate<A>(store: &AggregateStore, value: fn(&A) -> u64) -> anyhow::Result<()>
where
    A: Aggregate<Command = CounterCommand, Error = CannotGoBelowZero>,
    A::DomainEvent: std::fmt::Debug,
{
    let counter = store.get::<A>("visitors").await?;
    for command in [
        CounterCommand::Increase { by: 5 },
        CounterCommand::Decrease { by: 2 },
        CounterCommand::Decrease { by: 9 }, // refused
        CounterCommand::Reset,
        CounterCommand::Reset, // changes nothing, so it stores nothing
    ] {
        print!("  {command:?}: ");
        match counter.send(command).await {
            Ok(done) => println!("{:?}", done.events),
            Err(ExecuteError::Domain(reason)) => println!("refused, {reason}"),
            Err(error) => return Err(error.into()),
        }
    }
    println!("  value: {}", counter.inspect(value).await?);

    // A stream is a text file with a line an event: `type` is the stored name, `data` the payload.
    let dir = store.layout().stream_dir(A::AGGREGATE_TYPE, counter.id());
    let file = dir.join("app.jsonl");
    let lines = std::fs::read_to_string(&file)
        .with_context(|| format!("{} cannot be read", file.display()))?;
    println!("  {}/{}/app.jsonl:", A::AGGREGATE_TYPE, counter.id());
    for line in lines.lines() {
        println!("    {line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use eventfold_es::testing::given;

    use super::*;

    /// What a counter makes of its commands. Events of either kind are given by their stored form,
    /// which is the same.
    fn counts<A>(value: fn(&A) -> u64, reset: A::DomainEvent)
    where
        A: Aggregate<Command = CounterCommand, Error = CannotGoBelowZero>,
    {
        given::<A>(vec![])
            .when(CounterCommand::Reset)
            .then_nothing()
            .when(CounterCommand::Increase { by: 5 })
            .then_state(|counter| value(counter) == 5)
            .when(CounterCommand::Decrease { by: 6 })
            .then_error(|error| *error == CannotGoBelowZero)
            .when(CounterCommand::Decrease { by: 4 })
            .then_state(|counter| value(counter) == 1)
            .when(CounterCommand::Reset)
            .then(vec![reset])
            .then_state(|counter| value(counter) == 0);
        given::<A>(vec![])
            .and_stored("Increased", 1, serde_json::json!({ "by": 5 }))
            .and_stored("Decreased", 1, serde_json::json!({ "by": 2 }))
            .then_state(|counter| value(counter) == 3)
            .and_stored("Reset", 1, serde_json::Value::Null)
            .then_state(|counter| value(counter) == 0);
    }

    #[test]
    fn both_decide_and_store_the_same() {
        counts::<derived::Counter>(|counter| counter.value, derived::CounterEvent::WasReset);
        counts::<by_hand::Counter>(|counter| counter.value, by_hand::CounterEvent::WasReset);
    }
}
