// Decisions and models in every form.
use eventfold_es::{DecisionContext, EvolveWith, Query, QueryItem, Tag, Tags, prelude::*};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Subscribed {
    #[tag("course-id")]
    pub course: u32,
    #[tag]
    pub student: Option<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub enum Other {
    Left {
        #[tag("course-id")]
        course: u32,
        #[tag]
        student: String,
    },
    #[event(alias = "gone")]
    Gone(#[tag("course-id")] u32, #[tag("student")] String),
}

/// Without fields, by two tags.
#[derive(Default, DecisionModel)]
#[decision_model(tags("course-id", "student"), events(Subscribed, self::Other))]
pub struct Both;

/// An enum without tags.
#[derive(Debug, Default, DecisionModel)]
#[decision_model(events(Other))]
pub enum All {
    #[default]
    None,
    Some(u64),
}

/// A generic field, by one tag in a list.
#[derive(Default, DecisionModel)]
#[decision_model(tags("course-id"), events(Subscribed))]
pub struct One(Vec<Option<u8>>);

/// Of a stream, also of an event that is tagged with its type.
#[derive(Default, DecisionModel)]
#[decision_model(aggregate = bank::Account, events(bank::Opened, Frozen))]
pub struct IsOpen {
    is_open: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub struct Frozen {
    #[tag]
    account: String,
}

mod bank {
    use super::*;

    #[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
    #[aggregate(commands(), events(Opened))]
    pub struct Account;

    #[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
    pub struct Opened;

    impl Evolve<Opened> for Account {
        fn evolve(&mut self, _: &Opened) {}
    }
}

impl EvolveWith<Subscribed> for Both {
    fn evolve_with(&mut self, _: &Subscribed, record: &Recorded<'_>) {
        assert!(!record.is_of_aggregate());
    }
}

impl Evolve<Other> for Both {
    fn evolve(&mut self, _: &Other) {}
}

impl Evolve<Other> for All {
    fn evolve(&mut self, _: &Other) {
        *self = Self::Some(1);
    }
}

impl Evolve<Subscribed> for One {
    fn evolve(&mut self, _: &Subscribed) {
        self.0.push(None);
    }
}

impl Evolve<bank::Opened> for IsOpen {
    fn evolve(&mut self, _: &bank::Opened) {
        self.is_open = true;
    }
}

impl Evolve<Frozen> for IsOpen {
    fn evolve(&mut self, _: &Frozen) {
        self.is_open = false;
    }
}

/// Neither `Clone` nor serialised nor `Debug`, with arguments.
pub struct Change<T> {
    r#type: T,
    of: (String, Inner),
}

pub struct Inner {
    course: u32,
    account: Box<str>,
}

#[derive(Debug, thiserror::Error)]
#[error("no")]
pub struct No;

/// Each form of a value.
#[derive(Decision)]
#[decision(
    name = "change",
    command = Change<String>,
    events(Subscribed, Other),
    error = No,
    event_enum(name = Changed, derive(Clone)),
)]
pub struct Changing {
    #[model("course-id" = of.1.course, student = r#type)]
    pub both: Both,
    #[model]
    pub all: All,
    #[model("course-id" = of.1.course)]
    one: One,
    #[model(r#type)]
    from: IsOpen,
    #[model(account = of.1.account)]
    to: IsOpen,
}

impl DecideWith<Change<String>> for Changing {
    fn decide_with(
        &self,
        command: Change<String>,
        context: &DecisionContext<'_>,
    ) -> Decision<Self> {
        if self.one.0.is_empty()
            && self.from.is_open
            && self.to.is_open
            && context.actor().is_none()
        {
            return Err(No);
        }
        Ok(events![Other::Gone(command.of.1.course, command.of.0)])
    }
}

/// A tuple, with an enum of events of its own, on a command that is one.
#[derive(Decision)]
#[decision(command = Leave, event = Other)]
pub struct Leaving(#[model("course-id" = 0, student = 1)] Both, #[model] All);

#[derive(Debug, Clone)]
pub struct Leave(u32, &'static str);

impl Decide<Leave> for Leaving {
    fn decide(&self, _: Leave) -> Decision<Self> {
        Ok(vec![])
    }
}

pub(super) fn main() {
    let leave = Leave(7, "Ada");
    let tags: Tags = [
        Tag::new("course-id", 7).unwrap(),
        Tag::new("student", "Ada").unwrap(),
    ]
    .into();
    let both = QueryItem::new(["Subscribed", "Left", "Gone", "gone"], tags).unwrap();
    let all = QueryItem::of_type("Left").or_event::<Other>();
    assert_eq!(Leaving::query(&leave), Ok(Query::of(both).or(all)));
    assert!(Leaving::repeat(&leave).is_some() && Leaving::fingerprint(&leave).is_none());

    let inner = Inner {
        course: 7,
        account: "a-1".into(),
    };
    let change = Change {
        r#type: "Ada".to_owned(),
        of: (String::new(), inner),
    };
    let query = Changing::query(&change).unwrap();
    assert_eq!(query.items().map(<[QueryItem]>::len), Some(5));
    assert!(Changing::repeat(&change).is_none());
    assert_eq!(
        (Changing::NAME, Changing::COMMAND_NAME),
        ("change", "Change")
    );
}
