//! Laws that hold for every aggregate, tested on many histories: [`laws`].

use crate::domain::aggregate::Aggregate;
use crate::event::{DomainEvent, Tags};
use crate::testing::form::Form;

mod history;
mod search;

use history::{Broken, Histories, Step};

/// Tests laws that hold for every aggregate, on many histories of its events and commands:
///
/// * an event comes back unchanged from its stored form;
/// * replaying the stored events leads to the same state as folding them;
/// * a snapshot at any point changes nothing: a state that is saved, read back and folded on is the
///   same, and decides the same;
/// * the same command on the same state has one answer;
/// * the state takes every event that happens.
///
/// The events come from `Default`, as far as their types have it, and from
/// [`event`](Laws::event). Commands come from [`command`](Laws::command).
/// [`check`](Laws::check) tries all orders of a few of them, and then long random ones, which are
/// the same in each run. If a law does not hold, the message has the law and the shortest history
/// that was found.
///
/// Many orders of events cannot happen. If the state panics on such an order, the order is left
/// out. For commands alone a panic breaks the last law.
///
/// [`laws_of`] is for an aggregate whose events are no [`DomainEvent`](crate::DomainEvent).
///
/// ```
/// # use eventfold_es::prelude::*;
/// # use serde::{Deserialize, Serialize};
/// # #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
/// # #[aggregate(commands(Deposit), events(Deposited))]
/// # struct Account { balance: u64 }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Deposit(u64);
/// # #[derive(Debug, Clone, Default, Serialize, Deserialize, DomainEvent)] struct Deposited { amount: u64 }
/// # impl Decide<Deposit> for Account {
/// #     fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> { Ok(events![Deposited { amount }]) }
/// # }
/// # impl Evolve<Deposited> for Account {
/// #     fn evolve(&mut self, event: &Deposited) { self.balance += event.amount; }
/// # }
/// use eventfold_es::testing;
///
/// testing::laws::<Account>()
///     .event(Deposited { amount: 5 })
///     .command(Deposit(3))
///     .check();
/// ```
#[doc(alias("property test", "proptest", "quickcheck", "invariant"))]
#[must_use = "nothing is tested before `check`"]
pub fn laws<A>() -> Laws<A>
where
    A: Aggregate,
    A::DomainEvent: DomainEvent,
{
    let written = A::DomainEvent::NAMES.iter();
    // A default may be no value of a tag, for example an empty text.
    let mut samples = A::DomainEvent::__samples();
    samples.retain(|event| event.append_tags(&mut Tags::new()).is_ok());
    Laws {
        wanted: written
            .filter(|known| known.version.is_some())
            .map(|known| known.name)
            .collect(),
        ..laws_of(samples)
    }
}

/// As [`laws`], for an aggregate that is written by hand: its events are `events`.
///
/// ```
/// # use eventfold_es::{testing, __private::example::*};
/// testing::laws_of::<Counter>(vec![CounterEvent::Added { amount: 5 }])
///     .command(Add(3))
///     .check();
/// ```
#[must_use = "nothing is tested before `check`"]
pub fn laws_of<A: Aggregate>(events: Vec<A::DomainEvent>) -> Laws<A> {
    Laws {
        histories: Histories::of(events),
        wanted: Vec::new(),
        seed: 1,
    }
}

/// The laws of an aggregate. Made by [`laws`].
#[must_use = "nothing is tested before `check`"]
pub struct Laws<A: Aggregate> {
    histories: Histories<A>,
    /// The names of events that need a sample.
    wanted: Vec<&'static str>,
    seed: u64,
}

impl<A: Aggregate> std::fmt::Debug for Laws<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Laws")
            .field("aggregate", &A::AGGREGATE_TYPE)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

impl<A: Aggregate> Laws<A> {
    /// Adds an event. One with a value in each optional place is better than what `Default` makes.
    /// An event may be added several times, with other values.
    ///
    /// See the example of [`laws`].
    pub fn event(mut self, event: impl Into<A::DomainEvent>) -> Self {
        self.histories.events.push(event.into());
        self
    }

    /// Adds a command.
    ///
    /// See the example of [`laws`].
    pub fn command<C: Into<A::Command> + Clone + 'static>(self, command: C) -> Self {
        self.command_made(move || command.clone().into())
    }

    /// Adds a command that is not `Clone`. The function makes it each time that it is decided.
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// testing::laws_of::<Counter>(vec![CounterEvent::Added { amount: 5 }])
    ///     .command_made(|| Add(3))
    ///     .check();
    /// ```
    pub fn command_made(mut self, command: impl Fn() -> A::Command + 'static) -> Self {
        self.histories.commands.push(Box::new(command));
        self
    }

    /// Sets where the random histories begin, for other ones. It is 1 by default.
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// for seed in 0..3 {
    ///     let laws = testing::laws_of::<Counter>(vec![CounterEvent::Added { amount: 5 }]);
    ///     laws.seed(seed).check();
    /// }
    /// ```
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Tests the laws.
    ///
    /// # Panics
    ///
    /// * If a law does not hold. The message has the law and the shortest history that was found;
    /// * if an event of a derived aggregate has no sample, or there are neither events nor commands;
    /// * if no order was found in which the state takes one of the events.
    ///
    /// See the example of [`laws`].
    #[track_caller]
    pub fn check(self) {
        let found = self.without_samples().and_then(|()| {
            let broken = search::search(&self.histories, self.seed);
            broken.map_err(|broken| self.describe(&broken))
        });
        if let Err(message) = found {
            panic!("{message}");
        }
    }

    /// Tests the laws on one history, which a library for random tests made, for example.
    ///
    /// # Panics
    ///
    /// If a law does not hold for it, or if the state panics on it.
    ///
    /// ```
    /// # use eventfold_es::{testing, __private::example::*};
    /// let history = (1..5).map(|amount| CounterEvent::Added { amount }).collect();
    /// testing::laws_of::<Counter>(history).command(Add(3)).check_in_order();
    /// ```
    #[track_caller]
    pub fn check_in_order(self) {
        let history: Vec<Step> = (0..self.histories.events.len()).map(Step::Event).collect();
        if let Err(broken) = self.histories.run(&history) {
            panic!("{}", self.describe(&broken));
        }
    }

    /// Fails if there is nothing to test with.
    fn without_samples(&self) -> Result<(), String> {
        let aggregate = A::AGGREGATE_TYPE;
        if self.histories.steps().is_empty() {
            return Err(format!(
                "`{aggregate}` has no events to test with: give some with `.event(...)`"
            ));
        }
        let mut names = Vec::new();
        for event in &self.histories.events {
            names.push(Form::of::<A>(event)?.name);
        }
        let missing: Vec<&str> = (self.wanted.iter().copied())
            .filter(|wanted| names.iter().all(|name| name != wanted))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(format!(
            "`{aggregate}` has events that `Default` cannot make: give one of each with \
             `.event(...)`: `{}`",
            missing.join("`, `")
        ))
    }

    fn describe(&self, broken: &Broken) -> String {
        let aggregate = A::AGGREGATE_TYPE;
        let Broken { law, what, .. } = broken;
        let history = self.histories.shown(&broken.history);
        let history = if history.is_empty() {
            "with no history".to_owned()
        } else {
            format!("after this history:\n{}", history.join("\n"))
        };
        format!("`{aggregate}` breaks a law: {law}; {history}\n\n{what}")
    }
}
