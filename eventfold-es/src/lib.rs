//! Embedded event sourcing over plain append-only files: aggregates, projections, process managers
//! and a command bus, with no server and no database to run.
//!
//! You write state, commands, events and the decisions between them; [`derive@Aggregate`] writes
//! the command and event enums, the stored event names and what plugs them into the store.
//!
//! ```
//! use eventfold_es::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
//! #[aggregate(commands(Deposit), events(Deposited), error = BankError)]
//! struct Account {
//!     balance: u64,
//! }
//!
//! #[derive(Debug, Clone, Serialize, Deserialize)]
//! struct Deposit {
//!     amount: u64,
//! }
//!
//! #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
//! struct Deposited {
//!     amount: u64,
//! }
//!
//! #[derive(Debug, thiserror::Error)]
//! enum BankError {
//!     #[error("nothing to deposit")]
//!     NothingToDeposit,
//! }
//!
//! impl Decide<Deposit> for Account {
//!     fn decide(&self, command: Deposit) -> Decision<Self> {
//!         if command.amount == 0 {
//!             return Err(BankError::NothingToDeposit);
//!         }
//!         Ok(events![Deposited { amount: command.amount }])
//!     }
//! }
//!
//! impl Evolve<Deposited> for Account {
//!     fn evolve(&mut self, event: &Deposited) {
//!         self.balance += event.amount;
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let store = AggregateStore::open(path).await?;
//! let alice = store.get::<Account>("alice").await?;
//! alice.send(Deposit { amount: 5 }).await?; // durable when it returns
//! assert_eq!(alice.state().await?.balance, 5);
//! # Ok(())
//! # }
//! ```
//!
//! When a command returns `Ok`, its events are on the disk, all of them or none, and whatever reads them sees them in
//! one order. [What an answer means](guide::in_production#what-an-answer-means) says it exactly.
//!
//! # Where to go
//!
//! New to event sourcing? The [tutorial](guide::tutorial) makes a program in six steps. Every page is in the
//! [`guide`]; these are the usual ways into it and into the interface:
//!
//! | you want to | read | call |
//! |---|---|---|
//! | decide commands and evolve by events | [designing aggregates](guide::designing_aggregates) | [`derive@Aggregate`], [`aggregate_impl`](macro@aggregate_impl), [`Decide`], [`Evolve`], [`DecisionContext`] |
//! | send a command; know who sent it, repeat it safely | [questions](guide::questions#rules-and-writing) | [`AggregateHandle::send`], [`CommandContext`], [`Layer`] |
//! | keep a rule over several aggregates, make something unique | [rules across aggregates](guide::rules_across_aggregates) | [`AggregateStore::together`], [`derive@Decision`], [`AggregateStore::append`] |
//! | read one aggregate, also as it was | [read models](guide::read_models#reading-without-a-read-model) | [`AggregateHandle::state`], [`AggregateStore::find`], [`AggregateHandle::at`] |
//! | list, search, count, feed something outside | [read models](guide::read_models) | [`derive@Projection`], `SqlProjection`, [`Follower`], [`AggregateStore::subscribe`] |
//! | let one thing lead to another, also later | [process managers](guide::process_managers) | [`derive@ProcessManager`], [`Outbox`], [`AggregateStoreBuilder::live`] |
//! | serve it over HTTP | [HTTP](guide/http/index.html) | the module `http` |
//! | test all that | [testing](guide::testing_a_domain) | the module `testing`, [`AggregateStore::in_memory`], [`ManualClock`] |
//! | change events that are stored | [changing events](guide::changing_events) | [`derive@DomainEvent`], [`model!`] |
//! | erase data of people | [personal data](guide/personal_data/index.html) | `personal::Personal`, `AggregateStore::forget` |
//! | go into production | [in production](guide::in_production), [backups](guide::backups), [watching a store](guide::watching_a_store) | [`AggregateStore::shutdown`], [`backup`](AggregateStore::backup), [`health`](AggregateStore::health), [`metrics`](AggregateStore::metrics) |
//! | know what to do about an error | [when something fails](guide::when_something_fails) | [`ExecuteError`], [`AggregateStore::verify`], [`DeadLetter`] |
//! | look at the files | [files](guide::files), [looking inside](guide::looking_inside) | [`StreamLayout`], [`inspect`](mod@inspect) |
//! | use more than one machine, or PostgreSQL | [beyond one machine](guide::beyond_one_machine), [moving](guide::moving) | `AggregateStore::postgres`, [`AggregateStore::export`] |
//! | come from 0.2.0, cqrs-es, Marten or SQLite | [coming from](guide::coming_from) | |
//!
//! The repository has [examples](https://github.com/aetherxhub/eventfold-es/tree/main/examples), and
//! `ARCHITECTURE.md` for those who change the code.
//!
//! # Features and MSRV
//!
//! ```toml
//! [dependencies]
//! eventfold-es = "0.3"
//! serde = { version = "1", features = ["derive"] }
//! thiserror = "2" # for the errors of the domain, or write them by hand
//! tokio = { version = "1", features = ["macros", "rt-multi-thread"] }
//!
//! [dev-dependencies]
//! eventfold-es = { version = "0.3", features = ["testing"] }
//! ```
//!
//! Rust 1.89 or newer. The derives are always there. All Cargo features are off by default:
//!
//! | feature | adds |
//! |---|---|
//! | `testing` | the [testing kit](guide::testing_a_domain), for a program's dev-dependencies |
//! | `sqlite` | [read models in tables of SQLite](guide::read_models#tables-in-sqlite) |
//! | `axum` | [HTTP for services](guide/http/index.html): conditional requests, idempotency keys, problem details, server-sent events, an orderly end |
//! | `personal` | [data of people](guide/personal_data/index.html) that is encrypted, and erased on request |
//! | `metrics` | what a store counts, through the crate `metrics`: [watching a store](guide::watching_a_store#metrics) |
//! | `opentelemetry` | a store's spans in [distributed traces](guide::watching_a_store#traces) |
//! | `schema` | the JSON Schema of payloads in a [`Model`](model::Model) |
//! | `console` | an `axum` router that [shows a store in the browser](guide/console/index.html) |
//! | `postgres`, `postgres-tls` | stores [in a database of PostgreSQL](guide/on_postgres/index.html), and encrypted connections to it |
//! | `cli` | the command `eventfold`, for `cargo install`: [looking inside](guide::looking_inside) |
//!
//! [`eventfold::Event`] is part of the interface; a program that names it depends on `eventfold` 0.2 as well.
//! Aggregates run on the tokio runtime of their caller, of either flavour. An aggregate can implement
//! [`Aggregate`](trait@Aggregate) by hand, exactly as with eventfold-es 0.2.0, whose API and files this version keeps
//! usable.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod clock;
#[cfg(feature = "console")]
pub mod console;
mod derive;
pub(crate) mod domain;
mod erasures;
mod error;
mod event;
pub(crate) mod following;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
#[cfg(feature = "axum")]
pub mod http;
pub(crate) mod ids;
mod meter;
pub mod model;
#[cfg(feature = "personal")]
pub mod personal;
#[cfg(not(feature = "personal"))]
mod personal;
mod report;
pub(crate) mod runtime;
mod scan;
pub(crate) mod storage;
mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod text;
mod thread;

pub use crate::clock::ManualClock;
#[cfg(feature = "sqlite")]
pub use crate::derive::SqlProjection;
pub use crate::derive::{
    Aggregate, Decision, DecisionModel, DomainEvent, ProcessManager, Projection, aggregate_impl,
};
pub use crate::domain::aggregate::{Aggregate, Decide, Decision, DecisionTypes, Evolve, reducer};
pub use crate::domain::append::{AppendCondition, NewEvent};
pub use crate::domain::command::{CommandContext, CommandEnvelope, to_eventfold_event};
pub use crate::domain::decide_with::DecideWith;
pub use crate::domain::decider::Decider;
pub use crate::domain::decision_context::DecisionContext;
pub use crate::domain::decision_model::DecisionModel;
pub use crate::domain::evolve_with::EvolveWith;
pub use crate::domain::follower::{Batch, Follower, Reads};
pub use crate::domain::layer::{Call, CallOutcome, Layer};
pub use crate::domain::process_manager::{
    Backoff, DeadLetter, Due, FailureKind, OnFailure, OrSend, Outbox, ProcessManager,
    ProcessManagerReport, React, ReactTo, Retry, SendTogether,
};
pub use crate::domain::projection::{Project, Projection};
pub use crate::domain::query::{InvalidQuery, Query, QueryItem};
#[cfg(feature = "sqlite")]
pub use crate::domain::sql_projection::{ProjectSql, ProjectSqlEvent, SqlProjection, SqlSchema};
pub use crate::error::{
    DispatchError, ExecuteError, JournalDropped, Panic, Refused, StateError, TogetherError,
};
pub use crate::event::{
    DecodeError, Decoded, DomainEvent, EncodeError, Ended, EventName, InvalidTag, Lifecycle,
    LifecycleEvent, Recorded, RecordedEvent, StoredEvent, Tag, TagText, Tags, UnknownEvents,
};
pub use crate::following::backwards::Backwards;
pub use crate::following::subscription::Subscription;
pub use crate::following::{
    FollowerStatus, PastProjection, ProcessManagerStatus, ReadSideStatus, Runner, Running,
    SkippedEvent,
};
pub use crate::ids::{
    InvalidPosition, InvalidStreamId, InvalidTraceParent, InvalidVersion, Position, StreamId,
    TraceParent, Version,
};
pub use crate::meter::Distribution;
pub use crate::report::{Finding, RepairReport, Repaired, Severity, VerifyReport};
pub use crate::runtime::committed::{Committed, Loaded, Past, Preview};
pub use crate::runtime::decisions::decide::Decided;
pub use crate::runtime::handle::AggregateHandle;
pub use crate::runtime::past::At;
pub use crate::runtime::together::{CommittedTogether, Together};
pub use crate::storage::files::backup::restore::WithoutCheckpoint;
pub use crate::storage::files::layout::StreamLayout;
pub use crate::storage::memory::Memory;
pub use crate::storage::retention::{DroppedJournal, KeptFile, WhyKept};
pub use crate::store::bus::CommandBus;
pub use crate::store::inspect;
pub use crate::store::{
    AggregateMetrics, AggregateStore, AggregateStoreBuilder, AppendError, Backup, BackupReport,
    CacheMetrics, CommandMetrics, Continuation, DeadLetters, EventQuery, Export, ExportForm,
    ExportReport, ExportedEvent, Follow, Followed, FollowerMetrics, Found, Import, ImportError,
    ImportReport, InjectOptions, LogMetrics, Metrics, Problem, ProblemKind, ProcessManagerMetrics,
    Rebuild, RebuildProgress, Repair, ReplayError, Restore, RestorePoint, RestoreReport,
    SettleError, StoreHealth, Verify, WaitError, spawn_actor,
};
#[cfg(feature = "personal")]
pub use crate::store::{ForgetError, Forgotten};

#[cfg(feature = "sqlite")]
pub use crate::store::{SqlError, SqlReadModel, SqlTables};
/// The library that [read models in SQLite](trait@SqlProjection) are written with.
#[cfg(feature = "sqlite")]
#[doc(no_inline)]
pub use rusqlite;

/// What a program with aggregates usually needs.
///
/// ```
/// use eventfold_es::prelude::*;
///
/// # async fn example() -> std::io::Result<()> {
/// let store = AggregateStore::open("./data").await?;
/// # Ok(())
/// # }
/// ```
pub mod prelude {
    pub use crate::{
        Aggregate, AggregateHandle, AggregateStore, CommandContext, Decide, DecideWith, Decider,
        Decision, DecisionContext, DecisionModel, DomainEvent, Evolve, EvolveWith, ExecuteError,
        Outbox, Position, ProcessManager, Project, Projection, React, ReactTo, Recorded,
        aggregate_impl, events,
    };
}

/// Compiles the example in the README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
