//! What a store would refuse to keep, the kit refuses as well, and takes what a store takes.

use eventfold_es::prelude::*;
use eventfold_es::testing::{given, process_manager};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::fails;

const GREAT: u128 = 1 << 100;

/// JSON that is nested as deeply.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Nested(Vec<Nested>);

impl Nested {
    fn to(depth: usize) -> Self {
        (1..depth).fold(Self::default(), |inner, _| Self(vec![inner]))
    }
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
enum Kept {
    Raw(Box<RawValue>),
    Deep(Nested),
    Great(u128),
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(name = "keeper", command = Kept, event = Kept)]
struct Keeper {
    great: u128,
}

impl Decide<Kept> for Keeper {
    fn decide(&self, kept: Kept) -> Decision<Self> {
        Ok(vec![kept])
    }
}

impl Evolve<Kept> for Keeper {
    fn evolve(&mut self, event: &Kept) {
        if let Kept::Great(great) = event {
            self.great += great;
        }
    }
}

/// Sends on what it sees.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(name = "sends-on", aggregates(Keeper))]
struct SendsOn;

impl React<Keeper> for SendsOn {
    fn react_to(&mut self, event: &Kept, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        let metadata = match event {
            Kept::Deep(nested) => serde_json::to_value(nested).ok(),
            Kept::Raw(_) | Kept::Great(_) => None,
        };
        let context = CommandContext {
            metadata,
            ..CommandContext::default()
        };
        out.send_with::<Keeper>("k", event.clone(), context);
    }
}

#[test]
fn an_event_with_a_line_break_or_nested_too_deeply_fails() {
    let two_lines = RawValue::from_string("[1,\n2]".to_owned()).unwrap();
    fails(
        || given::<Keeper>(vec![Kept::Raw(two_lines)]),
        &["event `Raw`", "line break"],
    );
    let _ = given::<Keeper>(vec![Kept::Deep(Nested::to(126))]);
    fails(
        || given::<Keeper>(vec![Kept::Deep(Nested::to(127))]),
        &["event `Deep`", "nested too deeply"],
    );
}

#[test]
fn a_command_that_a_process_manager_could_not_save_fails() {
    let _ = process_manager::<SendsOn>().when::<Keeper>("a", Kept::Deep(Nested::to(110)));
    fails(
        || process_manager::<SendsOn>().when::<Keeper>("a", Kept::Deep(Nested::to(126))),
        &["`sends-on`", "the command for keeper/k", "recursion limit"],
    );
}

#[test]
fn numbers_above_u64_are_accepted_and_compared_to_the_last_digit() {
    given::<Keeper>(vec![Kept::Great(GREAT)])
        .when(Kept::Great(GREAT + 1))
        .then(vec![Kept::Great(GREAT + 1)])
        .then_state(|keeper| keeper.great == 2 * GREAT + 1);
    fails(
        || {
            given::<Keeper>(vec![])
                .when(Kept::Great(GREAT + 1))
                .then(vec![Kept::Great(GREAT)])
        },
        &[
            "the events are not those that were expected",
            &GREAT.to_string(),
        ],
    );
    let when = || process_manager::<SendsOn>().when::<Keeper>("a", Kept::Great(GREAT + 1));
    when().then(|out| {
        out.send::<Keeper>("k", Kept::Great(GREAT + 1));
    });
    fails(
        || {
            when().then(|out| {
                out.send::<Keeper>("k", Kept::Great(GREAT));
            })
        },
        &[
            "`sends-on` did not do what was expected",
            &GREAT.to_string(),
        ],
    );
}
