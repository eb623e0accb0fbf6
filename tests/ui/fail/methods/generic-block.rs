use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Default, Serialize, Deserialize, Aggregate)]
#[aggregate(commands(Open), events(Opened))]
struct Account<T>(T);

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Open;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Opened;

#[aggregate_impl]
impl<T> Account<T> {
    fn open(&self, _: Open) -> Decision<Self> {
        Ok(events![Opened])
    }

    fn opened(&mut self, _: &Opened) {}
}

fn main() {
    let _ = Account::<u8>::default().handle(Open.into());
}
