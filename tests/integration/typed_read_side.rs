//! Typed projections and process managers: what the derives make of them.

use std::path::Path;

use eventfold_es::prelude::*;
use eventfold_es::{Aggregate, InjectOptions};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::support::temp_dir;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Deposit), events(Deposited))]
struct Account;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Deposit(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "MoneyDeposited", alias = "Deposited")]
struct Deposited {
    amount: u64,
}

impl Decide<Deposit> for Account {
    fn decide(&self, Deposit(amount): Deposit) -> Decision<Self> {
        Ok(events![Deposited { amount }])
    }
}

impl Evolve<Deposited> for Account {
    fn evolve(&mut self, _: &Deposited) {}
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Lend), events(Lent), unknown_events = "skip")]
struct Loan;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Lend(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Lent {
    amount: u64,
}

impl Decide<Lend> for Loan {
    fn decide(&self, Lend(amount): Lend) -> Decision<Self> {
        Ok(events![Lent { amount }])
    }
}

impl Evolve<Lent> for Loan {
    fn evolve(&mut self, _: &Lent) {}
}

/// The loan as a later program has it, which knows one event more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "loan",
    commands(),
    events(Lent, PaidBack),
    unknown_events = "skip"
)]
struct LaterLoan;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct PaidBack {
    amount: u64,
}

impl Evolve<Lent> for LaterLoan {
    fn evolve(&mut self, _: &Lent) {}
}

impl Evolve<PaidBack> for LaterLoan {
    fn evolve(&mut self, _: &PaidBack) {}
}

/// What happened, as text.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Account, Loan))]
struct Book {
    lines: Vec<String>,
}

impl Book {
    fn note(&mut self, what: &str, amount: u64, record: &Recorded<'_>) {
        let (stream, id) = (record.aggregate_type(), record.id());
        let (version, position) = (record.version(), record.position());
        let actor = record.actor().unwrap_or("nobody");
        self.lines.push(format!(
            "{position}: {stream}/{id} v{version} {what} {amount} by {actor}"
        ));
    }
}

impl Project<Account> for Book {
    fn project(&mut self, event: &AccountEvent, record: &Recorded<'_>) {
        let AccountEvent::Deposited(event) = event;
        self.note("deposited", event.amount, record);
    }
}

impl Project<Loan> for Book {
    fn project(&mut self, event: &LoanEvent, record: &Recorded<'_>) {
        let LoanEvent::Lent(event) = event;
        self.note("lent", event.amount, record);
    }
}

/// What is owed, and as a later program reckons it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "owed", aggregates(Loan))]
struct Owed(u64);

impl Project<Loan> for Owed {
    fn project(&mut self, event: &LoanEvent, _: &Recorded<'_>) {
        let LoanEvent::Lent(event) = event;
        self.0 += event.amount;
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(name = "owed", aggregates(LaterLoan))]
struct LaterOwed(u64);

impl Project<LaterLoan> for LaterOwed {
    fn project(&mut self, event: &LaterLoanEvent, _: &Recorded<'_>) {
        match event {
            LaterLoanEvent::Lent(event) => self.0 += event.amount,
            LaterLoanEvent::PaidBack(event) => self.0 -= event.amount,
        }
    }
}

/// Puts half of what is lent aside: on an account whose owner is the actor, if there is one.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "savings", aggregates(Loan), dispatches(Account))]
struct Savings {
    lent: u64,
}

impl React<Loan> for Savings {
    fn react_to(&mut self, event: &LoanEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let LoanEvent::Lent(event) = event;
        self.lent += event.amount;
        out.send::<Account>(record.id(), Deposit(event.amount / 2));
        if let Some(actor) = record.actor() {
            let context = CommandContext::default()
                .with_correlation_id("of-its-own")
                .with_causation_id("cause-of-its-own");
            out.send_with::<Account>(actor, Deposit(self.lent), context);
        }
    }
}

async fn with_all(dir: impl AsRef<Path>) -> AggregateStore {
    crate::support::builder(dir)
        .projection::<Book>()
        .projection::<Owed>()
        .process_manager::<Savings>()
        .open()
        .await
        .unwrap()
}

async fn inject<A: Aggregate>(store: &AggregateStore, id: &str, name: &str, amount: u64) {
    let event = eventfold::Event::new(name, json!({ "amount": amount }));
    let options = InjectOptions::default();

    // What a projection says about it is for its reader.
    store.inject_event::<A>(id, event, options).await.unwrap();
}

#[tokio::test]
async fn a_typed_projection_folds_the_events_of_several_aggregates_in_their_order() {
    let dir = temp_dir();
    let store = with_all(&dir).await;
    let account = store.get::<Account>("alice").await.unwrap();
    let loan = store.get::<Loan>("house").await.unwrap();
    let ann = || CommandContext::default().with_actor("ann");
    let first = account.send(Deposit(1)).await.unwrap().position;
    let second = loan.send_with(Lend(2), ann()).await.unwrap().position;
    let third = account.send_with(Deposit(3), ann()).await.unwrap().position;
    inject::<Account>(&store, "bob", "Deposited", 4).await;
    let fourth = store.head();
    let expected = [
        format!("{first}: account/alice v1 deposited 1 by nobody"),
        format!("{second}: loan/house v1 lent 2 by ann"),
        format!("{third}: account/alice v2 deposited 3 by ann"),
        format!("{fourth}: account/bob v1 deposited 4 by nobody"),
    ];
    assert_eq!(store.projection::<Book>().unwrap().lines, expected);
    assert_eq!(store.projection::<Owed>().unwrap().0, 2);
    store.shutdown().await.unwrap();
    drop(store);
    let store = with_all(&dir).await;
    store.rebuild_projection::<Book>().unwrap();
    assert_eq!(store.projection::<Book>().unwrap().lines, expected);
}

#[tokio::test]
async fn an_unknown_event_of_an_aggregate_that_rejects_them_stops_the_projection() {
    /// The account as a program knows it that never heard of deposits.
    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(name = "account", commands(), events(Closed))]
    struct OtherAccount;

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    struct Closed;

    impl Evolve<Closed> for OtherAccount {
        fn evolve(&mut self, _: &Closed) {}
    }

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
    #[projection(aggregates(OtherAccount))]
    struct Closings(u64);

    impl Project<OtherAccount> for Closings {
        fn project(&mut self, OtherAccountEvent::Closed(_): &OtherAccountEvent, _: &Recorded<'_>) {
            self.0 += 1;
        }
    }

    let dir = temp_dir();
    let store = crate::support::builder(&dir)
        .projection::<Closings>()
        .projection::<Book>()
        .open()
        .await
        .unwrap();
    let account = store.get::<Account>("alice").await.unwrap();
    account.send(Deposit(1)).await.unwrap();
    for _ in 0..2 {
        let text = store.projection::<Closings>().unwrap_err().to_string();
        for part in [
            "`closings`",
            "position 1",
            "`MoneyDeposited`",
            "account/alice",
        ] {
            assert!(text.contains(part), "no {part} in: {text}");
        }
    }
    assert_eq!(store.projection::<Book>().unwrap().lines.len(), 1);
}

#[tokio::test]
async fn an_unknown_event_that_was_left_out_is_folded_once_a_program_knows_it() {
    let dir = temp_dir();
    let store = with_all(&dir).await;
    let loan = store.get::<Loan>("house").await.unwrap();
    loan.send(Lend(10)).await.unwrap();
    inject::<Loan>(&store, "house", "PaidBack", 3).await;
    inject::<Loan>(&store, "house", "Extended", 3).await;
    loan.send(Lend(1)).await.unwrap();
    assert_eq!(store.projection::<Owed>().unwrap().0, 11);
    store.shutdown().await.unwrap();
    drop(store);
    // The sign that they were noted.
    let checkpoint = dir.path().join("projections/owed/journal_checkpoint.json");
    let saved = std::fs::read_to_string(&checkpoint).unwrap();
    assert!(
        saved.contains("PaidBack") && saved.contains("Extended"),
        "{saved}"
    );

    // An equal program goes on from there; one that knows more begins anew.
    let store = with_all(&dir).await;
    assert_eq!(store.projection::<Owed>().unwrap().0, 11);
    store.shutdown().await.unwrap();
    drop(store);
    let later = || {
        crate::support::builder(&dir)
            .projection::<LaterOwed>()
            .open()
    };
    let store = later().await.unwrap();
    assert_eq!(store.projection::<LaterOwed>().unwrap().0, 8);
    store.shutdown().await.unwrap();
    drop(store);
    let saved = std::fs::read_to_string(&checkpoint).unwrap();
    assert!(
        !saved.contains("PaidBack") && saved.contains("Extended"),
        "{saved}"
    );
    let store = later().await.unwrap();
    assert_eq!(store.projection::<LaterOwed>().unwrap().0, 8);
}

#[tokio::test]
async fn a_typed_projection_applies_events_of_eventfold_too() {
    let mut book = Book::default();
    let deposited = eventfold::Event::new("Deposited", json!({ "amount": 5 }));
    book.apply("account", "alice", &deposited);
    // What it cannot read, and what it does not follow, it leaves out.
    book.apply(
        "account",
        "alice",
        &eventfold::Event::new("Closed", json!(null)),
    );
    book.apply("order", "o-1", &deposited);
    assert_eq!(book.lines, ["0: account/alice v0 deposited 5 by nobody"]);
    assert_eq!(book.subscriptions(), ["account", "loan"]);
    assert_eq!((Book::NAME, Book::VERSION), ("book", 1));

    let mut savings = Savings::default();
    let lent = eventfold::Event::new("Lent", json!({ "amount": 8 }));
    let commands = savings.react("loan", "house", &lent);
    assert_eq!(commands.len(), 1);
    assert_eq!(commands[0].aggregate_type, "account");
    assert_eq!(commands[0].command, json!({ "type": "Deposit", "data": 4 }));
    assert!(savings.react("order", "o-1", &lent).is_empty());
}

#[tokio::test]
async fn correlation_and_causation_travel_through_a_process_manager_and_explicit_ones_win() {
    let dir = temp_dir();
    let store = with_all(&dir).await;
    let loan = store.get::<Loan>("house").await.unwrap();
    let context = CommandContext::default()
        .with_actor("ann")
        .with_correlation_id("request-1");
    loan.send_with(Lend(10), context).await.unwrap();
    // The targets are known by `dispatches`, without `aggregate_type`.
    let report = store.run_process_managers().await.unwrap();
    assert_eq!((report.dispatched, report.dead_lettered), (2, 0));

    let cause = store.read_events("loan", "house").await.unwrap().remove(0);
    let filled = store.read_events("account", "house").await.unwrap();
    assert_eq!(filled[0].data["amount"], 5);
    let meta = filled[0].meta.as_ref().unwrap();
    assert_eq!(meta["correlation_id"], "request-1");
    assert_eq!(meta["causation_id"], cause.id.unwrap().as_str());
    let explicit = store.read_events("account", "ann").await.unwrap();
    assert_eq!(explicit[0].data["amount"], 10);
    let meta = explicit[0].meta.as_ref().unwrap();
    assert_eq!(meta["correlation_id"], "of-its-own");
    assert_eq!(meta["causation_id"], "cause-of-its-own");

    // Nothing is sent twice.
    assert_eq!(store.run_process_managers().await.unwrap().dispatched, 0);
}
