//! Who is measured: [`Contender`].

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Contender {
    RawDisk,
    NoStore,
    Published,
    Sqlite,
    UmaDb,
    Tephra,
    Evento,
    Mnesis,
    /// The same clients, each command to one of as many aggregates of this crate.
    Aggregates,
    Current,
}

impl Contender {
    pub(crate) const ALL: [Self; 10] = [
        Self::RawDisk,
        Self::NoStore,
        Self::Published,
        Self::Sqlite,
        Self::UmaDb,
        Self::Tephra,
        Self::Evento,
        Self::Mnesis,
        Self::Aggregates,
        Self::Current,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RawDisk => "raw disk",
            Self::NoStore => "no store",
            Self::Published => "0.2.0",
            Self::Sqlite => "SQLite",
            Self::UmaDb => "UmaDB",
            Self::Tephra => "tephra",
            Self::Evento => "evento",
            Self::Mnesis => "mnesis",
            Self::Aggregates => "its aggregates",
            Self::Current => "this crate",
        }
    }

    /// What it leaves out of what this crate promises, as a store of aggregates among the peers or of
    /// decisions. An answered command is durable for everyone.
    pub(crate) fn does_not_promise(self, of_peers: bool) -> &'static str {
        match self {
            Self::RawDisk | Self::NoStore => "more than bytes on the disk",
            Self::Published => {
                "all or none of a command's events, checksums, idempotency keys, one order of all events"
            }
            Self::Sqlite => {
                "idempotency keys, checksums, streams that other tools read, process managers"
            }
            Self::UmaDb | Self::Tephra if of_peers => {
                "commands without retries, states in memory, snapshots, projections, idempotency keys, a log that other tools read, process managers"
            }
            Self::UmaDb | Self::Tephra => {
                "decisions without retries, states of decisions, idempotency keys, a log that other tools read, process managers"
            }
            Self::Evento => {
                "commands without retries, more than 65,535 events of an aggregate, idempotency keys, streams that other tools read, process managers"
            }
            Self::Mnesis => {
                "commands without retries, states that clients share, projections and process managers that run by themselves, idempotency keys, streams that other tools read"
            }
            Self::Aggregates | Self::Current => "",
        }
    }
}
