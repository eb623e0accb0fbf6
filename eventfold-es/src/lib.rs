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
//! # Deciding
//!
//! Instead of an impl for each command and event, [`#[aggregate_impl]`](macro@aggregate_impl) takes
//! the methods of one impl block: `&self` decides a command, `&mut self` evolves by an event. A decision
//! that depends on the time, on the aggregate's own id or version, or on who sent the command takes a
//! [`DecisionContext`]: as a second argument of such a method, or by [`DecideWith`].
//!
//! ```
//! # use std::time::{Duration, SystemTime};
//! use eventfold_es::{prelude::*, testing};
//! # use serde::{Deserialize, Serialize};
//! #
//! # #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
//! # #[aggregate(commands(Open, Assign), events(Opened, Assigned), error = TooLate)]
//! # struct Ticket { opened_ms: u64, agent: Option<String> }
//! # #[derive(Debug, Clone, Serialize, Deserialize)] struct Open;
//! # #[derive(Debug, Clone, Serialize, Deserialize)] struct Assign { agent: String }
//! # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Opened { ms: u64 }
//! # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Assigned { agent: String }
//! # #[derive(Debug, thiserror::Error)] #[error("too late")] struct TooLate;
//!
//! #[aggregate_impl]
//! impl Ticket {
//!     fn open(&self, _: Open, context: &DecisionContext<'_>) -> Decision<Self> {
//!         Ok(events![Opened { ms: context.unix_millis() }])
//!     }
//!
//!     fn assign(&self, command: Assign, context: &DecisionContext<'_>) -> Decision<Self> {
//!         if context.unix_millis() > self.opened_ms + 3_600_000 {
//!             return Err(TooLate);
//!         }
//!         Ok(events![Assigned { agent: command.agent }])
//!     }
//!
//!     fn opened(&mut self, event: &Opened) {
//!         self.opened_ms = event.ms;
//!     }
//!
//!     fn assigned(&mut self, event: &Assigned) {
//!         self.agent = Some(event.agent.clone());
//!     }
//! }
//!
//! # let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(12 * 3600);
//! # let assign = Assign { agent: "ann".to_owned() };
//! testing::given::<Ticket>(events![])
//!     .at(noon)
//!     .when(Open)
//!     .at(noon + Duration::from_secs(3601))
//!     .when(assign)
//!     .then_error(|TooLate| true);
//! ```
//!
//! # Reading
//!
//! * One aggregate: [`AggregateHandle::state`], or [`inspect`](AggregateHandle::inspect) without a copy.
//!   [`AggregateStore::find`] gives its handle only if it exists, and costs nothing if it does not.
//!   [`preview`](AggregateHandle::preview) tells what a command would lead to.
//! * A read model over many: [`derive@Projection`], which folds typed events in the order of the store.
//!   [`read`](AggregateStore::read) lends it, [`projection`](AggregateStore::projection) is for code that
//!   may block, [`wait_for`](AggregateStore::wait_for) waits for a position.
//! * A read model in tables of SQLite, or something that is fed outside of the store: the guide page
//!   [`read_models`](guide::read_models); for a simple reader [`subscribe`](AggregateStore::subscribe);
//!   [`lag_of`](AggregateStore::lag_of) tells how many events it is behind.
//! * The past: [`AggregateHandle::at`] tells what an aggregate was at a version, a position or a time,
//!   [`read_at`](AggregateStore::read_at) what a projection was at a position.
//! * The newest events: [`recent`](AggregateStore::recent), and [`backwards`](AggregateStore::backwards)
//!   for older ones, page by page.
//! * A workflow that answers events with commands: [`derive@ProcessManager`], with timers
//!   ([`Outbox::schedule`]), retries ([`Retry`]) and [dead letters](AggregateStore::dead_letters).
//!
//! A read brings its projection up to date, and
//! [`run_process_managers`](AggregateStore::run_process_managers) runs the process managers. With
//! [`live`](AggregateStoreBuilder::live) both follow the events in the background.
//!
//! ```
//! # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
//! use eventfold_es::prelude::*;
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
//! #[projection(aggregates(Counter))]
//! struct Latest {
//!     counter: String,
//! }
//!
//! impl Project<Counter> for Latest {
//!     fn project(&mut self, _: &CounterEvent, record: &Recorded<'_>) {
//!         self.counter = record.id().to_owned();
//!     }
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path();
//! let store = AggregateStore::builder(path).projection::<Latest>().open().await?;
//! store.get::<Counter>("c-1").await?.send(Add(5)).await?;
//! store.read(|latest: &Latest| assert_eq!(latest.counter, "c-1")).await?;
//! # Ok(())
//! # }
//! ```
//!
//! An aggregate can as well implement [`Aggregate`](trait@Aggregate) by hand, exactly as with
//! eventfold-es 0.2.0, whose API and files this version keeps usable.
//!
//! # Process managers and projections in the background
//!
//! [`live`](AggregateStoreBuilder::live) runs them in the background:
//!
//! * a process manager reacts to each event, and each command of the reaction takes effect once,
//!   even if the program ends in between;
//! * a command that fails is tried again ([`Retry`]), unless its aggregate refused it: a refusal is a
//!   decision;
//! * a failure is answered by another command ([`OrSend::or_send`],
//!   [`on_dead_letter`](trait@ProcessManager)). If it is not, the command becomes a [`DeadLetter`], which
//!   [`AggregateStore::dead_letters`] lists and replays. Until then its workflow stands still half done. So
//!   what a workflow must react to should be an event, "sold out" for example, rather than a refusal;
//! * [`Outbox::together`] sends commands to several aggregates, which take effect in one commit or not at
//!   all; [`Outbox::decide`] sends a command to a decision;
//! * [`wait_until`](AggregateStore::wait_until) waits for a state of an aggregate,
//!   [`wait_until_settled`](AggregateStore::wait_until_settled) for everything that follows from an event;
//! * [`Outbox::schedule_as`] sends a command later, also after a restart; [`Outbox::cancel`] cancels
//!   it; a [`ManualClock`] sets the time in tests;
//! * an event that a projection or process manager cannot take stops it, or is skipped and recorded
//!   ([`OnFailure`]); the others go on;
//! * [`AggregateStore::read_side`] shows the position, the last error and the waiting commands of each.
//!
//! `cargo run --example fulfilment`, in the repository, shows all of this.
//!
//! # What is promised
//!
//! * **Durability**: when a command returns `Ok`, its events survive `kill -9` and power loss.
//! * **Atomicity**: all events of a command are stored, or none, whatever happens.
//! * **Order**: per stream by version, globally by position, without gaps, for ever.
//! * **Isolation**: a command is decided on a state with every earlier command of its aggregate.
//! * **Read your writes**: a projection that is read after a command returned includes it.
//! * **Failure**: an error says what failed and where; nothing is half done.
//!
//! # Errors and what to do
//!
//! A command that failed has stored nothing, except with `OutcomeUnknown`.
//!
//! | [`ExecuteError`] | what to do |
//! |---|---|
//! | [`Domain`](ExecuteError::Domain) | the aggregate refused the command: report its error to the caller |
//! | [`Refused`](ExecuteError::Refused) | a [layer](Layer) refused the command: [`Refused`] derefs to its error |
//! | [`ExpectedVersion`](ExecuteError::ExpectedVersion) | load state and version again, then decide again; its page shows how |
//! | [`KeyReused`](ExecuteError::KeyReused) | give each command an idempotency key of its own |
//! | [`Ended`](ExecuteError::Ended) | the aggregate [has ended](AggregateStore::end): there is nothing more to send it |
//! | [`Archived`](ExecuteError::Archived) | [unarchive](AggregateStore::unarchive) the aggregate and send again |
//! | [`Conflict`](ExecuteError::Conflict) | other processes were first, again and again: send again |
//! | [`Io`](ExecuteError::Io) | read the text, which names file and cause; remedy the cause, send again |
//! | [`ActorGone`](ExecuteError::ActorGone) | its runtime ended: send again from one that lives on |
//! | [`Panicked`](ExecuteError::Panicked) | correct the aggregate; it is at its durable state |
//! | [`OutcomeUnknown`](ExecuteError::OutcomeUnknown) | the disk failed, and the command may be stored: open the store again, then look, or repeat it under its idempotency key |
//! | [`Closed`](ExecuteError::Closed) | the store was shut down: open it again |
//!
//! A caller that may not learn the outcome, because its own program may end for example, gives the
//! command an [idempotency key](CommandContext::with_idempotency_key) and sends it again.
//!
//! Reading an aggregate fails with a [`StateError`], dispatching a command with a [`DispatchError`],
//! opening and reading files with an [`io::Error`](std::io::Error). Each function lists its kinds:
//! [`ResourceBusy`](std::io::ErrorKind::ResourceBusy) for a directory in use,
//! [`InvalidData`](std::io::ErrorKind::InvalidData) for a damaged file. [`JournalDropped`] is within one if
//! events were [dropped](AggregateStoreBuilder::keep_journal_for) from the journal that would have to be read.
//!
//! ## When a file is damaged
//!
//! The error names the file, the byte and the cause. Nothing is left out or guessed.
//! [`AggregateStore::verify`] compares every file with the journal and reports what it finds: run
//! it after restoring a backup or moving files. [`AggregateStore::repair`] restores what the journal
//! proves, and keeps what it replaces in a directory beside the rest. File by file:
//!
//! * a file in `journal/`: restore the whole directory from a backup, which is a copy taken while
//!   no store had it open. Of a compressed one the error also names the block;
//! * a stream's `app.jsonl`, also if it is missing, cut off or from another backup: `repair` writes
//!   it again from the journal. Until then its aggregate, [`list`](AggregateStore::list),
//!   [`list_streams`](AggregateStore::list_streams) and
//!   [`read_events`](AggregateStore::read_events) fail with `InvalidData` where they meet it; other
//!   aggregates work;
//! * `process_managers/<NAME>/journal_checkpoint.json`, also if it is older than the journal: restore
//!   the whole directory from a backup. Until then the process manager is stopped, as
//!   [`AggregateStore::read_side`] and each run report, and the rest works. Without the file the
//!   process manager would react to every event from the first on. A stream recognises its last
//!   1,000 idempotency keys, but older commands would take effect a second time;
//! * `process_managers/<NAME>/dead_letters.jsonl`: the dead letters cannot be listed or replayed;
//!   everything else works. Remove the line that the error names, or restore the whole directory;
//! * a projection's checkpoint or a snapshot in `views/`: no error, the store makes it again. It may
//!   be deleted while the store is closed;
//! * `journal/checkpoint.json`, `journal/stream_ends`: the next `open` reads the whole journal
//!   instead. They may be deleted while the store is closed.
//!
//! Never edit or delete a file of the journal or of a stream to get rid of the error: each proves
//! what the other must hold.
//!
//! ## When the disk fails or is full
//!
//! When a sync of the journal fails, the store takes no more commands until it is opened again. The
//! system's copy of its files cannot be trusted then, so `journal/sync_failed` notes the failure, and
//! the next `open` replaces the files in doubt with new ones. A program that has a stream's `app.jsonl`
//! open for reading must then open it again: nothing more is added to the old file.
//!
//! On a full disk a store opens if it has nothing to write but a checkpoint. It first gives up a journal
//! segment that it had prepared; if that is not enough, it refuses commands until there is space, and
//! everything stored can be read meanwhile. Otherwise `open` fails with
//! [`StorageFull`](std::io::ErrorKind::StorageFull).
//!
//! # Changes and tests
//!
//! Events live for ever, so a program reads what all its older versions stored:
//! [how to change events](guide::changing_events) walks through renaming, reshaping, splitting and
//! retiring one. With the feature `testing` the module `testing` has given/when/then for aggregates,
//! projections and process managers, without a runtime or a disk, and a test that notices when the
//! stored form of an event or a state changes.
//!
//! [`model!`] collects [what the types say](guide::what_the_types_say), as Markdown with a diagram for
//! example, and a test compares it with a file. So a review shows what a change means.
//!
//! # Files
//!
//! A stream is an [`eventfold`] log, one event a line: `jq`, `tail -f` and the `eventfold` crate
//! read it. `streams/account/alice/app.jsonl` of the example above, here on several lines:
//!
//! ```json
//! {"len":       182,"sizes":[12,0],"type":"Deposited","data":{"amount":5},"ts":1767225600,
//!  "id":"bbb62c28-3e32-4ebb-…","version":1,"ms":1767225600123,"pos":1,"sum":"d64fca03542427cc"}
//! ```
//!
//! `type` is the event's stored name, `ts` its time in seconds since 1970, and `actor` and `meta`
//! are there if the command's context has them. After these keys of `eventfold` come the
//! version in the stream, the time in milliseconds, the command's idempotency key as `key` if it
//! has one, the position in the store, and a checksum.
//!
//! The journal, `journal/<first position>.jsonl`, has one line a commit, with its events as their
//! stream has them, after a line that heads the file:
//!
//! ```json
//! {"len":       398,"pos":1,"count":1,"ms":1767225600124,"durable":0,
//!  "streams":[{"type":"account","id":"alice","version":1,"offset":0,"count":1}],
//!  "events":[{…}],"sum":"7c03469da2d72a73"}
//! ```
//!
//! `pos` and `version` are those of the first event, `offset` is where its line begins in the
//! stream's file, and `durable` the newest position that was durable before. The newest file is
//! filled with zeros to its end. Older ones are compressed in the background, to
//! `<first position>.jsonl.zst` ([`compress_journal`](AggregateStoreBuilder::compress_journal)). All are kept,
//! unless [`keep_journal_for`](AggregateStoreBuilder::keep_journal_for) says otherwise.
//! `eventfold-es/docs/format.md` in the repository describes every file in bytes.
//!
//! ```sh
//! jq -c '[.version, .type, .data]' data/streams/account/alice/app.jsonl
//! zstdcat -f data/journal/0*.jsonl* | tr -d '\0' | jq -c 'select(.pos) | [.pos, .type, .id]'
//! ```
//!
//! A command is answered when the journal has it; its stream's file follows within a few
//! milliseconds. [`AggregateStore::layout`] and [`AggregateHandle::reader`] wait for that.
//!
//! The directories are described at [`StreamLayout`]. Other programs only read them. If one appends
//! to a stream's file all the same, the stream is refused when it is next loaded:
//! [`AggregateStore::repair`] enters the appended lines into the journal, in order. Only the first
//! `open` of a directory of 0.2.0 takes lines over by itself.
//!
//! # What is logged
//!
//! Through `tracing`, by level:
//!
//! * `error`: an operator must act. The store has failed or a stream takes no commands, a projection or
//!   process manager stopped, a command became a dead letter, the code of an aggregate panicked;
//! * `warn`: something was left out, corrected or will be tried again. An unfinished end of the
//!   journal after a crash, a checkpoint or snapshot that is made again, a command's next attempt;
//! * `info`: each command, in the span `execute`, which names it, what it belongs to and its outcome,
//!   and is a child of the caller's span; the reactions and commands of process managers; opening and
//!   shutting down; the progress of taking a directory of 0.2.0 over;
//! * `debug`: loads, snapshots, checkpoints and redo points, with their durations.
//!
//! [All spans and events](guide::spans_and_events) have a page of their own, and so has
//! [what to watch](guide::watching_a_store): metrics, health, alerts and traces.
//!
//! # Around every command
//!
//! [`AggregateStoreBuilder::layer`] adds a [`Layer`] around every command, also those of
//! [`CommandBus`] and of process managers. It may refuse a command with an error of its own, add the
//! tenant to its metadata, and measure it.
//!
//! # Coming from 0.2.0
//!
//! Traits, types, functions and directories stay as they are: a program compiles and behaves the
//! same, and [`AggregateStore::open`] takes its directory over. What differs:
//!
//! * error enums have further variants and need a `_` arm; [`CommandContext`] has further fields,
//!   so one that is written out ends with `..Default::default()`;
//! * a directory has one open store, in one process: clone it;
//! * two projections of one name are refused, and names that cannot be those of directories;
//! * files and directories are created for their owner alone (see [`StreamLayout`]);
//! * [`get`](AggregateStore::get) alone stores nothing: a stream exists from its first event on;
//! * ids are encoded as file names where that is unsafe; streams that are stored under a raw name
//!   keep it;
//! * a known event that cannot be decoded fails the load instead of being left out;
//! * a handle outlives idleness, so it need not be fetched again; `ActorGone` only says that a
//!   runtime ended;
//! * `Conflict` says that other processes were first, again and again, which never happens in files;
//!   a version that was [expected](CommandContext::with_expected_version) and is not there is
//!   answered by `ExpectedVersion`;
//! * injected events are known by their ids for ever, not until the restart;
//! * projections and process managers keep their place in `journal_checkpoint.json`;
//!   `checkpoint.json` is read once.
//!
//! 0.2.0 still reads what this version writes. The changelog lists what is new.
//!
//! # MSRV and features
//!
//! Rust 1.89 or newer. The derives are always there. All Cargo features are off by default:
//!
//! * `testing` adds the [testing kit](#changes-and-tests), for a program's dev-dependencies;
//! * `schema` adds the JSON Schema of payloads to a [`Model`](model::Model);
//! * `metrics` publishes what a store counts, and `opentelemetry` makes its spans part of distributed traces:
//!   see [watching a store](guide::watching_a_store);
//! * `personal` adds the module `personal`: data of persons is encrypted, and erased on request, with a guide page of
//!   its own;
//! * `postgres` keeps stores in a database of PostgreSQL (`AggregateStore::postgres`, with a guide page of its own);
//! * `postgres-tls` encrypts the connections to it;
//! * `console` adds the module `console`, an `axum` router that shows a store in the browser;
//! * `cli` is for `cargo install`: it builds the command `eventfold`, which [looks inside a
//!   store](guide::looking_inside).
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
//! [`eventfold::Event`] is part of the interface; a program that names it depends on `eventfold`
//! 0.2 as well. Aggregates run on the tokio runtime of their caller, of either flavour.
//!
//! # Layout
//!
//! The way of a command: [`AggregateHandle`] puts it into the mailbox of its *actor* (one task per
//! live aggregate), which decides it, encodes the events and hands the commit to the *engine*.
//! There one thread per store, the committer, writes all waiting commits to the *journal* in one
//! batch, makes the batch durable and answers. A second thread, the stream writer, appends the lines to
//! the streams' files within milliseconds.
//!
//! * `domain`, `event`: the traits that a user implements; `testing` tests the implementations;
//! * `store`: the types that a user calls;
//! * `runtime`: handles, actors, activation and passivation;
//! * `following`: projections, process managers and subscriptions, which follow the journal;
//! * `storage`: everything that touches the disk; its unit is the commit.
//!
//! `ARCHITECTURE.md` in the repository explains each of them.

#[doc(hidden)]
#[path = "private.rs"]
pub mod __private;
mod clock;
#[cfg(feature = "console")]
pub mod console;
mod derive;
pub(crate) mod domain;
mod error;
mod event;
pub(crate) mod following;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
pub mod guide;
pub(crate) mod ids;
mod meter;
pub mod model;
#[cfg(feature = "personal")]
pub mod personal;
#[cfg(not(feature = "personal"))]
mod personal;
mod report;
pub(crate) mod runtime;
pub(crate) mod storage;
mod store;
mod sync;
#[cfg(feature = "testing")]
pub mod testing;
mod text;

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
