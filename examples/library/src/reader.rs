use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

/// A reader, and how often the library had to remind them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Remind), events(Reminded))]
pub struct Reader {
    pub reminders: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Remind {
    pub book: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, DomainEvent)]
pub struct Reminded {
    pub book: String,
}

#[aggregate_impl]
impl Reader {
    fn remind(&self, command: Remind) -> Decision<Self> {
        Ok(events![Reminded { book: command.book }])
    }

    fn reminded(&mut self, _: &Reminded) {
        self.reminders += 1;
    }
}
