//! What the types of a program say about it.

use eventfold_es::model::{AggregateInfo, EventInfo, Model};
use eventfold_es::{
    Aggregate, AggregateStore, CommandEnvelope, ProcessManager, Projection, model, prelude::*,
    testing,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::support::Ledger;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    name = "bank-account",
    commands(Open, PayIn = "pay-in"),
    events(Opened, PaidIn, Noted),
    retired("Frozen", "OpenedWithGift" = with_gift, Moved = moved),
    snapshot(every = 50, version = 3),
    unknown_events = "skip",
)]
struct Account {
    balance: u64,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct PayIn(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened {
    #[tag]
    owner: String,
    #[tag("branch")]
    at: u8,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(name = "MoneyPaidIn", alias = "PaidIn", alias = "Deposited", version = 3, upcast(1 = in_cents, 2 = rates::with_rate))]
struct PaidIn {
    cents: u64,
    rate: u64,
}

fn in_cents(amount: u64) -> u64 {
    amount * 100
}

mod rates {
    pub(super) fn with_rate(cents: u64) -> super::PaidIn {
        super::PaidIn { cents, rate: 1 }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Noted {
    #[event(name = "note")]
    Written {
        #[tag]
        author: String,
    },
    #[event(version = 2, upcast(1 = erased_by))]
    Erased(String),
}

fn erased_by((): ()) -> Noted {
    Noted::Erased(String::new())
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
#[event(alias = "Relocated", version = 2, upcast(1 = to_town))]
struct Moved(String);

fn to_town((): ()) -> Moved {
    Moved("Bern".to_owned())
}

fn moved(event: Moved) -> Option<AccountEvent> {
    let author = event.0;
    (!author.is_empty()).then(|| Noted::Written { author }.into())
}

fn with_gift(owner: String) -> Vec<AccountEvent> {
    events![
        Opened { owner, at: 1 },
        PaidIn {
            cents: 500,
            rate: 1
        }
    ]
}

#[aggregate_impl]
impl Account {
    fn open(&self, _: Open) -> Decision<Self> {
        Ok(events![])
    }

    fn pay_in(&self, PayIn(cents): PayIn) -> Decision<Self> {
        Ok(events![PaidIn { cents, rate: 1 }])
    }

    fn opened(&mut self, _: &Opened) {}

    fn paid_in(&mut self, event: &PaidIn) {
        self.balance += event.cents;
    }

    fn noted(&mut self, _: &Noted) {}
}

/// With a command enum of its own, and without a version of anything.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(command = DoorCommand, event = DoorEvent)]
struct Door;

enum DoorCommand {
    Slam,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum DoorEvent {
    Slammed,
}

impl Decide<DoorCommand> for Door {
    fn decide(&self, command: DoorCommand) -> Decision<Self> {
        let DoorCommand::Slam = command;
        Ok(vec![DoorEvent::Slammed])
    }
}

impl Evolve<DoorEvent> for Door {
    fn evolve(&mut self, _: &DoorEvent) {}
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed {
    #[tag]
    course: String,
    #[tag]
    student: String,
}

/// The seats of a course.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(tag = "course", events(Subscribed))]
struct Seats;

/// What is on the account of a student.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(aggregate = Account, events(PaidIn))]
struct Funds;

impl Evolve<Subscribed> for Seats {
    fn evolve(&mut self, _: &Subscribed) {}
}

impl Evolve<PaidIn> for Funds {
    fn evolve(&mut self, _: &PaidIn) {}
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Subscribe {
    course: String,
    student: String,
}

#[derive(Debug, Decision)]
#[decision(command = Subscribe, events(Subscribed))]
struct Subscribing {
    #[model(course)]
    seats: Seats,
    #[model(account = student)]
    funds: Funds,
}

impl Decide<Subscribe> for Subscribing {
    fn decide(&self, command: Subscribe) -> Decision<Self> {
        let Subscribing {
            seats: Seats,
            funds: Funds,
        } = self;
        let Subscribe { course, student } = command;
        Ok(vec![Subscribed { course, student }.into()])
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(
    name = "totals",
    version = 4,
    aggregates(Door, Account),
    events(Subscribed)
)]
struct Totals;

impl Project<Account> for Totals {
    fn project(&mut self, _: &AccountEvent, _: &Recorded<'_>) {}
}

impl Project<Door> for Totals {
    fn project(&mut self, _: &DoorEvent, _: &Recorded<'_>) {}
}

impl Evolve<Subscribed> for Totals {
    fn evolve(&mut self, _: &Subscribed) {}
}

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(
    name = "billing",
    aggregates(Door),
    events(Subscribed),
    dispatches(Account),
    decides(Subscribing)
)]
struct Billing;

impl React<Door> for Billing {
    fn react_to(&mut self, _: &DoorEvent, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

impl ReactTo<Subscribed> for Billing {
    fn react_to_event(&mut self, _: &Subscribed, _: &Recorded<'_>, _: &mut Outbox<'_>) {}
}

/// By hand, and for all events that belong to no aggregate too.
#[derive(Clone, Default, Serialize, Deserialize)]
struct Everything;

impl Projection for Everything {
    const NAME: &'static str = "everything";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger", "", "bank-account"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
}

#[derive(Default, Serialize, Deserialize)]
struct Forward;

impl ProcessManager for Forward {
    const NAME: &'static str = "forward";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["ledger"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        Vec::new()
    }
}

fn whole() -> Model {
    model![
        Ledger,
        Account,
        Door,
        Subscribing,
        Totals,
        Everything,
        Billing,
        Forward
    ]
}

fn aggregate<'a>(model: &'a Model, name: &str) -> &'a AggregateInfo {
    let mut aggregates = model.aggregates.iter();
    aggregates.find(|aggregate| aggregate.name == name).unwrap()
}

/// Each event on one line.
fn lines(events: &[EventInfo]) -> Vec<String> {
    let line = |event: &EventInfo| {
        let steps = event.upcasts.iter().map(|step| {
            let from = step.from.map_or("last".to_owned(), |from| from.to_string());
            format!("{from}={}", step.by)
        });
        let steps: Vec<_> = steps.collect();
        format!(
            "{} {:?} retired={} {:?} {steps:?} {:?}",
            event.name, event.version, event.is_retired, event.aliases, event.tags
        )
    };
    events.iter().map(line).collect()
}

#[test]
fn an_aggregate_tells_its_commands_and_its_events_with_their_whole_history() {
    let model = model![Account];
    let account = aggregate(&model, "bank-account");
    assert_eq!(
        (account.state_version, account.snapshot_every),
        (3, Some(50))
    );
    assert!(account.skips_unknown_events);
    let commands = account.commands.as_ref().unwrap();
    let commands: Vec<_> = commands
        .iter()
        .map(|command| command.name.as_str())
        .collect();
    assert_eq!(commands, ["Open", "pay-in"]);
    let expected = [
        r#"Opened Some(1) retired=false [] [] ["owner", "branch"]"#,
        r#"MoneyPaidIn Some(3) retired=false ["PaidIn", "Deposited"] ["1=in_cents", "2=rates::with_rate"] []"#,
        r#"note Some(1) retired=false [] [] ["author"]"#,
        r#"Erased Some(2) retired=false [] ["1=erased_by"] []"#,
        "Frozen None retired=true [] [] []",
        r#"OpenedWithGift None retired=true [] ["1=with_gift"] []"#,
        r#"Moved None retired=true ["Relocated"] ["1=to_town", "last=moved"] []"#,
    ];
    assert_eq!(lines(account.events.as_ref().unwrap()), expected);
}

#[test]
fn what_a_type_does_not_tell_is_left_out_and_the_model_says_so() {
    let model = whole();
    let door = aggregate(&model, "door");
    assert_eq!(door.commands, None);
    assert_eq!(Door.handle(DoorCommand::Slam).unwrap().len(), 1);
    assert_eq!(
        lines(door.events.as_ref().unwrap()),
        ["Slammed Some(1) retired=false [] [] []"]
    );
    assert!(!door.skips_unknown_events && door.snapshot_every.is_none());
    // By hand: the names are those of its serde enum.
    let ledger = aggregate(&model, "ledger");
    assert_eq!(ledger.commands, None);
    let events = ledger.events.as_ref().unwrap();
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names, ["Added", "Written", "Exploded", "Tabled"]);
    assert!(
        events
            .iter()
            .all(|event| event.version.is_none() && !event.is_retired)
    );
    assert!(
        model
            .markdown()
            .contains("Its command type does not tell its commands.")
    );
}

#[test]
fn an_aggregate_by_hand_whose_stored_names_are_others_tells_none() {
    /// Its events are numbers, in a stored form of its own.
    #[derive(Debug, Clone, Default, Serialize, Deserialize)]
    struct Odd;

    impl Aggregate for Odd {
        const AGGREGATE_TYPE: &'static str = "odd";
        type Command = ();
        type DomainEvent = u8;
        type Error = std::convert::Infallible;

        fn handle(&self, (): ()) -> Result<Vec<u8>, Self::Error> {
            Ok(vec![1])
        }

        fn apply(self, _: &u8) -> Self {
            self
        }
    }

    let model = model![Odd];
    assert_eq!(aggregate(&model, "odd").events, None);
    assert!(
        model
            .markdown()
            .contains("Its event type does not tell its events.")
    );
}

#[test]
fn a_decision_tells_its_command_its_events_and_the_models_with_their_tags() {
    let model = model![Subscribing];
    let decision = &model.decisions[0];
    assert_eq!(
        (decision.name.as_str(), decision.command.name.as_str()),
        ("subscribing", "Subscribe")
    );
    assert_eq!(decision.events, ["Subscribed"]);
    let [seats, funds] = decision.models.as_slice() else {
        panic!("{decision:?}");
    };
    assert_eq!(
        (seats.field.as_str(), seats.aggregate.as_deref()),
        ("seats", None)
    );
    assert_eq!(
        (&*seats.tags, &*seats.events),
        (&["course".to_owned()][..], &["Subscribed".to_owned()][..])
    );
    assert_eq!(
        (funds.field.as_str(), funds.aggregate.as_deref()),
        ("funds", Some("bank-account"))
    );
    assert!(funds.tags.is_empty());
    assert_eq!(funds.events, ["MoneyPaidIn"]);
    // Its events belong to no aggregate.
    let expected = [r#"Subscribed Some(1) retired=false [] [] ["course", "student"]"#];
    assert_eq!(lines(&model.events), expected);
}

#[test]
fn projections_and_process_managers_tell_what_they_read_and_where_they_send_to() {
    let model = model![Totals, Everything, Billing, Forward];
    let [everything, totals] = model.projections.as_slice() else {
        panic!("{:?}", model.projections);
    };
    assert_eq!((totals.name.as_str(), totals.version), ("totals", 4));
    assert_eq!(
        (&totals.aggregates[..], &totals.events[..]),
        (
            &["bank-account".to_owned(), "door".to_owned()][..],
            &["Subscribed".to_owned()][..]
        )
    );
    assert!(!totals.gets_all_other_events);
    assert_eq!(everything.aggregates, ["bank-account", "ledger"]);
    assert!(everything.gets_all_other_events && everything.events.is_empty());

    let [billing, forward] = model.process_managers.as_slice() else {
        panic!("{:?}", model.process_managers);
    };
    assert_eq!(
        (billing.aggregates.as_slice(), billing.events.as_slice()),
        (&["door".to_owned()][..], &["Subscribed".to_owned()][..])
    );
    assert_eq!(
        (billing.dispatches.as_slice(), billing.decides.as_slice()),
        (
            &["bank-account".to_owned()][..],
            &["subscribing".to_owned()][..]
        )
    );
    assert_eq!(forward.aggregates, ["ledger"]);
    assert!(forward.dispatches.is_empty() && !forward.gets_all_other_events);
    // What they list by type is in the model, and so is what they send to.
    let names: Vec<_> = model
        .aggregates
        .iter()
        .map(|aggregate| aggregate.name.as_str())
        .collect();
    assert_eq!(names, ["bank-account", "door"]);
    assert_eq!(model.decisions.len(), 1);
}

#[test]
fn the_order_and_the_repetitions_of_a_list_do_not_matter() {
    let other = model![
        Forward,
        Billing,
        Billing,
        Totals,
        Everything,
        Subscribing,
        Door,
        Account,
        Ledger,
        Account,
    ];
    assert_eq!(other, whole());
    assert_eq!(whole().and(whole()), whole());
    assert_eq!(
        model![Account].and(model![]).and(model![Totals]),
        model![Totals]
    );
}

/// An aggregate and a projection at once, and generic.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Both<const N: usize>;

impl<const N: usize> Aggregate for Both<N> {
    const AGGREGATE_TYPE: &'static str = "both";
    type Command = ();
    type DomainEvent = OddEvent;
    type Error = std::convert::Infallible;

    fn handle(&self, (): ()) -> Result<Vec<OddEvent>, Self::Error> {
        Ok(Vec::new())
    }

    fn apply(self, _: &OddEvent) -> Self {
        self
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", content = "data")]
enum OddEvent {
    #[serde(rename = "a|b")]
    Pipe,
    #[serde(rename = "`code` <b>\n# Title")]
    Markup,
    #[serde(rename = "\"]; click x")]
    Mermaid,
    #[serde(rename = "\u{202e}back")]
    Direction,
}

impl<const N: usize> Projection for Both<N> {
    const NAME: &'static str = "both-too";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["both"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {}
}

#[test]
fn a_type_that_is_several_things_and_is_generic_tells_all_of_them() {
    let model = model![Both<3>];
    assert_eq!((model.aggregates.len(), model.projections.len()), (1, 1));
    assert_eq!(model.projections[0].name, "both-too");
}

#[test]
fn odd_names_stay_names_in_markdown_and_in_the_diagram() {
    let model = model![Both<3>];
    let markdown = model.markdown();
    let (diagram, rest) = markdown.split_at(markdown.rfind("```\n").unwrap());
    for row in rest.lines().filter(|line| line.starts_with('|')) {
        assert!(matches!(row.matches('|').count(), 5 | 6), "{row}");
    }
    for shown in ["<b>", "# Title\n", "\u{202e}", "`code`"] {
        assert!(
            !rest.contains(shown) && !diagram.contains(shown),
            "{shown}:\n{markdown}"
        );
    }
    let labels: Vec<_> = diagram
        .lines()
        .filter(|line| line.contains(">\""))
        .collect();
    assert_eq!(labels.len(), 4, "{diagram}");
    for label in labels {
        assert!(
            label.ends_with("\"]") && label.matches('"').count() == 2,
            "{label}"
        );
    }
    let json: Value = serde_json::from_str(&model.json()).unwrap();
    assert_eq!(json["aggregates"][0]["events"][0]["name"], "a|b");
    assert_eq!(json["aggregates"][0]["events"][3]["name"], "\u{202e}back");
}

#[test]
fn the_markdown_and_the_json_of_a_model_are_stable() {
    testing::model_is_in(&whole(), "integration/described.md");
    testing::model_is_in(&whole(), "integration/described.json");
}

#[tokio::test]
async fn a_store_tells_the_model_of_what_is_registered_with_it() {
    let store = AggregateStore::in_memory()
        .process_manager::<Billing>()
        .process_manager::<Forward>()
        .projection::<Totals>()
        .projection::<Everything>()
        .decision::<Subscribing>()
        .open()
        .await
        .unwrap();
    assert_eq!(store.model().and(model![Ledger]), whole());
    let nothing = AggregateStore::in_memory().open().await.unwrap();
    assert_eq!(nothing.model(), Model::default());
}
