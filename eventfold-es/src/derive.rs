//! The derives, with their documentation for users.

/// Derives [`trait@Aggregate`](crate::Aggregate) for the struct that is an aggregate's state.
///
/// Besides the impl it generates the enum of the aggregate's commands and the enum of its events,
/// from the types listed in `#[aggregate(...)]`. What is left to write is
/// [`Decide`](crate::Decide) for each command and [`Evolve`](crate::Evolve) for each event. The
/// [tutorial](crate::guide::tutorial) leads there, and [designing aggregates](crate::guide::designing_aggregates)
/// says what belongs into one.
///
/// ```
/// use eventfold_es::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(
///     name = "bank-account",
///     commands(OpenAccount, Deposit),
///     events(AccountOpened, Deposited),
///     error = BankError,
/// )]
/// pub struct BankAccount {
///     owner: Option<String>,
///     balance: u64,
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct OpenAccount {
///     pub owner: String,
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct Deposit {
///     pub amount: u64,
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// pub struct AccountOpened {
///     pub owner: String,
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// #[event(name = "MoneyDeposited")]
/// pub struct Deposited {
///     pub amount: u64,
/// }
///
/// #[derive(Debug, PartialEq, thiserror::Error)]
/// pub enum BankError {
///     #[error("the account has an owner already")]
///     AlreadyOpen,
///     #[error("the account has no owner yet")]
///     NotOpen,
/// }
///
/// impl Decide<OpenAccount> for BankAccount {
///     fn decide(&self, command: OpenAccount) -> Decision<Self> {
///         match self.owner {
///             Some(_) => Err(BankError::AlreadyOpen),
///             None => Ok(events![AccountOpened { owner: command.owner }]),
///         }
///     }
/// }
///
/// impl Decide<Deposit> for BankAccount {
///     fn decide(&self, command: Deposit) -> Decision<Self> {
///         match self.owner {
///             Some(_) => Ok(events![Deposited { amount: command.amount }]),
///             None => Err(BankError::NotOpen),
///         }
///     }
/// }
///
/// impl Evolve<AccountOpened> for BankAccount {
///     fn evolve(&mut self, event: &AccountOpened) {
///         self.owner = Some(event.owner.clone());
///     }
/// }
///
/// impl Evolve<Deposited> for BankAccount {
///     fn evolve(&mut self, event: &Deposited) {
///         self.balance += event.amount;
///     }
/// }
///
/// let account = BankAccount::default();
/// let refused = account.handle(Deposit { amount: 5 }.into());
/// assert_eq!(refused.unwrap_err(), BankError::NotOpen);
///
/// let events = account.handle(OpenAccount { owner: "Ada".into() }.into())?;
/// let account = events.iter().fold(account, Aggregate::apply);
/// assert_eq!(account.owner.as_deref(), Some("Ada"));
/// # Ok::<(), BankError>(())
/// ```
///
/// # Keys of `#[aggregate(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `name = "bank-account"` | names the aggregate's directory; letters, digits, `-` and `_` | the struct's name in kebab-case |
/// | `commands(A, path::B, C = "wire-name")` | the command types; each is a variant of the command enum, called as its last segment, and goes to [`Decide`](crate::Decide). A wire-name is what the command is called when serialised | |
/// | `command = Type` | instead of `commands`: an enum of your own, which goes to `Decide<Type>` whole | |
/// | `events(X, path::Y)` | the event types, each a [`DomainEvent`](crate::DomainEvent); each is a variant of the event enum and goes to [`Evolve`](crate::Evolve) | |
/// | `event = Type` | instead of `events`: an enum of your own that derives [`DomainEvent`](crate::DomainEvent), which goes to `Evolve<Type>` whole | |
/// | `error = Type` | why a command is refused | [`Infallible`](std::convert::Infallible) |
/// | `command_enum(name = Ident, derive(Debug, ..))` | name and derives of the command enum | `{Struct}Command`, `derive(Debug, Clone, Serialize, Deserialize)` |
/// | `event_enum(name = Ident, derive(Clone, ..))` | name and derives of the event enum | `{Struct}Event`, `derive(Debug, Clone)` |
/// | `snapshot(every = 100, version = 2)` | how many events apart snapshots are taken, and the version of the state's shape: a snapshot of another version is ignored | the store's policy, 1 |
/// | `retired("Suspended", "OpenedWithDeposit" = path, Moved = path)` | events that are not written any more, see below | none |
/// | `unknown_events = "skip"` | what loading does with an event name that it does not know: `"reject"` fails, `"skip"` leaves it out | `"reject"` |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// # What is generated
///
/// The enums have the struct's visibility and stand beside it. The command enum is serialised as
/// `{"type": "Deposit", "data": {"amount": 5}}`; without `Serialize` in its `derive(...)` it is
/// not serialised and its commands need not be either. The event enum is always serialised, as
/// its events are stored: `{"type": "MoneyDeposited", "data": {"amount": 5}}`.
///
/// For the aggregate above, shortened; `cargo expand` shows all of it:
///
/// ```text
/// /// The commands of `BankAccount`.
/// #[derive(Debug, Clone)]
/// pub enum BankAccountCommand {
///     /// The command `OpenAccount`.
///     OpenAccount(OpenAccount),
///     /// The command `Deposit`.
///     Deposit(Deposit),
/// }
///
/// impl From<Deposit> for BankAccountCommand { /* .. */ }
/// impl Serialize for BankAccountCommand { /* {"type": .., "data": ..} */ }
///
/// impl Aggregate for BankAccount {
///     const AGGREGATE_TYPE: &'static str = "bank-account";
///     const UNKNOWN_EVENTS: UnknownEvents = UnknownEvents::Reject;
///     type Command = BankAccountCommand;
///     type DomainEvent = BankAccountEvent;
///     type Error = BankError;
///
///     fn handle(&self, command: BankAccountCommand) -> Result<Vec<BankAccountEvent>, BankError> {
///         match command {
///             BankAccountCommand::OpenAccount(command) => <Self as Decide<OpenAccount>>::decide(self, command),
///             BankAccountCommand::Deposit(command) => <Self as Decide<Deposit>>::decide(self, command),
///         }
///     }
///
///     fn apply(mut self, event: &BankAccountEvent) -> Self {
///         match event {
///             BankAccountEvent::AccountOpened(event) => <Self as Evolve<AccountOpened>>::evolve(&mut self, event),
///             BankAccountEvent::Deposited(event) => <Self as Evolve<Deposited>>::evolve(&mut self, event),
///         }
///         self
///     }
///     /* .. */
/// }
/// ```
///
/// Two events of one aggregate that share a stored name or alias do not compile.
///
/// # Retired events
///
/// What was stored stays stored, so an event that is not written any more is listed in
/// `retired(...)`, by its stored name in quotes or by its type. Alone it is read as no event at all;
/// with a function, as what that returns of the old payload:
///
/// ```
/// use eventfold_es::{Recorded, StoredEvent, prelude::*};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(
///     commands(),
///     events(AccountOpened, Deposited),
///     retired("Suspended", "OpenedWithDeposit" = split),
/// )]
/// struct BankAccount {
///     balance: u64,
/// }
///
/// #[derive(Deserialize)]
/// struct OpenedWithDeposit {
///     owner: String,
///     amount: u64,
/// }
///
/// fn split(old: OpenedWithDeposit) -> Vec<BankAccountEvent> {
///     events![AccountOpened { owner: old.owner }, Deposited { amount: old.amount }]
/// }
///
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// # struct AccountOpened { owner: String }
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// # struct Deposited { amount: u64 }
/// # impl Evolve<AccountOpened> for BankAccount {
/// #     fn evolve(&mut self, _: &AccountOpened) {}
/// # }
/// # impl Evolve<Deposited> for BankAccount {
/// #     fn evolve(&mut self, event: &Deposited) { self.balance += event.amount; }
/// # }
/// let stored = StoredEvent::new("OpenedWithDeposit", r#"{"owner":"Ada","amount":5}"#);
/// assert_eq!(BankAccount::decode_event(stored)?.as_slice().len(), 2);
/// assert!(BankAccount::decode_event(StoredEvent::new("Suspended", "{}"))?.as_slice().is_empty());
/// # Ok::<(), eventfold_es::DecodeError>(())
/// ```
///
/// The function is like a step of [`DomainEvent`](derive@crate::DomainEvent#versions): it may take
/// the [`Recorded`](crate::Recorded) as well and may fail. It returns the event enum, or an `Option`,
/// a `Vec` or a [`Decoded`](crate::Decoded) of it. An event with several versions is best retired by
/// its type, which keeps its own steps: `retired(OpenedWithDeposit = split)`, where the function takes
/// the type. [How to change events](crate::guide::changing_events) shows when to do what.
pub use eventfold_es_derive::Aggregate;

/// Derives [`trait@DomainEvent`](crate::DomainEvent) for an event, or for an enum of events.
///
/// A struct is one event. Its stored name is its own, or the `name` given:
///
/// ```
/// use eventfold_es::DomainEvent;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// #[event(name = "MoneyDeposited", alias = "Deposited")]
/// pub struct Deposited {
///     pub amount: u64,
/// }
///
/// assert_eq!(Deposited { amount: 5 }.name(), "MoneyDeposited");
/// assert!(Deposited::knows("Deposited"));
/// ```
///
/// An enum is a set of events, one for each variant. It can be an aggregate's
/// `#[aggregate(event = ...)]`, or stand in `events(...)` beside others:
///
/// ```
/// use eventfold_es::{DomainEvent, StoredEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
/// #[event(rename_all = "kebab-case")]
/// pub enum CounterEvent {
///     #[event(alias = "Added")]
///     WasAdded { amount: u64 },
///     #[event(name = "reset")]
///     WasReset,
/// }
///
/// let added = CounterEvent::WasAdded { amount: 5 };
/// assert_eq!(added.name(), "was-added");
/// assert_eq!(CounterEvent::WasReset.name(), "reset");
///
/// let old = CounterEvent::decode(StoredEvent::new("Added", r#"{"amount":5}"#))?;
/// assert_eq!(old.as_slice(), [added]);
/// # Ok::<(), eventfold_es::DecodeError>(())
/// ```
///
/// The payload is what serde makes of the struct, or of the variant's content; `null` for a unit.
///
/// # Keys of `#[event(...)]`
///
/// | key | on | meaning | default |
/// |---|---|---|---|
/// | `name = "MoneyDeposited"` | struct, variant | the stored name | the name in the source |
/// | `alias = "Deposited"` | struct, variant | an older name that is still read, never written; repeatable | none |
/// | `version = 2` | struct, variant | the version of the payload's shape that is written | 1 |
/// | `upcast(1 = path, 2 = path)` | struct, variant | the functions that lead on from each older version, see below | |
/// | `retired("Suspended", "OpenedWithDeposit" = path, Moved = path)` | enum | events that are not written any more, as of an [aggregate](derive@crate::Aggregate#retired-events) | none |
/// | `rename_all = "kebab-case"` | enum | the case of the variants' stored names, as serde writes it: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE` | as in the source |
/// | `#[tag]`, `#[tag("name")]` | field | the field's value is a tag of the event, see below | none |
/// | `#[subject]`, `#[subject("name")]` | field | the field says whose the event's personal data is, see below | none |
/// | `#[personal(field)]` | field | which of several subjects its personal data is of | the only one |
/// | `crate = path` | struct, enum | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// serde's own attributes apply to the payload. Those that would rename or skip a variant of an
/// event enum, or change the enum's form, are refused.
///
/// # Tags
///
/// A field marked `#[tag]` tags the event with its value, by which a
/// [decision](derive@crate::Decision) or a [query](crate::Query) finds it:
///
/// ```
/// use eventfold_es::{DomainEvent, Tags};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// pub struct Enrolled {
///     #[tag]
///     pub course: String,
///     #[tag("student")]
///     pub students: Vec<u64>,
/// }
///
/// let mut tags = Tags::new();
/// Enrolled { course: "c-1".into(), students: vec![7, 9] }.append_tags(&mut tags)?;
/// assert_eq!(tags.to_string(), "course:c-1 student:7 student:9");
/// # Ok::<(), eventfold_es::InvalidTag>(())
/// ```
///
/// * The tag is `name:value`. Its name is the field's, or the one given; several fields may have the same.
/// * Its value is the text of the field, by [`Display`](std::fmt::Display). An `Option` or a list makes
///   a tag for each value that it has.
/// * A text that is empty, too long or has control characters cannot be part of a [`Tag`](crate::Tag).
///   The command that leads to such an event fails, and nothing is stored.
/// * A tag is stored with the event. An event that was stored before its field was tagged has no tag.
/// * In an enum, the fields of variants are tagged.
///
/// # Subjects
///
/// With the feature `personal`, fields of the type `personal::Personal` are encrypted with the key of the event's
/// subject, and erased with it. The guide page `personal_data` has an example.
///
/// * The subject is `name:value`, as a tag is: its name is the field's, or the one given, and its value is the text
///   of the field. It is not a tag by that, and it is stored in clear.
/// * An event with a field whose type names `Personal` must have a subject. With several, each such field names the
///   field with its subject: `#[personal(friend)]`.
/// * An alias of `Personal`, or a struct that has one, is not seen. If the event has one subject, such values are of
///   that; otherwise the command that leads to the event fails, and nothing is stored.
/// * In an enum, each variant has subjects of its own.
///
/// # Versions
///
/// A payload whose shape changes gets a new `version`, and `upcast` a function from the shape before
/// it. What was stored in an older version passes through the functions in turn whenever it is read:
///
/// ```
/// use eventfold_es::{DomainEvent, Recorded, StoredEvent};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
/// #[event(version = 3, upcast(1 = in_cents, 2 = Self::with_account))]
/// pub struct Deposited {
///     pub cents: u64,
///     pub account: String,
/// }
///
/// #[derive(Deserialize)]
/// struct DepositedV1 {
///     amount: u64,
/// }
///
/// #[derive(Deserialize)]
/// struct DepositedV2 {
///     cents: u64,
/// }
///
/// fn in_cents(old: DepositedV1) -> Result<DepositedV2, String> {
///     match old.amount.checked_mul(100) {
///         Some(cents) => Ok(DepositedV2 { cents }),
///         None => Err(format!("{} are too many", old.amount)),
///     }
/// }
///
/// impl Deposited {
///     fn with_account(old: DepositedV2, record: &Recorded<'_>) -> Self {
///         Self { cents: old.cents, account: record.id().to_owned() }
///     }
/// }
///
/// let old = Deposited::decode(StoredEvent::new("Deposited", r#"{"amount":5}"#))?;
/// assert_eq!(old.as_slice()[0].cents, 500);
/// # Ok::<(), eventfold_es::DecodeError>(())
/// ```
///
/// * There is a step from each version below the current one. It takes what the step before returns,
///   and the first one that is needed takes the payload as it is stored: its argument is
///   `Deserialize` and owns its data.
/// * A step that needs more than the payload takes the [`Recorded`](crate::Recorded) as its second
///   argument: the stream, the time, the metadata.
/// * A step that may fail returns a `Result` whose error is an error, or a text. If it does fail, the
///   event cannot be read, and the error names stream, version, event and step.
/// * The last step returns the event: the struct, or for a variant the enum, of which it may be another
///   variant too. It may return an `Option`, a `Vec` or a [`Decoded`](crate::Decoded) of that, for an
///   event that is none or several today.
/// * A step depends on its arguments alone, and must take all that was ever stored.
///
/// The version is stored with the event as `meta.schema_version`, above 1 only: what has none is of
/// version 1. A version above the program's own is an error and never read as something else, and so
/// is a `schema_version` that is no number; both may come from another program that writes the stream.
/// [How to change events](crate::guide::changing_events) shows when to do what.
pub use eventfold_es_derive::DomainEvent;

/// Derives [`trait@Projection`](crate::Projection) for the state of a read model over typed events.
///
/// What is left to write is [`Project`](crate::Project) for each aggregate listed in
/// `#[projection(...)]`, and [`Evolve`](crate::Evolve) for each event listed there.
/// [Read models](crate::guide::read_models) says when to use something else.
///
/// ```
/// # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
/// use eventfold_es::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
/// #[projection(name = "totals", aggregates(Counter))]
/// struct Totals {
///     sum: u64,
///     events: u64,
/// }
///
/// impl Project<Counter> for Totals {
///     fn project(&mut self, event: &CounterEvent, _: &Recorded<'_>) {
///         let CounterEvent::Added { amount } = event;
///         self.sum += amount;
///         self.events += 1;
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).projection::<Totals>().open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// assert_eq!(store.projection::<Totals>()?.sum, 5);
/// # Ok(())
/// # }
/// ```
///
/// # Keys of `#[projection(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `aggregates(A, path::B)` | whose events are projected, each to [`Project`](crate::Project) of it | none |
/// | `events(E, path::F)` | which events are folded that belong to no aggregate, each by [`Evolve`](crate::Evolve) or [`EvolveWith`](crate::EvolveWith) of it | none |
/// | `name = "totals"` | names the projection's directory; letters, digits, `-` and `_` | the type's name in kebab-case |
/// | `version = 2` | the version of what is folded and how: under a new one the projection is built again | 1 |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// At least one of `aggregates` and `events` must be given.
///
/// # Events that belong to no aggregate
///
/// The events of [decisions](derive@crate::Decision), and those of
/// [`AggregateStore::append`](crate::store::AggregateStore::append), belong to no aggregate. List their
/// types in `events(...)`. Other events of that kind never reach the projection. Neither does an event
/// of a listed type that an aggregate stored: list the aggregate too.
///
/// ```
/// use eventfold_es::{prelude::*, testing};
/// use serde::{Deserialize, Serialize};
/// use std::collections::BTreeMap;
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// struct Subscribed {
///     #[tag]
///     course: String,
///     #[tag]
///     student: String,
/// }
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
/// #[projection(name = "students", events(Subscribed))]
/// struct Students {
///     of_course: BTreeMap<String, Vec<String>>,
/// }
///
/// impl Evolve<Subscribed> for Students {
///     fn evolve(&mut self, event: &Subscribed) {
///         let students = self.of_course.entry(event.course.clone()).or_default();
///         students.push(event.student.clone());
///     }
/// }
///
/// testing::projection::<Students>()
///     .given_event(Subscribed { course: "c-1".into(), student: "Ada".into() })
///     .then_state(|students| students.of_course["c-1"] == ["Ada"]);
/// ```
///
/// # Events that an aggregate does not know
///
/// are treated as its [`UNKNOWN_EVENTS`](crate::domain::aggregate::Aggregate::UNKNOWN_EVENTS) says. Rejected, they stop
/// the projection with an error that names the event. With `"skip"` they are left out, with one warning a name;
/// the names are kept in the checkpoint, and the projection is built again by itself once a program
/// knows one of them.
///
/// Two aggregates that are stored under one name do not compile, nor do two events.
pub use eventfold_es_derive::Projection;

/// Derives [`trait@SqlProjection`](crate::SqlProjection) for a read model in SQLite over typed events.
///
/// What is left to write is [`SqlSchema`](crate::SqlSchema), which says which tables there are,
/// [`ProjectSql`](crate::ProjectSql) for each aggregate listed in `#[projection(...)]`, and
/// [`ProjectSqlEvent`](crate::ProjectSqlEvent) for each event listed there. See the example of
/// [`trait@SqlProjection`](crate::SqlProjection).
///
/// # Keys of `#[projection(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `aggregates(A, path::B)` | whose events are projected, each to [`ProjectSql`](crate::ProjectSql) of it | none |
/// | `events(E, path::F)` | which events are projected that belong to no aggregate, each by [`ProjectSqlEvent`](crate::ProjectSqlEvent) of it | none |
/// | `name = "orders"` | names the directory of the read model; letters, digits, `-` and `_` | the type's name in kebab-case |
/// | `version = 2` | the version of what is projected and how: a new one is built beside the old one | 1 |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// At least one of `aggregates` and `events` must be given. Events that an aggregate does not know are
/// treated as by [`derive@Projection`](crate::Projection).
#[cfg(feature = "sqlite")]
pub use eventfold_es_derive::SqlProjection;

/// Derives [`trait@ProcessManager`](crate::ProcessManager) for the state of a workflow over typed
/// events.
///
/// What is left to write is [`React`](crate::React) for each aggregate listed in
/// `#[process_manager(...)]`, and [`ReactTo`](crate::ReactTo) for each event listed there. The guide has
/// [a whole one](crate::guide::process_managers), with a deadline and a compensation.
///
/// ```
/// # use eventfold_es::__private::example::{Add, Counter, CounterEvent};
/// use eventfold_es::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// /// Adds to the counter `all` what is added to any other.
/// #[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
/// #[process_manager(name = "sum-up", aggregates(Counter), dispatches(Counter))]
/// struct SumUp;
///
/// impl React<Counter> for SumUp {
///     fn react_to(&mut self, event: &CounterEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
///         let CounterEvent::Added { amount } = event;
///         if record.id() != "all" {
///             out.send::<Counter>("all", Add(*amount));
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// # let path = dir.path();
/// let store = AggregateStore::builder(path).process_manager::<SumUp>().open().await?;
/// store.get::<Counter>("c-1").await?.send(Add(5)).await?;
/// store.run_process_managers().await?;
/// assert_eq!(store.get::<Counter>("all").await?.state().await?.value, 5);
/// # Ok(())
/// # }
/// ```
///
/// # Keys of `#[process_manager(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `aggregates(A, path::B)` | whose events are reacted to, each by [`React`](crate::React) to it | none |
/// | `events(E, path::F)` | which events are reacted to that belong to no aggregate, such as those of [decisions](derive@crate::Decision), each by [`ReactTo`](crate::ReactTo) it | none |
/// | `dispatches(A, path::B)` | which aggregates commands are sent to; the store need not register them by [`aggregate_type`](crate::store::AggregateStoreBuilder::aggregate_type) | none |
/// | `decides(D, path::E)` | which decisions commands are sent to; the store need not register them by [`decision`](crate::store::AggregateStoreBuilder::decision) | none |
/// | `on_dead_letter = Self::not_sent` | the function that is called as [`on_dead_letter`](crate::ProcessManager::on_dead_letter), which answers the failure of a command | failed commands become dead letters |
/// | `name = "fulfilment"` | names the process manager's directory, and is part of its idempotency keys; letters, digits, `-` and `_` | the type's name in kebab-case |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// At least one of `aggregates` and `events` must be given.
///
/// Events with an unknown name are treated as by [`derive@Projection`](crate::Projection), with one
/// difference: events that were left out stay left out once their names are known, since reacting to
/// them later would send commands again.
///
/// Write `name` down: without it, renaming the type makes a new process manager, which reacts to
/// all events again. Give fields that are added later `#[serde(default)]`, and keep what belongs to
/// one of many workflows in a map by its id, as one instance serves all streams. See
/// [`trait@ProcessManager`](crate::ProcessManager).
pub use eventfold_es_derive::ProcessManager;

/// Implements [`Decide`](crate::Decide) and [`Evolve`](crate::Evolve) by the methods of an impl block.
///
/// Each method is one decision or the effect of one event, called as you like. The receiver tells
/// which:
///
/// | method | implements |
/// |---|---|
/// | `fn assign(&self, command: Assign) -> Decision<Self>` | [`Decide<Assign>`](crate::Decide) |
/// | `fn assign(&self, command: Assign, context: &DecisionContext<'_>) -> Decision<Self>` | [`DecideWith<Assign>`](crate::DecideWith) |
/// | `fn assigned(&mut self, event: &Assigned)` | [`Evolve<Assigned>`](crate::Evolve) |
/// | any, marked `#[helper]` | nothing |
///
/// ```
/// use eventfold_es::{prelude::*, testing};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
/// #[aggregate(commands(Assign, Close), events(Assigned, Closed), error = IsClosed)]
/// struct Ticket {
///     agent: Option<String>,
///     closed_ms: Option<u64>,
/// }
///
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Assign { agent: String }
/// # #[derive(Debug, Clone, Serialize, Deserialize)] struct Close;
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Assigned { agent: String }
/// # #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)] struct Closed { ms: u64 }
/// # #[derive(Debug, thiserror::Error)]
/// # #[error("the ticket is closed")]
/// # struct IsClosed;
/// #[aggregate_impl]
/// impl Ticket {
///     fn assign(&self, command: Assign) -> Decision<Self> {
///         self.check_open()?;
///         Ok(events![Assigned { agent: command.agent }])
///     }
///
///     fn close(&self, _: Close, context: &DecisionContext<'_>) -> Decision<Self> {
///         self.check_open()?;
///         Ok(events![Closed { ms: context.unix_millis() }])
///     }
///
///     fn assigned(&mut self, event: &Assigned) {
///         self.agent = Some(event.agent.clone());
///     }
///
///     fn closed(&mut self, event: &Closed) {
///         self.closed_ms = Some(event.ms);
///     }
///
///     #[helper]
///     fn check_open(&self) -> Result<(), IsClosed> {
///         if self.closed_ms.is_some() { Err(IsClosed) } else { Ok(()) }
///     }
/// }
///
/// testing::given::<Ticket>(events![Closed { ms: 5 }])
///     .when(Assign { agent: "ann".into() })
///     .then_error(|IsClosed| true);
/// ```
///
/// The methods stay what they are: they can be called, and keep their visibility, documentation and
/// attributes. Constants and types may stand between them. A method that is neither a decision nor an
/// effect is marked `#[helper]` or has its place in another impl block; otherwise it is an error, so
/// that no method with a mistake is taken for a helper.
///
/// A method without `#[helper]` must be of a command or event that `#[aggregate(...)]` lists. An
/// aggregate may have several such blocks, and other commands and events may be implemented without
/// a block. For the decision and the effect of your own enums, the method takes the enum whole.
///
/// The argument `#[aggregate_impl(crate = path)]` says where the runtime is, if it was renamed or
/// re-exported.
///
/// # What is generated
///
/// The impls, which call the methods. `doc` and `cfg` attributes are copied to them:
///
/// ```text
/// impl Decide<Assign> for Ticket {
///     fn decide(&self, command: Assign) -> Decision<Self> {
///         Self::assign(self, command)
///     }
/// }
///
/// impl Evolve<Assigned> for Ticket {
///     fn evolve(&mut self, event: &Assigned) {
///         Self::assigned(self, event)
///     }
/// }
/// ```
///
/// The block gets an `allow` of four pedantic lints of clippy, which do not apply to the methods of
/// traits: `needless_pass_by_value`, `trivially_copy_pass_by_ref`, `unnecessary_wraps`, `unused_self`.
pub use eventfold_es_derive::aggregate_impl;

/// Derives [`trait@Decider`](crate::Decider) for a decision whose rule spans more than one aggregate.
/// [Rules across aggregates](crate::guide::rules_across_aggregates) says when that is the right way.
///
/// "A course has seats, and a student takes at most two courses": neither the course nor the student
/// alone can keep both rules. A decision looks at the events of both. It is a struct with a
/// [model](derive@DecisionModel) for each thing that it needs to know, and what is left to write is
/// [`Decide`](crate::Decide) for its command:
///
/// ```
/// use eventfold_es::{prelude::*, testing};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// pub struct CourseDefined {
///     #[tag]
///     pub course: String,
///     pub capacity: u32,
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// pub struct Subscribed {
///     #[tag]
///     pub course: String,
///     #[tag]
///     pub student: String,
/// }
///
/// /// The seats of one course.
/// #[derive(Debug, Default, DecisionModel)]
/// #[decision_model(tag = "course", events(CourseDefined, Subscribed))]
/// struct Seats {
///     capacity: u32,
///     taken: u32,
/// }
///
/// impl Evolve<CourseDefined> for Seats {
///     fn evolve(&mut self, event: &CourseDefined) {
///         self.capacity = event.capacity;
///     }
/// }
///
/// impl Evolve<Subscribed> for Seats {
///     fn evolve(&mut self, _: &Subscribed) {
///         self.taken += 1;
///     }
/// }
///
/// /// What one student has subscribed to.
/// #[derive(Debug, Default, DecisionModel)]
/// #[decision_model(tag = "student", events(Subscribed))]
/// struct Load {
///     courses: u32,
/// }
///
/// impl Evolve<Subscribed> for Load {
///     fn evolve(&mut self, _: &Subscribed) {
///         self.courses += 1;
///     }
/// }
///
/// #[derive(Debug, Clone, Serialize, Deserialize)]
/// pub struct Subscribe {
///     pub course: String,
///     pub student: String,
/// }
///
/// #[derive(Debug, thiserror::Error)]
/// pub enum SubscribeError {
///     #[error("the course is full")]
///     Full,
///     #[error("the student has enough courses")]
///     Busy,
/// }
///
/// #[derive(Decision)]
/// #[decision(command = Subscribe, events(Subscribed), error = SubscribeError)]
/// pub struct Subscribing {
///     #[model(course)]
///     seats: Seats,
///     #[model(student)]
///     load: Load,
/// }
///
/// impl Decide<Subscribe> for Subscribing {
///     fn decide(&self, command: Subscribe) -> Decision<Self> {
///         if self.seats.taken >= self.seats.capacity {
///             return Err(SubscribeError::Full);
///         }
///         if self.load.courses >= 2 {
///             return Err(SubscribeError::Busy);
///         }
///         let Subscribe { course, student } = command;
///         Ok(events![Subscribed { course, student }])
///     }
/// }
///
/// # #[cfg(feature = "testing")] {
/// let ada = |course: &str| Subscribe { course: course.into(), student: "Ada".into() };
/// testing::decision::<Subscribing>()
///     .given(CourseDefined { course: "c-1".into(), capacity: 1 })
///     .when(ada("c-1"))
///     .then(events![Subscribed { course: "c-1".into(), student: "Ada".into() }])
///     .when(ada("c-1"))
///     .then_error(|error| matches!(error, SubscribeError::Full));
/// # }
/// ```
///
/// # Keys of `#[decision(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `command = Type` | the command that is decided, by [`Decide`](crate::Decide) or [`DecideWith`](crate::DecideWith) of it | |
/// | `events(X, path::Y)` | the events that it may lead to, each a [`DomainEvent`](crate::DomainEvent); each is a variant of the event enum | |
/// | `event = Type` | instead of `events`: an enum of your own that derives [`DomainEvent`](crate::DomainEvent) | |
/// | `error = Type` | why a command is refused | [`Infallible`](std::convert::Infallible) |
/// | `event_enum(name = Ident, derive(Clone, ..))` | name and derives of the event enum | `{Struct}Event`, `derive(Debug, Clone)` |
/// | `name = "subscribing"` | names the decision; letters, digits, `-` and `_` | the struct's name in kebab-case |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// # Models
///
/// Each field is a [`DecisionModel`](derive@DecisionModel) and says where the command has the values of
/// the model's tags:
///
/// | attribute | for a model with |
/// |---|---|
/// | `#[model(course)]` | the tag `course`, whose value is the command's field `course` |
/// | `#[model(course = course_id)]` | the tag `course`, whose value is the field `course_id`; a path such as `order.course` leads into the field |
/// | `#[model("course-id" = course)]` | a tag whose name is no identifier |
/// | `#[model(course, student)]` | two tags |
/// | `#[model(account)]` | the stream of one aggregate, whose id is the field `account` |
/// | `#[model]` | no tag: all of its events |
///
/// The values are text, by [`Display`](std::fmt::Display). Two fields may be models of one type, as those
/// of the accounts that a transfer leads from and to; each has a state of its own.
///
/// The decision depends on these models, the command and the
/// [`DecisionContext`](crate::DecisionContext) alone. Its events belong to no aggregate, and later
/// decisions find them by their [tags](derive@DomainEvent#tags).
///
/// # What is generated
///
/// The event enum as for an [aggregate](derive@Aggregate#what-is-generated), and:
///
/// ```text
/// impl Decider for Subscribing {
///     const NAME: &'static str = "subscribing";
///     type Command = Subscribe;
///     /* .. */
/// }
/// ```
pub use eventfold_es_derive::Decision;

/// Derives [`trait@DecisionModel`](crate::DecisionModel) for what a [decision](derive@Decision) knows of
/// some events.
///
/// What is left to write is [`Evolve`](crate::Evolve) for each event, or
/// [`EvolveWith`](crate::EvolveWith) if the event's [`Recorded`](crate::Recorded) matters.
///
/// ```
/// use eventfold_es::prelude::*;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
/// pub struct SeatReserved {
///     #[tag]
///     pub show: u64,
///     #[tag]
///     pub seat: String,
/// }
///
/// /// Whether one seat of one show is taken.
/// #[derive(Debug, Default, DecisionModel)]
/// #[decision_model(tags("show", "seat"), events(SeatReserved))]
/// struct Seat {
///     is_taken: bool,
/// }
///
/// impl Evolve<SeatReserved> for Seat {
///     fn evolve(&mut self, _: &SeatReserved) {
///         self.is_taken = true;
///     }
/// }
/// ```
///
/// # Keys of `#[decision_model(...)]`
///
/// | key | meaning | default |
/// |---|---|---|
/// | `events(X, path::Y)` | the events that it is folded from, each a [`DomainEvent`](crate::DomainEvent) | |
/// | `tag = "course"` | only those with this tag, and the value that the decision gives | no tag: all of these events |
/// | `tags("show", "seat")` | only those with all of these tags | |
/// | `aggregate = Account` | only those of one stream of this [`Aggregate`](trait@crate::Aggregate), whose id the decision gives | |
/// | `crate = path` | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// An event that does not have the tag does not compile. An event of an aggregate is found by its own
/// tags as well, and by that of its stream, `<aggregate type>:<id>`.
///
/// Names, aliases, versions and retired events are those of the events' types: what was stored under an
/// old name or in an old shape is folded in its current form. An event that was retired by an
/// [aggregate](derive@Aggregate#retired-events) is none of its types any more, so a model does not see
/// it; one that was retired by the event enum that the model lists is read as the enum says.
///
/// A model is never saved, so it needs none of serde's traits, and its code may change at any time.
pub use eventfold_es_derive::DecisionModel;
