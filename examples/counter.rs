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
    use super::*;

    /// What a counter makes of some commands: the stored form of its events, or the refusal.
    fn outcomes<A>() -> Vec<Result<Vec<(String, String)>, CannotGoBelowZero>>
    where
        A: Aggregate<Command = CounterCommand, Error = CannotGoBelowZero>,
    {
        let mut counter = A::default();
        let commands = [
            CounterCommand::Reset,
            CounterCommand::Increase { by: 5 },
            CounterCommand::Decrease { by: 6 },
            CounterCommand::Decrease { by: 5 },
            CounterCommand::Increase { by: 1 },
            CounterCommand::Reset,
        ];
        let mut decide = |command| {
            let events = counter.handle(command)?;
            counter = events.iter().fold(counter.clone(), A::apply);
            let stored = events.iter().map(|event| {
                let mut data = Vec::new();
                let name = A::encode_event(event, &mut data).unwrap();
                (name.into_owned(), String::from_utf8(data).unwrap())
            });
            Ok(stored.collect())
        };
        commands.map(&mut decide).into()
    }

    #[test]
    fn both_decide_and_store_the_same() {
        let derived = outcomes::<derived::Counter>();
        assert_eq!(derived, outcomes::<by_hand::Counter>());

        let stored = |name: &str, data: &str| Ok(vec![(name.to_owned(), data.to_owned())]);
        assert_eq!(
            derived,
            [
                Ok(vec![]),
                stored("Increased", r#"{"by":5}"#),
                Err(CannotGoBelowZero),
                stored("Decreased", r#"{"by":5}"#),
                stored("Increased", r#"{"by":1}"#),
                stored("Reset", "null"),
            ]
        );
    }
}
