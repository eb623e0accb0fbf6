//! One history, and whether the laws hold for it.

use std::fmt;

use crate::domain::aggregate::Aggregate;
use crate::domain::command::CommandContext;
use crate::domain::decision_context::DecisionContext;
use crate::error::{guarded, panic_message};
use crate::testing::diff::diff;
use crate::testing::form::{Form, checked, decode, restored, same, saved, time_of};
use crate::testing::given::{apply, place};
use crate::testing::outcome::Answer;

/// The id of the aggregate in all histories.
const ID: &str = "tested";

/// A law.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Law {
    RoundTrip,
    Replay,
    Snapshot,
    Decide,
    Evolve,
}

impl fmt::Display for Law {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RoundTrip => "an event comes back unchanged from its stored form",
            Self::Replay => "replaying the stored events leads to the same state as folding them",
            Self::Snapshot => "a snapshot at any point changes nothing",
            Self::Decide => "the same command on the same state has one answer",
            Self::Evolve => "the state takes every event that happens",
        })
    }
}

/// A step of a history: an event or a command, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Event(usize),
    Command(usize),
}

/// A law that does not hold after a history.
#[derive(Debug)]
pub(super) struct Broken {
    pub(super) law: Law,
    pub(super) history: Vec<Step>,
    pub(super) what: String,
    /// The history cannot happen: it has given events, and the state panics on it.
    pub(super) is_impossible: bool,
}

/// What histories are made of.
pub(super) struct Histories<A: Aggregate> {
    pub(super) events: Vec<A::DomainEvent>,
    pub(super) commands: Vec<Box<dyn Fn() -> A::Command>>,
}

/// A history as it is folded.
pub(super) struct Folded<A: Aggregate> {
    events: Vec<A::DomainEvent>,
    forms: Vec<Form>,
    /// The state before each event, and after the last.
    states: Vec<A>,
}

pub(super) type Failure = (Law, String);

impl<A: Aggregate> Histories<A> {
    pub(super) fn of(events: Vec<A::DomainEvent>) -> Self {
        let commands = Vec::new();
        Self { events, commands }
    }

    /// All steps that there are.
    pub(super) fn steps(&self) -> Vec<Step> {
        let events = (0..self.events.len()).map(Step::Event);
        let commands = (0..self.commands.len()).map(Step::Command);
        events.chain(commands).collect()
    }

    /// Whether the laws hold after `history`.
    pub(super) fn run(&self, history: &[Step]) -> Result<(), Broken> {
        let broken = |(law, what), is_impossible| Broken {
            law,
            history: history.to_vec(),
            what,
            is_impossible,
        };
        let is_given = history.iter().any(|step| matches!(step, Step::Event(_)));
        let folded = self.fold(history).map_err(|(law, what)| {
            let is_panic = law == Law::Evolve;
            broken((law, what), is_panic && is_given)
        })?;
        self.check(&folded)
            .map_err(|failure| broken(failure, false))
    }

    /// The history, a line for each event and each command.
    pub(super) fn shown(&self, history: &[Step]) -> Vec<String> {
        let mut lines = Vec::new();
        let mut folded = Folded::<A>::default();
        for step in history {
            match *step {
                Step::Event(event) => {
                    let form = Form::of::<A>(&self.events[event]);
                    lines.push(format!(
                        "  {}",
                        form.map_or_else(|error| error, |form| form.line())
                    ));
                    let _ = folded.add(self.events[event].clone());
                }
                Step::Command(number) => {
                    let command = (self.commands[number])();
                    let name = A::command_name(&command);
                    let decided = guarded(|| decide(folded.last(), command, folded.version()));
                    let answer = match &decided {
                        Ok(decided) => Answer::of::<A>(decided).lines(),
                        Err(panic) => vec![format!("panicked: {}", panic_message(&**panic))],
                    };
                    lines.push(format!("  command `{name}` (`.command` {})", number + 1));
                    lines.extend(answer.iter().map(|line| format!("    {line}")));
                    for event in decided.into_iter().flatten().flatten() {
                        let _ = folded.add(event);
                    }
                }
            }
        }
        lines
    }

    fn fold(&self, history: &[Step]) -> Result<Folded<A>, Failure> {
        let mut folded = Folded::default();
        for step in history {
            self.add(&mut folded, *step)?;
        }
        Ok(folded)
    }

    /// Takes a further step, unless it fails.
    pub(super) fn add(&self, folded: &mut Folded<A>, step: Step) -> Result<(), Failure> {
        let before = folded.events.len();
        let added = match step {
            Step::Event(event) => folded.add(self.events[event].clone()),
            Step::Command(command) => self.decided(command, folded).and_then(|events| {
                let mut events = events.into_iter();
                events.try_for_each(|event| folded.add(event))
            }),
        };
        if added.is_err() {
            folded.go_back(before);
        }
        added
    }

    /// The events of a command, none if it is refused. It has the same answer again, also on the
    /// state that was saved and read back.
    fn decided(&self, command: usize, folded: &Folded<A>) -> Result<Vec<A::DomainEvent>, Failure> {
        let state = folded.last();
        let decide = |state: &A| {
            let command = (self.commands[command])();
            let name = A::command_name(&command);
            guarded(|| decide(state, command, folded.version())).map_err(|panic| {
                let panic = panic_message(&*panic);
                (Law::Evolve, format!("deciding `{name}` panicked: {panic}"))
            })
        };
        let outcome = decide(state)?;
        let answer = Answer::of::<A>(&outcome);
        let again = Answer::of::<A>(&decide(state)?);
        if !answer.is_like(&again) {
            let text = "deciding must depend on nothing but the state, the command and the context";
            let diff = diff(&answer.lines(), &again.lines());
            return Err((Law::Decide, format!("{text}\n\n{diff}")));
        }
        let state = restored("the state", state).map_err(|what| (Law::Snapshot, what))?;
        let restored = Answer::of::<A>(&decide(&state)?);
        if !answer.is_like(&restored) {
            let text = "a state that is read from its snapshot form decides differently; it lacks \
                        what was not saved";
            let diff = diff(&answer.lines(), &restored.lines());
            return Err((Law::Snapshot, format!("{text}\n\n{diff}")));
        }
        Ok(outcome.unwrap_or_default())
    }

    /// Whether the laws hold for a history.
    pub(super) fn check(&self, folded: &Folded<A>) -> Result<(), Failure> {
        for command in 0..self.commands.len() {
            match self.decided(command, folded) {
                // Whether the command can come here is for another history to say.
                Ok(_) | Err((Law::Evolve, _)) => {}
                Err(failure) => return Err(failure),
            }
        }
        folded.replay().map_err(|what| (Law::Replay, what))?;
        folded.restore().map_err(|what| (Law::Snapshot, what))
    }
}

fn decide<A: Aggregate>(
    state: &A,
    command: A::Command,
    version: u64,
) -> Result<Vec<A::DomainEvent>, A::Error> {
    let context = CommandContext::default();
    let context = DecisionContext {
        aggregate_type: A::AGGREGATE_TYPE,
        id: ID,
        version,
        ..context.decision(time_of(version + 1))
    };
    state.handle_with(command, &context)
}

impl<A: Aggregate> Default for Folded<A> {
    fn default() -> Self {
        Self {
            events: Vec::new(),
            forms: Vec::new(),
            states: vec![A::default()],
        }
    }
}

impl<A: Aggregate> Folded<A> {
    fn version(&self) -> u64 {
        self.events.len() as u64
    }

    /// The state after all events.
    fn last(&self) -> &A {
        &self.states[self.events.len()]
    }

    fn go_back(&mut self, events: usize) {
        self.events.truncate(events);
        self.forms.truncate(events);
        self.states.truncate(events + 1);
    }

    fn add(&mut self, event: A::DomainEvent) -> Result<(), Failure> {
        let version = self.version() + 1;
        let form = checked::<A>(&event, place::<A>(ID, version, time_of(version)));
        let form = form.map_err(|what| (Law::RoundTrip, what))?;
        let mut state = self.last().clone();
        guarded(|| apply(&mut state, &event)).map_err(|panic| {
            let panic = panic_message(&*panic);
            (
                Law::Evolve,
                format!("evolving by `{}` panicked: {panic}", form.name),
            )
        })?;
        self.states.push(state);
        self.events.push(event);
        self.forms.push(form);
        Ok(())
    }

    /// Fails if the stored events lead to another state.
    fn replay(&self) -> Result<(), String> {
        let mut state = A::default();
        for (form, version) in self.forms.iter().zip(1..) {
            let place = place::<A>(ID, version, time_of(version));
            // It was read before.
            for event in decode::<A>(form, place).into_iter().flatten() {
                let applied = guarded(|| apply(&mut state, &event));
                applied.map_err(|panic| format!("panicked: {}", panic_message(&*panic)))?;
            }
        }
        let title = "events that are read from their stored form lead to another state";
        self.ends_as(title, &state)
    }

    /// Fails if a snapshot somewhere leads to another state.
    fn restore(&self) -> Result<(), String> {
        for (n, state) in self.states.iter().enumerate() {
            let what = format!("the state after {n} events");
            let mut state = restored(&what, state)?;
            for event in &self.events[n..] {
                let applied = guarded(|| apply(&mut state, event));
                applied.map_err(|panic| format!("panicked: {}", panic_message(&*panic)))?;
            }
            let title = format!("{what}, saved and read back, leads to another state");
            self.ends_as(&title, &state)?;
        }
        Ok(())
    }

    fn ends_as(&self, title: &str, state: &A) -> Result<(), String> {
        let (_, expected) = saved("the state", self.last())?;
        let (_, actual) = saved("the state", state)?;
        same(title, &expected, &actual)
    }
}
