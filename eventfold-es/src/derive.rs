//! The derives, with their documentation for users.

/// Derives [`trait@Aggregate`](crate::Aggregate) for the struct that is an aggregate's state.
///
/// Besides the impl it generates the enum of the aggregate's commands and the enum of its events,
/// from the types listed in `#[aggregate(...)]`. What is left to write is
/// [`Decide`](crate::Decide) for each command and [`Evolve`](crate::Evolve) for each event.
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
/// | `rename_all = "kebab-case"` | enum | the case of the variants' stored names, as serde writes it: `lowercase`, `UPPERCASE`, `PascalCase`, `camelCase`, `snake_case`, `SCREAMING_SNAKE_CASE`, `kebab-case`, `SCREAMING-KEBAB-CASE` | as in the source |
/// | `crate = path` | struct, enum | where the runtime is, if it was renamed or re-exported | `::eventfold_es` |
///
/// serde's own attributes apply to the payload. Those that would rename or skip a variant of an
/// event enum, or change the enum's form, are refused.
pub use eventfold_es_derive::DomainEvent;
