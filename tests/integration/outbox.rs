//! Process managers that send several commands together, and commands to decisions.

use eventfold_es::prelude::*;
use eventfold_es::testing;
use eventfold_es::{
    AggregateStoreBuilder, CommandContext, DeadLetter, FailureKind, ManualClock, Query, Retry,
};
use serde::{Deserialize, Serialize};

use crate::support::{TempDir, builder, temp_dir};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit, Withdraw), events(Deposited, Withdrawn), error = TooPoor)]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Withdraw(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Deposited(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Withdrawn(u64);

#[derive(Debug, thiserror::Error)]
#[error("the balance is only {0}")]
struct TooPoor(u64);

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited(amount)])
    }
}

impl Decide<Withdraw> for Account {
    fn decide(&self, Withdraw(amount): Withdraw) -> Decision<Self> {
        if amount > self.balance {
            return Err(TooPoor(self.balance));
        }
        Ok(events![Withdrawn(amount)])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, Deposited(amount): &Deposited) {
        self.balance += amount;
    }
}

impl Evolve<Withdrawn> for Account {
    fn evolve(&mut self, Withdrawn(amount): &Withdrawn) {
        self.balance -= amount;
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
struct Reserved {
    #[tag]
    room: String,
}

#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "room", events(Reserved))]
struct Reservations {
    count: u32,
}

impl Evolve<Reserved> for Reservations {
    fn evolve(&mut self, _: &Reserved) {
        self.count += 1;
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reserve {
    room: String,
}

#[derive(Debug, thiserror::Error)]
#[error("the room is taken")]
struct Taken;

#[derive(Decision)]
#[decision(command = Reserve, events(Reserved), error = Taken)]
struct Reserving {
    #[model(room)]
    reservations: Reservations,
}

impl Decide<Reserve> for Reserving {
    fn decide(&self, Reserve { room }: Reserve) -> Decision<Self> {
        if self.reservations.count > 0 {
            return Err(Taken);
        }
        Ok(events![Reserved { room }])
    }
}

/// What the process managers do.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Ask), events(Asked))]
struct Desk;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Ask(Task);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Asked(Task);

#[derive(Debug, Clone, Serialize, Deserialize)]
enum Task {
    /// From `a` to `b`.
    Transfer(u64),
    /// The same, and a deposit to `c` if that fails.
    TransferOr(u64),
    /// A withdrawal from `a`, and the transfer from `c` to `b` if that fails.
    WithdrawOrTransfer(u64),
    Reserve(String),
    ReserveOr(String, String),
    Nothing,
    Expecting,
}

impl Decide<Ask> for Desk {
    fn decide(&self, Ask(task): Ask) -> Decision<Self> {
        Ok(events![Asked(task)])
    }
}

impl Evolve<Asked> for Desk {
    fn evolve(&mut self, _: &Asked) {}
}

fn act(Asked(task): &Asked, out: &mut Outbox<'_>) {
    let transfer = |from: &'static str, amount| {
        move |t: eventfold_es::SendTogether| {
            t.send::<Account>(from, Withdraw(amount))
                .send::<Account>("b", Deposit(amount))
        }
    };
    let reserve = |room: &str| Reserve { room: room.into() };
    match task {
        Task::Transfer(amount) => {
            out.together(transfer("a", *amount));
        }
        Task::TransferOr(amount) => {
            out.together(transfer("a", *amount))
                .or_send::<Account>("c", Deposit(*amount));
        }
        Task::WithdrawOrTransfer(amount) => {
            out.send::<Account>("a", Withdraw(*amount))
                .or_together(transfer("c", *amount));
        }
        Task::Reserve(room) => {
            out.decide::<Reserving>(reserve(room));
        }
        Task::ReserveOr(room, other) => {
            out.decide::<Reserving>(reserve(room))
                .or_decide::<Reserving>(reserve(other));
        }
        Task::Nothing => {
            out.together(|t| t);
        }
        Task::Expecting => {
            let context = CommandContext::default().with_expected_version(1);
            out.together_with(context, transfer("a", 1));
        }
    }
}

#[derive(Debug, Default, PartialEq, Serialize, Deserialize, ProcessManager)]
#[process_manager(
    name = "clerk",
    aggregates(Desk),
    dispatches(Account),
    decides(Reserving)
)]
struct Clerk;

impl React<Desk> for Clerk {
    fn react_to(&mut self, event: &DeskEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let DeskEvent::Asked(asked) = event;
        act(asked, out);
    }
}

/// Lists no targets.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "temp", aggregates(Desk))]
struct Temp;

impl React<Desk> for Temp {
    fn react_to(&mut self, event: &DeskEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let DeskEvent::Asked(asked) = event;
        act(asked, out);
    }
}

/// Lists no targets but the accounts, and not the decision.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "junior", aggregates(Desk), dispatches(Desk), decides(Defining))]
struct Junior;

impl React<Desk> for Junior {
    fn react_to(&mut self, event: &DeskEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let DeskEvent::Asked(asked) = event;
        act(asked, out);
    }
}

#[derive(Decision)]
#[decision(command = Reserve, events(Reserved), error = Taken)]
struct Defining {
    #[model(room)]
    _reservations: Reservations,
}

impl Decide<Reserve> for Defining {
    fn decide(&self, _: Reserve) -> Decision<Self> {
        Err(Taken)
    }
}

fn builders(dir: &TempDir) -> [AggregateStoreBuilder; 2] {
    [builder(dir), AggregateStore::in_memory()]
}

async fn ask(store: &AggregateStore, task: Task) {
    let desk = store.get::<Desk>("d").await.unwrap();
    desk.send(Ask(task)).await.unwrap();
}

/// How many commands were sent, and how many became dead letters.
async fn run(store: &AggregateStore) -> (usize, usize) {
    let report = store.run_process_managers().await.unwrap();
    (report.dispatched, report.dead_lettered)
}

async fn balances(store: &AggregateStore) -> [u64; 3] {
    let mut balances = [0; 3];
    for (balance, id) in balances.iter_mut().zip(["a", "b", "c"]) {
        let account = store.get::<Account>(id).await.unwrap();
        *balance = account.state().await.unwrap().balance;
    }
    balances
}

async fn deposit(store: &AggregateStore, id: &str, amount: u64) {
    let account = store.get::<Account>(id).await.unwrap();
    account.send(Deposit(amount)).await.unwrap();
}

async fn letters(store: &AggregateStore) -> Vec<DeadLetter> {
    let letters = store.dead_letters("clerk").unwrap();
    letters.list().await.unwrap()
}

#[tokio::test]
async fn commands_that_a_process_manager_sends_together_take_effect_one_after_the_other() {
    let dir = temp_dir();
    for builder in builders(&dir) {
        let store = builder.process_manager::<Clerk>().open().await.unwrap();
        deposit(&store, "a", 9).await;
        ask(&store, Task::Transfer(5)).await;
        ask(&store, Task::Nothing).await;
        assert_eq!(run(&store).await, (1, 0));
        assert_eq!(balances(&store).await, [4, 5, 0]);
        assert_eq!(run(&store).await, (0, 0));
        let events = store.query(Query::all()).read().await.unwrap().events;
        let names: Vec<_> = events
            .iter()
            .map(eventfold_es::RecordedEvent::name)
            .collect();
        let expected = ["Deposited", "Asked", "Asked", "Withdrawn", "Deposited"];
        assert_eq!(names, expected);
        assert!(
            events[3..]
                .iter()
                .all(|event| event.causation_id().as_deref() == events[1].event_id())
        );
    }
}

#[tokio::test]
async fn commands_together_that_fail_become_one_dead_letter_that_is_replayed_as_one() {
    let dir = temp_dir();
    for (i, builder) in builders(&dir).into_iter().enumerate() {
        let mut store = builder.process_manager::<Clerk>().open().await.unwrap();
        ask(&store, Task::Transfer(5)).await;
        assert_eq!(run(&store).await, (0, 1));
        assert_eq!(balances(&store).await, [0, 0, 0]);
        if i == 0 {
            store.shutdown().await.unwrap();
            drop(store);
            let again = self::builder(&dir).process_manager::<Clerk>();
            store = again.open().await.unwrap();
        }
        let [letter] = &letters(&store).await[..] else {
            panic!("one letter");
        };
        assert!(
            letter
                .error
                .contains("command 0, to account/a, is refused: the balance is only 0"),
            "{letter:?}"
        );
        assert_eq!(letter.kind, Some(FailureKind::Refusal));
        assert_eq!(letter.envelope.instance_id, "a");
        assert_eq!(letter.together.len(), 1);
        assert_eq!(letter.together[0].instance_id, "b");
        assert_eq!(letter.decision, None);
        let replayed = store.dead_letters("clerk").unwrap();
        replayed.replay(&letter.id).await.unwrap_err();
        assert_eq!(letters(&store).await[0].attempts, 2);
        deposit(&store, "a", 6).await;
        let report = replayed.replay_all().await.unwrap();
        assert_eq!((report.dispatched, report.dead_lettered), (1, 0));
        assert_eq!(balances(&store).await, [1, 5, 0]);
        assert!(letters(&store).await.is_empty());
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn what_is_sent_if_commands_together_fail_takes_their_place_and_may_be_sent_together_too() {
    let dir = temp_dir();
    for builder in builders(&dir) {
        let store = builder.process_manager::<Clerk>().open().await.unwrap();
        ask(&store, Task::TransferOr(5)).await;
        assert_eq!(run(&store).await, (1, 0));
        assert_eq!(balances(&store).await, [0, 0, 5]);
        ask(&store, Task::WithdrawOrTransfer(3)).await;
        assert_eq!(run(&store).await, (1, 0));
        assert_eq!(balances(&store).await, [0, 3, 2]);
        assert!(letters(&store).await.is_empty());
    }
}

#[tokio::test]
async fn commands_together_are_tried_again_as_a_whole() {
    let clock = ManualClock::new(std::time::SystemTime::UNIX_EPOCH);
    let retry = Retry::none().on_refusal(eventfold_es::Backoff::attempts(3));
    let store = AggregateStore::in_memory()
        .process_manager_with::<Clerk>(eventfold_es::OnFailure::Stop, retry)
        .clock(clock.clone())
        .live()
        .open()
        .await
        .unwrap();
    ask(&store, Task::Transfer(5)).await;
    assert_eq!(run(&store).await, (0, 0));
    assert_eq!(store.read_side().process_managers[0].outgoing, 1);
    deposit(&store, "a", 5).await;
    clock.advance(std::time::Duration::from_secs(60));
    // The store may have sent them again before.
    run(&store).await;
    assert_eq!(balances(&store).await, [0, 5, 0]);
    assert!(letters(&store).await.is_empty());
}

#[tokio::test]
async fn a_command_that_a_process_manager_sends_to_a_decision_takes_effect_once() {
    let dir = temp_dir();
    for (i, builder) in builders(&dir).into_iter().enumerate() {
        let mut store = builder.process_manager::<Clerk>().open().await.unwrap();
        ask(&store, Task::Reserve("blue".into())).await;
        ask(&store, Task::Reserve("blue".into())).await;
        ask(&store, Task::ReserveOr("blue".into(), "red".into())).await;
        assert_eq!(run(&store).await, (2, 1));
        if i == 0 {
            store.shutdown().await.unwrap();
            drop(store);
            let again = self::builder(&dir).process_manager::<Clerk>();
            store = again.open().await.unwrap();
            assert_eq!(run(&store).await, (0, 0));
        }
        let [letter] = &letters(&store).await[..] else {
            panic!("one letter");
        };
        assert_eq!(letter.decision.as_deref(), Some("reserving"));
        assert!(letter.error.contains("the room is taken"), "{letter:?}");
        assert_eq!(letter.kind, Some(FailureKind::Refusal));
        assert_eq!(letter.envelope.command["room"], "blue");
        let replayed = store.dead_letters("clerk").unwrap();
        let report = replayed.replay_all().await.unwrap();
        assert_eq!((report.dispatched, report.dead_lettered), (0, 1));
        let events = store.query(Query::all()).read().await.unwrap().events;
        let reserved = events.iter().filter(|event| event.name() == "Reserved");
        assert!(
            reserved
                .map(|event| event.tags().collect::<Vec<_>>())
                .eq([["room:blue"], ["room:red"]])
        );
        store.shutdown().await.unwrap();
    }
}

#[tokio::test]
async fn a_decision_that_is_neither_listed_nor_registered_is_unknown() {
    for is_registered in [false, true] {
        let builder = AggregateStore::in_memory().process_manager::<Temp>();
        let builder = if is_registered {
            builder.decision::<Reserving>()
        } else {
            builder
        };
        let store = builder.open().await.unwrap();
        ask(&store, Task::Reserve("blue".into())).await;
        let sent = if is_registered { (1, 0) } else { (0, 1) };
        assert_eq!(run(&store).await, sent);
        let letters = store.dead_letters("temp").unwrap().list().await.unwrap();
        if let Some(letter) = letters.first() {
            let expected = "unknown decision: reserving; list it in `decides(...)`";
            assert!(letter.error.starts_with(expected), "{letter:?}");
            assert_eq!(letter.kind, Some(FailureKind::Undeliverable));
        }
    }
}

#[tokio::test]
async fn commands_together_with_one_for_an_unregistered_aggregate_have_no_effect() {
    let store = AggregateStore::in_memory().process_manager::<Temp>();
    let store = store.open().await.unwrap();
    deposit(&store, "a", 9).await;
    ask(&store, Task::Transfer(5)).await;
    assert_eq!(run(&store).await, (0, 1));
    assert_eq!(balances(&store).await, [9, 0, 0]);
    let letters = store.dead_letters("temp").unwrap().list().await.unwrap();
    assert!(
        letters[0]
            .error
            .starts_with("unknown aggregate type: account")
    );
}

#[tokio::test]
async fn a_context_of_commands_together_that_expects_a_version_is_refused() {
    let store = AggregateStore::in_memory().process_manager::<Clerk>();
    let store = store.open().await.unwrap();
    ask(&store, Task::Expecting).await;
    let error = store.run_process_managers().await.unwrap_err().to_string();
    assert!(
        error.contains(
            "the command for account/a and account/b cannot be sent: its context expects"
        ),
        "{error}"
    );
}

#[test]
fn the_testing_kit_shows_commands_together_and_commands_to_decisions() {
    testing::process_manager::<Clerk>()
        .when::<Desk>("d", Asked(Task::TransferOr(5)))
        .then(|out| {
            out.together(|t| {
                t.send::<Account>("a", Withdraw(5))
                    .send::<Account>("b", Deposit(5))
            })
            .or_send::<Account>("c", Deposit(5));
        })
        .when::<Desk>("d", Asked(Task::Nothing))
        .then_nothing()
        .when::<Desk>("d", Asked(Task::Reserve("blue".into())))
        .then(|out| {
            out.decide::<Reserving>(Reserve {
                room: "blue".into(),
            });
        });
}

#[test]
#[should_panic(expected = r#""together":[{"aggregate_type":"account","#)]
fn the_testing_kit_fails_if_commands_are_not_sent_together() {
    testing::process_manager::<Clerk>()
        .when::<Desk>("d", Asked(Task::Transfer(5)))
        .then(|out| {
            out.send::<Account>("a", Withdraw(5));
            out.send::<Account>("b", Deposit(5));
        });
}

#[test]
#[should_panic(expected = "to the decision `reserving`, which is not in its `decides(...)`")]
fn the_testing_kit_fails_if_a_command_goes_to_a_decision_that_is_not_listed() {
    let _ =
        testing::process_manager::<Junior>().when::<Desk>("d", Asked(Task::Reserve("blue".into())));
}

#[test]
#[should_panic(expected = "sends a command to `account`, which is not in its `dispatches(...)`")]
fn the_testing_kit_fails_if_one_of_the_commands_together_goes_to_an_aggregate_that_is_not_listed() {
    let _ = testing::process_manager::<Junior>().when::<Desk>("d", Asked(Task::Transfer(5)));
}
