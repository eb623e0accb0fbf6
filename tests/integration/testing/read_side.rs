//! The kit for projections and process managers.

use eventfold_es::__private::example::{Add, Counter, CounterEvent, Forward, Total};
use eventfold_es::testing::{process_manager, projection};
use eventfold_es::{
    CommandContext, CommandEnvelope, DeadLetter, DomainEvent, Evolve, FailureKind, Outbox,
    ProcessManager, Projection, React, ReactTo, Recorded,
};
use serde::{Deserialize, Serialize};

use super::{Account, AccountEvent, Deposited, fails, failure};

fn added(amount: u64) -> CounterEvent {
    CounterEvent::Added { amount }
}

#[test]
fn an_expected_projection_and_process_manager_pass() {
    projection::<Total>()
        .then_state(|total| total.value == 0)
        .given::<Counter>("c-1", vec![added(5), added(1)])
        .given::<Counter>("c-2", vec![added(2)])
        .then_state(|total| total.value == 8);
    process_manager::<Forward>()
        .given::<Counter>("c-1", vec![added(1)])
        .when::<Counter>("c-2", added(2))
        .then(|out| {
            out.send::<Counter>("all", Add(2));
        })
        .then_state(|_| true)
        .when::<Counter>("all", added(2))
        .then_nothing();
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened(u64);

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Closed;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection, ProcessManager)]
#[projection(events(Opened))]
#[process_manager(events(Opened), dispatches(Counter))]
struct Opens {
    sum: u64,
}

impl Evolve<Opened> for Opens {
    fn evolve(&mut self, Opened(amount): &Opened) {
        self.sum += amount;
    }
}

impl ReactTo<Opened> for Opens {
    fn react_to_event(&mut self, event: &Opened, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        assert!(!record.is_of_aggregate());
        self.sum += event.0;
        out.send::<Counter>("opens", Add(self.sum));
    }
}

#[test]
fn events_that_belong_to_no_aggregate_are_given_by_their_types() {
    projection::<Opens>()
        .given_event(Opened(2))
        .given_event(Opened(3))
        .then_state(|opens| opens.sum == 5);
    process_manager::<Opens>()
        .given_event(Opened(2))
        .when_event(Opened(3))
        .then(|out| {
            out.send::<Counter>("opens", Add(5));
        })
        .when_event(Opened(1))
        .then_state(|opens| opens.sum == 6);
}

#[test]
fn an_event_that_is_not_listed_fails_the_test() {
    let said = ["`opens` does not list the event `Closed` in `events(...)`, so it never sees it"];
    fails(|| projection::<Opens>().given_event(Closed), &said);
    fails(|| process_manager::<Opens>().given_event(Closed), &said);
    let total = ["`total` does not list the event `Opened`"];
    fails(|| projection::<Total>().given_event(Opened(1)), &total);
}

#[test]
fn an_unexpected_state_is_shown() {
    let five = || projection::<Total>().given::<Counter>("c-1", vec![added(5)]);
    fails(
        || five().then_state(|total| total.value == 4),
        &["\"value\": 5"],
    );
    let (_, place) = failure(|| five().then_state(|total| total.value == 4));
    assert!(place.starts_with(file!()), "{place}");
}

#[test]
fn giving_events_of_an_aggregate_that_is_not_subscribed_to_fails_the_test() {
    let deposited = || vec![AccountEvent::from(Deposited { amount: 1 })];
    let text = "does not subscribe to `account`";
    fails(
        || projection::<Total>().given::<Account>("a", deposited()),
        &["`total`", text],
    );
    fails(
        || process_manager::<Forward>().given::<Account>("a", deposited()),
        &["`forward`", text],
    );
}

#[test]
fn unexpected_commands_are_shown_in_stored_form_at_the_line_of_the_test() {
    let line = line!() + 4;
    let (text, place) = failure(|| {
        process_manager::<Forward>()
            .when::<Counter>("c-1", added(2))
            .then(|out| {
                out.send::<Counter>("all", Add(3));
            })
    });
    assert_eq!(place, format!("{}:{line}", file!()));
    assert!(
        text.contains("`forward` did not do what was expected"),
        "{text}"
    );
    let minus = text.lines().find(|line| line.starts_with("- {")).unwrap();
    let plus = text.lines().find(|line| line.starts_with("+ {")).unwrap();
    assert!(
        minus.contains(r#""command":3"#) && plus.contains(r#""command":2"#),
        "{text}"
    );
    // The id of the event, which it would have in a store, shows that it was filled in alike.
    assert!(plus.contains(r#""causation_id":"event-1""#), "{text}");
    fails(
        || {
            process_manager::<Forward>()
                .when::<Counter>("c", added(2))
                .then_nothing()
        },
        &[r#"+ {"aggregate_type":"counter""#],
    );
}

/// Counts in a part of its state that is not saved.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Forgetful {
    #[serde(skip)]
    unsaved: u64,
    saved: u64,
}

impl Projection for Forgetful {
    const NAME: &'static str = "forgetful";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn apply(&mut self, _: &str, _: &str, _: &eventfold::Event) {
        self.unsaved += 1;
        self.saved = self.unsaved;
    }
}

impl ProcessManager for Forgetful {
    const NAME: &'static str = "forgetful";

    fn subscriptions(&self) -> &'static [&'static str] {
        &["counter"]
    }

    fn react(&mut self, _: &str, _: &str, _: &eventfold::Event) -> Vec<CommandEnvelope> {
        self.unsaved += 1;
        vec![CommandEnvelope {
            aggregate_type: "counter".to_owned(),
            instance_id: "all".to_owned(),
            command: self.unsaved.into(),
            context: CommandContext::default(),
        }]
    }
}

#[test]
fn a_field_that_is_not_saved_is_noticed_at_the_next_event() {
    fails(
        || projection::<Forgetful>().given::<Counter>("c", vec![added(1), added(1)]),
        &[
            "the state of `forgetful`, saved and read back, leads to another state",
            "\"saved\": 2",
        ],
    );
    fails(
        || process_manager::<Forgetful>().given::<Counter>("c", vec![added(1), added(1)]),
        &[
            "`forgetful` reacts differently after its state is saved and read back",
            r#"+ {"aggregate_type""#,
        ],
    );
}

/// Sends to where it was told, which need not be where it says.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "straying", aggregates(Counter), dispatches(Counter))]
struct Straying;

impl React<Counter> for Straying {
    fn react_to(&mut self, event: &CounterEvent, record: &Recorded<'_>, out: &mut Outbox<'_>) {
        let CounterEvent::Added { amount } = event;
        out.send_envelope(CommandEnvelope {
            aggregate_type: record.id().to_owned(),
            instance_id: "x".repeat(usize::try_from(*amount).unwrap()),
            command: serde_json::json!({}),
            context: CommandContext::default(),
        });
    }
}

#[test]
fn a_command_without_a_possible_target_fails_the_test() {
    let when = |target: &'static str, amount| {
        let given = process_manager::<Straying>();
        failure(move || given.when::<Counter>(target, added(amount))).0
    };
    assert_eq!(
        when("mail", 1),
        "`straying` sends a command to `mail`, which is not in its `dispatches(...)`"
    );
    let impossible = when("counter", 0);
    assert_eq!(
        impossible,
        "`straying` sends a command to a stream that cannot exist: aggregate id \"\" is empty"
    );
    let given = process_manager::<Straying>();
    let _ = given.when::<Counter>("counter", added(1));
}

/// Adds what was added to the counter `all`, or notes on another one that it could not.
#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Counter), dispatches(Counter), on_dead_letter = Self::not_added)]
struct Careful {
    failures: u64,
}

impl Careful {
    fn not_added(&mut self, letter: &DeadLetter, out: &mut Outbox<'_>) {
        self.failures += 1;
        if letter.kind == Some(FailureKind::Refusal) {
            out.send::<Counter>("refused", Add(self.failures));
        }
    }
}

impl React<Counter> for Careful {
    fn react_to(&mut self, event: &CounterEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let CounterEvent::Added { amount } = event;
        out.send::<Counter>("all", Add(*amount))
            .or_send::<Counter>("others", Add(*amount));
    }
}

#[test]
fn what_is_sent_if_a_command_fails_is_part_of_what_a_process_manager_does() {
    let when = || process_manager::<Careful>().when::<Counter>("c", added(2));
    when().then(|out| {
        out.send::<Counter>("all", Add(2))
            .or_send::<Counter>("others", Add(2));
    });
    fails(
        || {
            when().then(|out| {
                out.send::<Counter>("all", Add(2));
            })
        },
        &["did not do what was expected", "or_send", "others"],
    );
    fails(
        || {
            when().then(|out| {
                out.send::<Counter>("all", Add(2))
                    .or_send::<Counter>("others", Add(3));
            })
        },
        &["did not do what was expected", "or_send"],
    );
}

#[test]
fn the_answer_to_a_failure_is_checked_like_a_reaction() {
    let failed = |kind| {
        process_manager::<Careful>()
            .given::<Counter>("c", vec![added(2)])
            .when_failed::<Counter>("others", Add(2), kind, "no")
    };
    failed(FailureKind::Refusal)
        .then(|out| {
            out.send::<Counter>("refused", Add(1));
        })
        .then_state(|careful| careful.failures == 1)
        .when_failed::<Counter>("others", Add(2), FailureKind::Io, "the disk is full")
        .then_nothing()
        .then_state(|careful| careful.failures == 2);
    fails(
        || failed(FailureKind::Refusal).then_nothing(),
        &["did not do what was expected", "refused"],
    );
}

/// Notes who did what when, in a projection and in a process manager.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Projection)]
#[projection(name = "notes", aggregates(Counter))]
struct Notes(Vec<(u64, Option<String>, Option<String>)>);

impl eventfold_es::Project<Counter> for Notes {
    fn project(&mut self, _: &CounterEvent, record: &Recorded<'_>) {
        self.note(record);
    }
}

impl Notes {
    fn note(&mut self, record: &Recorded<'_>) {
        let actor = record.actor().map(str::to_owned);
        let correlation = record.correlation_id().map(std::borrow::Cow::into_owned);
        self.0.push((record.unix_millis(), actor, correlation));
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "noting", aggregates(Counter), dispatches(Counter))]
struct Noting(Notes);

impl React<Counter> for Noting {
    fn react_to(&mut self, _: &CounterEvent, record: &Recorded<'_>, _: &mut Outbox<'_>) {
        self.0.note(record);
    }
}

#[test]
fn events_have_the_time_and_the_context_that_the_test_gives_them() {
    let at = |seconds| std::time::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
    let by = |actor: &str| {
        let context = CommandContext::default().with_actor(actor);
        context.with_correlation_id(format!("of {actor}"))
    };
    let some = |text: &str| Some(text.to_owned());
    let expected = [
        (1_767_225_601_000, None, None),
        (5_000, None, None),
        (5_000, some("ann"), some("of ann")),
        (6_000, some("bob"), some("of bob")),
    ];
    projection::<Notes>()
        .given::<Counter>("c", vec![added(1)])
        .at(at(5))
        .given::<Counter>("c", vec![added(1)])
        .with_context(by("ann"))
        .given::<Counter>("d", vec![added(1)])
        .at(at(6))
        .with_context(by("bob"))
        .given::<Counter>("c", vec![added(1)])
        .then_state(|notes| notes.0 == expected);
    process_manager::<Noting>()
        .when::<Counter>("c", added(1))
        .at(at(5))
        .given::<Counter>("c", vec![added(1)])
        .with_context(by("ann"))
        .when::<Counter>("d", added(1))
        .with_context(by("bob"))
        .at(at(6))
        .when::<Counter>("c", added(1))
        .then_state(|noting| noting.0.0 == expected);
    let keyed = || CommandContext::default().with_idempotency_key("k");
    fails(
        || projection::<Notes>().with_context(keyed()),
        &["leave them out"],
    );
}
