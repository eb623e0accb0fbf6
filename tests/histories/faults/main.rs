//! Stores keep their promises while servers, processes and networks fail.
#![cfg(unix)]

mod copies;
mod domain;
#[path = "../../integration/support/failing.rs"]
mod failing;
mod long;
mod managers;
mod networks;
#[path = "../../integration/support/postgres.rs"]
mod postgres;
mod processes;
mod refusals;
mod run;
mod servers;
mod several;
mod worker;

#[test]
#[ignore = "started by other tests, in a process of its own"]
fn works() {
    if let Ok(task) = std::env::var(worker::TASK) {
        worker::work(&task);
    }
}
