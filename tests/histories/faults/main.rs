//! Stores keep their promises while servers, processes and networks fail.
#![cfg(unix)]

mod domain;
mod long;
mod networks;
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
