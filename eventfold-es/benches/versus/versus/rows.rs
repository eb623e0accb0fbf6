//! The rows of the table: what is measured, of whom, and what this crate is to reach.

use crate::bare::Bare;
use crate::contender::Contender;
use crate::work::decisions::{Deciding, Selective};
use crate::work::{Shape, Work};

/// What the numbers of a row count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Commands,
    Decisions,
    Reactions,
    Aggregates,
    Events,
    Microseconds,
    Milliseconds,
}

impl Unit {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Commands => "commands/s",
            Self::Decisions => "decisions/s",
            Self::Reactions => "reactions/s",
            Self::Aggregates => "aggregates/s",
            Self::Events => "events/s",
            Self::Microseconds => "µs",
            Self::Milliseconds => "ms",
        }
    }

    /// Whether less is better.
    pub(crate) fn is_time(self) -> bool {
        matches!(self, Self::Microseconds | Self::Milliseconds)
    }
}

/// What a row is to reach.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Goal {
    /// So many times as good as that one, within each round.
    Times(f64, Contender),
    AtLeast(f64),
    AtMost(f64),
    /// Each decision is made once.
    NoFailedAttempts,
}

pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) work: Work,
    pub(crate) unit: Unit,
    pub(crate) goals: Vec<Goal>,
    /// Whether it is one of the table that compares with peers.
    pub(crate) is_of_peers: bool,
    /// Why some are not measured.
    pub(crate) left_out: Vec<(Contender, &'static str)>,
    /// The raw disk's appends of so many bytes stand beside this row.
    pub(crate) raw_bytes: Option<usize>,
    /// What of the work is left without a store, if that says anything.
    pub(crate) bare: Option<Bare>,
    /// By round, for each of [`Contender::ALL`].
    pub(crate) rounds: Vec<[Option<f64>; Contender::ALL.len()]>,
    /// How often the rule was applied for each decision, as `rounds`.
    pub(crate) attempts: Vec<[Option<f64>; Contender::ALL.len()]>,
}

impl Row {
    fn new(name: impl Into<String>, work: Work) -> Self {
        let (unit, raw_bytes) = match work {
            Work::Commands(shape) | Work::Transfers(shape) => {
                (Unit::Commands, Some(shape.event_bytes + 120))
            }
            Work::FirstCommands { .. } => (Unit::Aggregates, Some(180)),
            Work::ColdLoad { .. } | Work::CatchUp { .. } => (Unit::Events, None),
            Work::Load { .. } | Work::OpenKilled { .. } => (Unit::Milliseconds, None),
            Work::IdleRead { .. } | Work::Selective(_) => (Unit::Microseconds, None),
            Work::Decisions(_) => (Unit::Decisions, Some(180)),
            Work::Reactions { .. } => (Unit::Reactions, Some(180)),
        };
        let commit = |clients| raw_bytes.map(|bytes| Bare::GroupCommit { clients, bytes });
        let bare = match work {
            Work::Commands(shape) | Work::Transfers(shape) => commit(shape.clients),
            Work::FirstCommands { .. } => commit(1),
            Work::Decisions(deciding) => commit(deciding.clients),
            Work::ColdLoad { events } | Work::CatchUp { events, .. } => {
                Some(Bare::Decode { events })
            }
            Work::Reactions { .. }
            | Work::Load { .. }
            | Work::OpenKilled { .. }
            | Work::IdleRead { .. }
            | Work::Selective(_) => None,
        };
        Self {
            name: name.into(),
            work,
            unit,
            goals: Vec::new(),
            is_of_peers: false,
            left_out: Vec::new(),
            raw_bytes,
            bare,
            rounds: Vec::new(),
            attempts: Vec::new(),
        }
    }

    fn goal(mut self, goal: Goal) -> Self {
        self.goals.push(goal);
        self
    }

    fn without(mut self, contender: Contender, why: &'static str) -> Self {
        self.left_out.push((contender, why));
        self
    }

    pub(crate) fn why_left_out(&self, contender: Contender) -> Option<&'static str> {
        let is_nothing = match contender {
            Contender::RawDisk => self.raw_bytes.is_none(),
            Contender::Evento | Contender::Mnesis => !self.is_of_peers,
            Contender::UmaDb | Contender::Tephra if self.is_of_peers => false,
            Contender::Current => false,
            _ if self.is_of_peers => true,
            Contender::NoStore => self.bare.is_none(),
            Contender::Published => self.work.is_across_aggregates(),
            Contender::UmaDb | Contender::Tephra => !self.work.is_tagged(),
            Contender::Aggregates => self.work.on_aggregates().is_none(),
            Contender::Sqlite => matches!(self.work, Work::Reactions { .. }),
        };
        if is_nothing {
            return Some("");
        }
        let mut left_out = self.left_out.iter();
        left_out.find_map(|(other, why)| (*other == contender).then_some(*why))
    }

    /// Whether all rounds measure it, and not only a third of them.
    pub(crate) fn is_main(&self) -> bool {
        self.is_of_peers || !self.goals.is_empty()
    }

    /// New aggregates and long streams take a while, so that every other round leaves them out.
    pub(crate) fn is_due(&self, round: usize) -> bool {
        !matches!(self.work, Work::FirstCommands { .. }) || round.is_multiple_of(2)
    }

    pub(crate) fn values(&self, contender: Contender) -> Vec<f64> {
        let values = self.rounds.iter();
        values
            .filter_map(|round| round[contender as usize])
            .collect()
    }

    pub(crate) fn attempts(&self, contender: Contender) -> Vec<f64> {
        let attempts = self.attempts.iter();
        attempts
            .filter_map(|round| round[contender as usize])
            .collect()
    }

    /// By how many times `one` is better than `other`, in each round.
    pub(crate) fn ratios(&self, one: Contender, other: Contender) -> Vec<f64> {
        let rounds = self.rounds.iter();
        rounds
            .filter_map(|round| {
                let (one, other) = (round[one as usize]?, round[other as usize]?);
                Some(if self.unit.is_time() {
                    other / one
                } else {
                    one / other
                })
            })
            .collect()
    }
}

/// The rows with the first goals. `few` makes the largest of them smaller.
pub(crate) fn with_goals(few: bool) -> Vec<Row> {
    let mut rows = of_accounts();
    rows.extend(of_tags(few));
    rows
}

fn of_tags(few: bool) -> Vec<Row> {
    use Contender::{Aggregates, Sqlite, Tephra, UmaDb};
    use Goal::{NoFailedAttempts, Times};

    let decisions = |boundaries| {
        Work::Decisions(Deciding {
            clients: 64,
            boundaries,
        })
    };
    let mut rows = vec![
        Row::new(
            "64 clients transfer between 64 accounts",
            Work::Transfers(Shape::new(64, 64)),
        )
        .without(Sqlite, "not written")
        .goal(Times(0.34, Aggregates)),
        Row::new("64 clients decide on 1 boundary", decisions(1))
            .goal(Times(0.25, Aggregates))
            .goal(Times(100.0, UmaDb))
            .goal(NoFailedAttempts),
        Row::new("64 clients decide on 64 boundaries", decisions(64))
            .goal(Times(1.0, Tephra))
            .goal(NoFailedAttempts),
    ];
    rows.push(
        Row::new(
            "a live process manager, 20,000 reactions on 64 accounts",
            Work::Reactions {
                streams: 64,
                events: 20_000,
            },
        )
        .goal(Times(0.3, Aggregates)),
    );
    let events = if few { FEW } else { MANY };
    let mut reading = selective(events, 10, false).goal(Times(1.0 / 3.0, Sqlite));
    if !few {
        for other in [UmaDb, Tephra] {
            reading = reading.without(other, "not at this size");
        }
    }
    rows.push(reading);
    rows
}

/// How many events there are from which ten are read.
const MANY: usize = 10_000_000;
const FEW: usize = 500_000;

fn selective(events: usize, at_once: usize, with_opening: bool) -> Row {
    let opening = if with_opening {
        ", opening included"
    } else {
        ", just opened"
    };
    let name = format!(
        "10 of {} events by a tag, {at_once} a commit{opening}",
        grouped(events)
    );
    let read = Selective {
        events,
        at_once,
        with_opening,
    };
    Row::new(name, Work::Selective(read))
}

fn of_accounts() -> Vec<Row> {
    use Contender::{Published, RawDisk, Sqlite};
    use Goal::{AtLeast, AtMost, Times};

    let commands = |clients, aggregates| Work::Commands(Shape::new(clients, aggregates));
    vec![
        Row::new("1 client, 1 aggregate", commands(1, 1)).goal(Times(1.0, RawDisk)),
        Row::new("64 clients, 1 aggregate", commands(64, 1))
            .goal(Times(100.0, Published))
            .goal(Times(1.15, Sqlite)),
        Row::new("64 clients, 64 aggregates", commands(64, 64))
            .goal(Times(20.0, Published))
            .goal(Times(2.0, Sqlite)),
        Row::new(
            "first command on 2,000 new aggregates, 1 client",
            Work::FirstCommands { aggregates: 2_000 },
        )
        .goal(Times(8.0, Published))
        .goal(Times(1.3, Sqlite)),
        Row::new(
            "cold load of 200,000 events",
            Work::ColdLoad { events: 200_000 },
        )
        .goal(Times(4.0, Published))
        .goal(Times(1.1, Sqlite)),
        Row::new(
            "projection read, nothing new, 2,000 streams",
            Work::IdleRead { streams: 2_000 },
        )
        .goal(AtMost(5.0)),
        Row::new(
            "projection catch-up, 200,000 events of 2,000 streams",
            Work::CatchUp {
                streams: 2_000,
                events: 200_000,
            },
        )
        .goal(AtLeast(1e6))
        .goal(Times(1.1, Sqlite)),
    ]
}

/// The rows of the table that compares with peers: those of accounts that have goals, here without
/// goals, and one with as many events as evento can load.
pub(crate) fn of_peers() -> Vec<Row> {
    let mut rows = of_accounts();
    for row in &mut rows {
        row.goals.clear();
        if let Work::ColdLoad { .. } = row.work {
            let why = "an aggregate has at most 65,535 events";
            row.left_out.push((Contender::Evento, why));
        }
    }
    let events = 65_000;
    let name = format!("cold load of {} events", grouped(events));
    rows.push(Row::new(name, Work::ColdLoad { events }));
    for row in &mut rows {
        row.is_of_peers = true;
    }
    rows
}

/// The rows that show how cost grows. Some have goals, too.
pub(crate) fn sweeps() -> Vec<Row> {
    use Contender::{NoStore, Published, Sqlite, Tephra, UmaDb};
    use Goal::{AtMost, Times};

    let mut rows = vec![
        selective(FEW, 10, false),
        selective(FEW, 10, true),
        selective(FEW, 1_000, false),
        selective(MANY, 10, true)
            .without(UmaDb, "not at this size")
            .without(Tephra, "not at this size"),
    ];
    for (name, event_bytes) in [("100 B", 100), ("1 KiB", 1 << 10), ("16 KiB", 16 << 10)] {
        let shape = Shape {
            event_bytes,
            ..Shape::new(64, 64)
        };
        let name = format!("events of {name}, 64 clients, 64 aggregates");
        let mut row = Row::new(name, Work::Commands(shape));
        if event_bytes == 16 << 10 {
            row = row.goal(Times(0.45, NoStore)).goal(Times(2.0, Sqlite));
        }
        rows.push(row);
    }
    for (name, state_bytes) in [("100 B", 100), ("100 KiB", 100 << 10)] {
        let shape = Shape {
            state_bytes,
            ..Shape::new(64, 64)
        };
        let name = format!("states of {name}, 64 clients, 64 aggregates");
        rows.push(Row::new(name, Work::Commands(shape)));
    }
    for clients in [1, 4, 16, 256, 1_024] {
        let name = format!("{clients} clients, 64 aggregates").replace("1 clients", "1 client");
        let mut row = Row::new(name, Work::Commands(Shape::new(clients, 64)));
        if clients > 64 {
            row = row.goal(Times(0.7, NoStore));
        }
        rows.push(row);
    }
    for aggregates in [1_000, 10_000, 100_000] {
        let shape = Shape::new(64, aggregates);
        let name = format!("64 clients, {} aggregates", grouped(aggregates));
        let mut row = Row::new(name, Work::Commands(shape));
        if aggregates > 1_000 {
            row = row
                .without(Published, "a thread for each")
                .goal(Times(1.5, Sqlite));
        }
        rows.push(row);
    }
    for snapshot in [false, true] {
        for events in [10, 1_000, 100_000, 1_000_000] {
            let with = if snapshot { "with" } else { "without" };
            let name = format!("load of {} events {with} a snapshot", grouped(events));
            let mut row = Row::new(name, Work::Load { events, snapshot });
            if snapshot {
                row = row
                    .without(Sqlite, "has no snapshots")
                    .goal(Times(1.0, Published));
            } else {
                let times = if events < 100_000 { 1.0 } else { 1.1 };
                row = row.goal(Times(times, Sqlite));
            }
            rows.push(row);
        }
    }
    for aggregates in [64, 1_000, 10_000, 100_000] {
        let name = format!(
            "open after a kill, 64 clients, {} aggregates",
            grouped(aggregates)
        );
        let row = Row::new(name, Work::OpenKilled { aggregates });
        let row = row.without(Published, "opens nothing but its lock");
        rows.push(row.goal(AtMost(300.0)));
    }
    for streams in [10, 20_000] {
        let name = format!("projection read, nothing new, {} streams", grouped(streams));
        rows.push(Row::new(name, Work::IdleRead { streams }));
    }
    rows
}

/// A count as text.
pub(crate) fn grouped(number: usize) -> String {
    if number < 1_000 {
        number.to_string()
    } else {
        crate::stats::number(crate::work::count(number))
    }
}
