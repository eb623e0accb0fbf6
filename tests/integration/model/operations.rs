//! The operations, and how they are drawn.

use std::time::Duration;

use proptest::prelude::*;

use super::IDS;

/// How a store is opened.
#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) snapshot_every: u64,
    pub(super) idle: Duration,
}

/// What a command does.
#[derive(Debug, Clone)]
pub(super) enum Kind {
    /// That many events, each with an amount of its own.
    Add(usize),
    Write(String),
    /// One event that says how many the state had folded.
    Count,
    Refuse,
    Panic,
    /// `apply` panics on its second event.
    Explode,
    Unencodable,
}

#[derive(Debug, Clone)]
pub(super) enum Expected {
    No,
    Right,
    Off(i64),
}

#[derive(Debug, Clone)]
pub(super) struct Send {
    pub(super) stream: usize,
    pub(super) kind: Kind,
    pub(super) expected: Expected,
    pub(super) key: Option<u8>,
    /// Through a handle that is fetched for it, not through the one that is kept.
    pub(super) fresh: bool,
}

#[derive(Debug, Clone)]
pub(super) enum Read {
    State,
    Version,
    Inspect,
    PanicInInspect,
    Events,
    Projection,
    Head,
    List,
}

#[derive(Debug, Clone)]
pub(super) enum Injected {
    /// An amount under one of a few ids, or none.
    Added(Option<u8>),
    /// The id of an event that is there.
    Known(prop::sample::Index),
    /// Of a name that the aggregate does not know.
    Foreign,
    Undecodable,
    Exploding,
}

/// What follows at once on callers that went away.
#[derive(Debug, Clone)]
pub(super) enum Then {
    GoOn,
    Copy,
    Shutdown(Options),
    Drop(Options),
}

/// What one of several concurrent clients does.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Send(Send),
    Look(usize),
    Yield,
}

#[derive(Debug, Clone)]
pub(super) enum Op {
    Send(Send),
    Read(usize, Read),
    Inject(usize, Injected),
    Abandon(usize, Vec<Send>, Then),
    Concurrent(Vec<Vec<Step>>),
    /// Until the aggregate has left memory, if it soon does.
    Idle(usize),
    Pause,
    DropHandles,
    Shutdown(Options),
    Drop(Options),
    /// What a process that is killed now leaves.
    Copy,
    Rebuild,
}

pub(super) fn options() -> impl Strategy<Value = Options> {
    let idle = prop_oneof![
        Just(Duration::from_micros(50)),
        Just(Duration::from_millis(1)),
        Just(Duration::from_secs(300)),
    ];
    (1..=5_u64, idle).prop_map(|(snapshot_every, idle)| Options {
        snapshot_every,
        idle,
    })
}

pub(super) fn send() -> impl Strategy<Value = Send> {
    let kind = prop_oneof![
        8 => (0..=3_usize).prop_map(Kind::Add),
        1 => "[\\PC\n\"\\\\]{0,20}".prop_map(Kind::Write),
        3 => Just(Kind::Count),
        1 => Just(Kind::Refuse),
        1 => Just(Kind::Panic),
        1 => Just(Kind::Explode),
        1 => Just(Kind::Unencodable),
    ];
    let expected = prop_oneof![
        4 => Just(Expected::No),
        2 => Just(Expected::Right),
        1 => prop_oneof![-3..0_i64, 1..4_i64].prop_map(Expected::Off),
    ];
    let key = prop_oneof![2 => Just(None), 1 => (0..6_u8).prop_map(Some)];
    (0..IDS.len(), kind, expected, key, any::<bool>()).prop_map(
        |(stream, kind, expected, key, fresh)| Send {
            stream,
            kind,
            expected,
            key,
            fresh,
        },
    )
}

pub(super) fn op() -> impl Strategy<Value = Op> {
    let stream = || 0..IDS.len();
    let read = prop_oneof![
        3 => Just(Read::State),
        2 => Just(Read::Version),
        1 => Just(Read::Inspect),
        1 => Just(Read::PanicInInspect),
        2 => Just(Read::Events),
        2 => Just(Read::Projection),
        1 => Just(Read::Head),
        1 => Just(Read::List),
    ];
    let injected = prop_oneof![
        4 => proptest::option::of(0..4_u8).prop_map(Injected::Added),
        2 => any::<prop::sample::Index>().prop_map(Injected::Known),
        1 => Just(Injected::Foreign),
        1 => Just(Injected::Undecodable),
        1 => Just(Injected::Exploding),
    ];
    let then = prop_oneof![
        3 => Just(Then::GoOn),
        1 => Just(Then::Copy),
        1 => options().prop_map(Then::Shutdown),
        1 => options().prop_map(Then::Drop),
    ];
    let step = prop_oneof![
        5 => send().prop_map(Step::Send),
        2 => stream().prop_map(Step::Look),
        1 => Just(Step::Yield),
    ];
    let clients = prop::collection::vec(prop::collection::vec(step, 1..6), 2..5);
    prop_oneof![
        14 => send().prop_map(Op::Send),
        6 => (stream(), read).prop_map(|(stream, read)| Op::Read(stream, read)),
        4 => (stream(), injected).prop_map(|(stream, what)| Op::Inject(stream, what)),
        3 => (stream(), prop::collection::vec(send(), 1..4), then)
            .prop_map(|(stream, sends, then)| Op::Abandon(stream, sends, then)),
        4 => clients.prop_map(Op::Concurrent),
        2 => stream().prop_map(Op::Idle),
        1 => Just(Op::Pause),
        1 => Just(Op::DropHandles),
        1 => options().prop_map(Op::Shutdown),
        2 => options().prop_map(Op::Drop),
        1 => Just(Op::Copy),
        1 => Just(Op::Rebuild),
    ]
}
