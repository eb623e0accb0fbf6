//! The model: what the store should hold and answer.

use std::collections::{BTreeMap, BTreeSet};

use eventfold_es::{Aggregate, CommandContext, Committed, ExecuteError, Position, Projection};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::IDS;
use super::operations::{Expected, Kind, Send};
use crate::support::{Ledger, LedgerCommand as Do, LedgerError, LedgerEvent};

/// All events of the ledgers, in order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct History(pub(super) Vec<(String, String, Value)>);

impl Projection for History {
    const NAME: &'static str = "history";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn apply(&mut self, _: &str, id: &str, event: &eventfold::Event) {
        let event = (id.to_owned(), event.event_type.clone(), event.data.clone());
        self.0.push(event);
    }
}

/// An event as the model knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Stored {
    pub(super) name: String,
    pub(super) data: Value,
}

impl Stored {
    pub(super) fn of(event: &LedgerEvent) -> Self {
        let json = serde_json::to_value(event).unwrap();
        Self {
            name: json["type"].as_str().unwrap().to_owned(),
            data: json["data"].clone(),
        }
    }

    pub(super) fn fold(&self, ledger: Ledger) -> Ledger {
        let json = json!({ "type": self.name, "data": self.data });
        match serde_json::from_value::<LedgerEvent>(json) {
            Ok(event) => ledger.apply(&event),
            Err(_) => ledger,
        }
    }
}

/// What was answered to a command that stored something.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    pub(super) events: Vec<LedgerEvent>,
    pub(super) version: u64,
    pub(super) position: u64,
}

impl Answer {
    pub(super) fn of(committed: Committed<Ledger>) -> Self {
        Self {
            events: committed.events,
            version: committed.version.into(),
            position: number(committed.position),
        }
    }
}

pub(super) fn number(position: Position) -> u64 {
    position.to_string().parse().unwrap()
}

#[derive(Debug, Clone, Default)]
pub(super) struct Stream {
    pub(super) events: Vec<Stored>,
    /// The state at each version, from 0 on.
    pub(super) states: Vec<Ledger>,
    pub(super) keys: BTreeMap<u8, Answer>,
    pub(super) ids: BTreeSet<String>,
}

impl Stream {
    pub(super) fn version(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) fn state(&self) -> Ledger {
        self.states.last().cloned().unwrap_or_default()
    }

    pub(super) fn state_at(&self, version: u64) -> Ledger {
        let before = usize::try_from(version).unwrap().checked_sub(1);
        before.map_or_else(Ledger::default, |i| self.states[i].clone())
    }
}

/// What the model says that becomes of a command.
#[derive(Debug)]
pub(super) enum Outcome {
    Stored(Vec<LedgerEvent>),
    Repeated(Answer),
    Nothing,
    Conflict,
    Refused(u64),
    Panicked,
    Unencodable,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    pub(super) streams: [Stream; IDS.len()],
    pub(super) log: Vec<(usize, Stored)>,
    pub(super) amounts: u64,
}

impl Model {
    pub(super) fn head(&self) -> u64 {
        self.log.len() as u64
    }

    pub(super) fn history(&self) -> History {
        let entry = |(stream, event): &(usize, Stored)| {
            let id = IDS[*stream].to_owned();
            (id, event.name.clone(), event.data.clone())
        };
        History(self.log.iter().map(entry).collect())
    }

    pub(super) fn append(&mut self, stream: usize, event: Stored) {
        self.log.push((stream, event.clone()));
        let stream = &mut self.streams[stream];
        let state = event.fold(stream.state());
        stream.states.push(state);
        stream.events.push(event);
    }

    pub(super) fn store(
        &mut self,
        stream: usize,
        events: &[LedgerEvent],
        key: Option<u8>,
    ) -> Answer {
        for event in events {
            self.append(stream, Stored::of(event));
        }
        let answer = Answer {
            events: events.to_vec(),
            version: self.streams[stream].version(),
            position: self.head(),
        };
        if let Some(key) = key {
            self.streams[stream].keys.insert(key, answer.clone());
        }
        answer
    }

    pub(super) fn decide(&self, call: &Call) -> Outcome {
        let stream = &self.streams[call.stream];
        if let Some(known) = call.key.and_then(|key| stream.keys.get(&key)) {
            return Outcome::Repeated(known.clone());
        }
        if call.expected.is_some_and(|v| v != stream.version()) {
            return Outcome::Conflict;
        }
        let state = stream.state();
        match &call.kind {
            Kind::Add(_) if call.amounts.is_empty() => Outcome::Nothing,
            Kind::Add(_) => Outcome::Stored(call.amounts.iter().copied().map(added).collect()),
            Kind::Write(text) => Outcome::Stored(vec![LedgerEvent::Written { text: text.clone() }]),
            Kind::Count => Outcome::Stored(vec![added(state.count)]),
            Kind::Refuse => Outcome::Refused(state.total),
            Kind::Panic | Kind::Explode => Outcome::Panicked,
            Kind::Unencodable => Outcome::Unencodable,
        }
    }

    /// A command as it is sent now.
    pub(super) fn call(&mut self, send: &Send) -> Call {
        let version = self.streams[send.stream].version();
        let count = if let Kind::Add(count) = send.kind {
            count as u64
        } else {
            0
        };
        let amounts = (self.amounts + 1..=self.amounts + count).collect();
        self.amounts += count;
        Call {
            stream: send.stream,
            kind: send.kind.clone(),
            amounts,
            expected: match send.expected {
                Expected::No => None,
                Expected::Right => Some(version),
                Expected::Off(by) => Some(version.checked_add_signed(by).unwrap_or(u64::MAX)),
            },
            key: send.key,
            fresh: send.fresh,
        }
    }
}

pub(super) fn added(amount: u64) -> LedgerEvent {
    LedgerEvent::Added { amount }
}

/// A command with everything that it depends on.
#[derive(Debug, Clone)]
pub(super) struct Call {
    pub(super) stream: usize,
    pub(super) kind: Kind,
    pub(super) amounts: Vec<u64>,
    pub(super) expected: Option<u64>,
    pub(super) key: Option<u8>,
    pub(super) fresh: bool,
}

pub(super) type Sent = Result<Committed<Ledger>, ExecuteError<LedgerError>>;

impl Call {
    pub(super) fn command(&self) -> Do {
        match &self.kind {
            Kind::Add(_) => Do::AddAll(self.amounts.clone()),
            Kind::Write(text) => Do::Write(text.clone()),
            Kind::Count => Do::decide(|ledger| Ok(vec![added(ledger.count)])),
            Kind::Refuse => Do::Refuse,
            Kind::Panic => Do::decide(|_| panic!("no decision")),
            Kind::Explode => Do::Explode,
            Kind::Unencodable => Do::decide(|_| Ok(vec![added(1), LedgerEvent::unencodable()])),
        }
    }

    pub(super) fn context(&self) -> CommandContext {
        let mut context = CommandContext::default();
        if let Some(version) = self.expected {
            context = context.with_expected_version(version);
        }
        if let Some(key) = self.key {
            context = context.with_idempotency_key(format!("k{key}"));
        }
        context
    }
}
