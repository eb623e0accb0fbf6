//! A shop whose customers have names and addresses.

use std::collections::BTreeMap;
use std::time::Duration;

use eventfold_es::personal::Personal;
use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Registered {
    #[subject]
    pub(crate) customer: u64,
    pub(crate) name: Personal<String>,
    pub(crate) email: Personal<String>,
}

/// An event with two subjects.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Recommended {
    #[subject("customer")]
    pub(crate) by: u64,
    #[subject("customer")]
    pub(crate) friend: u64,
    #[personal(by)]
    pub(crate) by_name: Personal<String>,
    #[personal(friend)]
    pub(crate) friend_names: Vec<Personal<String>>,
}

/// An event without personal data.
#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Visited;

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Register {
    pub(crate) customer: u64,
    pub(crate) name: String,
    pub(crate) email: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Recommend {
    pub(crate) by: (u64, String),
    pub(crate) friend: (u64, String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Visit;

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(
    events(Registered, Recommended, Visited),
    commands(Register, Recommend, Visit),
    snapshot(every = 1)
)]
pub(crate) struct Customer {
    pub(crate) name: Personal<String>,
    pub(crate) email: Personal<String>,
    pub(crate) friend: Option<Personal<String>>,
    /// What is made of the name, as a plain text.
    pub(crate) greeting: String,
    pub(crate) visits: u64,
}

pub(crate) fn known(value: &Personal<String>) -> &str {
    value.known().map_or("(erased)", String::as_str)
}

#[aggregate_impl]
impl Customer {
    fn register(&self, command: Register) -> Decision<Self> {
        let Register {
            customer,
            name,
            email,
        } = command;
        Ok(events![Registered {
            customer,
            name: name.into(),
            email: Personal::new(email),
        }])
    }

    fn recommend(&self, command: Recommend) -> Decision<Self> {
        Ok(events![Recommended {
            by: command.by.0,
            friend: command.friend.0,
            by_name: command.by.1.into(),
            friend_names: vec![command.friend.1.into()],
        }])
    }

    fn visit(&self, _: Visit) -> Decision<Self> {
        Ok(events![Visited])
    }

    fn registered(&mut self, event: &Registered) {
        self.greeting = format!("Dear {}", known(&event.name));
        self.name = event.name.clone();
        self.email = event.email.clone();
    }

    fn recommended(&mut self, event: &Recommended) {
        self.friend = event.friend_names.first().cloned();
    }

    fn visited(&mut self, _: &Visited) {
        self.visits += 1;
    }
}

/// The names of all customers, as plain text.
#[derive(Debug, Clone, Default, Serialize, Deserialize, Projection)]
#[projection(aggregates(Customer))]
pub(crate) struct Names {
    pub(crate) by_id: BTreeMap<String, String>,
}

impl Project<Customer> for Names {
    fn project(&mut self, event: &CustomerEvent, record: &Recorded<'_>) {
        let name = match event {
            CustomerEvent::Registered(registered) => known(&registered.name),
            CustomerEvent::Recommended(recommended) => known(&recommended.by_name),
            CustomerEvent::Visited(_) => return,
        };
        self.by_id.insert(record.id().to_owned(), name.to_owned());
    }
}

/// Sends a letter to each new customer, another one in a year, and one that is always refused.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(aggregates(Customer), dispatches(Letters))]
pub(crate) struct Greeter {
    pub(crate) last: Personal<String>,
}

impl React<Customer> for Greeter {
    fn react_to(&mut self, event: &CustomerEvent, _: &Recorded<'_>, out: &mut Outbox<'_>) {
        if let CustomerEvent::Registered(registered) = event {
            self.last = registered.name.clone();
            let to = registered.name.clone();
            out.send::<Letters>("sent", Write { to });
            let to = registered.name.clone().map(|name| format!("{name} again"));
            out.schedule::<Letters>(Duration::from_secs(31_000_000), "sent", Write { to });
            let to = registered.name.clone();
            out.send::<Letters>("full", Write { to });
        }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Write {
    pub(crate) to: Personal<String>,
}

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
pub(crate) struct Written {
    #[subject("letter")]
    number: u64,
    pub(crate) to: Personal<String>,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(events(Written), commands(Write), error = Full)]
pub(crate) struct Letters {
    pub(crate) to: Vec<Personal<String>>,
}

#[derive(Debug, thiserror::Error)]
#[error("no letter fits in here")]
pub(crate) struct Full;

impl DecideWith<Write> for Letters {
    fn decide_with(
        &self,
        command: Write,
        context: &DecisionContext<'_>,
    ) -> Result<Vec<LettersEvent>, Full> {
        if context.id() == "full" {
            return Err(Full);
        }
        let number: u64 = context.version().into();
        Ok(events![Written {
            number,
            to: command.to
        }])
    }
}

impl Evolve<Written> for Letters {
    fn evolve(&mut self, event: &Written) {
        self.to.push(event.to.clone());
    }
}
