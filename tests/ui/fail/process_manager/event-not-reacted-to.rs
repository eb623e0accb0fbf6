use eventfold_es::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Debug, Default, Serialize, Deserialize, ProcessManager)]
#[process_manager(events(Subscribed))]
struct Welcome;

#[derive(Debug, Clone, Serialize, Deserialize, DomainEvent)]
struct Subscribed;

fn main() {
    let _ = AggregateStore::builder("data").process_manager::<Welcome>();
}
